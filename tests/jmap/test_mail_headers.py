"""RFC 8621 §4.1.1 to §4.1.3: metadata, and header fields in every form."""

import datetime
import re
from typing import Any

import pytest

from harness.corpus import expectations
from harness.jmap import Jmap, Library, letter

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z")


def value(client: Jmap, property: str, *fields: str, body: str = "Text\r\n") -> Any:
    """What a property of a mail with these header fields is."""
    mail = "".join(f"{field}\r\n" for field in fields) + "MIME-Version: 1.0\r\n\r\n" + body
    return client.read(mail.encode(), property)[property]


@pytest.fixture(scope="module")
def client(library: Library) -> Jmap:
    return library.client


# §4.1.1: metadata. ---------------------------------------------------------------------------------------


def test_4_1_1_metadata(library: Library) -> None:
    inbox = library.client.inbox
    for name, id in library.ids.items():
        email = library.client.email(id, "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
        assert email["id"] == id and email["mailboxIds"] == {inbox: True} and email["keywords"] == {}
        assert isinstance(email["blobId"], str) and isinstance(email["threadId"], str)
        assert UTC.fullmatch(email["receivedAt"]), email["receivedAt"]
        assert len(library.client.download(email["blobId"])) == email["size"], name


def test_4_1_1_the_octets_are_those_that_came(library: Library) -> None:
    for name, id in library.ids.items():
        if not name.startswith("broken/"):
            assert library.client.download(library.client.email(id, "blobId")["blobId"]) == library.sources[name], name


# §4.1.2.1: Raw. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("X-Test: value", " value"),
        ("X-Test:value", "value"),
        ("X-Test:  two ", "  two "),
        ("X-Test: folded\r\n\tonce\r\n and twice", " folded\r\n\tonce\r\n and twice"),
        ("X-Test: =?utf-8?q?not_decoded?=", " =?utf-8?q?not_decoded?="),
        ("X-Test: 한글 ohne Kodierung", " 한글 ohne Kodierung"),
        ("X-Test:", ""),
        ("x-TEST: whatever the case", " whatever the case"),
    ],
)
def test_4_1_2_1_raw(client: Jmap, field: str, raw: str) -> None:
    assert value(client, "header:X-Test", field) == raw
    assert value(client, "header:x-test:asRaw", field) == raw


def test_4_1_2_1_octets_that_are_no_utf_8(client: Jmap) -> None:
    """They may be decoded by a guess, or be replaced; what is answered is Unicode, and without NUL."""
    email = client.read(b"X-Test: r\xe9sum\xe9 end\r\nSubject: s\r\n\r\ntext\r\n", "header:X-Test")
    assert email["header:X-Test"] in (" r\ufffdsum\ufffd end", " résumé end")


# §4.1.2.2: Text. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (" plain", "plain"),
        ("   leading", "leading"),
        (" folded\r\n here", "folded here"),
        (" =?utf-8?B?7ZWc6riA?=", "한글"),
        (" =?utf-8?Q?caf=C3=A9_au_lait?=", "café au lait"),
        (" =?iso-8859-1?Q?caf=E9?= and more", "café and more"),
        (" =?utf-8?Q?one?= =?utf-8?Q?_word?=", "one word"),
        (" =?utf-8?Q?one?=\r\n =?utf-8?Q?_folded?=", "one folded"),
        (" =?utf-8*de?Q?mit_Sprache?=", "mit Sprache"),
        (" =?utf-8?X?what?=", "=?utf-8?X?what?="),
        (" 한글 as UTF-8", "한글 as UTF-8"),
        (" =?utf-8?B?4YSS4YWh4Yar4YSA4YWz4Yav?=", "한글"),
        (" e\u0301te\u0301", "été"),
        (" =?utf-8?Q?nul=00bell=07?=", "nulbell"),
        ("", ""),
    ],
)
def test_4_1_2_2_text(client: Jmap, raw: str, text: str) -> None:
    """RFC 2047 is decoded where it is correct, and what comes of it is in NFC."""
    assert value(client, "header:Subject:asText", f"Subject:{raw}") == text
    assert value(client, "header:X-Test:asText", f"X-Test:{raw}") == text


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        (" =?unknown-charset?Q?left?=", "left"),
        (" a=?utf-8?Q?not_at_a_word?=", "anot at a word"),
        (" =?utf-8?Q?has space?=", "has space"),
    ],
)
def test_4_1_2_2_words_where_none_may_be(client: Jmap, raw: str, decoded: str) -> None:
    """By the letter they are not decoded. Mail programs write them, above all in Korea and Japan, and what reads mail, Cyrus
    too, decodes them: so does Magpie, see docs/jmap.md. Nothing else may come of them."""
    assert value(client, "header:Subject:asText", f"Subject:{raw}") in (raw.strip(), decoded)


