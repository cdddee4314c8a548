"""Mail that is delivered by SMTP: what comes out by IMAP is what went in, behind the trace fields."""

import email.utils
import re
import smtplib

import pytest

from harness import corpus, giants, mailbox
from harness.server import Magpie, any_certificate
from harness.wire import SmtpWire

SENDER = "bob@example.com"


def received(magpie: Magpie, user: str, sent: bytes) -> tuple[bytes, bytes]:
    """The trace fields and the message of the newest mail in a user's INBOX; checks the message."""
    with magpie.imap(user) as client:
        stored = mailbox.newest(client)
    message = corpus.without_trace(stored, sent)
    assert message == sent, corpus.difference(message, sent)
    return corpus.trace_of(stored, sent), message


def test_plain(magpie: Magpie, user: str, address: str) -> None:
    """Return-Path and Received stand before the message (RFC 5321 §4.4)."""
    sent = giants.letter(1)
    with magpie.smtp() as client:
        assert client.sendmail(SENDER, [address], sent) == {}
    trace, _ = received(magpie, user, sent)
    fields = trace.decode().replace("\r\n\t", " ").replace("\r\n ", " ").splitlines()
    assert fields[0] == f"Return-Path: <{SENDER}>"
    stamp = next(field for field in fields if field.startswith("Received:"))
    assert re.search(r"from client\.example\.com .*127\.0\.0\.1", stamp), stamp
    assert re.search(r" with ESMTP\b", stamp), stamp
    assert email.utils.parsedate_to_datetime(stamp.rsplit(";", 1)[1].strip()), stamp


def test_starttls(magpie: Magpie, user: str, address: str) -> None:
    """Under TLS the trace says ESMTPS (RFC 3848), and EHLO starts anew."""
    sent = giants.letter(2)
    with magpie.smtp() as client:
        client.ehlo()
        assert client.has_extn("starttls")
        client.starttls(context=any_certificate())
        client.ehlo()
        assert not client.has_extn("starttls")
        client.sendmail(SENDER, [address], sent)
    trace, _ = received(magpie, user, sent)
    assert re.search(rb" with (UTF8SMTPS|ESMTPS)\b", trace.replace(b"\r\n", b"")), trace


def test_extensions_announced(magpie: Magpie) -> None:
    with magpie.smtp() as client:
        client.ehlo()
        for extension in ("pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking", "size"):
            assert client.has_extn(extension), (extension, client.esmtp_features)
        assert int(client.esmtp_features["size"]) >= 50_000_000


def test_one_mail_for_several_people(magpie: Magpie, user: str, address: str) -> None:
    sent = giants.letter(3)
    with magpie.smtp() as client:
        client.sendmail(SENDER, [address, "carol@example.test", "bob@example.test"], sent)
    for each in (user, "carol", "bob"):
        received(magpie, each, sent)


def test_unknown_recipients_do_not_spoil_the_known(magpie: Magpie, user: str, address: str) -> None:
    """Fault 15: refused at RCPT, never accepted and bounced."""
    sent = giants.letter(4)
    with magpie.smtp() as client:
        refused = client.sendmail(SENDER, ["nobody-here@example.test", address], sent)
    assert list(refused) == ["nobody-here@example.test"]
    code, text = refused["nobody-here@example.test"]
    assert (code, text[:5]) == (550, b"5.1.1")
    received(magpie, user, sent)


@pytest.mark.parametrize(
    "spelling",
    ["{user}+shopping@example.test", "{USER}@EXAMPLE.TEST", '"{user}"@example.test', "{user}@example.test"],
    ids=["plus", "upper-case", "quoted", "plain"],
)
def test_spellings_of_one_address(magpie: Magpie, user: str, spelling: str) -> None:
    sent = giants.letter(5)
    with SmtpWire(magpie) as wire:
        wire.begin(spelling.format(user=user, USER=user.upper()).encode())
        wire.send(sent + b".\r\n")
        assert wire.reply()[0] == 250
    received(magpie, user, sent)


def test_postmaster_without_domain(magpie: Magpie) -> None:
    """RFC 5321 §4.5.1: <Postmaster>, in any case and without a domain, is always accepted."""
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<>")[0] == 250
        assert wire.command(b"RCPT TO:<Postmaster>")[0] == 250


def test_null_sender(magpie: Magpie, user: str, address: str) -> None:
    sent = giants.letter(6)
    with magpie.smtp() as client:
        client.sendmail("", [address], sent)
    trace, _ = received(magpie, user, sent)
    assert trace.startswith(b"Return-Path: <>\r\n")


