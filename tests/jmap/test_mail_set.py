"""RFC 8621 §4.6: emails made, changed and destroyed."""

import datetime
import email
import email.header
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from harness.jmap import MAIL, Jmap, Server, letter

TEXT = {"textBody": [{"partId": "t", "type": "text/plain"}], "bodyValues": {"t": {"value": "Some text.\n"}}}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Jmap]:
    """One account for all of these tests."""
    client = Jmap(server.account())
    yield client
    client.close()


def made(client: Jmap, **properties: Any) -> EmailMessage:
    """An email is made with these properties; the message that came of it, as Python's own parser reads it."""
    created = client.create(**properties)
    assert {"id", "blobId", "threadId", "size"} <= set(created)
    raw = client.download(created["blobId"])
    assert len(raw) == created["size"]
    assert b"\r\n" in raw and b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert not message.defects, message.defects
    return message


# Created: header fields. ---------------------------------------------------------------------------------


def test_4_6_a_date_and_a_message_id_are_made(client: Jmap) -> None:
    message = made(client, subject="Made", **TEXT)
    assert message["Subject"] == "Made" and message["MIME-Version"] == "1.0"
    assert message["Message-ID"].startswith("<") and "@" in message["Message-ID"]
    age = datetime.datetime.now(datetime.UTC) - message["Date"].datetime
    assert abs(age) < datetime.timedelta(hours=1)


def test_4_6_what_is_given_stands(client: Jmap) -> None:
    message = made(
        client, subject="한글 제목과 아주 긴 이야기 " * 10, messageId=["my.own@example.com"], inReplyTo=["a@x.example"],
        references=["a@x.example", "b@x.example"], sentAt="2018-07-10T11:05:08+10:00",
        **{"from": [{"name": "Jürgen, der Große", "email": "j@example.com"}]},
        to=[{"name": "한글", "email": "h@example.com"}, {"name": None, "email": "n@example.com"}, {"email": "m@example.com"}],
        cc=[{"name": 'A "quoted" name', "email": "q@example.com"}], bcc=[{"email": "b@example.com"}],
        sender=[{"email": "s@example.com"}], replyTo=[{"email": "r@example.com"}], **TEXT,
    )  # fmt: skip
    assert message["Subject"].strip() == ("한글 제목과 아주 긴 이야기 " * 10).strip()
    assert message["Message-ID"] == "<my.own@example.com>" and message["In-Reply-To"] == "<a@x.example>"
    assert message["References"].split() == ["<a@x.example>", "<b@x.example>"]
    assert message["Date"].datetime == datetime.datetime.fromisoformat("2018-07-10T11:05:08+10:00")
    assert message["Date"].datetime.utcoffset() == datetime.timedelta(hours=10)
    assert [(a.display_name, a.addr_spec) for a in message["From"].addresses] == [
        ("Jürgen, der Große", "j@example.com")
    ]
    assert [(a.display_name, a.addr_spec) for a in message["To"].addresses] == [
        ("한글", "h@example.com"), ("", "n@example.com"), ("", "m@example.com"),
    ]  # fmt: skip
    assert message["Cc"].addresses[0].display_name == 'A "quoted" name'
    assert [message[name].addresses[0].addr_spec for name in ("Bcc", "Sender", "Reply-To")] == [
        "b@example.com", "s@example.com", "r@example.com",
    ]  # fmt: skip


FORMS: dict[str, tuple[Any, str]] = {
    "header:X-Raw": (" raw value", "raw value"),
    "header:X-Raw:asRaw": (" raw value", "raw value"),
    "header:X-Text:asText": ("schöner Text", "schöner Text"),
    "header:X-Addresses:asAddresses": ([{"name": "Ä", "email": "a@x.example"}], "Ä <a@x.example>"),
    "header:X-Ids:asMessageIds": (["a@x.example", "b@x.example"], "<a@x.example> <b@x.example>"),
    "header:X-Date:asDate": ("2020-02-29T10:00:00+01:00", "Sat, 29 Feb 2020 10:00:00 +0100"),
    "header:List-Post:asURLs": (["mailto:list@x.example", "https://x.example/"], "<mailto:list@x.example>, <https://x.example/>"),
    "header:X-Groups:asGroupedAddresses": (
        [{"name": "Friends", "addresses": [{"name": "A", "email": "a@x.example"}]}], "Friends: A <a@x.example>;",
    ),
}  # fmt: skip


