"""`magpie import`: Maildir and mbox come in whole, with flags, dates and folders, and can be stopped at any time."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import corpus, giants
from harness.mailbox import count, fetch_all, flags, modified_utf7, names, ok, stream_all
from harness.server import BINARY, PASSWORD, Magpie, running

SEPARATOR = re.compile(rb"(?m)^(>*From )")


def write_maildir(folder: Path, mails: list[bytes]) -> None:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
    for number, mail in enumerate(mails):
        (folder / "cur" / f"{1_600_000_000 + number}.M{number}.example.test:2,S").write_bytes(mail)


def write_mbox(path: Path, mails: list[bytes]) -> None:
    """mboxrd: a From_ line before each mail, `>` before every body line that looks like one, an empty line after."""
    with path.open("wb") as mbox:
        for mail in mails:
            mbox.write(b"From bob@example.com Mon Oct 19 10:00:00 2026\n" + SEPARATOR.sub(rb">\1", mail))
            mbox.write(b"\n" if mail.endswith(b"\n") else b"\n\n")


@pytest.mark.timeout(900)
def test_maildir_brings_every_mail_byte_for_byte(magpie: Magpie, user: str, tmp_path: Path) -> None:
    """Also those that SMTP refuses: lone CRs and LFs, NULs, lines of any length. LF line ends become CRLF."""
    samples = import_corpus(magpie, user, tmp_path)
    with magpie.imap(user, timeout=120) as client:
        number = 0
        for number, (_, stored) in enumerate(stream_all(client), 1):
            wanted = corpus.crlf(samples[number - 1].source)
            assert stored == wanted, f"{samples[number - 1]}: {corpus.difference(stored, wanted)}"
        assert number == len(samples)


@pytest.mark.timeout(900)
def test_curl_reads_every_mail_byte_for_byte(magpie: Magpie, user: str, tmp_path: Path) -> None:
    """One curl, one connection, one file for each mail."""
    samples = import_corpus(magpie, user, tmp_path)
    url = f"imap://127.0.0.1:{magpie.port('imap')}/INBOX;UID=[1-{len(samples)}]"
    (tmp_path / "read").mkdir()
    command = ["curl", "--silent", "--show-error", "--user", f"{user}:{PASSWORD}", url, "--output", "read/#1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for uid, sample in enumerate(samples, 1):
        got, wanted = (tmp_path / "read" / str(uid)).read_bytes(), corpus.crlf(sample.source)
        assert got == wanted, f"{sample}: {corpus.difference(got, wanted)}"


def import_corpus(magpie: Magpie, user: str, folder: Path) -> list[corpus.Sample]:
    """Every mail that there is, in the order of its UIDs."""
    samples = [sample for sample in corpus.everything() if sample.source]
    write_maildir(folder / "Maildir", [sample.source for sample in samples])
    magpie.cli("import", "--account", f"{user}@example.test", f"maildir:{folder / 'Maildir'}", timeout=800)
    return samples


def test_mbox_brings_every_mail(magpie: Magpie, user: str, tmp_path: Path) -> None:
    mails = [sample.source.replace(b"\r\n", b"\n") for sample in corpus.fetched("spamassassin")[::20]]
    mails = [re.sub(rb"\AFrom [^\n]*\n", b"", mail) for mail in mails if b"\r" not in mail]
    mails = [mail if mail.endswith(b"\n") else mail + b"\n" for mail in mails]
    write_mbox(tmp_path / "archive.mbox", mails)
    magpie.cli("import", "--account", f"{user}@example.test", f"mbox:{tmp_path / 'archive.mbox'}")
    with magpie.imap(user, timeout=120) as client:
        stored = [mail for name in names(client) for mail in fetch_all(client, name).values()]
    assert sorted(stored) == sorted(corpus.crlf(mail) for mail in mails)


def test_flags_dates_and_folders_are_kept(magpie: Magpie, user: str, tmp_path: Path) -> None:
    root = tmp_path / "Maildir"
    write_maildir(root, [giants.letter(1)])
    name = "1600000000.M1.example.test:2,FRS"
    for number, folder in enumerate(["회의록", "보관함"], 2):
        path = root / f".{modified_utf7(folder)}.2026"
        write_maildir(path, [])
        (path / "cur" / name).write_bytes(giants.letter(number))
    magpie.cli("import", "--account", f"{user}@example.test", f"maildir:{root}")
    with magpie.imap(user) as client:
        assert count(client) == 1
        # What is called archive in Korean goes below the archive.
        assert count(client, "Archive/2026") == 1
        assert fetch_all(client, "Archive/2026") == {1: giants.letter(3)}
        assert count(client, "회의록/2026") == 1
        assert flags(client, "1") == {rb"\Flagged", rb"\Answered", rb"\Seen"}
        assert b'"13-Sep-2020 12:26:40 +0000"' in ok(client.fetch("1", "(INTERNALDATE)"))[0]


def test_again_brings_nothing_twice(magpie: Magpie, user: str, tmp_path: Path) -> None:
    """A second run takes what is new and leaves what it knows, even when it has been read and renamed since."""
    root = tmp_path / "Maildir"
    write_maildir(root, [giants.letter(number) for number in range(20)])
    command = ["import", "--account", f"{user}@example.test", f"maildir:{root}"]
    magpie.cli(*command)
    first = sorted((root / "cur").iterdir())[0]
    first.rename(first.with_name(first.name.replace(":2,S", ":2,FS")))
    (root / "new" / "1700000000.M99.example.test").write_bytes(giants.letter(99))
    magpie.cli(*command)
    with magpie.imap(user) as client:
        assert count(client) == 21


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["import", "server"])
def test_killed_in_the_middle_and_run_again(data: Path, tmp_path: Path, victim: str) -> None:
    """SIGKILL to the command, or to the server below it: the next run brings the rest, and nothing twice."""
    mails = [sample.source for sample in corpus.fetched("spamassassin")[:3000]]
    write_maildir(tmp_path / "Maildir", mails)
    command = [str(BINARY), "import", "--account", "alice", f"maildir:{tmp_path / 'Maildir'}"]
    with running(data) as server:
        for wanted in (200, 900):
            process = subprocess.Popen(
                command, env=server.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            wait_until_imported(server, wanted, process)
            if victim == "import":
                process.send_signal(signal.SIGKILL)
            else:
                server.kill()
            _, said = process.communicate(timeout=60)
            assert process.returncode != 0, said
            if victim == "server":
                server.start()
        server.cli(*command[1:])
        with server.imap("alice", timeout=120) as client:
            stored = [mail for _, mail in stream_all(client)]
        assert len(stored) == len(mails)
        assert sorted(stored) == sorted(corpus.crlf(mail) for mail in mails)
        server.cli("verify")


def wait_until_imported(server: Magpie, wanted: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    with server.imap("alice") as client:
        while count(client) < wanted:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the import does not get on"


def test_sources_that_cannot_be_read_are_named(magpie: Magpie, address: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is no mailbox\n")
    for source, word in [
        ("maildir:/nowhere/at/all", "/nowhere/at/all"),
        (f"maildir:{tmp_path}", "Maildir"),
        (f"mbox:{tmp_path / 'file'}", "mbox"),
        ("imap:somewhere", "maildir:"),
    ]:
        done = magpie.cli("import", "--account", address, source, check=False)
        assert done.returncode != 0, source
        assert word in done.stderr, (source, done.stderr)


def test_messages_that_cannot_be_imported_are_named(magpie: Magpie, user: str, tmp_path: Path) -> None:
    """Zero bytes and 60 MB: the others come in, these are named with their reason, and the exit code says so."""
    root = tmp_path / "Maildir"
    write_maildir(root, [giants.letter(1), b"", giants.exactly(60 << 20), giants.letter(2)])
    done = magpie.cli("import", "--account", f"{user}@example.test", f"maildir:{root}", check=False)
    assert done.returncode != 0
    assert "M1.example.test" in done.stderr + done.stdout, done
    assert "M2.example.test" in done.stderr + done.stdout, done
    with magpie.imap(user) as client:
        assert count(client) == 2
