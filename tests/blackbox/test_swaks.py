"""swaks, the tester's knife for SMTP, delivers."""

import subprocess
from pathlib import Path

from harness import corpus, mailbox
from harness.server import Magpie


def swaks(magpie: Magpie, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["swaks", "--server", f"127.0.0.1:{magpie.port('smtp')}", "--from", "bob@example.com",
               "--helo", "client.example.com", "--timeout", "30", *arguments]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)


def test_plain(magpie: Magpie, user: str, address: str) -> None:
    done = swaks(magpie, "--to", address, "--header", "Subject: by swaks", "--body", "first line\n.second line\n")
    assert done.returncode == 0, done.stdout + done.stderr
    with magpie.imap(user) as client:
        stored = mailbox.newest(client)
    assert b"\r\nSubject: by swaks\r\n" in stored
    assert b"\r\n.second line\r\n" in stored


def test_tls(magpie: Magpie, user: str, address: str) -> None:
    done = swaks(magpie, "--to", address, "--tls", "--header", "Subject: by swaks over TLS")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TLS started" in done.stdout, done.stdout
    with magpie.imap(user) as client:
        assert b"Subject: by swaks over TLS" in mailbox.newest(client)


def test_a_whole_mail_from_a_file(magpie: Magpie, user: str, address: str, tmp_path: Path) -> None:
    (sample,) = [each for each in corpus.written("korean") if each.name.endswith("cp949-newsletter")]
    path = tmp_path / "mail.eml"
    path.write_bytes(sample.source)
    done = swaks(magpie, "--to", address, "--data", f"@{path}")
    assert done.returncode == 0, done.stdout + done.stderr
    with magpie.imap(user) as client:
        stored = mailbox.newest(client)
    # swaks ends the message with a line end of its own, whether there was one or not.
    assert corpus.without_trace(stored, sample.source + b"\r\n")[: len(sample.source)] == sample.source


def test_unknown_recipient(magpie: Magpie) -> None:
    done = swaks(magpie, "--to", "nobody-here@example.test")
    assert done.returncode == 24, done.stdout
    assert "<** 550 5.1.1" in done.stdout, done.stdout