@pytest.mark.parametrize("property", FORMS)
def test_4_6_every_form_can_be_set(client: Jmap, property: str) -> None:
    given, stands = FORMS[property]
    created = client.create(**{property: given}, **TEXT)
    message = email.message_from_bytes(client.download(created["blobId"]), policy=email.policy.SMTP)
    name = property.split(":")[1]
    decoded = str(email.header.make_header(email.header.decode_header(" ".join(str(message[name]).split()))))
    assert decoded.replace('"', "").replace(" ;", ";") == stands
    # And it is read as it was set.
    got = client.email(created["id"], property)[property]
    assert got == given or (isinstance(got, str) and got.strip() == given.strip())


def test_4_6_several_fields_of_one_name(client: Jmap) -> None:
    message = made(client, **{"header:X-Many:asText:all": ["one", "two"]}, **TEXT)
    assert message.get_all("X-Many") == ["one", "two"]


def test_4_6_a_value_cannot_become_another_field(client: Jmap) -> None:
    """Line ends within a value never begin a field of their own."""
    for properties in ({"subject": "x\r\nX-Evil: 1"}, {"header:X-Raw": " x\r\nX-Evil: 1"}, {"header:X-T:asText": "x\nX-Evil: 1"},
                       {"to": [{"name": "x\r\nX-Evil: 1", "email": "a@x.example"}]},
                       {"to": [{"email": "a@x.example>\r\nX-Evil: 1"}]}, {"messageId": ["a@x\r\nX-Evil: 1"]},
                       {"header:X-R": " x\r\n\r\nX-Evil: 1"}, {"header:X-R": "x\0"}):  # fmt: skip
        answer = client.call("Email/set", create={"e": {"mailboxIds": {client.inbox: True}, **properties, **TEXT}})
        if answer.get("created"):
            raw = client.download(answer["created"]["e"]["blobId"])
            assert b"X-Evil" not in [line.split(b":")[0] for line in raw.split(b"\r\n")], properties
        else:
            assert answer["notCreated"]["e"]["type"] == "invalidProperties", properties


# Created: bodies. ----------------------------------------------------------------------------------------


def shape(message: EmailMessage) -> Any:
    """The types of a message's parts."""
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        return {message.get_content_type(): [shape(part) for part in message.iter_parts()]}
    return message.get_content_type()


def test_4_6_text_alone(client: Jmap) -> None:
    message = made(client, **TEXT)
    assert shape(message) == "text/plain" and message.get_content().splitlines() == ["Some text."]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no end",
        "한글\n두 줄\n",
        "x" * 5000 + "\n",
        "a\n.\nb\n",
        "trailing \nFrom here\n",
        "🙂" * 2000,
        "tab\tand nbsp\u00a0",
    ],
)
def test_4_6_texts_come_back_as_they_were(client: Jmap, text: str) -> None:
    created = client.create(textBody=[{"partId": "t"}], bodyValues={"t": {"value": text}})
    email = client.email(created["id"], "bodyValues", fetchTextBodyValues=True)
    (value,) = email["bodyValues"].values()
    assert value["value"] == text


def test_4_6_html_alone(client: Jmap) -> None:
    message = made(client, htmlBody=[{"partId": "h", "type": "text/html"}], bodyValues={"h": {"value": "<p>é</p>"}})
    assert shape(message) == "text/html" and message.get_content().strip() == "<p>é</p>"


def test_4_6_text_and_html(client: Jmap) -> None:
    message = made(client, textBody=[{"partId": "t"}], htmlBody=[{"partId": "h"}],
                   bodyValues={"t": {"value": "text"}, "h": {"value": "<p>html</p>"}})  # fmt: skip
    assert shape(message) == {"multipart/alternative": ["text/plain", "text/html"]}


