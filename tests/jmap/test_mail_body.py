"""RFC 8621 §4.1.4 and §4.2: structure, texts, attachments and previews."""

import base64
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest

from harness.corpus import expectations
from harness.jmap import Jmap, Library, letter

DEFAULT = {"partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"}
PARTS = ["partId", "blobId", "size", "type", "name", "charset", "disposition", "cid", "subParts"]


@pytest.fixture(scope="module")
def client(library: Library) -> Jmap:
    return library.client


def walk(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A part and all below it, depth first."""
    yield part
    for child in part.get("subParts") or []:
        yield from walk(child)


def entity(media_type: str, content: str, **fields: str) -> str:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"Content-Type: {media_type}\r\n{more}\r\n{content}"


def multipart(kind: str, *parts: str, edge: str = "edge") -> str:
    inner = "".join(f"--{edge}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{edge}"\r\n\r\n{inner}--{edge}--\r\n'


def mail(entity: str) -> bytes:
    return f"From: bob@example.com\r\nSubject: body\r\nMIME-Version: 1.0\r\n{entity}".encode()


# The example of §4.1.4. ----------------------------------------------------------------------------------


def letters(parts: list[dict[str, Any]]) -> list[str]:
    return [part["cid"] for part in parts]


def test_4_1_4_the_example(client: Jmap) -> None:
    """A message with both versions that has gone through a list manager; each part is known by its Content-ID."""
    inline, attached = {"Content_Disposition": "inline"}, {"Content_Disposition": "attachment"}
    source = mail(multipart(
        "mixed",
        entity("text/plain", "A", Content_ID="<A>", **inline),
        multipart(
            "mixed",
            multipart(
                "alternative",
                multipart("mixed", entity("text/plain", "B", Content_ID="<B>", **inline),
                          entity("image/jpeg", "C", Content_ID="<C>", **inline),
                          entity("text/plain", "D", Content_ID="<D>", **inline), edge="e4"),
                multipart("related", entity("text/html", "<p>E</p>", Content_ID="<E>"),
                          entity("image/jpeg", "F", Content_ID="<F>"), edge="e5"),
                edge="e3",
            ),
            entity("image/jpeg", "G", Content_ID="<G>", **attached),
            entity("application/x-excel", "H", Content_ID="<H>"),
            entity("message/rfc822", "Subject: J\r\n\r\nJ", Content_ID="<J>"),
            edge="e2",
        ),
        entity("text/plain", "K", Content_ID="<K>", **inline),
        edge="e1",
    ))  # fmt: skip
    email = client.parsed(source, "textBody", "htmlBody", "attachments")
    assert letters(email["textBody"]) == ["A", "B", "C", "D", "K"]
    assert letters(email["htmlBody"]) == ["A", "E", "K"]
    assert letters(email["attachments"]) == ["C", "F", "G", "H", "J"]


@pytest.mark.parametrize(
    ("body", "text", "html", "attachments"),
    [
        (entity("text/plain", "x", Content_ID="<T>"), "T", "T", ""),
        (entity("text/html", "x", Content_ID="<H>"), "H", "H", ""),
        (entity("image/png", "x", Content_ID="<I>"), "I", "I", ""),
        (entity("application/pdf", "x", Content_ID="<P>"), "", "", "P"),
        (entity("text/plain", "x", Content_ID="<T>", Content_Disposition="attachment"), "", "", "T"),
        (multipart("alternative", entity("text/plain", "x", Content_ID="<T>"), entity("text/html", "x", Content_ID="<H>")),
         "T", "H", ""),
        (multipart("alternative", entity("text/html", "x", Content_ID="<H>")), "H", "H", ""),
        (multipart("alternative", entity("text/plain", "x", Content_ID="<T>")), "T", "T", ""),
        (multipart("alternative", entity("text/plain", "x", Content_ID="<T>"), entity("text/calendar", "x", Content_ID="<C>")),
         "T", "T", "C"),
        (multipart("mixed", entity("text/plain", "x", Content_ID="<T>"),
                   entity('text/plain; name="a.txt"', "x", Content_ID="<N>")), "T", "T", "N"),
        (multipart("mixed", entity("text/plain", "x", Content_ID="<T>"), entity("text/x-diff", "x", Content_ID="<D>")),
         "T", "T", "D"),
        (multipart("mixed", entity("text/plain", "x", Content_ID="<T>"), entity("image/png", "x", Content_ID="<I>"),
                   entity("audio/ogg", "x", Content_ID="<A>"), entity("video/mp4", "x", Content_ID="<V>")),
         "TIAV", "TIAV", ""),
        (multipart("related", entity("text/html", "x", Content_ID="<H>"), entity("image/png", "x", Content_ID="<I>")),
         "H", "H", "I"),
    ],
    ids=["text", "html", "image", "pdf", "text attached", "both", "only html", "only text", "calendar", "a named text",
         "another text", "media", "related"],
)  # fmt: skip
def test_4_1_4_decomposed(client: Jmap, body: str, text: str, html: str, attachments: str) -> None:
    email = client.parsed(mail(body), "textBody", "htmlBody", "attachments")
    assert letters(email["textBody"]) == list(text)
    assert letters(email["htmlBody"]) == list(html)
    assert letters(email["attachments"]) == list(attachments)


# Parts. --------------------------------------------------------------------------------------------------


def test_4_1_4_every_part_of_real_mail(library: Library) -> None:
    """Ids, sizes and contents fit; multiparts have children and nothing else has."""
    for name, id in library.ids.items():
        email = library.client.email(id, "bodyStructure", "textBody", "htmlBody", "attachments", bodyProperties=PARTS)
        parts = list(walk(email["bodyStructure"]))
        leaves = [part for part in parts if part["partId"] is not None]
        assert len({part["partId"] for part in leaves}) == len(leaves), name
        for part in parts:
            whole = part["type"].startswith("multipart/")
            assert (part["partId"] is None) == (part["blobId"] is None) == whole, (name, part)
            assert whole or not part.get("subParts"), (name, part)
            if not whole:
                assert len(library.client.download(part["blobId"])) == part["size"], (name, part)
        known = {part["partId"] for part in leaves}
        for list_ in ("textBody", "htmlBody", "attachments"):
            assert {part["partId"] for part in email[list_]} <= known, name
            assert not any(part.get("subParts") for part in email[list_]), name
        # Nothing is lost: each leaf is in one of the lists.
        assert known == {
            part["partId"] for list_ in ("textBody", "htmlBody", "attachments") for part in email[list_]
        }, name


def test_4_1_4_default_properties_of_parts(library: Library) -> None:
    email = library.client.email(library.ids["structure/attachments"], "bodyStructure", "attachments")
    assert all(set(part) - {"subParts"} == DEFAULT for part in [*walk(email["bodyStructure"]), *email["attachments"]])


def test_4_1_4_only_the_properties_asked_for(client: Jmap) -> None:
    source = mail(multipart("mixed", entity("text/plain", "x", X_Mine="yes")))
    email = client.parsed(source, "textBody", bodyProperties=["type", "header:X-Mine:asText", "header:Content-TYPE"])
    assert email["textBody"] == [
        {"type": "text/plain", "header:X-Mine:asText": "yes", "header:Content-TYPE": " text/plain"}
    ]


def test_4_1_4_headers_of_a_part(client: Jmap) -> None:
    source = mail(multipart("mixed", entity("text/plain", "x", X_Mine="yes")))
    email = client.parsed(source, "textBody", bodyProperties=["headers"])
    assert email["textBody"][0]["headers"] == [
        {"name": "Content-Type", "value": " text/plain"},
        {"name": "X-Mine", "value": " yes"},
    ]


@pytest.mark.parametrize("property", ["unheardOf", "header:From:asDate", "subject"])
def test_4_2_invalid_properties_of_parts(client: Jmap, property: str) -> None:
    assert client.error("Email/get", ids=[], bodyProperties=[property]) == "invalidArguments"


def part(client: Jmap, fields: str, *properties: str, content: str = "x") -> dict[str, Any]:
    source = f"From: bob@example.com\r\nSubject: part\r\nMIME-Version: 1.0\r\n{fields}\r\n{content}".encode()
    return client.parsed(source, "bodyStructure", bodyProperties=list(properties))["bodyStructure"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ('Content-Disposition: attachment; filename="report.pdf"\r\n', "report.pdf"),
        ('Content-Type: application/pdf; name="report.pdf"\r\n', "report.pdf"),
        (
            'Content-Type: application/pdf; name="no.pdf"\r\nContent-Disposition: attachment; filename="yes.pdf"\r\n',
            "yes.pdf",
        ),
        ("Content-Disposition: attachment; filename*=utf-8''%ED%95%9C%EA%B8%80.pdf\r\n", "한글.pdf"),
        ("Content-Disposition: attachment; filename*0=re; filename*1=port.pdf\r\n", "report.pdf"),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''%ED%95%9C; filename*1*=%EA%B8%80; filename*2=.pdf\r\n",
            "한글.pdf",
        ),
        ('Content-Type: application/pdf; name="=?utf-8?B?7ZWc6riALnBkZg==?="\r\n', "한글.pdf"),
        ("Content-Type: application/pdf; name==?utf-8?B?7ZWc6riALnBkZg==?=\r\n", "한글.pdf"),
        ("Content-Type: application/pdf\r\n", None),
        ("", None),
    ],
)
def test_4_1_4_names(client: Jmap, fields: str, name: str | None) -> None:
    assert part(client, fields, "name")["name"] == name


def test_4_1_4_names_of_real_attachments(library: Library) -> None:
    """RFC 2231 in EUC-KR, encoded words, decomposed Hangul."""
    names = []
    for each in ("korean/euc-kr-attachments", "japanese/utf-8-nfd-report", "structure/attachments"):
        names += [part["name"] for part in library.client.email(library.ids[each], "attachments")["attachments"]]
    assert "급여명세서.pdf" in names and "volume-0.pdf" in names
    assert all(names)


@pytest.mark.parametrize(
    ("fields", "media_type", "charset"),
    [
        ("Content-Type: text/plain; charset=utf-8\r\n", "text/plain", "utf-8"),
        ("Content-Type: text/html\r\n", "text/html", "us-ascii"),
        ("", "text/plain", "us-ascii"),
        ("Content-Type: TEXT/Plain (comment); CHARSET=EUC-KR\r\n", "text/plain", "EUC-KR"),
        ("Content-Type: application/pdf\r\n", "application/pdf", None),
    ],
)
def test_4_1_4_types_and_charsets(client: Jmap, fields: str, media_type: str, charset: str | None) -> None:
    got = part(client, fields, "type", "charset")
    assert got["type"].lower() == media_type
    assert got["charset"] == charset or (got["charset"] or "").lower() == (charset or "").lower()


def test_4_1_4_the_implicit_type_within_a_digest(client: Jmap) -> None:
    source = mail(multipart("digest", "\r\nSubject: inner\r\n\r\ntext"))
    (inner,) = client.parsed(source, "bodyStructure", bodyProperties=["type", "subParts"])["bodyStructure"]["subParts"]
    assert inner["type"] == "message/rfc822" and not inner.get("subParts")


def test_4_1_4_disposition_language_location_and_id(client: Jmap) -> None:
    fields = ("Content-Disposition: INLINE; filename=x\r\nContent-Language: de, en-US\r\nContent-Location: https://a.example/x\r\n"
              "Content-ID: <an.id@example.com> (comment)\r\n")  # fmt: skip
    got = part(client, fields, "disposition", "language", "location", "cid")
    assert got["disposition"].lower() == "inline" and got["language"] == ["de", "en-US"]
    assert (got["location"], got["cid"]) == ("https://a.example/x", "an.id@example.com")
    none = part(client, "", "disposition", "language", "location", "cid")
    assert all(none.get(name) is None for name in ("disposition", "language", "location", "cid"))


def test_4_1_4_blobs_are_decoded(client: Jmap) -> None:
    for encoding, content in (("base64", "7ZWc6riA"), ("quoted-printable", "=ED=95=9C=EA=B8=80"), ("8bit", "한글")):
        fields = f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
        got = part(client, fields, "blobId", "size", content=content)
        assert client.download(got["blobId"]) == "한글".encode() and got["size"] == 6, encoding


# Texts. --------------------------------------------------------------------------------------------------


def body(client: Jmap, fields: str, content: bytes, **more: Any) -> dict[str, Any]:
    """The only body value of a message."""
    source = f"From: bob@example.com\r\nSubject: value\r\nMIME-Version: 1.0\r\n{fields}\r\n".encode() + content
    email = client.parsed(source, "bodyValues", "textBody", fetchAllBodyValues=True, **more)
    ((_, found),) = email["bodyValues"].items()
    return found


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("utf-8", "utf-8", "한글 日本語 é 🙂"),
        ("euc-kr", "euc-kr", "한글 편지"),
        ("euc-kr", "cp949", "똠방각하"),
        ("ks_c_5601-1987", "cp949", "아햏햏"),
        ("iso-2022-kr", "iso2022_kr", "한글"),
        ("iso-2022-jp", "iso2022_jp", "日本語の手紙"),
        ("shift_jis", "cp932", "①表示ソ"),
        ("euc-jp", "euc_jp", "文字化け"),
        ("iso-8859-1", "latin-1", "Grüße"),
        ("windows-1252", "cp1252", "“quoted” €"),
        ("koi8-r", "koi8_r", "Привет"),
        ("gb2312", "gbk", "邮件"),
        ("big5", "big5", "郵件"),
        ("UTF-16", "utf-16", "wide"),
    ],
)
def test_4_1_4_values_are_unicode(client: Jmap, charset: str, codec: str, text: str) -> None:
    fields = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n"
    encoded = base64.b64encode(text.encode(codec))
    got = body(client, fields, encoded)
    assert got["value"] == text
    assert not got.get("isEncodingProblem") and not got.get("isTruncated")


def test_4_1_4_line_ends_are_lf(client: Jmap) -> None:
    got = body(client, "Content-Type: text/plain\r\n", b"one\r\ntwo\r\n\r\nend")
    assert got["value"] == "one\ntwo\n\nend"


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", b"good \xff\xfe bad"),
        ("Content-Type: text/plain; charset=no-such-charset\r\n", b"good"),
    ],
    ids=["malformed", "unknown charset"],
)
def test_4_1_4_encoding_problems_are_told(client: Jmap, fields: str, content: bytes) -> None:
    got = body(client, fields, content)
    assert got["isEncodingProblem"] is True and "good" in got["value"]


def test_4_1_4_words_of_real_mail(library: Library) -> None:
    """What a reader of Korean and Japanese mail finds is in its texts, whatever charset they came in."""
    missing = []
    for name, wanted in expectations().items():
        if not name.startswith(("korean/", "japanese/")):
            continue
        email = library.client.email(library.ids[name], "bodyValues", "subject", fetchAllBodyValues=True)
        text = (email["subject"] or "") + "".join(each["value"] for each in email["bodyValues"].values())
        # What was decomposed stays so in a body.
        text = unicodedata.normalize("NFC", text.replace("\n", ""))
        missing += [(name, word) for word in wanted["finds"] if word not in text]
    assert missing == []


# §4.2: which values, and how much of them. ---------------------------------------------------------------

BOTH = mail(multipart("mixed",
                      multipart("alternative", entity("text/plain", "plain"), entity("text/html", "<p>html</p>"), edge="in"),
                      entity("text/csv", "a,b", Content_Disposition="attachment"), entity("image/png", "x")))  # fmt: skip


@pytest.mark.parametrize(
    ("more", "values"),
    [
        ({}, set()),
        ({"fetchTextBodyValues": True}, {"plain"}),
        ({"fetchHTMLBodyValues": True}, {"<p>html</p>"}),
        ({"fetchTextBodyValues": True, "fetchHTMLBodyValues": True}, {"plain", "<p>html</p>"}),
        ({"fetchAllBodyValues": True}, {"plain", "<p>html</p>", "a,b"}),
    ],
    ids=str,
)
def test_4_2_which_values(client: Jmap, more: dict[str, bool], values: set[str]) -> None:
    email = client.parsed(BOTH, "bodyValues", **more)
    assert {each["value"] for each in email["bodyValues"].values()} == values


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6, 7, 8, 9, 100])
def test_4_2_truncated_between_characters(client: Jmap, most: int) -> None:
    text = "aé한🙂"
    got = body(client, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", text.encode(),
               maxBodyValueBytes=most)  # fmt: skip
    assert len(got["value"].encode()) <= most and text.startswith(got["value"])
    assert bool(got.get("isTruncated")) == (got["value"] != text)
    # Not a character less than fits.
    assert got["value"] == text.encode()[:most].decode(errors="ignore")


def test_4_2_zero_is_no_limit(client: Jmap) -> None:
    got = body(client, "", b"x" * 5000, maxBodyValueBytes=0)
    assert got["value"] == "x" * 5000 and not got.get("isTruncated")


def test_4_2_html_is_not_cut_within_a_tag(client: Jmap) -> None:
    html = b'<p>Hello <a href="https://example.com/a/long/address">link</a></p>'
    for most in range(1, len(html)):
        got = body(client, "Content-Type: text/html\r\n", html, maxBodyValueBytes=most)
        assert got["value"].rfind("<") <= got["value"].rfind(">"), (most, got)
        assert html.decode().startswith(got["value"]) and got["isTruncated"]


def test_4_2_default_properties(client: Jmap) -> None:
    (id,) = client.store(letter("Defaults"))
    assert set(client.email(id)) == {
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "inReplyTo", "references",
        "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt", "hasAttachment", "preview", "bodyValues",
        "textBody", "htmlBody", "attachments",
    }  # fmt: skip
    client.destroy("Email", id)


# hasAttachment and preview. ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "has"),
    [
        (mail(entity("text/plain", "x")), False),
        (mail(multipart("mixed", entity("text/plain", "x"), entity("application/pdf", "x"))), True),
        (mail(multipart("mixed", entity("text/plain", "x"), entity("text/plain", "x", Content_Disposition="attachment"))), True),
        (mail(multipart("alternative", entity("text/plain", "x"), entity("text/html", "<p>x"))), False),
        (mail(multipart("related", entity("text/html", '<img src="cid:i">'),
                        entity("image/png", "x", Content_ID="<i>", Content_Disposition="inline"))), False),
    ],
    ids=["text", "pdf", "text attached", "alternative", "an inline image"],
)  # fmt: skip
def test_4_1_4_has_attachment(client: Jmap, source: bytes, has: bool) -> None:
    assert client.parsed(source, "hasAttachment")["hasAttachment"] is has


def test_4_1_4_previews_of_real_mail(library: Library) -> None:
    for name, id in library.ids.items():
        preview = library.client.email(id, "preview")["preview"]
        assert isinstance(preview, str) and len(preview) <= 256 and "\r" not in preview, name
        assert "\ufffd" not in preview or name.startswith("broken/"), (name, preview)
    preview = library.client.email(library.ids["japanese/iso-2022-jp-windows"], "preview")["preview"]
    assert "改札口" in preview


def test_4_1_4_previews_show_no_markup(client: Jmap) -> None:
    source = mail(
        entity("text/html", "<html><head><style>p{color:red}</style></head><body><p>Fish &amp; chips</p></body></html>")
    )
    preview = client.parsed(source, "preview")["preview"]
    assert preview.strip() == "Fish & chips"
