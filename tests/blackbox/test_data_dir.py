"""The data directory: one process at a time, and damage that is said plainly instead of served."""

import random
import subprocess
from pathlib import Path

import pytest

from harness import giants, mailbox
from harness.server import BINARY, PASSWORD, Magpie, MagpieError, free_port_base, running


def fill(server: Magpie) -> list[bytes]:
    """Some mail of every kind: in rows, in blobs, with a shared attachment."""
    mails = [giants.letter(number) for number in range(50)]
    mails += [giants.letter(number, 100_000, text=False) for number in range(10)]
    attachment = random.Random(1).randbytes(400_000)
    mails += [giants.with_attachment(number, attachment) for number in range(5)]
    with server.smtp() as client:
        for mail in mails:
            client.sendmail("bob@example.com", ["alice@example.test"], mail)
    return mails


def test_second_process_is_refused(data: Path) -> None:
    """At once, with a message that names the directory; the first one goes on."""
    with running(data) as server:
        command = [
            str(BINARY),
            "dev",
            "--data",
            str(data),
            "--port-base",
            str(free_port_base()),
            "--password",
            PASSWORD,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert str(data) in done.stderr, done.stderr
        assert "ready" not in done.stdout.splitlines()
        with server.imap("alice") as client:
            assert mailbox.count(client) == 0


def test_stop_and_start_keeps_everything(data: Path) -> None:
    with running(data) as server:
        mails = fill(server)
        server.stop()
        server.start()
        with server.imap("alice") as client:
            stored = list(mailbox.fetch_all(client).values())
        assert [each[-len(mail) :] for each, mail in zip(stored, mails)] == mails
        assert len(stored) == len(mails)
        server.cli("verify")


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 4096)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.mark.timeout(600)
def test_damaged_store_is_refused(data: Path) -> None:
    """A flipped byte in the middle of the largest file of the key-value store: not a wrong answer, a clear one.

    Where the damage sits decides who notices: the server when it opens the store, or `verify` when it reads.
    """
    server = Magpie(data).start()
    fill(server)
    server.stop()
    largest = max(files_below(data / "kv"), key=lambda path: path.stat().st_size)
    used = len(largest.read_bytes().rstrip(b"\0"))
    flip(largest, used // 2)
    noticed = ""
    try:
        server.start()
        done = server.cli("verify", check=False)
        noticed = done.stdout + done.stderr if done.returncode != 0 else ""
    except MagpieError as refused:
        noticed = str(refused)
    finally:
        server.kill()
    assert noticed, "nobody noticed the damage"
    assert "panicked" not in noticed, noticed


@pytest.mark.timeout(600)
def test_verify_finds_damaged_and_missing_blobs(data: Path) -> None:
    """Exit code 0 on a sound store; otherwise 3, and what is wrong is printed."""
    server = Magpie(data).start()
    try:
        mails = fill(server)
        done = server.cli("verify")
        assert done.returncode == 0
        server.stop()
        blob = max(files_below(data / "blobs"), key=lambda path: path.stat().st_size)
        for at in range(2000, blob.stat().st_size, blob.stat().st_size // 16):
            flip(blob, at)
        server.start()
        done = server.cli("verify", check=False)
        assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)
        assert done.stdout.strip() or done.stderr.strip()
        for number in range(len(mails)):
            if number < 50:
                assert read(server, number + 1).endswith(mails[number]), "a sound message cannot be read"
            elif number < 60:
                assert read(server, number + 1) is None, "a damaged message was handed out"
        server.stop()
    finally:
        server.kill()


def read(server: Magpie, number: int) -> bytes | None:
    """One message of alice's; None if the server says NO. The session goes on afterwards, whatever it was."""
    with server.imap("alice") as client:
        mailbox.count(client)
        kind, items = client.fetch(str(number), "(BODY.PEEK[])")
        client.noop()
        return items[0][1] if kind == "OK" and isinstance(items[0], tuple) else None