def test_4_6_attachments(client: Jmap) -> None:
    picture, report = b"\x89PNG" + bytes(1000), "한글 내용".encode("cp949") * 100
    blobs = [client.upload(content)["blobId"] for content in (picture, report)]
    message = made(client, **TEXT, attachments=[
        {"blobId": blobs[0], "type": "image/png", "name": "그림.png", "cid": "pic@x", "disposition": "inline"},
        {"blobId": blobs[1], "type": "application/x-hwp", "name": "아주 긴 이름의 보고서 " * 5 + ".hwp"},
    ])  # fmt: skip
    first, second = [part for part in message.walk() if part.get_content_type() in ("image/png", "application/x-hwp")]
    assert first.get_filename() == "그림.png" and first["Content-ID"] == "<pic@x>"
    assert first.get_content_disposition() == "inline" and first.get_content() == picture
    assert second.get_filename() == "아주 긴 이름의 보고서 " * 5 + ".hwp" and second.get_content() == report
    assert second.get_content_disposition() == "attachment"
    (text,) = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    assert text.get_content().splitlines() == ["Some text."]


def test_4_6_an_email_as_an_attachment(client: Jmap) -> None:
    (inner,) = client.store(letter("Inner", "한글\r\n", Content_Transfer_Encoding="8bit"))
    blob = client.email(inner, "blobId")["blobId"]
    created = client.create(**TEXT, attachments=[{"blobId": blob, "type": "message/rfc822"}])
    (attached,) = client.email(created["id"], "attachments")["attachments"]
    assert attached["type"] == "message/rfc822"
    answer = client.call("Email/parse", blobIds=[attached["blobId"]], properties=["subject"])
    assert answer["parsed"][attached["blobId"]]["subject"] == "Inner"


def test_4_6_a_part_of_another_email_as_an_attachment(client: Jmap) -> None:
    (source,) = client.store(letter("Source", "VGV4dA==\r\n", Content_Transfer_Encoding="base64"))
    part = client.email(source, "bodyStructure")["bodyStructure"]
    created = client.create(**TEXT, attachments=[{"blobId": part["blobId"], "type": "text/plain", "name": "a.txt"}])
    (attached,) = client.email(created["id"], "attachments")["attachments"]
    assert client.download(attached["blobId"]) == b"Text"


def test_4_6_body_structure(client: Jmap) -> None:
    blob = client.upload(b"octets")["blobId"]
    structure = {
        "type": "multipart/mixed",
        "header:X-Outer": " outer",
        "subParts": [
            {"type": "multipart/alternative", "subParts": [{"partId": "t", "type": "text/plain"}, {"partId": "h", "type": "text/html"}]},
            {"type": "application/octet-stream", "blobId": blob, "language": ["de", "en"], "location": "https://x.example/a",
             "header:X-Part:asText": "für dich", "disposition": "attachment"},
        ],
    }  # fmt: skip
    message = made(client, bodyStructure=structure, bodyValues={"t": {"value": "text"}, "h": {"value": "<p>html"}})
    assert shape(message) == {
        "multipart/mixed": [{"multipart/alternative": ["text/plain", "text/html"]}, "application/octet-stream"]
    }
    assert message["X-Outer"] == "outer"
    part = list(message.iter_parts())[1]
    assert part["X-Part"] == "für dich" and part["Content-Location"] == "https://x.example/a"
    assert part["Content-Language"].replace(" ", "") == "de,en" and part.get_content() == b"octets"


def test_4_6_no_body_at_all(client: Jmap) -> None:
    created = client.create(subject="Only a subject")
    assert client.email(created["id"], "subject")["subject"] == "Only a subject"


# Created: what must not be. ------------------------------------------------------------------------------