def test_4_1_2_2_subjects_of_real_mail(library: Library) -> None:
    wanted = {name: each["subject"] for name, each in expectations().items() if each["subject"] and name in library.ids}
    got = {name: library.client.email(library.ids[name], "subject")["subject"] for name in wanted}
    assert got == wanted


# §4.1.2.3 and §4.1.2.4: Addresses and GroupedAddresses. --------------------------------------------------

EXAMPLE = (
    'To: "  James Smythe" <james@example.com>, Friends:\r\n jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n'
    " <john@example.com>;"
)
JAMES = {"name": "James Smythe", "email": "james@example.com"}
JANE = {"name": None, "email": "jane@example.com"}
JOHN = {"name": "John Smîth", "email": "john@example.com"}


def test_4_1_2_3_the_example(client: Jmap) -> None:
    assert value(client, "header:To:asAddresses", EXAMPLE) == [JAMES, JANE, JOHN]
    assert value(client, "to", EXAMPLE) == [JAMES, JANE, JOHN]


def test_4_1_2_4_the_example(client: Jmap) -> None:
    assert value(client, "header:To:asGroupedAddresses", EXAMPLE) == [
        {"name": None, "addresses": [JAMES]},
        {"name": "Friends", "addresses": [JANE, JOHN]},
    ]


@pytest.mark.parametrize(
    ("raw", "addresses"),
    [
        ("a@example.com", [(None, "a@example.com")]),
        ("<a@example.com>", [(None, "a@example.com")]),
        ("A B <a@example.com>, c@example.com", [("A B", "a@example.com"), (None, "c@example.com")]),
        ('"B, A" <a@example.com>', [("B, A", "a@example.com")]),
        (r'"a \"quote\" \\ b" <a@example.com>', [(r'a "quote" \ b', "a@example.com")]),
        ("=?utf-8?B?7ZWc6riA?= <a@example.com>", [("한글", "a@example.com")]),
        ("=?utf-8?Q?A=2C_B?= <a@example.com>", [("A, B", "a@example.com")]),
        ("한글 <a@example.com>", [("한글", "a@example.com")]),
        ("A <a@example.com> (a comment)", [("A", "a@example.com")]),
        ("A\r\n B <a@example.com>", [("A B", "a@example.com")]),
        ('"A\r\n B" <a@example.com>', [("A B", "a@example.com")]),
        ("undisclosed-recipients:;", []),
        ("G: a@example.com;, H: b@example.com;", [(None, "a@example.com"), (None, "b@example.com")]),
        ("J. R. Public <a@example.com>", [("J. R. Public", "a@example.com")]),
        ('"x y"@example.com', [(None, '"x y"@example.com')]),
    ],
)  # fmt: skip
def test_4_1_2_3_addresses(client: Jmap, raw: str, addresses: list[tuple[str | None, str]]) -> None:
    assert value(client, "cc", f"Cc: {raw}") == [{"name": name, "email": email} for name, email in addresses]


def test_4_1_2_3_drafts_are_not_finished(client: Jmap) -> None:
    """What is no address is kept as well as it can be: nothing is lost without a word, nothing fails."""
    for raw in ("Bob", "Bob <bob@", "bob@example.com,", ", , bob@example.com", "<>", "a b c", '"open', "(open"):
        assert isinstance(value(client, "to", f"To: {raw}"), list), raw
    assert [each["email"] for each in value(client, "to", "To: , ,bob@example.com,")] == ["bob@example.com"]


