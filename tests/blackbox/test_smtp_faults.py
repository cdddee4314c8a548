"""The faults of SMTP, by their numbers. After each, the next good mail must get through."""

import smtplib
import socket
import ssl
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import giants, mailbox
from harness.server import PASSWORD, Magpie, any_certificate, running
from harness.wire import SmtpWire

MB = 1 << 20


def still_works(magpie: Magpie, wire: SmtpWire, user: str, stored: int = 0) -> None:
    """The session takes a good message, and the account holds it and `stored` others."""
    wire.begin(f"{user}@example.test".encode())
    wire.send(giants.letter(1) + b".\r\n")
    code, text = wire.reply()
    assert code == 250, text
    with magpie.imap(user) as client:
        assert mailbox.count(client) == stored + 1


@pytest.mark.parametrize("end", [b"\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n.\r"])
def test_01_only_crlf_dot_crlf_ends_a_message(magpie: Magpie, user: str, address: str, end: bytes) -> None:
    """Smuggling: what looks like an end to somebody else is refused, once, at the true end."""
    smuggled = b"MAIL FROM:<admin@example.test>\r\nRCPT TO:<" + address.encode() + b">\r\nDATA\r\nsmuggled\r\n"
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(b"Subject: outer\r\n\r\ntext" + end + smuggled + b".\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (550, b"5.5.2")
        still_works(magpie, wire, user)


@pytest.mark.parametrize("byte", [b"\r", b"\n"])
def test_01_bare_line_ends_are_refused(magpie: Magpie, user: str, address: str, byte: bytes) -> None:
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(b"Subject: bare\r\n\r\nbefore" + byte + b"after\r\n.\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (550, b"5.5.2")
        still_works(magpie, wire, user)


def test_03_commands_behind_starttls_are_not_run(magpie: Magpie) -> None:
    with SmtpWire(magpie) as wire:
        wire.send(b"STARTTLS\r\nMAIL FROM:<injected@example.com>\r\nNOOP\r\n")
        replies = []
        while (reply := wire.reply())[0]:
            replies.append(reply[0])
        assert 250 not in replies, replies
        assert wire.closed()


def test_04_a_ticket_of_another_listener_is_worth_nothing(magpie: Magpie) -> None:
    """A TLS session belongs to the listener that made it: elsewhere there is a full handshake."""
    context = any_certificate()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def imaps(session: ssl.SSLSession | None) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", magpie.port("imaps")), timeout=30)
        return context.wrap_socket(plain, session=session)

    with smtplib.SMTP("127.0.0.1", magpie.port("smtp"), timeout=30) as client:
        client.ehlo("client.example.com")
        client.starttls(context=context)
        session = client.sock.session
    with imaps(session) as other:
        assert not other.session_reused
        assert other.recv(100).startswith(b"* OK")


def test_05_no_state_survives_a_refused_message(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(b"bare\nline end\r\n.\r\n")
        assert wire.reply()[0] == 550
        for command in (b"RCPT TO:<" + address.encode() + b">", b"DATA"):
            code, text = wire.command(command)
            assert (code, text[:5]) == (503, b"5.5.1"), command
        still_works(magpie, wire, user)


def test_06_data_after_a_failed_bdat(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b">")[0] == 250
        wire.send(b"BDAT 5\r\nhello")
        assert wire.reply()[0] == 250
        assert wire.command(b"DATA")[0] == 503
        wire.send(b"BDAT %d\r\n" % (60 * MB) + b"x" * (60 * MB))
        assert wire.reply()[0] == 552
        for command in (b"DATA", b"RCPT TO:<" + address.encode() + b">"):
            assert wire.command(command)[0] == 503
        assert wire.command(b"RSET")[0] == 250
        still_works(magpie, wire, user)


def test_06_a_chunk_of_unknown_size_ends_the_session(magpie: Magpie, user: str, address: str) -> None:
    """Where the chunk ends and commands begin cannot be told, so nothing after it is one."""
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        assert wire.command(b"RCPT TO:<" + address.encode() + b">")[0] == 250
        wire.send(b"BDAT nonsense\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n")
        assert wire.reply()[0] == 501
        assert wire.reply()[0] == 0
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 0


@pytest.mark.parametrize("junk", [b"NOOP", b"RSET", b"VRFY x"])
def test_07_a_flood_of_junk_ends_the_session(magpie: Magpie, junk: bytes) -> None:
    with SmtpWire(magpie) as wire:
        codes = []
        for _ in range(2000):
            code, text = wire.command(junk)
            codes.append(code)
            if code in (0, 421):
                break
        assert codes[-1] == 421, codes[-3:]
        assert text.startswith(b"4.7.0"), text
        assert wire.closed()


def test_08_a_line_without_end(magpie: Magpie, user: str) -> None:
    with SmtpWire(magpie) as wire:
        before = magpie.memory()
        wire.send(b"X" * MB + b"\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (500, b"5.5.2")
        assert magpie.memory() - before < 64 * MB
        still_works(magpie, wire, user)


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a\0b@example.com>",
        b"MAIL FROM:<a\rb@example.com>",
        b"MAIL FROM:<a\nb@example.com>",
        b"EHLO evil\0name",
    ],
)
def test_10_control_characters_in_commands(magpie: Magpie, user: str, line: bytes) -> None:
    with SmtpWire(magpie) as wire:
        code, text = wire.command(line)
        assert code in (500, 501), text
        # One line, one reply: nothing behind the control character became a command of its own.
        assert wire.command(b"RSET")[0] == 250
        still_works(magpie, wire, user)


def test_11_utf8_without_smtputf8(magpie: Magpie, user: str) -> None:
    with SmtpWire(magpie) as wire:
        code, text = wire.command("MAIL FROM:<köln@example.com>".encode())
        assert (code, text[:5]) == (553, b"5.6.7")
        still_works(magpie, wire, user)


def test_12_too_many_recipients(magpie: Magpie, user: str) -> None:
    """Past the limit 452; the earlier ones stand, and the message still goes to them."""
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        wire.send(b"".join(b"RCPT TO:<%s+%d@example.test>\r\n" % (user.encode(), number) for number in range(1100)))
        replies = [wire.reply() for _ in range(1100)]
        codes = [code for code, _ in replies]
        assert codes == [250] * 1000 + [452] * 100
        assert replies[-1][1].startswith(b"4.5.3")
        assert wire.command(b"DATA")[0] == 354
        wire.send(giants.letter(2) + b".\r\n")
        assert wire.reply()[0] == 250


def test_13_declared_too_large(magpie: Magpie, user: str) -> None:
    with SmtpWire(magpie) as wire:
        code, text = wire.command(b"MAIL FROM:<bob@example.com> SIZE=62914560")
        assert (code, text[:5]) == (552, b"5.3.4")
        still_works(magpie, wire, user)


def test_13_sent_too_large(magpie: Magpie, user: str, address: str) -> None:
    """60 MB that nobody announced: drained, refused, nothing stored, memory flat."""
    with SmtpWire(magpie, timeout=120) as wire:
        before = magpie.memory()
        wire.begin(address.encode())
        wire.send(giants.exactly(60 * MB) + b".\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (552, b"5.3.4")
        assert magpie.memory() - before < 100 * MB
        still_works(magpie, wire, user)


def test_15_who_is_not_there_is_told_at_rcpt(magpie: Magpie, user: str) -> None:
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com>")[0] == 250
        code, text = wire.command(b"RCPT TO:<nobody-of-this-name@example.test>")
        assert (code, text[:5]) == (550, b"5.1.1")
        assert wire.command(b"DATA")[0] == 503
        assert wire.command(b"RSET")[0] == 250
        still_works(magpie, wire, user)


def test_16_a_loop_is_cut(magpie: Magpie, user: str, address: str) -> None:
    hops = b"".join(b"Received: from a by b; Mon, 19 Oct 2026 10:00:%02d +0000\r\n" % (hop % 60) for hop in range(51))
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(hops + giants.letter(3) + b".\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (554, b"5.4.6")
        still_works(magpie, wire, user)


def test_16_mail_that_was_delivered_here_before(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(b"Delivered-To: " + address.encode() + b"\r\n" + giants.letter(3) + b".\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (554, b"5.4.6")
        still_works(magpie, wire, user)


def test_19_two_from_fields(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie) as wire:
        wire.begin(address.encode())
        wire.send(b"from: ceo@bank.example\r\n" + giants.letter(4) + b".\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (550, b"5.7.1")
        still_works(magpie, wire, user)


def test_23_a_header_block_without_end(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie, timeout=120) as wire:
        before = magpie.memory()
        wire.begin(address.encode())
        wire.send(giants.huge_header(20 * MB) + b".\r\n")
        code, text = wire.reply()
        assert code == 552, text
        assert magpie.memory() - before < 100 * MB
        still_works(magpie, wire, user)


def test_a_crowd_of_large_messages_takes_bounded_memory(tmp_path) -> None:
    """Forty messages of 20 MB at once, 800 MB together: what does not fit into the budget waits on the disk."""
    size, clients = 20 * MB, 40
    with running(tmp_path / "data", users=clients) as magpie:
        before = magpie.memory()
        peak, done = [before], threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                peak.append(magpie.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        message = giants.exactly(size)
        all_but_the_end = threading.Barrier(clients)

        def send(number: int) -> tuple[int, bytes]:
            with SmtpWire(magpie, timeout=250) as wire:
                wire.begin(f"user{number}@example.test".encode())
                wire.send(message)
                # All of them are there, and none has ended: this is the most that is held at once.
                all_but_the_end.wait(250)
                wire.send(b".\r\n")
                return wire.reply()

        with ThreadPoolExecutor(clients) as pool:
            replies = list(pool.map(send, range(1, clients + 1)))
        done.set()
        watcher.join()
        assert {code for code, _ in replies} <= {250, 452}, replies
        taken = [number for number, (code, _) in enumerate(replies, 1) if code == 250]
        assert len(taken) > clients // 2, replies
        assert max(peak) - before < 500 * MB, f"{(max(peak) - before) // MB} MB"
        for number in (taken[0], taken[-1]):
            with magpie.imap(f"user{number}") as client:
                assert mailbox.newest(client).endswith(message)


def test_14_xclient_from_anybody_closes_the_connection(magpie: Magpie, user: str, address: str) -> None:
    with SmtpWire(magpie) as wire:
        wire.send(b"XCLIENT ADDR=192.0.2.99 NAME=mail.bank.test\r\nMAIL FROM:<ceo@bank.test>\r\n")
        code, text = wire.reply()
        assert (code, text[:5]) == (421, b"4.7.1"), text
        assert wire.closed()
    with SmtpWire(magpie) as wire:
        still_works(magpie, wire, user)


def test_22_names_that_look_alike(magpie: Magpie) -> None:
    """One name has many spellings, which all lead to it; a name that only looks like it leads nowhere."""
    name = unicodedata.normalize("NFC", "홍길동")
    magpie.cli("account", "create", f"{name}@example.test", "--password", PASSWORD)
    table = [
        (f"{name}@example.test", 250),
        (f"{unicodedata.normalize('NFD', name)}@example.test", 250),
        (f"{name}@EXAMPLE.TEST", 250),
        (f"{name}@\uff45\uff58ample.test", 250),
        # A Cyrillic letter in the domain, controls that turn the direction of writing around, a letter of no width.
        (f"{name}@ex\u0430mple.test", 550),
        (f"\u202e{name}@example.test", 501),
        (f"{name}\u200b@example.test", 550),
        ("alic\u0435@example.test", 550),
    ]
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com> SMTPUTF8")[0] == 250
        for recipient, wanted in table:
            code, text = wire.command(f"RCPT TO:<{recipient}>".encode())
            assert (code == 250) == (wanted == 250) and code // 100 in (2, 5), (recipient, code, text)
        assert wire.command(b"DATA")[0] == 354
        wire.send(giants.letter(22) + b".\r\n")
        assert wire.reply()[0] == 250
    with magpie.imap() as client:
        client.authenticate("PLAIN", lambda _: f"\0{name}@example.test\0{PASSWORD}".encode())
        assert mailbox.count(client) == 1