VALUES = {"bodyValues": {"t": {"value": "x"}, "h": {"value": "<p>"}}}
PLAIN = {"partId": "t", "type": "text/plain"}
WRONG: dict[str, dict[str, Any]] = {
    "headers": {"headers": [{"name": "X-A", "value": "1"}], **TEXT},
    "headers of a part": {**VALUES, "textBody": [{**PLAIN, "headers": [{"name": "X-A", "value": "1"}]}]},
    "the same field twice": {"subject": "a", "header:Subject:asText": "b", **TEXT},
    "the same field twice, raw": {"from": [{"email": "a@x.example"}], "header:from": " b@x.example", **TEXT},
    "a form that the field has not": {"header:From:asDate": "2020-01-01T00:00:00Z", **TEXT},
    "Content- on the email": {"header:Content-Language": " de", **TEXT},
    "a structure and a text": {**VALUES, "bodyStructure": PLAIN, "textBody": [PLAIN]},
    "a structure and attachments": {**VALUES, "bodyStructure": PLAIN, "attachments": []},
    "a field on both": {**VALUES, "subject": "a", "bodyStructure": {**PLAIN, "header:Subject": " b"}},
    "two texts": {**VALUES, "textBody": [PLAIN, {"partId": "h", "type": "text/plain"}]},
    "no text in textBody": {**VALUES, "textBody": []},
    "html as text": {**VALUES, "textBody": [{"partId": "h", "type": "text/html"}]},
    "text as html": {**VALUES, "htmlBody": [PLAIN]},
    "a part and a blob": {**VALUES, "textBody": [{**PLAIN, "blobId": "BLOB"}]},
    "a part without a value": {"textBody": [{"partId": "nobody"}], **VALUES},
    "a charset": {**VALUES, "textBody": [{**PLAIN, "charset": "utf-8"}]},
    "a size": {**VALUES, "textBody": [{**PLAIN, "size": 1}]},
    "a transfer encoding": {**VALUES, "textBody": [{**PLAIN, "header:Content-Transfer-Encoding": " 8bit"}]},
    "an encoding problem": {"textBody": [PLAIN], "bodyValues": {"t": {"value": "x", "isEncodingProblem": True}}},
    "truncated": {"textBody": [PLAIN], "bodyValues": {"t": {"value": "x", "isTruncated": True}}},
    "set by the server": {"hasAttachment": True, **TEXT},
    "a preview": {"preview": "x", **TEXT},
    "an id": {"id": "x", **TEXT},
    "unheard of": {"unheardOf": 1, **TEXT},
    "no addresses": {"to": "a@x.example", **TEXT},
    "no date": {"sentAt": "yesterday", **TEXT},
    "no UTC": {"receivedAt": "2020-01-01T00:00:00+01:00", **TEXT},
}


@pytest.mark.parametrize("name", WRONG)
def test_4_6_what_must_not_be_given(client: Jmap, name: str) -> None:
    properties = WRONG[name]
    if name == "a part and a blob":
        blob = client.upload(b"x")["blobId"]
        properties = {**properties, "textBody": [{**PLAIN, "blobId": blob}]}
    assert client.refused(**properties)["type"] == "invalidProperties"


def test_4_6_a_mailbox_is_needed(client: Jmap) -> None:
    for where in ({}, {"nobody": True}, {client.inbox: False}, None, [client.inbox]):
        error = client.refused(mailboxIds=where, **TEXT)
        assert error["type"] == "invalidProperties" and error.get("properties", ["mailboxIds"])[0].startswith(
            "mailboxIds"
        )


def test_4_6_blobs_that_are_not_there(client: Jmap, stranger: Jmap) -> None:
    secret = stranger.upload(b"a secret of mine")["blobId"]
    error = client.refused(
        **TEXT, attachments=[{"blobId": "nobody", "type": "image/png"}, {"blobId": secret, "type": "image/png"}]
    )
    assert error["type"] == "blobNotFound" and sorted(error["notFound"]) == sorted(["nobody", secret])


# Keywords and mailboxes. ---------------------------------------------------------------------------------


def test_4_6_keywords_and_received_at(client: Jmap) -> None:
    created = client.create(keywords={"$seen": True, "$draft": True}, receivedAt="2018-07-10T01:05:08Z", **TEXT)
    email = client.email(created["id"], "keywords", "receivedAt")
    assert email["keywords"] == {"$seen": True, "$draft": True} and email["receivedAt"] == "2018-07-10T01:05:08Z"


def test_4_1_1_keywords_are_lower_case(client: Jmap) -> None:
    (id,) = client.store(letter(), keywords={"$Flagged": True, "MyLabel": True})
    assert client.email(id, "keywords")["keywords"] == {"$flagged": True, "mylabel": True}
    client.update("Email", id, **{"keywords/MYLABEL": None, "keywords/$SEEN": True})
    assert client.email(id, "keywords")["keywords"] == {"$flagged": True, "$seen": True}


@pytest.mark.parametrize(
    "keyword", ["with space", "", "(", ")", "{", "]", "%", "*", '"', "\\", "한글", "a\x7f", "x" * 256]
)
def test_4_1_1_keywords_out_of_order(client: Jmap, keyword: str) -> None:
    (id,) = client.store(letter())
    assert client.unchanged("Email", id, keywords={keyword: True})["type"] == "invalidProperties"


