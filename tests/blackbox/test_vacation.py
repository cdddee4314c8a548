"""Automatic answers of those who are away (RFC 8621 §8), by the manners of RFC 3834 and RFC 5230 §4: in the session, and from
the inbound queue."""

import email.policy
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import dkim
import pytest

from harness import mailbox
from harness.away import come_back, go_away
from harness.dns import serving
from harness.patience import inbox, until
from harness.server import PASSWORD
from harness.sink import Sink
from harness.site import Site

PEOPLE = ("alice", "bob", "carol", "dave", "erin")
numbers = itertools.count(1)


class World:
    def __init__(self, site: Site, sink: Sink):
        self.site, self.sink = site, sink

    def send(self, sender: str, recipient: str, header: str = "", to: str | None = None) -> str:
        """Sends a message from somebody elsewhere; returns its id."""
        number = next(numbers)
        text = f"From: {sender or 'ghost@sender.test'}\r\nTo: {to or recipient}\r\nSubject: Question {number}\r\n"
        text += f"Message-ID: <{number}@sender.test>\r\nReferences: <0@sender.test>\r\n{header}\r\nWhen?\r\n"
        with self.site.smtp() as client:
            assert client.sendmail(sender, [recipient], text.encode()) == {}
        return f"<{number}@sender.test>"

    def answers(self, recipient: str) -> list[EmailMessage]:
        mails = self.sink.to(recipient)
        assert all(sender == "" for sender, _ in mails), mails
        return [email.message_from_bytes(mail, policy=email.policy.default) for _, mail in mails]

    def answer(self, recipient: str) -> EmailMessage:
        return until(lambda: self.answers(recipient), f"{recipient} gets no answer\n{self.site.log_tail()}")[0]

    def settle(self, user: str) -> None:
        """Until whatever could be answered for a user has been: answers are given in the order of the messages."""
        somebody = f"settle{next(numbers)}@sender.test"
        self.send(somebody, f"{user}@example.test")
        self.answer(somebody)


