"""BINARYMIME (RFC 3030): any octets come in by BDAT, and the same octets are read by every client."""

import email
import email.policy

import pytest

from harness import mailbox
from harness.server import Magpie
from harness.wire import SmtpWire

# Every octet, and line ends of all kinds: CR, LF, both in either order, a lone dot, nothing at the end.
OCTETS = bytes(range(256)) * 40 + b"\r\n.\r\n\n.\n\r\n\r\r\n\0\r"
MULTIPART = (
    b"From: bob@example.com\r\nSubject: binary\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="=edge="\r\nContent-Transfer-Encoding: binary\r\n\r\n'
    b"--=edge=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "편지입니다\r\n".encode()
    + b"--=edge=\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
    b'Content-Disposition: attachment; filename="octets.bin"\r\n\r\n' + OCTETS + b"\r\n--=edge=--\r\n"
)
SINGLE = (
    b"From: bob@example.com\r\nSubject: binary\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n" + OCTETS
)


def send(magpie: Magpie, recipient: str, message: bytes, protocol: str = "smtp", chunk: int = 1 << 20):
    """Sends by BDAT; returns the last reply."""
    with SmtpWire(magpie, protocol, ehlo=False) as wire:
        code, offered = wire.command(b"LHLO client.test" if protocol == "lmtp" else b"EHLO client.test")
        assert code == 250 and b"BINARYMIME" in offered and b"CHUNKING" in offered
        assert wire.command(b"MAIL FROM:<bob@example.com> BODY=BINARYMIME")[0] == 250
        assert wire.command(b"RCPT TO:<" + recipient.encode() + b">")[0] == 250
        for at in range(0, len(message), chunk):
            piece = message[at : at + chunk]
            last = b" LAST" if at + chunk >= len(message) else b""
            wire.send(b"BDAT %d%s\r\n" % (len(piece), last) + piece)
            reply = wire.reply()
        return reply


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("message", [MULTIPART, SINGLE], ids=["multipart", "single"])
def test_every_octet_arrives(magpie: Magpie, user: str, address: str, protocol: str, message: bytes) -> None:
    for chunk in (1 << 20, 997):
        code, text = send(magpie, address, message, protocol, chunk)
        assert code == 250, text
    with magpie.imap(user) as client:
        for source in mailbox.fetch_all(client).values():
            assert b"\0" not in source and b"\n" not in source.replace(b"\r\n", b"")
            parsed = email.message_from_bytes(source, policy=email.policy.default)
            part = parsed if message is SINGLE else next(parsed.iter_attachments())
            assert part.get_payload(decode=True) == OCTETS
            if message is MULTIPART:
                assert parsed.get_body(("plain",)).get_content().strip() == "편지입니다"
        number = b"2" if message is MULTIPART else b"1"
        kind, data = client._simple_command("FETCH", "1", f"(BINARY.PEEK[{number.decode()}])")
        assert kind == "OK", data
        fetched = client._untagged_response(kind, data, "FETCH")[1]
        assert any(OCTETS in item for pair in fetched for item in (pair if isinstance(pair, tuple) else (pair,)))
    client = magpie.pop3(user)
    _, lines, _ = client.retr(1)
    client.quit()
    parsed = email.message_from_bytes(b"\r\n".join(lines), policy=email.policy.default)
    part = parsed if message is SINGLE else next(parsed.iter_attachments())
    assert part.get_payload(decode=True) == OCTETS


def test_binary_that_has_lines_stays_as_it_came(magpie: Magpie, user: str, address: str) -> None:
    message = b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + "가나다\r\n".encode() * 3
    assert send(magpie, address, message)[0] == 250
    with magpie.imap(user) as client:
        assert mailbox.newest(client).endswith(message)


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: x\0y\r\n\r\ntext\r\n",
        b"Subject: x\nInjected: y\r\n\r\ntext\r\n",
        b"Subject: x\r\n\r\ntext\0text\r\n",
        b"Subject: x\r\n\r\ntext\ntext\r\n",
        b"Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\ntext\rtext\r\n",
    ],
)
def test_what_is_no_binary_body_must_have_lines(magpie: Magpie, user: str, address: str, message: bytes) -> None:
    code, text = send(magpie, address, message)
    assert (code, text[:5]) == (554, b"5.6.0"), text
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 0
    assert send(magpie, address, SINGLE)[0] == 250


def test_binary_does_not_come_by_data(magpie: Magpie, address: str) -> None:
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com> BODY=BINARYMIME")[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b">")[0] == 250
        assert wire.command(b"DATA")[0] == 503
        assert wire.command(b"RSET")[0] == 250


def test_notifications_are_not_promised(magpie: Magpie, address: str) -> None:
    """Nothing sends them yet: DSN is not announced, and its parameters are refused rather than ignored."""
    with SmtpWire(magpie, ehlo=False) as wire:
        _, offered = wire.command(b"EHLO client.test")
        assert b"\nDSN" not in offered and b"LIMITS RCPTMAX=" in offered
        assert wire.command(b"MAIL FROM:<bob@example.com> RET=HDRS ENVID=x")[0] == 555
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b"> NOTIFY=SUCCESS")[0] == 555