@pytest.mark.parametrize(
    ("raw", "groups"),
    [
        ("a@x.example, b@x.example", [(None, ["a@x.example", "b@x.example"])]),
        ("G: ;", [("G", [])]),
        ("a@x.example, G: b@x.example;, c@x.example", [(None, ["a@x.example"]), ("G", ["b@x.example"]), (None, ["c@x.example"])]),
        ('"G, H": a@x.example;', [("G, H", ["a@x.example"])]),
        ("=?utf-8?B?7ZWc6riA?=: a@x.example;", [("한글", ["a@x.example"])]),
    ],
)  # fmt: skip
def test_4_1_2_4_groups(client: Jmap, raw: str, groups: list[tuple[str | None, list[str]]]) -> None:
    got = value(client, "header:To:asGroupedAddresses", f"To: {raw}")
    assert [(each["name"], [a["email"] for a in each["addresses"]]) for each in got] == groups


# §4.1.2.5 to §4.1.2.7: MessageIds, Date, URLs. -----------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        ("<a@example.com>", ["a@example.com"]),
        ("<a@example.com> <b@example.com>", ["a@example.com", "b@example.com"]),
        ("<a@example.com>\r\n\t<b@example.com>", ["a@example.com", "b@example.com"]),
        ("<a@example.com><b@example.com>", ["a@example.com", "b@example.com"]),
        ("(comment) <a@example.com> (another)", ["a@example.com"]),
    ],
)
def test_4_1_2_5_message_ids(client: Jmap, raw: str, ids: list[str]) -> None:
    assert value(client, "header:References:asMessageIds", f"References: {raw}") == ids
    assert value(client, "references", f"References: {raw}") == ids
    assert value(client, "inReplyTo", f"In-Reply-To: {raw}") == ids


@pytest.mark.parametrize(
    ("raw", "date"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        ("21 Nov 1997 09:55:06 +0900", "1997-11-21T09:55:06+09:00"),
        ("Fri, 21 Nov 1997 09:55 +0000", "1997-11-21T09:55:00Z"),
        ("Fri, 21 Nov 1997 09:55:06 +0000 (UTC)", "1997-11-21T09:55:06Z"),
        ("Fri, 21 Nov 1997 09:55:06 EST", "1997-11-21T09:55:06-05:00"),
        ("Fri, 21 Nov 1997 09:55:06 GMT", "1997-11-21T09:55:06Z"),
        ("Fri, 21 Nov 97 09:55:06 +0000", "1997-11-21T09:55:06Z"),
        ("Fri,\r\n 21 Nov\r\n 1997 09:55:06 +0000", "1997-11-21T09:55:06Z"),
    ],
)
def test_4_1_2_6_dates(client: Jmap, raw: str, date: str) -> None:
    """Date keeps the zone that stands there (RFC 8620 §1.4); `+00:00` and `Z` are the same."""
    wanted = datetime.datetime.fromisoformat(date)
    for property in ("sentAt", "header:Date:asDate"):
        got = datetime.datetime.fromisoformat(value(client, property, f"Date: {raw}"))
        assert (got, got.utcoffset()) == (wanted, wanted.utcoffset())


@pytest.mark.parametrize("raw", ["", "yesterday", "Fri, 99 Nov 1997 09:55:06 +0000", "Fri, 21 Foo 1997 09:55:06 +0000"])
def test_4_1_2_6_no_date_is_null(client: Jmap, raw: str) -> None:
    assert value(client, "header:Date:asDate", f"Date: {raw}") is None


