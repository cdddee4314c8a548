"""Sending by JMAP (RFC 8621 §6, §7): to mailboxes here and to other servers, now and later, and taking it back."""

import re
from collections.abc import Iterator

import dkim
import pytest

from harness.internet import Internet
from harness.jmapsender import MAIL, SUBMISSION, JmapSender
from harness.sender import Sender, sending

pytestmark = pytest.mark.usefixtures("needs_root")


@pytest.fixture(scope="module")
def site(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """A server that sends into the internet, with JMAP."""
    settings = '[submission]\nlongest_hold = "7 d"\n'
    limits = "messages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\n"
    users, folder = ("alice", "bob", "carol"), tmp_path_factory.mktemp("jmap")
    with sending(folder, internet, users, settings=settings + limits, limits="") as site:
        yield site
        assert site.running, site.log_tail()
        site.stop()
        site.cli("verify")
        site.process = None


@pytest.fixture
def alice(site: Sender) -> JmapSender:
    return JmapSender(site)


def subjects(site: Sender, user: str, folder: str = "INBOX") -> list[str]:
    with site.imap_of(user) as client:
        assert client.select(folder, readonly=True)[0] == "OK"
        numbers = client.search(None, "ALL")[1][0].split()
        texts = [client.fetch(number, "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1] for number in numbers]
    return [re.search(rb"Subject: (.*)\r\n", text).group(1).decode() for text in texts]


def held(address: str, *recipients: str, seconds: int) -> dict:
    return {
        "mailFrom": {"email": address, "parameters": {"HOLDFOR": str(seconds)}},
        "rcptTo": [{"email": recipient} for recipient in recipients],
    }


def refusal(answer: dict) -> dict:
    found = answer["EmailSubmission/set"]
    assert found["created"] is None, found
    return found["notCreated"]["send"]


def test_the_capability_says_what_is_on_offer(alice: JmapSender) -> None:
    said = alice.session["accounts"][alice.account]["accountCapabilities"][SUBMISSION]
    assert said["maxDelayedSend"] == 7 * 86_400
    assert said["submissionExtensions"]["FUTURERELEASE"] == [str(7 * 86_400)]
    assert SUBMISSION in alice.session["capabilities"] and MAIL in alice.session["capabilities"]


def test_one_request_makes_a_draft_sends_it_and_moves_it_to_sent(site: Sender, alice: JmapSender) -> None:
    state = alice.call("EmailSubmission/get", ids=[])["state"]
    draft = alice.draft(["bob@example.test"], "in one", bcc=[{"name": None, "email": "carol@example.test"}])
    answers = alice.send(draft)
    created = answers["EmailSubmission/set"]["created"]["send"]
    assert created["undoStatus"] == "final" and created["envelope"]["mailFrom"]["email"] == alice.address
    assert len(answers["Email/set"]["updated"]) == 1, answers
    assert subjects(site, "bob").count("in one") == 1 and subjects(site, "carol").count("in one") == 1
    assert "in one" in subjects(site, "alice", "Sent") and "in one" not in subjects(site, "alice", "Drafts")
    with site.imap_of("carol") as client:
        client.select("INBOX", readonly=True)
        number = client.search(None, "SUBJECT", '"in one"')[1][0].split()[0]
        mail = client.fetch(number, "(BODY[])")[1][0][1]
    head = mail.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nbcc:" not in head and b"\r\nmessage-id:" in head and head.startswith(b"return-path: <alice@")
    submission = alice.submission(created["id"])
    assert {one["delivered"] for one in submission["deliveryStatus"].values()} == {"yes"}
    changes = alice.call("EmailSubmission/changes", sinceState=state)
    assert changes["created"] == [created["id"]] and changes["destroyed"] == []


def test_what_goes_to_other_servers_is_signed_and_its_fate_is_known(
    site: Sender, internet: Internet, alice: JmapSender, elsewhere: str
) -> None:
    # Other servers here have keys of the same domain in the same DNS.
    options = ("--selector", "jmap", "--algorithm", "rsa")
    keys = site.cli_json("dkim", "create", "example.test", *options)
    for key in keys:
        internet.dns.add_text(key["name"], key["record"])
    internet.publish()
    for key in keys:
        site.cli("dkim", "activate", "example.test", key["selector"])
    peer = internet.peer(elsewhere)
    submission = alice.sent(alice.draft([f"dave@{elsewhere}", "bob@example.test"], "signed", "서명 있음"))
    (mail,) = peer.wait(1)
    assert b"DKIM-Signature:" in mail.data and b"Subject: signed" in mail.data

    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [internet.dns.address]

    def txt(name: bytes, timeout: float = 5) -> bytes | None:
        return b"".join(resolver.resolve(name.decode(), "TXT", lifetime=timeout)[0].strings)

    assert dkim.DKIM(mail.data).verify(dnsfunc=txt)

    def settled():
        status = alice.submission(submission["id"])["deliveryStatus"]
        return status if status[f"dave@{elsewhere}"]["delivered"] != "queued" else None

    fates = site.wait(settled, "told what became of it")
    assert fates[f"dave@{elsewhere}"]["delivered"] == "unknown" and fates["bob@example.test"]["delivered"] == "yes"
    assert fates[f"dave@{elsewhere}"]["smtpReply"].startswith("250")


def test_a_failure_is_told_in_the_submission_and_by_a_report_that_it_names(
    site: Sender, internet: Internet, alice: JmapSender, elsewhere: str
) -> None:
    internet.peer(elsewhere, answers={b"RCPT": b"550 5.1.1 no such user"})
    submission = alice.sent(alice.draft([f"nobody@{elsewhere}"], "to nobody"))

    def failed():
        now = alice.submission(submission["id"])
        return now if now["dsnBlobIds"] else None

    found = site.wait(failed, "reported")
    status = found["deliveryStatus"][f"nobody@{elsewhere}"]
    assert status["delivered"] == "no" and "5.1.1" in status["smtpReply"]
    (blob,) = found["dsnBlobIds"]
    url = alice.session["downloadUrl"]
    for name, value in {"accountId": alice.account, "blobId": blob, "name": "x", "type": "message/rfc822"}.items():
        url = url.replace(f"{{{name}}}", value.replace("/", "%2F"))
    assert b"multipart/report" in alice.open(url)


def test_what_waits_for_its_time_can_be_taken_back(
    site: Sender, internet: Internet, alice: JmapSender, elsewhere: str
) -> None:
    peer = internet.peer(elsewhere)
    recipients = f"dave@{elsewhere}", "bob@example.test"
    envelope = held(alice.address, *recipients, seconds=3_600)
    submission = alice.sent(alice.draft(list(recipients), "taken back"), envelope)
    assert submission["undoStatus"] == "pending"
    assert {one["delivered"] for one in submission["deliveryStatus"].values()} == {"queued"}
    assert any(entry["sender"] == alice.address for entry in site.queue())
    assert alice.call("EmailSubmission/query", filter={"undoStatus": "pending"})["ids"] == [submission["id"]]
    answer = alice.undo(submission["id"])
    assert answer["updated"] == {submission["id"]: None}, answer
    assert alice.submission(submission["id"])["undoStatus"] == "canceled"
    assert not [entry for entry in site.queue() if entry["sender"] == alice.address]
    assert not site.cli_json("queue", "inbound", "list")
    assert alice.undo(submission["id"])["updated"] == {submission["id"]: None}, "once more does no harm"
    assert "taken back" not in subjects(site, "bob") and not peer.mails


def test_what_has_left_cannot_be_taken_back(
    site: Sender, internet: Internet, alice: JmapSender, elsewhere: str
) -> None:
    peer = internet.peer(elsewhere)
    envelope = held(alice.address, f"dave@{elsewhere}", "bob@example.test", seconds=2)
    submission = alice.sent(alice.draft([f"dave@{elsewhere}"], "in two seconds"), envelope)
    assert submission["undoStatus"] == "pending"
    assert b"in two seconds" in peer.wait(1)[0].data
    site.wait(lambda: alice.submission(submission["id"])["undoStatus"] == "final", "written down as sent")
    answer = alice.undo(submission["id"])
    assert answer["notUpdated"][submission["id"]]["type"] == "cannotUnsend"
    site.wait(lambda: "in two seconds" in subjects(site, "bob"), "delivered here")
    site.wait(
        lambda: alice.submission(submission["id"])["deliveryStatus"]["bob@example.test"]["delivered"] == "yes",
        "written down as delivered",
    )


def test_a_repetition_sends_nothing_twice(site: Sender, alice: JmapSender) -> None:
    draft = alice.draft(["bob@example.test"], "once", messageId=["once@app.example"])
    first, second = alice.send(draft), alice.send(draft)
    ids = [answer["EmailSubmission/set"]["created"]["send"]["id"] for answer in (first, second)]
    assert ids[0] == ids[1] and subjects(site, "bob").count("once") == 1
    again = alice.send(draft, name="again")["EmailSubmission/set"]["created"]["again"]["id"]
    assert again != ids[0] and subjects(site, "bob").count("once") == 2


def test_what_may_not_be_sent(site: Sender, alice: JmapSender) -> None:
    foreign = alice.draft(["bob@example.test"], "forged", **{"from": [{"name": None, "email": "bob@example.test"}]})
    assert refusal(alice.send(foreign))["type"] == "forbiddenFrom"
    envelope = {"mailFrom": {"email": "bob@example.test"}, "rcptTo": [{"email": "carol@example.test"}]}
    assert refusal(alice.send(alice.draft([], "sender"), envelope))["type"] == "forbiddenMailFrom"
    assert refusal(alice.send(alice.draft([], "nobody")))["type"] == "noRecipients"
    unknown = refusal(alice.send(alice.draft(["bob@example.test", "who@example.test"], "unknown")))
    assert unknown["type"] == "invalidRecipients" and unknown["invalidRecipients"] == ["who@example.test"]
    many = [f"user{number}@elsewhere.example" for number in range(1_001)]
    crowd = {"mailFrom": {"email": alice.address}, "rcptTo": [{"email": one} for one in many]}
    too_many = refusal(alice.send(alice.draft([], "crowd"), crowd))
    assert too_many["type"] == "tooManyRecipients" and too_many["maxRecipients"] == 1_000
    odd = {"mailFrom": {"email": alice.address, "parameters": {"X": "1"}}, "rcptTo": [{"email": "bob@example.test"}]}
    assert refusal(alice.send(alice.draft([], "odd"), odd))["type"] == "invalidProperties"
    assert not {"forged", "sender", "unknown", "crowd", "odd"} & set(subjects(site, "bob"))


def test_identities_follow_the_addresses(site: Sender, alice: JmapSender) -> None:
    state = alice.call("Identity/get", ids=[])["state"]
    site.cli("alias", "create", "sales@example.test", "alice@example.test")
    try:
        changes = alice.call("Identity/changes", sinceState=state)
        (sales,) = changes["created"]
        (shown,) = alice.call("Identity/get", ids=[sales])["list"]
        assert shown["email"] == "sales@example.test" and shown["mayDelete"] is False
        changed = {"name": "Sales", "textSignature": "-- \nSales", "replyTo": [{"name": None, "email": "a@x.test"}]}
        assert alice.call("Identity/set", update={sales: changed})["updated"] == {sales: None}
        refused = alice.call("Identity/set", destroy=[sales], create={"k": {"email": "bob@example.test"}})
        assert refused["notDestroyed"][sales]["type"] == "forbidden"
        assert refused["notCreated"]["k"]["type"] == "forbiddenFrom"
        plus = alice.call("Identity/set", create={"k": {"email": "alice+news@example.test", "name": "News"}})
        assert plus["created"]["k"]["mayDelete"] is True
        assert alice.call("Identity/set", destroy=[plus["created"]["k"]["id"]])["destroyed"]
    finally:
        site.cli("alias", "delete", "sales@example.test")
    alice.identity = sales
    answer = refusal(alice.send(alice.draft(["bob@example.test"], "as sales")))
    assert answer["type"] == "forbiddenFrom" and "not one of your addresses any more" in answer["description"]
    assert alice.call("Identity/get", ids=[sales])["list"][0]["mayDelete"] is True
