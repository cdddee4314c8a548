"""COMPRESS=DEFLATE (RFC 4978) with Python's zlib at the other end."""

import zlib

from harness import giants
from harness.server import Magpie
from harness.wire import ImapWire


def test_mail_through_a_compressed_connection(magpie: Magpie, user: str) -> None:
    """Large and small in both directions, over TLS, and less on the wire than in the mail."""
    letter = giants.letter(1) + b"the same line again and again\r\n" * 20_000
    with ImapWire(magpie, user, "imaps") as client:
        deflated = client.compress()
        tag = client.tag()
        client.send(tag + b" APPEND INBOX {%d+}\r\n" % len(letter) + letter + b"\r\n")
        assert client.outcome(tag)[0] == b"OK"
        assert client.command(b"SELECT INBOX")[0] == b"OK"
        outcome, _, untagged = client.command(b"FETCH 1 BODY.PEEK[]")
        assert outcome == b"OK" and letter in untagged[0]
        assert deflated.received < len(letter) // 10
        _, _, untagged = client.command(b"CAPABILITY")
        assert b"COMPRESS" not in untagged[0]
        outcome, text, _ = client.command(b"COMPRESS DEFLATE")
        assert outcome == b"NO" and text.startswith(b"[COMPRESSIONACTIVE]")


def test_many_small_commands(magpie: Magpie, user: str) -> None:
    """Each answer can be read when it has come, whatever is in flight behind it, and memory is given back meanwhile."""
    with ImapWire(magpie, user) as client:
        client.compress()
        for number in range(300):
            assert client.command(b"STATUS INBOX (MESSAGES)")[0] == b"OK", number
        client.send(b"".join(b"p%d NOOP\r\n" % number for number in range(1000)))
        for number in range(1000):
            assert client.outcome(b"p%d" % number)[0] == b"OK"


def test_byte_by_byte(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as client:
        deflated = client.compress()
        packed = deflated.packer.compress(b"a STATUS INBOX (MESSAGES)\r\n") + deflated.packer.flush(zlib.Z_FULL_FLUSH)
        for byte in packed:
            deflated.plain.sendall(bytes([byte]))
        assert client.outcome(b"a")[0] == b"OK"


def test_news_while_idle(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as client, ImapWire(magpie, user) as other:
        client.compress()
        assert client.command(b"SELECT INBOX")[0] == b"OK"
        client.send(b"i IDLE\r\n")
        assert client.line().startswith(b"+ ")
        for number in range(1, 4):
            letter = giants.letter(number)
            tag = other.tag()
            other.send(tag + b" APPEND INBOX {%d+}\r\n" % len(letter) + letter + b"\r\n")
            assert other.outcome(tag)[0] == b"OK"
            assert client.line() == b"* %d EXISTS" % number
        client.send(b"DONE\r\n")
        assert client.outcome(b"i")[0] == b"OK"


def test_both_streams_end(magpie: Magpie, user: str) -> None:
    """Ours after LOGOUT; and that of a client that ends its own is the end of what it has to say."""
    with ImapWire(magpie, user) as client:
        deflated = client.compress()
        assert client.command(b"LOGOUT")[0] == b"OK"
        assert client.line() == b""
        assert deflated.unpacker.eof
    with ImapWire(magpie, user) as client:
        deflated = client.compress()
        deflated.plain.sendall(deflated.packer.compress(b"a NOOP\r\n") + deflated.packer.flush(zlib.Z_FINISH))
        assert client.outcome(b"a")[0] == b"OK"
        assert client.line() == b""
        assert deflated.unpacker.eof


def test_nothing_may_follow_before_the_answer(magpie: Magpie, user: str) -> None:
    """What was sent with the command is not compressed; it counts, and the connection stays as it was."""
    with ImapWire(magpie, user) as client:
        client.send(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
        assert client.outcome(b"a")[0] == b"BAD"
        assert client.outcome(b"b")[0] == b"OK"
        client.compress()
        assert client.command(b"NOOP")[0] == b"OK"


def test_somebody_else_on_the_same_connection(magpie: Magpie, user: str) -> None:
    """UNAUTHENTICATE ends the login, not the compression (RFC 8437)."""
    with ImapWire(magpie, user) as client:
        client.compress()
        assert client.command(b"UNAUTHENTICATE")[0] == b"OK"
        assert client.command(b"STARTTLS")[0] == b"BAD"
        assert client.command(b"LOGIN alice password")[0] in (b"OK", b"NO")
        assert client.command(b"CAPABILITY")[0] == b"OK"