@pytest.mark.parametrize(
    ("raw", "urls"),
    [
        ("<mailto:list@host.com?subject=help>", ["mailto:list@host.com?subject=help"]),
        ("<ftp://ftp.host.com/list.txt> (FTP), <mailto:list@host.com>", ["ftp://ftp.host.com/list.txt", "mailto:list@host.com"]),
        ("<https://a.example/1>,\r\n <https://a.example/2>", ["https://a.example/1", "https://a.example/2"]),
        ("(a comment) <https://a.example/>", ["https://a.example/"]),
    ],
)  # fmt: skip
def test_4_1_2_7_urls(client: Jmap, raw: str, urls: list[str]) -> None:
    assert value(client, "header:List-Help:asURLs", f"List-Help: {raw}") == urls


@pytest.mark.parametrize(
    ("property", "field"),
    [("header:List-Post:asURLs", "List-Post: NO (posting not allowed on this list)"),
     ("header:X-Ids:asMessageIds", "X-Ids: no ids at all"), ("header:X-Date:asDate", "X-Date: no date")],
)  # fmt: skip
def test_4_1_2_what_cannot_be_parsed_is_null(client: Jmap, property: str, field: str) -> None:
    assert value(client, property, field) is None


# Which forms which fields have. --------------------------------------------------------------------------

TEXT, ADDRESSES, GROUPED, IDS, DATE, URLS = (
    "asText",
    "asAddresses",
    "asGroupedAddresses",
    "asMessageIds",
    "asDate",
    "asURLs",
)
ALLOWED = {
    "Subject": (TEXT,), "Comments": (TEXT,), "Keywords": (TEXT,), "List-Id": (TEXT,),
    **dict.fromkeys(("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-Reply-To",
                     "Resent-To", "Resent-Cc", "Resent-Bcc"), (ADDRESSES, GROUPED)),
    **dict.fromkeys(("Message-ID", "In-Reply-To", "References", "Resent-Message-ID"), (IDS,)),
    **dict.fromkeys(("Date", "Resent-Date"), (DATE,)),
    **dict.fromkeys(("List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner", "List-Archive"), (URLS,)),
    "X-Anything": (TEXT, ADDRESSES, GROUPED, IDS, DATE, URLS),
}  # fmt: skip


@pytest.mark.parametrize("field", ALLOWED)
@pytest.mark.parametrize("form", [TEXT, ADDRESSES, GROUPED, IDS, DATE, URLS])
def test_4_1_2_forms_of_fields(client: Jmap, field: str, form: str) -> None:
    """§4.2: a form that a field has not MUST be refused, whatever the case of the field."""
    for name in (field, field.lower()):
        properties = [f"header:{name}:{form}", f"header:{name}:{form}:all"]
        for property in properties:
            ((told, said, _),) = client.responses(("Email/get", {"ids": [], "properties": [property]}))
            if form in ALLOWED[field]:
                assert told == "Email/get", (property, said)
            else:
                assert (told, said.get("type")) == ("error", "invalidArguments"), property


# §4.1.3: properties of header fields. --------------------------------------------------------------------


def test_4_1_3_headers_in_their_order(library: Library) -> None:
    for name, source in library.sources.items():
        if name.startswith("broken/"):
            continue
        header = source.split(b"\r\n\r\n")[0] + b"\r\n"
        fields = re.findall(rb"([!-9;-~]+)[ \t]*:((?:.|\r\n[ \t])*)\r\n", header)
        got = library.client.email(library.ids[name], "headers")["headers"]
        assert [each["name"] for each in got] == [field.decode() for field, _ in fields], name
        for each, (_, raw) in zip(got, fields):
            if raw.isascii():
                assert each["value"] == raw.decode(), (name, each)


def test_4_1_3_the_last_one_or_all(client: Jmap) -> None:
    fields = ("X-Test: one", "X-Other: x", "x-test: two")
    assert value(client, "header:X-Test", *fields) == " two"
    assert value(client, "header:X-Test:all", *fields) == [" one", " two"]
    assert value(client, "header:X-Test:asText:all", *fields) == ["one", "two"]


def test_4_1_3_none(client: Jmap) -> None:
    for property in ("header:X-None", "header:X-None:asText", "header:X-None:asAddresses", "header:Cc:asAddresses"):
        assert value(client, property) is None
        assert value(client, f"{property}:all") == []