def test_no_relaying(magpie: Magpie) -> None:
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        code, text = wire.command(b"RCPT TO:<somebody@example.org>")
    assert code in (550, 551, 554), text
    assert text.startswith(b"5.7.1"), text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b".\r\nSubject: dot first\r\n\r\n.\r\n",
        b"Subject: no body\r\n",
        b"\r\nno header\r\n",
        b"Subject: spaces\r\n\r\n \r\n\t\r\n\r\n\r\n",
    ],
    ids=["empty", "one-line-end", "one-dot", "dots", "dot-first", "no-body", "no-header", "blank-lines"],
)
def test_edges_of_data(magpie: Magpie, user: str, address: str, body: bytes) -> None:
    """Dot-stuffing (RFC 5321 §4.5.2) is undone, also in the first line; an empty message is a message."""
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(re.sub(rb"(?m)^\.", b"..", body) + b".\r\n")
        code, text = wire.reply()
        assert code == 250, text
        assert wire.command(b"NOOP")[0] == 250
    received(magpie, user, body)


def test_pipelined_in_one_packet(magpie: Magpie, user: str, address: str) -> None:
    """RFC 2920: a whole envelope at once; then message, next envelope and QUIT at once."""
    sent = giants.letter(7)
    to = address.encode()
    envelope = b"MAIL FROM:<bob@example.com>\r\nRCPT TO:<" + to + b">\r\nRCPT TO:<" + to + b">\r\nDATA\r\n"
    with SmtpWire(magpie) as wire:
        wire.send(envelope)
        assert [wire.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
        wire.send(sent + b".\r\nMAIL FROM:<>\r\nRSET\r\nQUIT\r\n")
        assert [wire.reply()[0] for _ in range(4)] == [250, 250, 250, 221]
        assert wire.closed()
    received(magpie, user, sent)
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 1, "the same recipient twice is one recipient"


def test_chunks(magpie: Magpie, user: str, address: str) -> None:
    """RFC 3030: BDAT in uneven pieces, through the middle of CRLFs and of dots; no dot-stuffing."""
    sent = b"Subject: chunks\r\n\r\n.\r\n..\r\nmiddle\r\n.\r\n" + giants.letter(8)
    pieces = [1, 17, 1, 3, 2, 5, 100]
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b">")[0] == 250
        at = 0
        for size in pieces:
            wire.send(b"BDAT %d\r\n" % size + sent[at : at + size])
            assert wire.reply()[0] == 250
            at += size
        wire.send(b"BDAT %d\r\n" % (len(sent) - at) + sent[at:])
        assert wire.reply()[0] == 250
        wire.send(b"BDAT 0 LAST\r\n")
        assert wire.reply()[0] == 250
    received(magpie, user, sent)


def test_utf8_envelope(magpie: Magpie, user: str, address: str) -> None:
    """RFC 6531: a sender outside ASCII with SMTPUTF8."""
    (sample,) = [each for each in corpus.written("structure") if each.name.endswith("headers-8bit")]
    with SmtpWire(magpie) as wire:
        assert wire.command("MAIL FROM:<köln@example.com> BODY=8BITMIME SMTPUTF8".encode())[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b">")[0] == 250
        assert wire.command(b"DATA")[0] == 354
        wire.send(sample.source + b".\r\n")
        assert wire.reply()[0] == 250
    trace, _ = received(magpie, user, sample.source)
    assert trace.startswith("Return-Path: <köln@example.com>\r\n".encode())


def test_same_mail_sent_again_after_a_lost_reply(magpie: Magpie, user: str, address: str) -> None:
    """A client that does not see the 250 sends again; its user must not get two copies."""
    sent = giants.letter(9)
    for attempt in range(2):
        with SmtpWire(magpie) as wire:
            wire.begin(address.encode())
            wire.send(sent + b".\r\n")
            assert wire.reply()[0] == 250, attempt
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 1


def test_same_mail_sent_twice_on_purpose(magpie: Magpie, user: str, address: str) -> None:
    """A client that goes on after its 250 has seen it: what it sends then is a second message, if an equal one."""
    sent = giants.letter(13)
    with magpie.smtp() as client:
        for _ in range(2):
            client.sendmail(SENDER, [address], sent)
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 2


def test_many_mails_on_one_connection(magpie: Magpie, user: str, address: str) -> None:
    with magpie.smtp() as client:
        for number in range(300):
            client.sendmail(SENDER, [address], giants.letter(number, 600, seed=2))
    with magpie.imap(user) as client:
        subjects = [re.search(rb"letter 2-(\d+)", source)[1] for source in mailbox.fetch_all(client).values()]
    assert [int(number) for number in subjects] == list(range(300))


def test_abandoned_data_leaves_nothing(magpie: Magpie, user: str, address: str) -> None:
    """A connection that breaks before the final dot delivered nothing."""
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(giants.letter(10)[:1500])
    with magpie.smtp() as client:
        client.sendmail(SENDER, [address], giants.letter(11))
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 1


def test_lmtp_answers_for_each_recipient(magpie: Magpie, user: str, address: str) -> None:
    """RFC 2033: one reply for each recipient after the message."""
    sent = giants.letter(12)
    with smtplib.LMTP("127.0.0.1", magpie.port("lmtp"), local_hostname="relay.example.com") as client:
        refused = client.sendmail(SENDER, [address, "nobody-here@example.test"], sent)
    assert list(refused) == ["nobody-here@example.test"]
    received(magpie, user, sent)
