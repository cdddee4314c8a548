"""Uploads and downloads: ranges, conditions, compression, and how much memory they take."""

import base64
import gzip
import hashlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from harness.curl import curl
from harness.server import PASSWORD, Magpie
from harness.web import Web
from harness.wire import Wire


@pytest.fixture
def web(magpie: Magpie, user: str) -> Iterator[Web]:
    with Web(magpie, user) as client:
        yield client


def ask(web: Web, magpie: Magpie, user: str, blob: str, *options: str, media_type: str = "text/plain") -> bytes:
    url = f"https://127.0.0.1:{magpie.port('https')}{web.file(blob, media_type)}"
    return curl("--insecure", "--user", f"{user}:{PASSWORD}", *options, url)


def attachment(content: bytes) -> bytes:
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return (
        b"From: a@example.com\r\nTo: b@example.test\r\nSubject: file\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        b"--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded
        + b"--x--\r\n"
    )


@pytest.mark.parametrize("what", ["upload", "message", "attachment", "small attachment"])
def test_any_range_of_anything(magpie: Magpie, web: Web, user: str, address: str, what: str) -> None:
    size = 2_000 if what.startswith("small") else 3_000_000
    content = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(size // 32))
    if what == "upload":
        blob = web.upload(content)
    else:
        magpie.deliver(address, attachment(content))
        emails = web.call("Email/query")["ids"]
        email = web.call("Email/get", ids=emails, properties=["blobId", "attachments"])["list"][0]
        blob = email["blobId"] if what == "message" else email["attachments"][0]["blobId"]
    whole = ask(web, magpie, user, blob, "--http2")
    assert what == "message" or whole == content
    end = len(whole)
    for first, last in [(0, 0), (1, 500), (end // 2, end - 1), (end - 1, end - 1), (17, end // 2), (0, end)]:
        assert ask(web, magpie, user, blob, "--range", f"{first}-{last}") == whole[first : last + 1]
    assert ask(web, magpie, user, blob, "--range", "-77") == whole[-77:]
    assert ask(web, magpie, user, blob, "--range", "77-") == whole[77:]
    beyond = ask(web, magpie, user, blob, "--range", f"{end}-", "--include", "--http1.1")
    assert beyond.startswith(b"HTTP/1.1 416") and f"content-range: bytes */{end}".encode() in beyond


def test_a_download_goes_on_where_it_was_cut(magpie: Magpie, web: Web, user: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    blob = web.upload(content)
    part = tmp_path / "part"
    part.write_bytes(content[:1_000_000])
    ask(web, magpie, user, blob, "--continue-at", "-", "--output", str(part))
    assert part.read_bytes() == content


def test_only_what_is_asked_for_is_read(magpie: Magpie, web: Web, user: str) -> None:
    content = hashlib.shake_256(b"x").digest(30 << 20)
    blob = web.upload(content)

    def read() -> int:
        text = curl(f"http://127.0.0.1:{magpie.port('http')}/metrics").decode()
        return sum(
            int(float(line.split()[-1]))
            for line in text.splitlines()
            if line.startswith("magpie_blob_read_bytes_total")
        )

    before = read()
    assert ask(web, magpie, user, blob, "--range", "20000000-20000099") == content[20_000_000:20_000_100]
    assert read() - before < 1 << 20
    before = read()
    head = ask(web, magpie, user, blob, "--head", "--http1.1")
    assert f"content-length: {30 << 20}".encode() in head and b"accept-ranges: bytes" in head
    tag = f'If-None-Match: "{blob}"'
    known = ask(web, magpie, user, blob, "--include", "--header", tag, "--http1.1")
    assert known.startswith(b"HTTP/1.1 304") and known.endswith(b"\r\n\r\n")
    assert read() == before


def test_text_is_compressed(magpie: Magpie, web: Web, user: str) -> None:
    content = "모두 같은 글 all the same text\n".encode() * 5_000
    blob = web.upload(content, "text/plain")
    packed = ask(web, magpie, user, blob, "--header", "Accept-Encoding: gzip")
    assert gzip.decompress(packed) == content and len(packed) < len(content) // 20
    assert ask(web, magpie, user, blob, "--compressed") == content
    assert ask(web, magpie, user, blob, "--header", "Accept-Encoding: gzip", media_type="image/png") == content


def test_answers_to_requests_are_not(magpie: Magpie, web: Web, user: str) -> None:
    """What others have written stands beside what they should not know: lengths must not tell of it (BREACH)."""
    body = '{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{"a":"' + "x" * 50_000 + '"},"a"]]}'
    answer = subprocess.run(
        ["curl", "--silent", "--insecure", "--user", f"{user}:{PASSWORD}", "--header", "Accept-Encoding: gzip, zstd",
         "--header", "Content-Type: application/json", "--data-binary", "@-", web.session["apiUrl"]],
        input=body.encode(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert b"x" * 50_000 in answer


def test_what_comes_compressed_is_refused(magpie: Magpie, web: Web, user: str) -> None:
    url = f"https://127.0.0.1:{magpie.port('https')}/jmap/upload/{web.account}/"
    bomb = gzip.compress(bytes(10 << 20))
    done = subprocess.run(
        ["curl", "--silent", "--insecure", "--user", f"{user}:{PASSWORD}", "--header", "Content-Encoding: gzip",
         "--data-binary", "@-", "--output", "/dev/null", "--write-out", "%{http_code}", url],
        input=bomb, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b"415"


@pytest.mark.parametrize("name", ["사진 (최종).png", "写真.jpg", "ملف.txt", "a\u202egpj.exe", 'q"u;o\\te.txt'])
def test_names_in_any_script(magpie: Magpie, web: Web, name: str) -> None:
    blob = web.upload(b"x")
    answer = web.get(f"/jmap/download/{web.account}/{blob}/{quote(name, safe='')}")
    field = answer.headers["Content-Disposition"]
    assert field.startswith('attachment; filename="') and "filename*=UTF-8''" in field
    told = field.split("UTF-8''")[1]
    wanted = "".join("_" if c in '\u202e"\\' else c for c in name)
    assert unquote(told) == wanted


def test_uploads_take_no_memory(magpie: Magpie, web: Web, user: str) -> None:
    """Four files of the largest size at once, of which the last octets are missing: they are on disk."""
    size = 50 << 20
    piece = hashlib.shake_256(b"y").digest(1 << 20)
    login = base64.b64encode(f"{user}:{PASSWORD}".encode())
    before = magpie.memory()
    uploads = []
    for _ in range(4):
        wire = Wire(magpie, "http", timeout=60)
        wire.send(
            b"POST /jmap/upload/%s/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\nContent-Length: %d\r\n\r\n"
            % (web.account.encode(), login, size)
        )
        uploads.append(wire)

    def fill(wire: Wire) -> None:
        for n in range(49):
            wire.send(bytes([n]) + piece[1:])

    threads = [threading.Thread(target=fill, args=(wire,)) for wire in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grown = magpie.memory() - before
    assert grown < 40 << 20, f"{grown >> 20} MiB for {4 * 49} MiB of uploads"
    for wire in uploads:
        wire.send(piece)
        assert wire.line().startswith(b"HTTP/1.1 201")
    assert magpie.memory() - before < 60 << 20