@pytest.fixture(scope="module", params=["session", "queue"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sink = Sink()
    with serving() as dns:
        dns.add_text("_dmarc.forged.test", "v=DMARC1; p=none")
        settings = f'[checks]\ndns = ["{dns.address}"]\nexempt = []\n[login]\nplaintext = true\n'
        settings += f'[relay.route.sink]\ndomains = "*"\nhosts = "127.0.0.1:{sink.server_address[1]}"\ntls = "never"\n'
        if request.param == "queue":
            settings += "[inbound]\ndeliveries = 0\n"
        site = Site(tmp_path_factory.mktemp(f"vacation-{request.param}"), settings).start()
        try:
            site.add(*PEOPLE, password=PASSWORD)
            for key in site.cli_json("dkim", "create", "example.test"):
                site.cli("dkim", "activate", "example.test", key["selector"])
            yield World(site, sink)
            site.stop()
        finally:
            site.kill()
            sink.shutdown()


@pytest.fixture
def sender() -> str:
    return f"somebody{next(numbers)}@sender.test"


def test_an_answer_says_what_it_is(world: World, sender: str) -> None:
    go_away(
        world.site, "alice@example.test", textBody="휴가 중입니다.\nBack on Monday.", htmlBody="<p>휴가 중입니다.</p>"
    )
    asked = world.send(sender, "alice@example.test")
    answer = world.answer(sender)
    number = asked.strip("<").partition("@")[0]
    assert answer["Subject"] == f"Auto: Question {number}"
    assert answer["From"].addresses[0].addr_spec == "alice@example.test"
    assert answer["To"].addresses[0].addr_spec == sender
    assert answer["Auto-Submitted"] == "auto-replied"
    assert answer["In-Reply-To"] == asked and answer["References"].split() == ["<0@sender.test>", asked]
    assert answer.get_content_type() == "multipart/alternative"
    text, html = answer.iter_parts()
    assert text.get_content().splitlines() == ["휴가 중입니다.", "Back on Monday."]
    assert html.get_content_type() == "text/html" and html.get_content().strip() == "<p>휴가 중입니다.</p>"

    def lookup(name: bytes, timeout: int = 5) -> bytes:
        selector, _, domain = name.decode().rstrip(".").partition("._domainkey.")
        [key] = [key for key in world.site.cli_json("dkim", "list", domain) if key["selector"] == selector]
        return key["record"].encode()

    _, raw = world.sink.wait(sender)
    assert b"d=example.test" in raw and dkim.verify(raw, dnsfunc=lookup)
    # Once in a week, whatever they write, and however they write themselves.
    world.send(sender, "alice@example.test")
    world.send(sender.upper().replace("SENDER.TEST", "sender.test"), "alice@example.test")
    world.settle("alice")
    assert len(world.answers(sender)) == 1
    # What came is there all the same.
    assert len(inbox(world.site, "alice@example.test", 4)) >= 4


def test_subject_and_html_alone(world: World, sender: str) -> None:
    go_away(world.site, "alice@example.test", subject="부재중", htmlBody="<b>Away</b><br>until Monday")
    world.send(sender, "alice@example.test")
    answer = world.answer(sender)
    assert answer["Subject"] == "부재중"
    text, html = answer.iter_parts()
    assert text.get_content().split() == ["Away", "until", "Monday"] and "<b>Away</b>" in html.get_content()


def test_nothing_said_is_something_said(world: World, sender: str) -> None:
    go_away(world.site, "alice@example.test")
    world.send(sender, "alice@example.test")
    answer = world.answer(sender)
    assert answer.get_content_type() == "text/plain" and "away" in answer.get_content()


@pytest.mark.parametrize(
    ("header", "to", "who"),
    [
        ("List-Id: <list.sender.test>\r\n", None, None),
        ("List-Unsubscribe: <mailto:off@sender.test>\r\n", None, None),
        ("Precedence: bulk\r\n", None, None),
        ("Auto-Submitted: auto-generated\r\n", None, None),
        ("Auto-Submitted: auto-replied (vacation)\r\n", None, None),
        ("X-Auto-Response-Suppress: OOF\r\n", None, None),
        # Sent to others, and to whoever is away by a copy that nobody sees.
        ("", "undisclosed-recipients:;", None),
        ("Cc: bob@example.test\r\n", "somebody@else.test", None),
        ("", None, "mailer-daemon@sender.test"),
        ("", None, "owner-list@sender.test"),
        ("", None, "list-request@sender.test"),
        ("", None, "noreply@sender.test"),
        ("", None, "somebody@forged.test"),
        ("", None, ""),
    ],
)
def test_18_what_is_not_answered(world: World, sender: str, header: str, to: str | None, who: str | None) -> None:
    go_away(world.site, "alice@example.test")
    who = sender if who is None else who
    world.send(who, "alice@example.test", header, to)
    world.settle("alice")
    assert world.answers(who) == []


def test_aliases_are_answered_and_groups_are_not(world: World, sender: str) -> None:
    world.site.cli("alias", "create", f"desk{sender.partition('@')[0]}@example.test", "bob@example.test")
    group = f"team{next(numbers)}@example.test"
    world.site.cli("group", "create", group, "bob@example.test", "carol@example.test")
    go_away(world.site, "bob@example.test")
    desk = f"desk{sender.partition('@')[0]}@example.test"
    world.send(f"group{sender}", group)
    world.send(sender, desk, to=f"Desk <{desk}>")
    # In the name of whoever was written to.
    assert world.answer(sender)["From"].addresses[0].addr_spec == desk
    world.send(f"detail{sender}", "bob+news@example.test")
    assert world.answer(f"detail{sender}")["From"].addresses[0].addr_spec == "bob+news@example.test"
    assert world.answers(f"group{sender}") == []


def test_only_between_the_dates(world: World, sender: str) -> None:
    now = datetime.now(UTC)

    def at(days: int) -> str:
        return (now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")

    go_away(world.site, "carol@example.test", fromDate=at(1), toDate=at(2))
    world.send(sender, "carol@example.test")
    go_away(world.site, "carol@example.test", fromDate=at(-2), toDate=at(-1))
    world.send(sender, "carol@example.test")
    come_back(world.site, "carol@example.test")
    world.send(sender, "carol@example.test")
    inbox(world.site, "carol@example.test", 3)
    go_away(world.site, "carol@example.test", fromDate=at(-1), toDate=at(1))
    world.settle("carol")
    assert world.answers(sender) == []
    world.send(sender, "carol@example.test")
    world.answer(sender)


def test_18_two_who_are_away_do_not_write_to_each_other_for_ever(world: World) -> None:
    go_away(world.site, "dave@example.test", textBody="Dave is away")
    go_away(world.site, "erin@example.test", textBody="Erin is away")
    world.send("dave@example.test", "erin@example.test")
    [answer] = inbox(world.site, "dave@example.test", 1)
    assert b"Erin is away" in answer and answer.startswith(b"Return-Path: <>\r\n")
    # Dave's server answers by now if it ever does.
    world.settle("dave")
    world.settle("erin")
    with world.site.imap("erin@example.test") as client:
        mails = mailbox.fetch_all(client).values()
        assert not any(b"Dave is away" in mail for mail in mails)
    with world.site.imap("dave@example.test") as client:
        assert sum(b"Erin is away" in mail for mail in mailbox.fetch_all(client).values()) == 1


def test_who_may_not_send_does_not_answer(world: World, sender: str) -> None:
    go_away(world.site, "alice@example.test")
    world.site.cli("account", "change", "alice@example.test", "--state", "receive-only")
    world.send(sender, "alice@example.test")
    with world.site.imap("alice@example.test"):
        until(lambda: sender in world.site.said(), "nothing is delivered")
    world.site.cli("account", "change", "alice@example.test", "--state", "active")
    world.settle("alice")
    assert world.answers(sender) == []
