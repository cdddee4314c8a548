"""Receipts (RFC 9007, RFC 8098): they leave once, from `<>`, and others can read them; and what comes back for what was sent is found."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from harness import mailbox, postfix
from harness.internet import Internet
from harness.jmapsender import JmapSender
from harness.sender import Sender, sending

pytestmark = pytest.mark.usefixtures("needs_root")


@pytest.fixture(scope="module")
def site(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    with sending(tmp_path_factory.mktemp("receipts"), internet, ("alice", "bob")) as site:
        yield site
        assert site.running, site.log_tail()
        site.stop()
        site.cli("verify")
        site.process = None


@pytest.fixture
def alice(site: Sender) -> JmapSender:
    return JmapSender(site)


@pytest.fixture
def bob(site: Sender) -> JmapSender:
    return JmapSender(site, "bob")


def asked(site: Sender, client: JmapSender, *asking: str, subject: str, more: str = "") -> str:
    """The id of an email that asks for a receipt to these addresses."""
    mail = f"From: ann@example.com\r\nTo: {client.address}\r\nMessage-ID: <{subject}@example.com>\r\n{more}"
    mail += f"Disposition-Notification-To: {', '.join(asking)}\r\nSubject: {subject}\r\n\r\n회의는 세 시입니다.\r\n"
    site.deliver(client.address, mail.encode())
    filter = {"subject": subject}
    (id,) = site.wait(lambda: client.call("Email/query", filter=filter)["ids"], "delivered")
    return id


def fields(report: EmailMessage) -> email.message.Message:
    """The part for programs. Python takes what is `message/*` for a message of its own."""
    [fields] = [part for part in report.walk() if part.get_content_type() == "message/disposition-notification"]
    return fields.get_payload(0)


def test_a_receipt_arrives_and_says_what_it_is(
    site: Sender, internet: Internet, alice: JmapSender, elsewhere: str
) -> None:
    peer = internet.peer(elsewhere)
    id = asked(
        site,
        alice,
        f"Ann <ann@{elsewhere}>",
        subject="receipt-1",
        more="Original-Recipient: rfc822;team@example.test\r\n",
    )
    answer = alice.acknowledge(
        id, subject="읽음: receipt-1", textBody="잘 받았습니다.\n앨리스", reportingUA="desk.example.test; 앱 1.0",
        includeOriginalMessage=True, extensionFields={"X-Mood": "좋음"},
    )  # fmt: skip
    assert answer["sent"]["k"]["finalRecipient"] == "rfc822; alice@example.test", answer
    (mail,) = peer.wait(1)
    assert mail.sender.startswith(b"<>") and mail.addresses == [f"ann@{elsewhere}"]
    report = email.message_from_bytes(mail.data, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "disposition-notification"
    assert report["From"].addresses[0].addr_spec == "alice@example.test"
    assert report["To"].addresses[0].addr_spec == f"ann@{elsewhere}" and report["Subject"] == "읽음: receipt-1"
    assert report["In-Reply-To"] == "<receipt-1@example.com>" and report["Auto-Submitted"] == "auto-replied"
    text, _, original = report.iter_parts()
    assert text.get_content().splitlines() == ["잘 받았습니다.", "앨리스"]
    said = fields(report)
    assert said["Disposition"] == "manual-action/MDN-sent-manually; displayed"
    assert said["Final-Recipient"] == "rfc822; alice@example.test"
    assert said["Original-Recipient"] == "rfc822; team@example.test"
    assert said["Original-Message-ID"] == "<receipt-1@example.com>"
    assert said["Reporting-UA"] == "desk.example.test; 앱 1.0" and said["X-Mood"] == "좋음"
    assert original.get_content_type() == "message/rfc822" and original.get_payload(0)["Subject"] == "receipt-1"
    # Once, whatever is asked and whoever marks it.
    assert alice.acknowledge(id)["notSent"]["k"]["type"] == "mdnAlreadySent"
    with site.imap_of("alice") as client:
        client.select("INBOX")
        (number,) = client.search(None, "KEYWORD", "$MDNSent", "SUBJECT", "receipt-1")[1][0].split()
        client.store(number, "-FLAGS", "($MDNSent)")
    assert alice.acknowledge(id)["sent"], "the keyword is the client's"
    site.wait_until_empty()
    assert len(peer.mails) == 1, "the receipt was the same, and had left"


def test_postfix_takes_a_receipt(site: Sender, internet: Internet, alice: JmapSender) -> None:
    with postfix.destination("mx.receipts.test", internet.authority.certify("mx.receipts.test")) as server:
        internet.host("mx.receipts.test", server.address)
        internet.exchangers("receipts.test", "mx.receipts.test")
        internet.publish()
        id = asked(site, alice, "ann@receipts.test", "ben@receipts.test", subject="receipt-2")
        assert alice.acknowledge(id, kind="deleted")["sent"]
        stored = server.wait(2)
    reports = [email.message_from_bytes(mail, policy=email.policy.default) for mail in stored]
    assert {report["Return-Path"] for report in reports} == {"<>"}
    assert {report["Delivered-To"] for report in reports} == {"ann@receipts.test", "ben@receipts.test"}
    assert {fields(report)["Disposition"] for report in reports} == {"manual-action/MDN-sent-manually; deleted"}


def test_who_is_told_finds_it_at_the_submission(site: Sender, alice: JmapSender, bob: JmapSender) -> None:
    draft = alice.draft(["bob@example.test"], "receipt-3", **{"header:Disposition-Notification-To:asAddresses": [
        {"name": None, "email": "alice@example.test"}]})  # fmt: skip
    sent = alice.sent(draft)
    assert sent["mdnBlobIds"] == [] and sent["deliveryStatus"]["bob@example.test"]["displayed"] == "unknown"
    (id,) = site.wait(lambda: bob.call("Email/query", filter={"subject": "receipt-3"})["ids"], "delivered")
    assert bob.acknowledge(id)["sent"]
    (blob,) = site.wait(lambda: alice.submission(sent["id"])["mdnBlobIds"], "told")
    status = alice.submission(sent["id"])["deliveryStatus"]["bob@example.test"]
    assert (status["displayed"], status["delivered"]) == ("yes", "yes")
    parsed = alice.call("MDN/parse", blobIds=[blob])["parsed"][blob]
    assert parsed["forEmailId"] == sent["emailId"] and parsed["disposition"]["type"] == "displayed"
    assert parsed["finalRecipient"] == "rfc822; bob@example.test" and parsed["subject"] == "Displayed: receipt-3"
    with site.imap_of("alice") as client:
        mails = [mail for mail in mailbox.fetch_all(client).values() if b"Subject: Displayed: receipt-3" in mail]
    assert len(mails) == 1 and mails[0].startswith(b"Return-Path: <>")


def test_whoever_may_not_send_tells_nobody(site: Sender, bob: JmapSender) -> None:
    id = asked(site, bob, "nobody@example.test", subject="receipt-4")
    assert bob.acknowledge(id)["notSent"]["k"]["type"] == "notFound", "nobody here has that address"
    other = asked(site, bob, "alice@example.test", subject="receipt-5")
    site.cli("account", "change", "bob@example.test", "--state", "receive-only")
    try:
        assert bob.acknowledge(other)["notSent"]["k"]["type"] == "forbidden"
    finally:
        site.cli("account", "change", "bob@example.test", "--state", "active")
    assert (
        bob.acknowledge(other, finalRecipient="rfc822; alice@example.test")["notSent"]["k"]["type"] == "forbiddenFrom"
    )
    assert bob.acknowledge(other)["sent"]