@pytest.mark.parametrize("keyword", ["a", "x" * 100, "$forwarded", "!#$&'+,-.:;<=>?@^_`|~", "[", "}"])
def test_4_1_1_keywords_that_are_allowed(client: Jmap, keyword: str) -> None:
    (id,) = client.store(letter())
    client.update("Email", id, keywords={keyword: True})
    assert client.email(id, "keywords")["keywords"] == {keyword: True}


def test_4_1_1_values_of_sets_are_true(client: Jmap) -> None:
    (id,) = client.store(letter())
    for patch in ({"keywords": {"a": False}}, {"keywords/a": False}, {"keywords/a": 1}, {"keywords": ["a"]}):
        assert client.unchanged("Email", id, **patch)["type"] in ("invalidProperties", "invalidPatch"), patch


def test_4_1_1_deleted_is_not_seen(client: Jmap) -> None:
    """The flag of IMAP is no keyword of JMAP."""
    (id,) = client.store(letter())
    answer = client.call("Email/set", update={id: {"keywords/\\Deleted": True}})
    assert not answer.get("updated")


def test_4_6_keywords_are_replaced_or_patched(client: Jmap) -> None:
    (id,) = client.store(letter(), keywords={"a": True, "b": True})
    client.update("Email", id, **{"keywords/a": None, "keywords/c": True})
    assert client.email(id, "keywords")["keywords"] == {"b": True, "c": True}
    client.update("Email", id, keywords={"d": True})
    assert client.email(id, "keywords")["keywords"] == {"d": True}
    client.update("Email", id, keywords=None)
    assert client.email(id, "keywords")["keywords"] == {}


def test_4_6_mailboxes_are_replaced_or_patched(client: Jmap) -> None:
    a, b, c = (client.mailbox(name) for name in "abc")
    (id,) = client.store(letter(), into=a)
    client.update("Email", id, **{f"mailboxIds/{b}": True})
    assert client.email(id, "mailboxIds")["mailboxIds"] == {a: True, b: True}
    client.update("Email", id, **{f"mailboxIds/{a}": None, f"mailboxIds/{c}": True})
    assert client.email(id, "mailboxIds")["mailboxIds"] == {b: True, c: True}
    client.update("Email", id, mailboxIds={a: True})
    assert client.email(id, "mailboxIds")["mailboxIds"] == {a: True}
    assert client.email(id, "id")["id"] == id


def test_4_6_an_email_is_always_in_a_mailbox(client: Jmap) -> None:
    (id,) = client.store(letter())
    for patch in ({"mailboxIds": {}}, {f"mailboxIds/{client.inbox}": None}, {"mailboxIds": {"nobody": True}},
                  {"mailboxIds/nobody": True}):  # fmt: skip
        assert client.unchanged("Email", id, **patch)["type"] in ("invalidProperties", "invalidPatch"), patch
    assert client.email(id, "mailboxIds")["mailboxIds"] == {client.inbox: True}


def test_4_6_keywords_and_mailboxes_at_once(client: Jmap) -> None:
    box = client.mailbox("box")
    (id,) = client.store(letter())
    client.update("Email", id, **{"keywords/$seen": True, "mailboxIds": {box: True}})
    assert client.email(id, "keywords", "mailboxIds") == {
        "id": id,
        "keywords": {"$seen": True},
        "mailboxIds": {box: True},
    }


def test_4_6_too_many_mailboxes(client: Jmap) -> None:
    most = client.session["accounts"][client.account]["accountCapabilities"][MAIL]["maxMailboxesPerEmail"]
    if most is None or most > 100:
        pytest.skip("this server announces no limit that could be reached")
    boxes = [client.mailbox(f"box {n}") for n in range(most + 1)]
    (id,) = client.store(letter())
    assert client.unchanged("Email", id, mailboxIds=dict.fromkeys(boxes, True))["type"] == "tooManyMailboxes"


def test_4_6_destroyed_from_everywhere(client: Jmap) -> None:
    a, b = client.mailbox("d"), client.mailbox("e")
    (id,) = client.store(letter(), into=[a, b])
    client.destroy("Email", id)
    assert client.call("Email/get", ids=[id])["notFound"] == [id]
    mailboxes = client.mailboxes()
    assert mailboxes[a]["totalEmails"] == mailboxes[b]["totalEmails"] == 0
