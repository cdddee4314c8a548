"""POP3 with Python's poplib, curl and bare sockets."""

import poplib
import ssl
import threading
from pathlib import Path

import pytest

from harness import corpus, giants, mailbox
from harness.curl import curl
from harness.server import PASSWORD, Magpie, any_certificate, running
from harness.wire import Wire


def message(client: poplib.POP3, number: int) -> bytes:
    """A message as it was sent: poplib takes the dots and the line ends away."""
    return b"".join(line + b"\r\n" for line in client.retr(number)[1])


def test_read_and_delete(magpie: Magpie, user: str, address: str) -> None:
    """What a mail app does that keeps nothing on the server."""
    sent = [giants.letter(number) for number in range(1, 4)]
    magpie.deliver(address, *sent)
    client = magpie.pop3(user)
    count, size = client.stat()
    listed = [int(line.split()[1]) for line in client.list()[1]]
    assert (count, size) == (3, sum(listed))
    for number, mail in enumerate(sent, 1):
        stored = message(client, number)
        assert len(stored) == listed[number - 1]
        assert corpus.without_trace(stored, mail) == mail
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == 3
    client.dele(2)
    client.quit()
    client = magpie.pop3(user)
    assert [line.split()[1] for line in client.uidl()[1]] == [uids[0], uids[2]]
    client.quit()
    with magpie.imap(user) as imap:
        assert mailbox.count(imap) == 2
        assert b"\\Seen" in mailbox.flags(imap, "1"), "what was fetched is read for all other apps"


def test_tls_from_the_start_and_later(magpie: Magpie, user: str, address: str) -> None:
    sent = giants.letter(5)
    magpie.deliver(address, sent)
    client = magpie.pop3s(user)
    assert corpus.without_trace(message(client, 1), sent) == sent
    assert "STLS" not in client.capa()
    client.quit()
    client = magpie.pop3()
    assert "STLS" in client.capa()
    client.stls(any_certificate())
    assert isinstance(client.sock, ssl.SSLSocket)
    client.user(user)
    client.pass_(PASSWORD)
    assert client.stat()[0] == 1
    client.quit()


def test_wrong_password(magpie: Magpie, user: str) -> None:
    client = magpie.pop3()
    client.user(user)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client.pass_("wrong")
    client.user(user)
    client.pass_(PASSWORD)
    client.quit()


def test_48_a_lost_connection_removes_nothing(magpie: Magpie, user: str, address: str) -> None:
    magpie.deliver(address, giants.letter(6))
    client = magpie.pop3(user)
    with pytest.raises(poplib.error_proto, match="no such message"):
        client.retr(0)
    client.dele(1)
    client.close()
    client = magpie.pop3(user)
    assert client.stat()[0] == 1
    client.quit()


def test_03_commands_behind_stls_are_not_run(magpie: Magpie) -> None:
    with Wire(magpie, "pop3") as wire:
        assert wire.line().startswith(b"+OK")
        wire.send(b"STLS\r\nCAPA\r\n")
        assert wire.closed()


def test_pipelined(magpie: Magpie, user: str, address: str) -> None:
    """All commands in one packet."""
    magpie.deliver(address, giants.letter(7))
    with Wire(magpie, "pop3") as wire:
        wire.send(f"USER {user}\r\nPASS {PASSWORD}\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n".encode())
        said = b""
        while data := wire.socket.recv(65536):
            said += data
        answers = [line for line in said.split(b"\r\n") if line.startswith((b"+OK", b"-ERR"))]
    assert len(answers) == 7
    assert all(answer.startswith(b"+OK") for answer in answers), answers
    client = magpie.pop3(user)
    assert client.stat()[0] == 0
    client.quit()


def test_curl(magpie: Magpie, user: str, address: str) -> None:
    sent = giants.letter(8)
    magpie.deliver(address, sent)
    login = ["--user", f"{user}:{PASSWORD}"]
    assert curl(*login, f"pop3://127.0.0.1:{magpie.port('pop3')}/").split()[0] == b"1"
    stored = curl(*login, "--insecure", f"pop3s://127.0.0.1:{magpie.port('pop3s')}/1")
    assert corpus.without_trace(stored, sent) == sent
    stored = curl(*login, "--insecure", "--ssl-reqd", f"pop3://127.0.0.1:{magpie.port('pop3')}/1")
    assert corpus.without_trace(stored, sent) == sent


def test_several_sessions_at_once(magpie: Magpie, user: str, address: str) -> None:
    """A phone and a laptop fetch at the same time; the laptop deletes what it has."""
    sent = [giants.letter(number) for number in range(20)]
    magpie.deliver(address, *sent)
    phone, laptop = magpie.pop3(user), magpie.pop3s(user)
    fetched: list[bytes] = []
    thread = threading.Thread(target=lambda: fetched.extend(message(phone, number) for number in range(1, 21)))
    thread.start()
    for number, mail in enumerate(sent, 1):
        assert corpus.without_trace(message(laptop, number), mail) == mail
        laptop.dele(number)
    thread.join()
    laptop.quit()
    assert [corpus.without_trace(stored, mail) for stored, mail in zip(fetched, sent)] == sent
    with pytest.raises(poplib.error_proto, match="removed by another session"):
        phone.retr(1)
    phone.quit()


def test_the_server_stops(data: Path) -> None:
    """A session that waits is told; nothing that was only marked is removed."""
    with running(data) as server:
        server.deliver("alice@example.test", giants.letter(9))
        client = server.pop3("alice")
        client.dele(1)
        server.stop()
        assert client.file.readline().startswith(b"-ERR [SYS/TEMP]")
        server.start()
        client = server.pop3("alice")
        assert client.stat()[0] == 1
        client.quit()
