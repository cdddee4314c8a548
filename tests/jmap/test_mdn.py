"""RFC 9007: receipts, sent and read. What comes of them elsewhere is told in tests/blackbox/test_receipts.py."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from harness.jmap import CORE, MAIL, Jmap, Server, letter

MDN = "urn:ietf:params:jmap:mdn"
SUBMISSION = "urn:ietf:params:jmap:submission"
USING = [CORE, MAIL, SUBMISSION, MDN]
DISPLAYED = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}
MARK = {"keywords/$mdnsent": True}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Jmap]:
    """One account for all of these tests: each has emails of its own."""
    client = Jmap(server.account())
    yield client
    client.close()


def responses(client: Jmap, method: str, using: list[str] = USING, **given: Any) -> list[list[Any]]:
    call = [method, {"accountId": client.account, **given}, "c"]
    return client.request(call, using=using)["methodResponses"]


def error(client: Jmap, method: str, using: list[str] = USING, **given: Any) -> str:
    [[name, said, _]] = responses(client, method, using, **given)
    assert name == "error", (name, said)
    return said["type"]


def identity(client: Jmap) -> str:
    [[name, said, _]] = responses(client, "Identity/get", ids=None)
    assert name == "Identity/get", said
    return said["list"][0]["id"]


def send(client: Jmap, mdn: Any, mark: Any = MARK) -> list[list[Any]]:
    return responses(
        client, "MDN/send", identityId=identity(client), send={"k": mdn}, onSuccessUpdateEmail={"#k": mark}
    )


def refused(client: Jmap, mdn: Any) -> Any:
    """The SetError for what is not sent; nothing follows then."""
    [[name, said, _]] = send(client, mdn)
    assert name == "MDN/send" and not said.get("sent"), said
    return said["notSent"]["k"]


def asking(client: Jmap, to: str = "Bob <bob@example.com>", **fields: str) -> str:
    (id,) = client.store(letter(f"receipt {next(numbers)}", Disposition_Notification_To=to, **fields))
    return id


def report(*fields: str, kind: str = "disposition-notification", original: str = "") -> bytes:
    """A notification with these fields for programs."""
    parts = f"--b\r\nContent-Type: text/plain\r\n\r\nIt was displayed.\r\n--b\r\nContent-Type: message/{kind}\r\n\r\n"
    parts += "".join(f"{field}\r\n" for field in fields) + original + "\r\n--b--\r\n"
    return letter("a receipt", parts, Content_Type=f'multipart/report; report-type={kind}; boundary="b"')


FIELDS = ("Reporting-UA: joes-pc.cs.example.com; Foomail 97.1", "Original-Recipient: rfc822; team@example.com",
          "Final-Recipient: rfc822; joe@example.com", "Original-Message-ID: <199509192301.23456@example.org>")  # fmt: skip
DISPOSITION = "Disposition: manual-action/MDN-sent-manually; displayed"


def parse(client: Jmap, mail: bytes) -> Any:
    blob = client.upload(mail, "message/rfc822")["blobId"]
    [[name, said, _]] = responses(client, "MDN/parse", blobIds=[blob])
    assert name == "MDN/parse", said
    assert said["parsed"] and set(said["parsed"]) == {blob}, said
    return said["parsed"][blob]


def test_mdn_1_3_the_capability_is_an_empty_object(client: Jmap) -> None:
    assert client.session["capabilities"][MDN] == {}
    assert client.session["accounts"][client.account]["accountCapabilities"][MDN] == {}


def test_mdn_2_1_a_receipt_marks_the_email_and_says_what_the_server_has_set(client: Jmap) -> None:
    id = asking(client, Message_ID="<mdn.2.1@example.com>")
    answers = send(
        client, {"forEmailId": id, "subject": "Read", "disposition": DISPLAYED}, {**MARK, "keywords/$seen": True}
    )
    assert [(name, call) for name, _, call in answers] == [("MDN/send", "c"), ("Email/set", "c")]
    sent, follows = answers[0][1], answers[1][1]
    assert sent["accountId"] == client.account and not sent.get("notSent")
    given = sent["sent"]["k"]
    assert given["originalMessageId"] == "<mdn.2.1@example.com>" and given["finalRecipient"].startswith("rfc822; ")
    assert given["includeOriginalMessage"] is False, "what was left out has its default"
    assert "subject" not in given and "disposition" not in given, "what the client has said is not said again"
    assert id in follows["updated"] and not follows.get("notUpdated")
    assert client.email(id, "keywords")["keywords"] == {"$mdnsent": True, "$seen": True}


def test_mdn_2_1_no_second_receipt(client: Jmap) -> None:
    id = asking(client)
    assert send(client, {"forEmailId": id, "disposition": DISPLAYED})[0][1]["sent"]
    assert refused(client, {"forEmailId": id, "disposition": DISPLAYED})["type"] == "mdnAlreadySent"


def test_mdn_2_1_nor_one_for_what_another_has_marked(client: Jmap) -> None:
    (id,) = client.store(letter(Disposition_Notification_To="bob@example.com"), keywords={"$mdnsent": True})
    assert refused(client, {"forEmailId": id, "disposition": DISPLAYED})["type"] == "mdnAlreadySent"


@pytest.mark.parametrize("mark", [None, {}, {"keywords/$seen": True}, {"keywords/$mdnsent": None}])
def test_mdn_2_1_the_keyword_must_follow(client: Jmap, mark: Any) -> None:
    id = asking(client)
    given = {} if mark is None else {"onSuccessUpdateEmail": {"#k": mark}}
    mdn = {"forEmailId": id, "disposition": DISPLAYED}
    [[name, said, _]] = responses(client, "MDN/send", identityId=identity(client), send={"k": mdn}, **given)
    assert name == "error" or not said.get("sent"), said
    assert "$mdnsent" not in client.email(id, "keywords")["keywords"]


def test_mdn_2_1_the_keyword_may_come_with_all_others(client: Jmap) -> None:
    id = asking(client)
    answers = send(client, {"forEmailId": id, "disposition": DISPLAYED}, {"keywords": {"$mdnsent": True, "work": True}})
    assert answers[0][1]["sent"], answers
    assert client.email(id, "keywords")["keywords"] == {"$mdnsent": True, "work": True}


def test_mdn_2_1_who_is_not_there(client: Jmap) -> None:
    mdn = {"k": {"forEmailId": "none", "disposition": DISPLAYED}}
    given = {"send": mdn, "onSuccessUpdateEmail": {"#k": MARK}}
    assert error(client, "MDN/send", identityId="none", **given) == "invalidArguments"
    assert error(client, "MDN/send", identityId=identity(client), **given, accountId="none") == "invalidArguments"


def test_mdn_2_1_the_capability_of_mail_is_needed(client: Jmap) -> None:
    given = {"identityId": identity(client), "send": {}}
    assert error(client, "MDN/send", using=[CORE, MDN], **given) == "unknownMethod"
    assert error(client, "MDN/send", using=[CORE, MAIL], **given) == "unknownMethod"


def test_mdn_2_1_emails_that_are_not_there_or_do_not_ask(client: Jmap) -> None:
    (plain,) = client.store(letter())
    for id in ("none", plain, asking(client, to="nobody in particular")):
        assert refused(client, {"forEmailId": id, "disposition": DISPLAYED})["type"] == "notFound", id


def test_mdn_2_1_a_recipient_that_is_somebody_else(client: Jmap) -> None:
    mdn = {"forEmailId": asking(client), "disposition": DISPLAYED, "finalRecipient": "rfc822; eve@example.net"}
    assert refused(client, mdn)["type"] == "forbiddenFrom"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("disposition", None), ("disposition", {}), ("disposition", {**DISPLAYED, "type": "read"}),
        ("disposition", {**DISPLAYED, "actionMode": "Manual-Action"}), ("disposition", {**DISPLAYED, "sendingMode": 1}),
        ("subject", 1), ("textBody", []), ("includeOriginalMessage", "yes"), ("reportingUA", {}),
        ("finalRecipient", 7), ("extensionFields", ["a"]), ("extensionFields", {"a": 1}), ("unheardOf", "x"),
        ("originalMessageId", "<x@y>"), ("mdnGateway", "dns; x"), ("error", ["x"]),
    ],
)  # fmt: skip
def test_mdn_2_1_invalid_properties(client: Jmap, name: str, value: Any) -> None:
    told = refused(client, {"forEmailId": asking(client), "disposition": DISPLAYED, name: value})
    assert told["type"] == "invalidProperties" and told["properties"] == [name], told


def test_mdn_2_1_some_are_sent_and_some_are_not(client: Jmap) -> None:
    good, (bad,) = asking(client), client.store(letter())
    mdns = {name: {"forEmailId": id, "disposition": DISPLAYED} for name, id in (("good", good), ("bad", bad))}
    answers = responses(client, "MDN/send", identityId=identity(client), send=mdns,
                        onSuccessUpdateEmail={"#good": MARK, "#bad": MARK})  # fmt: skip
    assert set(answers[0][1]["sent"]) == {"good"} and set(answers[0][1]["notSent"]) == {"bad"}
    assert set(answers[1][1]["updated"]) == {good}
    assert client.email(bad, "keywords")["keywords"] == {}


def test_mdn_8098_2_1_no_receipt_for_a_receipt(client: Jmap) -> None:
    mail = report(*FIELDS, DISPOSITION).replace(
        b"Subject:", b"Disposition-Notification-To: a@example.com\r\nSubject:", 1
    )
    (id,) = client.store(mail)
    assert refused(client, {"forEmailId": id, "disposition": DISPLAYED})["type"] in ("forbidden", "notFound")


def test_mdn_2_2_what_others_tell(client: Jmap) -> None:
    mdn = parse(client, report(*FIELDS, DISPOSITION))
    assert mdn["subject"] == "a receipt" and mdn["textBody"].strip() == "It was displayed."
    assert mdn["disposition"] == DISPLAYED
    assert mdn["reportingUA"] == "joes-pc.cs.example.com; Foomail 97.1"
    assert mdn["originalRecipient"] == "rfc822; team@example.com" and mdn["finalRecipient"] == "rfc822; joe@example.com"
    assert mdn["originalMessageId"] == "<199509192301.23456@example.org>"
    assert mdn["includeOriginalMessage"] is False and mdn.get("forEmailId") is None
    assert mdn.get("error") is None and mdn.get("mdnGateway") is None and mdn.get("extensionFields") is None


def test_mdn_2_2_words_are_in_lower_case(client: Jmap) -> None:
    mdn = parse(client, report(*FIELDS, "disposition: AUTOMATIC-Action/MDN-Sent-Automatically;DELETED"))
    automatic = {"actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically", "type": "deleted"}
    assert mdn["disposition"] == automatic


def test_mdn_2_2_errors_gateways_and_further_fields(client: Jmap) -> None:
    more = ("MDN-Gateway: dns; gate.example.com", "Error: one", "Error: two", "X-Mood: good")
    mdn = parse(client, report(*FIELDS, "Disposition: automatic-action/MDN-sent-automatically; processed/error", *more))
    assert mdn["error"] == ["one", "two"] and mdn["mdnGateway"] == "dns; gate.example.com"
    assert mdn["extensionFields"] == {"X-Mood": "good"}


def test_mdn_2_2_the_message_comes_along(client: Jmap) -> None:
    original = "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext"
    assert parse(client, report(*FIELDS, DISPOSITION, original=original))["includeOriginalMessage"] is True


def test_mdn_2_2_an_email_that_is_a_receipt(client: Jmap) -> None:
    (id,) = client.store(report(*FIELDS, DISPOSITION))
    blob = client.email(id, "blobId")["blobId"]
    [[_, said, _]] = responses(client, "MDN/parse", blobIds=[blob])
    assert said["parsed"][blob]["disposition"] == DISPLAYED


def test_mdn_2_2_what_is_none(client: Jmap) -> None:
    mails = [letter(), report(*FIELDS), report("Reporting-MTA: dns; x", "", "Action: failed", kind="delivery-status")]
    blobs = [client.upload(mail, "message/rfc822")["blobId"] for mail in mails]
    [[_, said, _]] = responses(client, "MDN/parse", blobIds=[*blobs, "none"])
    assert said["parsed"] is None and sorted(said["notParsable"]) == sorted(blobs) and said["notFound"] == ["none"]


def test_mdn_2_2_arguments(client: Jmap) -> None:
    [[name, said, _]] = responses(client, "MDN/parse", blobIds=[])
    assert name == "MDN/parse" and said["accountId"] == client.account
    assert said["parsed"] is None and said["notParsable"] is None and said["notFound"] is None
    assert error(client, "MDN/parse", blobIds=[], accountId="none") == "invalidArguments"
    assert error(client, "MDN/parse") == "invalidArguments"
    most = client.session["capabilities"][CORE]["maxObjectsInGet"]
    assert error(client, "MDN/parse", blobIds=[f"b{n}" for n in range(most + 1)]) == "requestTooLarge"
