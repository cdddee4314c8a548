"""RFC 8620 §6: what is uploaded and downloaded."""

import email.message
import hashlib
import re
import urllib.parse
from collections.abc import Iterator

import pytest

from harness.jmap import Jmap, Server, expand, letter

CONTENT = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Jmap]:
    """One account for all of these tests."""
    client = Jmap(server.account())
    yield client
    client.close()


def test_6_1_what_an_upload_is_answered_with(client: Jmap) -> None:
    answer = client.upload(CONTENT, "image/png")
    assert answer["accountId"] == client.account
    assert (answer["type"], answer["size"]) == ("image/png", len(CONTENT))
    assert isinstance(answer["blobId"], str)


def test_6_1_it_is_201_and_json(client: Jmap) -> None:
    url = client.session["uploadUrl"].replace("{accountId}", client.account)
    answer = client.open(url, CONTENT, Content_Type="image/png")
    assert (answer.status, answer.media_type) == (201, "application/json")


def test_6_1_octets_come_back_as_they_are(client: Jmap) -> None:
    for content in (CONTENT, b"\0", b"a\nb\r\nc\r", "한글".encode("cp949")):
        blob = client.upload(content)["blobId"]
        assert client.download(blob) == content


def test_6_1_nothing_is_a_blob_too(client: Jmap) -> None:
    answer = client.upload(b"", "text/plain")
    assert answer["size"] == 0 and client.download(answer["blobId"]) == b""


def test_6_1_an_account_of_somebody_else(client: Jmap, stranger: Jmap) -> None:
    for account in ("nobody", stranger.account):
        url = client.session["uploadUrl"].replace("{accountId}", account)
        answer = client.open(url, b"x", Content_Type="text/plain")
        assert answer.status in (403, 404), account


def test_6_1_needs_a_login(client: Jmap) -> None:
    url = client.session["uploadUrl"].replace("{accountId}", client.account)
    assert client.open(url, b"x", Content_Type="text/plain", Authorization=None).status == 401


def test_6_1_a_large_one(client: Jmap) -> None:
    content = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(400_000))
    blob = client.upload(content)["blobId"]
    assert hashlib.sha256(client.download(blob)).digest() == hashlib.sha256(content).digest()


def test_6_2_the_type_is_the_one_asked_for(client: Jmap) -> None:
    blob = client.upload(CONTENT, "image/png")["blobId"]
    for media_type in ("image/png", "application/octet-stream", "application/pdf"):
        assert client.open(client.download_url(blob, "x", media_type)).media_type == media_type


@pytest.mark.parametrize("name", ["report.pdf", "한글 파일.txt", "a;b=c.txt"])
def test_6_2_the_name_is_the_one_asked_for(client: Jmap, name: str) -> None:
    """RFC 6266, RFC 8187."""
    blob = client.upload(CONTENT)["blobId"]
    field = client.open(client.download_url(blob, name)).headers["Content-Disposition"]
    assert field.startswith("attachment")
    extended = re.search(r"filename\*=UTF-8''([^;]+)", field, re.IGNORECASE)
    message = email.message.EmailMessage()
    message["Content-Disposition"] = field
    assert (urllib.parse.unquote(extended[1]) if extended else message.get_filename()) == name


def test_6_2_a_blob_never_changes_and_may_be_cached(client: Jmap) -> None:
    blob = client.upload(CONTENT)["blobId"]
    field = client.open(client.download_url(blob)).headers["Cache-Control"]
    assert "private" in field and ("immutable" in field or "max-age" in field) and "no-store" not in field


def test_6_2_a_blob_that_is_not_there(client: Jmap, stranger: Jmap) -> None:
    secret = stranger.upload(b"a secret of mine")["blobId"]
    for blob in ("nobody", secret):
        assert client.open(client.download_url(blob)).status == 404


def test_6_2_an_account_that_is_not_mine(client: Jmap, stranger: Jmap) -> None:
    blob = stranger.upload(b"another secret")["blobId"]
    values = {"accountId": stranger.account, "blobId": blob, "name": "x", "type": "text/plain"}
    assert client.open(expand(client.session["downloadUrl"], values)).status in (403, 404)


def test_6_2_needs_a_login(client: Jmap) -> None:
    blob = client.upload(CONTENT)["blobId"]
    assert client.open(client.download_url(blob), Authorization=None).status == 401


def test_6_2_an_email_and_its_parts(client: Jmap) -> None:
    mail = letter("A blob", "VGV4dA==\r\n", Content_Transfer_Encoding="base64")
    (id,) = client.store(mail)
    found = client.email(id, "blobId", "size", "bodyStructure")
    raw = client.download(found["blobId"])
    assert raw == mail and len(raw) == found["size"]
    part = found["bodyStructure"]
    assert client.download(part["blobId"]) == b"Text" and part["size"] == 4


def test_6_2_names_of_blobs_are_taken_apart_carefully(client: Jmap) -> None:
    for blob in ("../../etc/passwd", "%00", "a/b", "한글", "x" * 5000):
        url = client.download_url("BLOB").replace("BLOB", urllib.parse.quote(blob, safe=""))
        assert client.open(url).status in (400, 404, 414), blob
