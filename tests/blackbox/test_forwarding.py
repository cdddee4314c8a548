"""Aliases that lead to other servers: what is sent on can be believed there, and notifications find the first sender."""

import smtplib
from collections.abc import Iterator

import dkim
import pytest

from harness.dns import Dns, serving
from harness.patience import until
from harness.server import PASSWORD
from harness.sink import Sink
from harness.site import Site

BOB = "bob@sender.test"


class World:
    def __init__(self, site: Site, dns: Dns, sink: Sink):
        self.site, self.dns, self.sink = site, dns, sink

    def send(self, recipient: str, mail: bytes, sender: str = BOB) -> None:
        with self.site.smtp() as client:
            assert client.sendmail(sender, [recipient], mail) == {}

    def refusal(self, recipient: str, mail: bytes, sender: str = BOB) -> tuple[int, bytes]:
        with self.site.smtp() as client:
            try:
                client.sendmail(sender, [recipient], mail)
            except smtplib.SMTPRecipientsRefused as refused:
                return refused.recipients[recipient]
            except smtplib.SMTPDataError as refused:
                return refused.smtp_code, refused.smtp_error
        pytest.fail("it was taken")

    def seals(self, mail: bytes) -> bytes:
        """What dkimpy says of the chain."""

        def lookup(name: bytes, timeout: int = 5) -> bytes:
            selector, _, domain = name.decode().rstrip(".").partition("._domainkey.")
            [key] = [key for key in self.site.cli_json("dkim", "list", domain) if key["selector"] == selector]
            return key["record"].encode()

        return dkim.arc_verify(mail, dnsfunc=lookup)[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sink = Sink()
    with serving() as dns:
        settings = f'[checks]\ndns = ["{dns.address}"]\nexempt = []\n[login]\nplaintext = true\n'
        settings += f'[relay.route.sink]\ndomains = "*"\nhosts = "127.0.0.1:{sink.server_address[1]}"\ntls = "never"\n'
        site = Site(tmp_path_factory.mktemp("forwarding"), settings).start()
        try:
            site.add("alice", password=PASSWORD)
            for key in site.cli_json("dkim", "create", "example.test"):
                site.cli("dkim", "activate", "example.test", key["selector"])
            yield World(site, dns, sink)
            site.stop()
        finally:
            site.kill()
            sink.shutdown()


def letter(subject: str) -> bytes:
    return f"From: {BOB}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@sender.test>\r\n\r\nHello.  \r\n\r\n".encode()


def test_what_is_sent_on_can_be_believed(world: World) -> None:
    said = world.site.cli("alias", "create", "one@example.test", "alice@example.test", "carol@far.test").stdout
    assert "alice@example.test, carol@far.test (at another server)" in said
    assert "carol@far.test (at another server)" in world.site.cli("alias", "show", "one@example.test").stdout
    world.send("one@example.test", letter("sealed"))
    sender, mail = world.sink.wait("carol@far.test")
    assert sender.startswith("SRS0=") and sender.endswith("=sender.test=bob@example.test")
    assert b"\r\nDelivered-To: one@example.test\r\n" in mail and b"Return-Path" not in mail
    assert mail.endswith(letter("sealed"))
    assert world.seals(mail) == dkim.CV_Pass
    assert world.seals(mail.replace(b"Hello.", b"Goodbye.")) == dkim.CV_Fail
    with world.site.imap() as client:
        client.login("alice@example.test", PASSWORD)
        assert client.select("INBOX")[1] == [b"1"]


def test_16_what_comes_back_is_refused(world: World) -> None:
    world.site.cli("alias", "create", "loop@example.test", "loop@far.test")
    world.send("loop@example.test", letter("loop"))
    sender, mail = world.sink.wait("loop@far.test")
    code, text = world.refusal("loop@example.test", mail, sender)
    assert (code, text[:5]) == (554, b"5.4.6")
    assert len(world.sink.to("loop@far.test")) == 1


def test_17_a_failure_is_told_to_the_first_sender_once(world: World) -> None:
    world.site.cli("alias", "create", "gone@example.test", "nobody@far.test")
    world.sink.refused.add("nobody@far.test")
    # Who has sent it is not there either: that is told to nobody.
    world.sink.refused.add("ghost@sender.test")
    world.send("gone@example.test", letter("failing"))
    sender, report = world.sink.wait(BOB)
    assert sender == "" and b"nobody@far.test" in report and b"5.1.1" in report
    world.send("gone@example.test", letter("ghost"), "ghost@sender.test")
    until(lambda: "error queue" in world.site.said(), "the report does not fail")
    assert len(world.sink.to(BOB)) == 1 and not world.sink.to("ghost@sender.test")


def test_notifications_from_the_next_server(world: World) -> None:
    world.site.cli("alias", "create", "late@example.test", "late@far.test")
    world.send("late@example.test", letter("late"), "dave@sender.test")
    sender, _ = world.sink.wait("late@far.test")
    report = b"From: postmaster@far.test\r\nSubject: failed\r\nMessage-ID: <r@far.test>\r\n\r\nNobody.\r\n"
    world.send(sender, report, "")
    back, mail = world.sink.wait("dave@sender.test")
    assert back == "" and mail.endswith(report)
    forged = sender.replace("dave", "erin")
    code, text = world.refusal(forged, report, "")
    assert (code, text[:5]) == (550, b"5.1.1") and b"not made here" in text
    code, text = world.refusal(sender, letter("no report"))
    assert (code, text[:5]) == (550, b"5.7.1")
