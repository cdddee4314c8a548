"""IDLE (RFC 2177, in the base of RFC 9051): a client that waits is told at once."""

import time

from harness import giants
from harness.server import Magpie
from harness.wire import ImapWire


def idle(wire: ImapWire, mailbox: bytes = b"INBOX") -> bytes:
    assert wire.command(b"SELECT " + mailbox)[0] == b"OK"
    tag = wire.tag()
    wire.send(tag + b" IDLE\r\n")
    assert wire.line().startswith(b"+")
    return tag


def until(wire: ImapWire, wanted: bytes) -> float:
    """Seconds until an untagged response appears; the socket's own time-out is the limit."""
    started = time.monotonic()
    while wanted not in (line := wire.response()):
        assert line, f"the connection closed before {wanted!r}"
    return time.monotonic() - started


def test_delivery_is_announced(magpie: Magpie, user: str, address: str) -> None:
    with ImapWire(magpie, user) as wire, magpie.smtp() as client:
        tag = idle(wire)
        for number in range(1, 4):
            client.sendmail("bob@example.com", [address], giants.letter(number))
            assert until(wire, b"* %d EXISTS" % number) < 5
        wire.send(b"DONE\r\n")
        assert wire.outcome(tag)[0] == b"OK"
        _, _, untagged = wire.command(b"FETCH 3 (UID)")
        assert any(b"UID 3" in line for line in untagged)


def test_flags_and_expunges_are_announced(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client, ImapWire(magpie, user) as wire:
        client.append("INBOX", "", None, giants.letter(1))
        client.append("INBOX", "", None, giants.letter(2))
        tag = idle(wire)
        client.select()
        client.store("2", "+FLAGS", r"(\Seen)")
        until(wire, b"* 2 FETCH")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
        until(wire, b"* 1 EXPUNGE")
        wire.send(b"DONE\r\n")
        assert wire.outcome(tag)[0] == b"OK"


def test_commands_behind_done(magpie: Magpie, user: str) -> None:
    """DONE and the next command in one packet."""
    with ImapWire(magpie, user) as wire:
        tag = idle(wire)
        wire.send(b"DONE\r\nnext NOOP\r\n")
        assert wire.outcome(tag)[0] == b"OK"
        assert wire.outcome(b"next")[0] == b"OK"


def test_idle_needs_no_mailbox(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        wire.send(b"a IDLE\r\n")
        assert wire.line().startswith(b"+")
        wire.send(b"DONE\r\n")
        assert wire.outcome(b"a")[0] == b"OK"
