"""RFC 8620 §7: who listens to the event source hears of changes; RFC 8621 §1.5: of deliveries as well."""

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from harness.jmap import Jmap, expand, letter


class Events:
    """An open event source (HTML, server-sent events)."""

    def __init__(self, client: Jmap, types: str = "*", closeafter: str = "no", ping: str = "0", **fields: str):
        url = expand(client.session["eventSourceUrl"], {"types": types, "closeafter": closeafter, "ping": ping})
        base = urllib.parse.urlsplit(urllib.parse.urljoin(client.session_url, url))
        self.connection = http.client.HTTPConnection(base.hostname, base.port, timeout=60)
        headers = {"Authorization": client.authorization, "Accept": "text/event-stream"}
        headers.update({name.replace("_", "-"): value for name, value in fields.items()})
        self.connection.request("GET", f"{base.path}?{base.query}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers.get_content_type() == "text/event-stream"
        self.id: str | None = None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """The kind and the data of each event, until the server closes the stream."""
        kind, data = "message", []
        for line in self.answer:
            text = line.decode().rstrip("\r\n")
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.id = value
            elif not text and data:
                yield kind, json.loads("\n".join(data))
                kind, data = "message", []

    def state(self) -> dict[str, dict[str, str]]:
        """What has changed, by the next event that tells it."""
        for kind, said in self:
            if kind == "state":
                assert said["@type"] == "StateChange"
                return said["changed"]
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.connection.close()


@pytest.mark.parametrize("types", ["*", "Email,Mailbox,Thread"])
def test_7_3_changes_are_told_with_the_new_states(client: Jmap, types: str) -> None:
    events = Events(client, types)
    client.store(letter())
    want = {kind: client.state(kind) for kind in ("Email", "Mailbox", "Thread")}
    told: dict[str, str] = {}
    while any(told.get(kind) != state for kind, state in want.items()):
        changed = events.state()
        assert list(changed) == [client.account]
        told |= changed[client.account]
    events.close()


def test_7_3_only_the_types_asked_for(client: Jmap) -> None:
    events = Events(client, "Mailbox")
    (email,) = client.store(letter())
    client.update("Email", email, **{"keywords/$flagged": True})
    client.mailbox("Made")
    while events.state()[client.account] != {"Mailbox": client.state("Mailbox")}:
        pass
    events.close()


def test_7_3_closed_after_the_first_state(client: Jmap) -> None:
    events = Events(client, closeafter="state")
    client.store(letter())
    kinds = [kind for kind, _ in events]
    assert kinds == ["state"]


def test_7_3_open_for_more_than_one(client: Jmap) -> None:
    events = Events(client, "Mailbox")
    seen = []
    for name in ("One", "Two", "Three"):
        client.mailbox(name)
        seen.append(events.state()[client.account]["Mailbox"])
    assert seen[-1] == client.state("Mailbox") and len(set(seen)) == 3
    events.close()


def test_7_3_who_comes_back_hears_of_what_has_been(client: Jmap) -> None:
    events = Events(client, "Mailbox")
    client.mailbox("One")
    events.state()
    last = events.id
    events.close()
    assert last
    client.mailbox("Two")
    again = Events(client, "Mailbox", Last_Event_ID=last)
    assert again.state()[client.account]["Mailbox"] == client.state("Mailbox")
    again.close()


def test_7_3_changes_of_others_are_not_told(client: Jmap, stranger: Jmap) -> None:
    events = Events(client, "Mailbox")
    stranger.mailbox("Theirs")
    client.mailbox("Mine")
    assert list(events.state()) == [client.account]
    events.close()


def test_mail_1_5_what_a_user_does_is_no_delivery(client: Jmap) -> None:
    events = Events(client, "EmailDelivery,Mailbox")
    (email,) = client.store(letter())
    client.update("Email", email, **{"keywords/$seen": True})
    client.mailbox("Made")
    changed = events.state()[client.account]
    while changed.get("Mailbox") != client.state("Mailbox"):
        changed = events.state()[client.account]
    events.close()


def test_7_3_needs_a_login(client: Jmap) -> None:
    url = expand(client.session["eventSourceUrl"], {"types": "*", "closeafter": "state", "ping": "0"})
    assert client.open(url, Authorization=None).status == 401


def test_7_3_arguments_out_of_order(client: Jmap) -> None:
    for wrong in ({"closeafter": "never"}, {"ping": "often"}, {"ping": "-1"}):
        values = {"types": "*", "closeafter": "state", "ping": "0", **wrong}
        assert client.open(expand(client.session["eventSourceUrl"], values)).status == 400, wrong
