"""JMAP over HTTP, with a client of a few lines: what IMAP and SMTP do is seen, and the other way round."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest

from harness import corpus, giants
from harness.server import DOMAIN, PASSWORD, Magpie

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class Client:
    """A user's session, found where RFC 8620 §2.2 says."""

    def __init__(self, magpie: Magpie, user: str, tls: bool = True):
        scheme, listener = ("https", "https") if tls else ("http", "http")
        self.login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        self.session = json.loads(self.open(f"{scheme}://127.0.0.1:{magpie.port(listener)}/.well-known/jmap"))
        self.account = self.session["primaryAccounts"]["urn:ietf:params:jmap:mail"]

    def open(self, url: str, body: bytes | None = None, media_type: str = "application/json", **fields: str) -> bytes:
        headers = {"Authorization": f"Basic {self.login}", **{k.replace("_", "-"): v for k, v in fields.items()}}
        if body is not None:
            headers["Content-Type"] = media_type
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(url, body, headers)
        with urllib.request.urlopen(request, context=context if url.startswith("https") else None) as answer:
            self.headers = answer.headers
            return answer.read()

    def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        methods = [
            [name, {"accountId": self.account, **arguments}, str(i)] for i, (name, arguments) in enumerate(calls)
        ]
        body = json.dumps({"using": USING, "methodCalls": methods}).encode()
        answer = json.loads(self.open(self.session["apiUrl"], body))
        assert answer["sessionState"] == self.session["state"]
        return [(name, arguments) for name, arguments, _ in answer["methodResponses"]]

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        ((told, response),) = self.calls((name, arguments))
        assert told == name, response
        return response

    def download(self, blob: str, name: str = "file", media_type: str = "text/html") -> bytes:
        url = self.session["downloadUrl"]
        for variable, value in {"accountId": self.account, "blobId": blob, "name": name, "type": media_type}.items():
            url = url.replace(f"{{{variable}}}", urllib.request.quote(value, safe=""))
        return self.open(url)

    def upload(self, content: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
        url = self.session["uploadUrl"].replace("{accountId}", self.account)
        return json.loads(self.open(url, content, media_type))


@pytest.fixture(params=[True, False], ids=["https", "http"])
def client(request: pytest.FixtureRequest, magpie: Magpie, user: str) -> Client:
    return Client(magpie, user, request.param)


def reference(call: int, name: str, path: str) -> dict[str, str]:
    return {"resultOf": str(call), "name": name, "path": path}


def test_a_delivery_is_seen(magpie: Magpie, client: Client, address: str) -> None:
    before = client.call("Email/get", ids=[])["state"]
    sent = giants.letter(1)
    magpie.deliver(address, sent)
    inbox = client.call("Mailbox/query", filter={"role": "inbox"})["ids"][0]
    (_, query), (_, emails), (_, changes) = client.calls(
        ("Email/query", {"filter": {"inMailbox": inbox}, "limit": 10, "calculateTotal": True}),
        ("Email/get", {"#ids": reference(0, "Email/query", "/ids"), "properties": ["subject", "blobId", "size"]}),
        ("Email/changes", {"sinceState": before}),
    )
    assert query["total"] == 1 and changes["created"] == query["ids"]
    (email,) = emails["list"]
    raw = client.download(email["blobId"])
    assert corpus.without_trace(raw, sent) == sent and email["size"] == len(raw)


def test_what_imap_changes_is_seen_and_the_other_way_round(
    magpie: Magpie, client: Client, user: str, address: str
) -> None:
    magpie.deliver(address, giants.letter(2))
    (_, query), (_, emails) = client.calls(
        ("Email/query", {"limit": 10}),
        ("Email/get", {"#ids": reference(0, "Email/query", "/ids"), "properties": ["keywords"]}),
    )
    email, state = query["ids"][0], emails["state"]
    with magpie.imap(user) as imap:
        imap.select("INBOX")
        imap.store("1", "+FLAGS", r"(\Flagged)")
    assert client.call("Email/changes", sinceState=state)["updated"] == [email]
    assert client.call("Email/get", ids=[email])["list"][0]["keywords"] == {"$flagged": True}
    changed = client.call("Email/set", update={email: {"keywords/$seen": True, "keywords/$flagged": None}})
    assert changed["updated"] == {email: None}
    with magpie.imap(user) as imap:
        imap.select("INBOX")
        (flags,) = imap.fetch("1", "(FLAGS)")[1]
        assert rb"\Seen" in flags and rb"\Flagged" not in flags
    assert client.call("Email/set", destroy=[email])["destroyed"] == [email]
    with magpie.imap(user) as imap:
        assert imap.select("INBOX")[1] == [b"0"]


def test_an_upload_becomes_an_attachment(client: Client) -> None:
    content = bytes(range(256)) * 500
    uploaded = client.upload(content, "image/png")
    assert uploaded["size"] == len(content) and uploaded["type"] == "image/png"
    assert client.download(uploaded["blobId"]) == content
    inbox = client.call("Mailbox/query", filter={"role": "inbox"})["ids"][0]
    (_, made), (_, emails) = client.calls(
        ("Email/set", {"create": {"new": {
            "mailboxIds": {inbox: True}, "subject": "한글 제목", "from": [{"email": f"a@{DOMAIN}"}],
            "bodyValues": {"t": {"value": "text\n"}}, "textBody": [{"partId": "t"}],
            "attachments": [{"blobId": uploaded["blobId"], "type": "image/png", "name": "사진.png"}],
        }}}),
        ("Email/get", {"ids": ["#new"], "properties": ["subject", "attachments"]}),
    )  # fmt: skip
    assert made["notCreated"] is None
    (email,) = emails["list"]
    (attachment,) = email["attachments"]
    assert (email["subject"], attachment["name"], attachment["size"]) == ("한글 제목", "사진.png", len(content))
    assert client.download(attachment["blobId"], "사진.png") == content
    assert client.headers["Content-Disposition"].startswith("attachment;")
    assert client.headers["X-Content-Type-Options"] == "nosniff"
    assert client.headers["Content-Security-Policy"].startswith("sandbox")


def test_anothers_blobs_are_not_there(magpie: Magpie, client: Client) -> None:
    other = Client(magpie, "bob")
    secret = other.upload(b"secret")["blobId"]
    url = (
        other.session["downloadUrl"].replace("{blobId}", secret).replace("{name}", "x").replace("{type}", "text/plain")
    )
    for account in (other.account, client.account):
        with pytest.raises(urllib.error.HTTPError) as error:
            client.open(url.replace("{accountId}", account))
        assert error.value.code == 404


def test_50_more_objects_than_one_call_may_ask_for(client: Client) -> None:
    ids = [f"M{number}T1" for number in range(100_000)]
    (told, error), (_, echo) = client.calls(("Email/get", {"ids": ids}), ("Core/echo", {"still": "here"}))
    assert (told, error["type"]) == ("error", "requestTooLarge")
    assert echo["still"] == "here"


def test_51_pages_of_others_are_not_heard(client: Client) -> None:
    body = json.dumps({"using": USING, "methodCalls": []}).encode()
    for media_type, origin in [("text/plain", "https://evil.example"), ("application/json", "https://evil.example")]:
        with pytest.raises(urllib.error.HTTPError) as error:
            client.open(client.session["apiUrl"], body, media_type, Origin=origin)
        assert error.value.code == 403


def test_49_requests_that_are_refused_whole(client: Client) -> None:
    for body, kind in [
        (b"[" * 1_000_000, "notRequest"),
        (b"{", "notJSON"),
        (b'{"using":[],"methodCalls":[' + b",".join([b'["Core/echo",{},"a"]'] * 10_000) + b"]}", "limit"),
    ]:
        with pytest.raises(urllib.error.HTTPError) as error:
            client.open(client.session["apiUrl"], body)
        assert error.value.code == 400
        assert json.load(error.value)["type"] == f"urn:ietf:params:jmap:error:{kind}"
    assert client.call("Core/echo", still="here")["still"] == "here"


def test_an_event_source_hears_of_a_delivery(magpie: Magpie, client: Client, address: str) -> None:
    url = client.session["eventSourceUrl"]
    for variable, value in {"types": "EmailDelivery", "closeafter": "state", "ping": "0"}.items():
        url = url.replace(f"{{{variable}}}", value)
    state = client.call("Email/get", ids=[])["state"]
    magpie.deliver(address, giants.letter(3))
    # It comes late, says what it knows, and hears of what it has missed.
    lines = client.open(url, Last_Event_ID=state).decode().splitlines()
    assert lines[0] == "event: state"
    assert lines[1] == f"id: {client.call('Email/get', ids=[])['state']}"
    changed = json.loads(lines[2].removeprefix("data: "))["changed"]
    assert list(changed[client.account]) == ["EmailDelivery"]
