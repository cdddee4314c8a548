"""In which form a message leaves: completed, cut, converted, or honestly refused."""

import email
import email.policy
import re

import pytest

from harness.internet import Internet
from harness.peer import Mail
from harness.sender import Sender, letter

pytestmark = pytest.mark.usefixtures("needs_root")

BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def head_of(mail: Mail) -> bytes:
    return mail.data.partition(b"\r\n\r\n")[0] + b"\r\n"


def fields(mail: Mail, name: str) -> list[bytes]:
    return re.findall(rb"(?ims)^" + name.encode() + rb":[ \t]*(.*?)\r\n(?![ \t])", head_of(mail) + b"x")


def test_blind_copies_are_blind(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 5322 §3.6.3, RFC 6409 §8: Bcc is taken out, folded or not; its recipients get the message all the same."""
    peer = internet.peer(elsewhere)
    head = f"Bcc: secret@{elsewhere},\r\n other-secret@{elsewhere}\r\nbcc: third@{elsewhere}\r\n"
    sender.send(f"carol@{elsewhere}", f"secret@{elsewhere}", message=letter("blind", head=head))
    sender.wait(lambda: len(peer.addresses()) == 2, "with both")
    for mail in peer.mails:
        assert b"secret" not in head_of(mail) and b"third@" not in head_of(mail) and not fields(mail, "Bcc")
        # Nor does a trace field tell of more recipients than one (RFC 5321 §7.2).
        assert not [received for received in fields(mail, "Received") if b"secret" in received]


def test_what_is_missing_is_added(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 6409 §8: Date and Message-ID; where they are, they stay."""
    peer = internet.peer(elsewhere)
    bare = f"From: alice@example.test\r\nTo: carol@{elsewhere}\r\nSubject: bare\r\n\r\nHello.\r\n".encode()
    sender.send(f"carol@{elsewhere}", message=bare)
    whole = letter("whole")
    sender.send(f"carol@{elsewhere}", message=whole)
    peer.wait(2)
    by_subject = {fields(mail, "Subject")[0]: mail for mail in peer.mails}
    bare_one, whole_one = by_subject[b"bare"], by_subject[b"whole"]
    [date], [id] = fields(bare_one, "Date"), fields(bare_one, "Message-ID")
    assert email.utils.parsedate_to_datetime(date.decode()) and re.fullmatch(rb"<[^<>@\s]+@[^<>@\s]+>", id)
    assert fields(whole_one, "Message-ID") == [re.search(rb"Message-ID: (\S+)", whole)[1]]
    assert fields(whole_one, "Date") == [b"Mon, 23 Nov 2026 10:00:00 +0000"]


def test_the_trace_does_not_tell_where_the_sender_sits(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """There is a Received field, with our name, and no password and no login in it."""
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}")
    [mail] = peer.wait(1)
    received = fields(mail, "Received")
    assert len(received) == 1 and b"mail.example.test" in received[0], received
    assert not fields(mail, "Return-Path") and not fields(mail, "Delivered-To")


def test_lines_arrive_as_they_were(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Dots at the beginning, empty lines, 998 octets, no end of the last line: octet by octet."""
    peer = internet.peer(elsewhere)
    body = ".\r\n..\r\n.a\r\n\r\n" + "x" * 998 + "\r\n\t \r\n."
    sender.send(f"carol@{elsewhere}", message=letter("lines", body=body))
    [mail] = peer.wait(1)
    assert mail.data.partition(b"\r\n\r\n")[2] == body.encode() + b"\r\n"


@pytest.mark.parametrize(
    "extensions", [(b"8BITMIME", b"CHUNKING", b"BINARYMIME"), (b"8BITMIME",), ()], ids=["all", "8bit", "none"]
)
def test_02_no_line_end_but_crlf_ever_leaves(
    sender: Sender, internet: Internet, elsewhere: str, extensions: tuple[bytes, ...]
) -> None:
    """A binary part with every octet there is: as it is to who takes BINARYMIME, else coded; never as bare CR or LF inside DATA."""
    peer = internet.peer(elsewhere, extensions=extensions)
    octets = bytes(range(256)) * 4 + b"\n.\n\r.\r\n.\rSMUGGLED: yes\n"
    head = "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
    message = letter("octets", head=head).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + octets
    with sender.submit() as client:
        client.ehlo()
        if not client.has_extn("binarymime"):
            pytest.skip("submission takes no binary mail: nothing of the kind can get in")
        assert client.mail("alice@example.test", ["BODY=BINARYMIME"])[0] == 250
        assert client.rcpt(f"carol@{elsewhere}")[0] == 250
        client.sock.sendall(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.getreply()[0] == 250
    [mail] = peer.wait(1)
    received = email.message_from_bytes(mail.data, policy=email.policy.SMTP)
    if peer.verbs[b"BDAT"]:
        assert mail.data.endswith(octets)
    else:
        assert not BARE.search(mail.data), BARE.search(mail.data)
        assert received.get_content() == octets


def test_8bit_goes_as_it_is(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 6152: and says so."""
    peer = internet.peer(elsewhere)
    message = letter(body="안녕하세요", head=EIGHT_BIT)
    sender.send(f"carol@{elsewhere}", message=message, mail=["BODY=8BITMIME"])
    [mail] = peer.wait(1)
    assert b"BODY=8BITMIME" in mail.sender.upper()
    assert "안녕하세요".encode() in mail.data


EIGHT_BIT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def test_8bit_is_converted_where_it_must(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 6152 §3: to a server without 8BITMIME go seven bits, and the same text."""
    peer = internet.peer(elsewhere, extensions=(b"PIPELINING",))
    text = "안녕하세요, 이것은 편지입니다.\r\n.점\r\n=3D\r\n" + "긴 줄 " * 60 + "\r\n끝 "
    sender.send(f"carol@{elsewhere}", message=letter(body=text, head=EIGHT_BIT), mail=["BODY=8BITMIME"])
    [mail] = peer.wait(1)
    assert mail.data.isascii() and b"BODY" not in mail.sender.upper()
    received = email.message_from_bytes(mail.data, policy=email.policy.SMTP)
    assert received["Content-Transfer-Encoding"].lower() in ("quoted-printable", "base64")
    payload = received.get_payload(decode=True).decode()
    assert payload.replace("\r\n", "\n").rstrip("\n") == text.replace("\r\n", "\n")
    assert max(map(len, mail.data.split(b"\r\n"))) <= 998


def test_parts_are_converted_each_by_itself(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, extensions=())
    head = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\nContent-Transfer-Encoding: 8bit\r\n'
    body = (
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n한국어\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nplain =3D text\r\n"
        "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC/w==\r\n--b--"
    )
    sender.send(f"carol@{elsewhere}", message=letter(body=body, head=head), mail=["BODY=8BITMIME"])
    [mail] = peer.wait(1)
    assert mail.data.isascii()
    received = email.message_from_bytes(mail.data, policy=email.policy.SMTP)
    payloads = [part.get_payload(decode=True) for part in received.iter_parts()]
    assert [payloads[0].decode(), payloads[1], payloads[2]] == ["한국어", b"plain =3D text", b"\x00\x01\x02\xff"]


def test_utf8_where_it_is_needed(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, extensions=(b"8BITMIME", b"SMTPUTF8"))
    message = letter("한글 제목", to=f"캐롤@{elsewhere}")
    sender.send(f"캐롤@{elsewhere}", message=message, mail=["SMTPUTF8", "BODY=8BITMIME"])
    [mail] = peer.wait(1)
    assert b"SMTPUTF8" in mail.sender.upper() and mail.addresses == [f"캐롤@{elsewhere}"]
    assert "한글 제목".encode() in head_of(mail)


def test_utf8_where_it_cannot_be_is_refused_honestly(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 6531 §3.2: not sent in another form; the sender hears why, with 5.6.7 for the address or 5.6.9 for the message."""
    peer = internet.peer(elsewhere, extensions=(b"8BITMIME",))
    sender.send(f"캐롤@{elsewhere}", message=letter(to=f"캐롤@{elsewhere}"), mail=["SMTPUTF8", "BODY=8BITMIME"])
    [report] = sender.wait(lambda: [one for one in sender.reports() if elsewhere.encode() in one.source], "a report")
    assert report.recipients[0]["status"] in ("5.6.7", "5.6.9")
    assert peer.verbs[b"DATA"] == 0 and not peer.mails


def test_utf8_that_nobody_needs_is_not_asked_for(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A client that says SMTPUTF8 of plain mail gets it through to servers that do not know it."""
    peer = internet.peer(elsewhere, extensions=(b"8BITMIME",))
    sender.send(f"carol@{elsewhere}", mail=["SMTPUTF8"])
    [mail] = peer.wait(1)
    assert b"SMTPUTF8" not in mail.sender.upper()


def test_22_look_alikes_and_forms_of_a_name(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A domain is asked for as its A-label, decomposed or not and in whatever case; a local part stays as it was written."""
    peer = internet.peer(f"xn--bcher-kva.{elsewhere}", extensions=(b"8BITMIME", b"SMTPUTF8"))
    for domain in (f"bücher.{elsewhere}", f"bu\u0308cher.{elsewhere}", f"BÜCHER.{elsewhere}"):
        sender.send(f"Carol.X@{domain}", mail=["SMTPUTF8"])
    peer.wait(3)
    assert all(mail.recipients[0].startswith(b"<Carol.X@") for mail in peer.mails)
    with sender.submit() as client:
        assert client.mail("alice@example.test", ["SMTPUTF8"])[0] == 250
        for strange in (f"a\u202eb@{elsewhere}", f"a\u2028b@{elsewhere}"):
            code, _ = client.rcpt(strange)
            assert code in (501, 550, 553), (strange, code)


def test_futurerelease(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 4865: not before its time, and shown so; released by an operator it goes at once."""
    peer = internet.peer(elsewhere)
    with sender.submit() as client:
        client.ehlo()
        assert client.has_extn("futurerelease")
    id = sender.send(f"carol@{elsewhere}", mail=["HOLDFOR=86400"])
    assert sender.entries(id)
    sender.send(f"dave@{elsewhere}", mail=["HOLDFOR=1"])
    [mail] = peer.wait(1)
    assert mail.addresses == [f"dave@{elsewhere}"]
    sender.cli("queue", "release", id)
    peer.wait(2)


def test_what_is_not_offered_is_refused(sender: Sender) -> None:
    """RFC 5321 §4.1.1.11: the parameter of an extension that was not announced is 555, and not ignored."""
    with sender.submit() as client:
        client.ehlo()
        for name, parameter in (
            ("mt-priority", "MT-PRIORITY=3"),
            ("deliverby", "BY=120;R"),
            ("nonsense", "NONSENSE=1"),
        ):
            code, said = client.mail("alice@example.test", [parameter])
            assert (code == 250) == client.has_extn(name), (name, code, said)
            assert code in (250, 555), (name, code, said)
            client.rset()


def test_local_recipients_get_it_at_once(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Without a socket; the others by way of the queue."""
    peer = internet.peer(elsewhere)
    sender.send("bob@example.test", f"carol@{elsewhere}", subject=f"for both {elsewhere}")
    peer.wait(1)
    with sender.imap_of("bob") as client:
        client.select("INBOX")
        found = client.search(None, "SUBJECT", f'"for both {elsewhere}"')[1][0].split()
    assert len(found) == 1
