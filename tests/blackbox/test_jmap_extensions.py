"""Blobs within requests (RFC 9404) and quotas (RFC 9425), as IMAP and SMTP see the same account."""

import base64
import hashlib
import json
import urllib.request

from harness import giants
from harness.away import ask
from harness.patience import inbox
from harness.server import PASSWORD, Magpie


def test_ranges_and_digests_of_what_came_by_smtp(magpie: Magpie, user: str, address: str) -> None:
    content = bytes(range(256)) * 2_000
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = b"Subject: attached\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    magpie.deliver(address, head + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded)
    inbox(magpie, user, 1)
    email = ask(magpie, user, "Email/get", ids=None, properties=["blobId", "attachments", "threadId", "mailboxIds"])[
        "list"
    ][0]
    [attachment] = email["attachments"]
    blob = attachment["blobId"]
    wanted = ["data:asBase64", "digest:sha-256", "size"]
    [got] = ask(magpie, user, "Blob/get", ids=[blob], properties=wanted, offset=100_000, length=1_000)["list"]
    part = content[100_000:101_000]
    assert base64.b64decode(got["data:asBase64"]) == part and got["size"] == len(content)
    assert base64.b64decode(got["digest:sha-256"]) == hashlib.sha256(part).digest()
    # The parts of two blobs become one, which is an attachment of a draft then.
    sources = [{"blobId": blob, "offset": 10, "length": 20}, {"data:asText": "글"}]
    made = ask(magpie, user, "Blob/upload", create={"k": {"data": sources, "type": "text/plain"}})["created"]["k"]
    [again] = ask(magpie, user, "Blob/get", ids=[made["id"]], properties=["data:asBase64"])["list"]
    assert base64.b64decode(again["data:asBase64"]) == content[10:30] + "글".encode()
    [found] = ask(magpie, user, "Blob/lookup", typeNames=["Email", "Mailbox", "Thread"], ids=[blob])["list"]
    assert found["matchedIds"] == {
        "Email": [email["id"]], "Mailbox": list(email["mailboxIds"]), "Thread": [email["threadId"]],
    }  # fmt: skip


def test_a_quota_follows_what_comes_and_what_the_operator_says(magpie: Magpie, user: str, address: str) -> None:
    assert ask(magpie, user, "Quota/get", ids=None)["list"] == []
    magpie.cli("account", "quota", address, "--messages", "10")
    before = ask(magpie, user, "Quota/get", ids=None)
    [quota] = before["list"]
    assert (quota["id"], quota["used"], quota["hardLimit"]) == ("count", 0, 10)
    magpie.deliver(address, giants.letter(1))
    inbox(magpie, user, 1)
    changes = ask(magpie, user, "Quota/changes", sinceState=before["state"])
    assert (changes["updated"], changes["updatedProperties"]) == (["count"], ["used"])
    assert ask(magpie, user, "Quota/get", ids=["count"])["list"][0]["used"] == 1


def poll(magpie: Magpie, user: str, since: str) -> dict:
    """What has become of the quotas since a state, by a request that waits for it."""
    login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    url = f"http://127.0.0.1:{magpie.port('http')}/jmap/poll?since={since}&types=Quota&timeout=60"
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=90) as answer:
        return json.loads(answer.read())


def test_clients_are_told_of_quotas(magpie: Magpie, user: str, address: str) -> None:
    """RFC 9425 §5: of what an operator sets, and of what comes; not of what is read."""
    state = ask(magpie, user, "Quota/get", ids=None)["state"]
    magpie.cli("account", "quota", address, "--bytes", "1M")
    told = poll(magpie, user, state)
    ((_, states),) = told["changed"].items()
    quotas = ask(magpie, user, "Quota/get", ids=None)
    assert states == {"Quota": quotas["state"]} and quotas["list"][0]["hardLimit"] == 1 << 20
    magpie.deliver(address, giants.letter(1))
    inbox(magpie, user, 1)
    told = poll(magpie, user, told["pushState"])
    assert list(told["changed"].values()) == [{"Quota": ask(magpie, user, "Quota/get", ids=[])["state"]}]
    [email] = ask(magpie, user, "Email/query")["ids"]
    ask(magpie, user, "Email/set", update={email: {"keywords/$seen": True}})
    ask(magpie, user, "Email/set", destroy=[email])
    told = poll(magpie, user, told["pushState"])
    changes = ask(magpie, user, "Quota/changes", sinceState=quotas["state"])
    assert (changes["updated"], changes["updatedProperties"]) == (["octets"], ["used"])
    assert changes["newState"] == told["pushState"]