def test_4_1_3_the_complex_example(client: Jmap) -> None:
    fields = ("Resent-To: A <a@example.com>, b@example.com", "Resent-To: c@example.com")
    assert value(client, "header:Resent-To:asAddresses:all", *fields) == [
        [{"name": "A", "email": "a@example.com"}, {"name": None, "email": "b@example.com"}],
        [{"name": None, "email": "c@example.com"}],
    ]


@pytest.mark.parametrize(
    "property",
    ["header:", "header:a b", "header:a:", "header:X:asNothing", "header:X:all:asText", "header:X:asText:none", "header:X:ALL",
     "header:X:astext", "header:한글", "Header:X", "header:X:all:all"],
)  # fmt: skip
def test_4_1_3_properties_out_of_order(client: Jmap, property: str) -> None:
    assert client.error("Email/get", ids=[], properties=[property]) == "invalidArguments"


def test_4_2_a_property_is_named_as_it_was_asked_for(client: Jmap) -> None:
    email = client.read(letter("Named"), "header:SUBJECT", "header:subject:asText", "header:Subject:all")
    assert email["header:SUBJECT"] == " Named" and email["header:subject:asText"] == "Named"
    assert email["header:Subject:all"] == [" Named"]


CONVENIENT = {
    "messageId": "header:Message-ID:asMessageIds", "inReplyTo": "header:In-Reply-To:asMessageIds",
    "references": "header:References:asMessageIds", "sender": "header:Sender:asAddresses",
    "from": "header:From:asAddresses", "to": "header:To:asAddresses", "cc": "header:Cc:asAddresses",
    "bcc": "header:Bcc:asAddresses", "replyTo": "header:Reply-To:asAddresses", "subject": "header:Subject:asText",
    "sentAt": "header:Date:asDate",
}  # fmt: skip


def test_4_1_3_convenience_properties_are_the_same_as_the_forms(library: Library) -> None:
    for name, id in library.ids.items():
        email = library.client.email(id, *CONVENIENT, *CONVENIENT.values())
        assert {p: email[p] for p in CONVENIENT} == {p: email[form] for p, form in CONVENIENT.items()}, name


def test_4_1_3_of_real_mail(library: Library) -> None:
    """Addresses and ids of Korean, Japanese and eight-bit mail."""
    client, ids = library.client, library.ids
    thread = client.email(ids["korean/iso-2022-kr-thread"], "from", "references", "inReplyTo", "sentAt")
    assert thread["from"] == [{"name": "Carol", "email": "carol@example.com"}]
    assert thread["references"] == ["20260904083000.GA1901@example.com", "20260907101500.GA4412@example.test"]
    assert thread["inReplyTo"] == ["20260907101500.GA4412@example.test"]
    assert thread["sentAt"] == "2026-09-08T14:20:29+09:00"
    wages = client.email(ids["korean/euc-kr-attachments"], "from", "to", "cc")
    assert wages["from"] == [{"name": "인사총무팀", "email": "hr@example.test"}]
    assert [each["email"] for each in wages["to"]] == ["alice@example.test", "bob@example.test"]
    assert wages["cc"] == [{"name": "재무팀", "email": "finance@example.test"}]


def test_4_1_3_of_mail_with_unencoded_addresses(library: Library) -> None:
    eight = library.client.email(library.ids["structure/headers-8bit"], "from", "to", "messageId")
    assert eight["from"] == [{"name": "Grüße aus Köln", "email": "köln@example.test"}]
    assert eight["to"] == [{"name": "Ελληνικά", "email": "alice@example.test"}]
    assert eight["messageId"] == ["öffnungszeiten@example.test"]


def test_4_1_3_of_mail_with_a_wrongly_quoted_name(library: Library) -> None:
    """An encoded word within quotes is none by RFC 2047; many servers decode it nevertheless, as mail programs do."""
    (sender,) = library.client.email(library.ids["korean/cp949-newsletter"], "from")["from"]
    assert sender["email"] == "it-operations@example.test"
    assert sender["name"] in ("전산운영팀", "=?ks_c_5601-1987?B?wPy76r/uv7XGwA==?=")
