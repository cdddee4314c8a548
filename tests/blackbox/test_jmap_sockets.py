"""JMAP over WebSocket (RFC 8887), with a client that others have written, and long-poll with curl."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness import giants
from harness.jmapuser import USING, JmapUser
from harness.server import Magpie, any_certificate

URN = "urn:ietf:params:jmap:websocket"


class Socket:
    """A connection of a user, found where the Session object says."""

    def __init__(self, client: JmapUser, protocol: str | None = "jmap", **more: Any):
        url = client.session["capabilities"][URN]["url"]
        self.account = client.account
        self.opening = connect(
            url, ssl=any_certificate() if url.startswith("wss:") else None, subprotocols=[protocol] if protocol else None,
            additional_headers={"Authorization": f"Basic {client.login}"}, max_size=None, open_timeout=60, **more,
        )  # fmt: skip
        self.connection: ClientConnection = self.opening.__enter__()

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *why: Any) -> None:
        self.opening.__exit__(*why)

    def say(self, kind: str, **members: Any) -> None:
        self.connection.send(json.dumps({"@type": kind, **members}))

    def ask(self, name: str, call: str, **arguments: Any) -> None:
        calls = [[call, arguments, "c"]]
        self.say("Request", id=name, using=USING, methodCalls=calls)

    def hear(self) -> dict[str, Any]:
        text = self.connection.recv(timeout=60)
        assert isinstance(text, str)
        return json.loads(text)

    def closed(self) -> int:
        """The code with which the server ends it."""
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                self.connection.recv(timeout=60)
        assert ended.value.rcvd, ended.value
        return ended.value.rcvd.code


@pytest.fixture(params=[True, False], ids=["wss", "ws"])
def client(request: pytest.FixtureRequest, magpie: Magpie, user: str) -> JmapUser:
    return JmapUser(magpie, user, request.param)


def test_requests_and_their_answers(client: JmapUser) -> None:
    with Socket(client) as socket:
        assert client.session["capabilities"][URN]["supportsPush"] is True
        for number in range(5):
            socket.ask(f"R{number}", "Core/echo", number=number)
        answers = [socket.hear() for _ in range(5)]
        # In whichever order.
        for answer in answers:
            assert answer["@type"] == "Response" and answer["sessionState"] == client.session["state"]
            number = int(answer["requestId"][1:])
            assert answer["methodResponses"] == [["Core/echo", {"number": number}, "c"]]
        assert len({answer["requestId"] for answer in answers}) == 5
        socket.ask("M", "Mailbox/get", accountId=socket.account)
        (mailboxes,) = socket.hear()["methodResponses"]
        assert mailboxes[1] == client.call("Mailbox/get")


def test_changes_are_told(magpie: Magpie, client: JmapUser, address: str) -> None:
    with Socket(client) as socket:
        socket.say("WebSocketPushEnable", dataTypes=["EmailDelivery"])
        socket.ask("here", "Core/echo")
        assert socket.hear()["requestId"] == "here"
        magpie.deliver(address, giants.letter(1))
        told = socket.hear()
        assert told["@type"] == "StateChange" and told["changed"] == {
            client.account: {"EmailDelivery": told["pushState"]}
        }
        # What was asked for last counts.
        socket.say("WebSocketPushEnable", dataTypes=None)
        socket.ask("set", "Mailbox/set", accountId=client.account, create={"a": {"name": "new"}})
        kinds = {}
        for _ in range(2):
            heard = socket.hear()
            kinds[heard["@type"]] = heard
        assert "Mailbox" in kinds["StateChange"]["changed"][client.account]
        socket.say("WebSocketPushDisable")
        magpie.deliver(address, giants.letter(2))
        socket.ask("end", "Email/get", accountId=client.account, ids=[])
        assert socket.hear()["requestId"] == "end"


def test_55_who_comes_back_after_a_crash_misses_nothing(data: Path) -> None:
    server = Magpie(data).start()
    client = JmapUser(server, "alice")
    with Socket(client) as socket:
        socket.say("WebSocketPushEnable", dataTypes=None)
        server.deliver("alice@example.test", giants.letter(1))
        known = socket.hear()["pushState"]
        socket.say("WebSocketPushDisable")
        socket.ask("quiet", "Core/echo")
        while socket.hear().get("requestId") != "quiet":
            pass
        server.deliver("alice@example.test", giants.letter(2))
        server.kill()
    server.start()
    client = JmapUser(server, "alice")
    with Socket(client) as socket:
        socket.say("WebSocketPushEnable", dataTypes=["Email", "EmailDelivery"], pushState=known)
        told = socket.hear()
        assert set(told["changed"][client.account]) == {"Email", "EmailDelivery"}
        changes = client.call("Email/changes", sinceState=known)
        assert len(changes["created"]) == 1 and changes["newState"] == told["pushState"]
    server.stop()


def test_what_is_no_request_is_refused_and_the_connection_goes_on(client: JmapUser) -> None:
    with Socket(client) as socket:
        for text, name, kind in [
            ("{", None, "notJSON"),
            ("[]", None, "notRequest"),
            ('{"@type":"Request","id":"a","using":["urn:x"],"methodCalls":[]}', "a", "unknownCapability"),
            ('{"@type":"Request","id":"b","using":[]}', "b", "notRequest"),
            ('{"@type":"What","id":"c"}', "c", "notRequest"),
            ("[" * 100_000, None, "notRequest"),
        ]:
            socket.connection.send(text)
            error = socket.hear()
            assert (error["@type"], error["requestId"]) == ("RequestError", name)
            assert error["type"] == f"urn:ietf:params:jmap:error:{kind}" and error["status"] == 400
        socket.ask("still", "Core/echo")
        assert socket.hear()["requestId"] == "still"


def test_frames_that_are_none_end_it(client: JmapUser) -> None:
    with Socket(client) as socket:
        socket.connection.send(b"{}")
        assert socket.closed() == 1003
    most = client.session["capabilities"]["urn:ietf:params:jmap:core"]["maxSizeRequest"]
    with Socket(client) as socket:
        # A little less than too much is read, whatever it says.
        socket.connection.send(json.dumps({"@type": "x" * (most - 100)}))
        assert socket.hear()["@type"] == "RequestError"
    with Socket(client) as socket:
        # The head of a frame of a gigabyte, and no more of it.
        socket.connection.socket.sendall(b"\x81\xff" + (1 << 30).to_bytes(8) + b"\0\0\0\0")
        error = socket.hear()
        assert (error["@type"], error["limit"]) == ("RequestError", "maxSizeRequest")
        assert socket.closed() == 1009


def test_51_who_may_not_talk(magpie: Magpie, client: JmapUser) -> None:
    for more, status in [
        ({"protocol": None}, 400),
        ({"protocol": "soap"}, 400),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            Socket(client, **more)
        assert refused.value.response.status_code == status, more
    client.login = "eDp5"
    with pytest.raises(InvalidStatus) as refused:
        Socket(client)
    assert refused.value.response.status_code == 401


def test_a_server_that_stops_says_goodbye(data: Path) -> None:
    server = Magpie(data).start()
    with Socket(JmapUser(server, "alice")) as socket:
        socket.ask("here", "Core/echo")
        socket.hear()
        server.stop()
        assert socket.closed() == 1001


def poll(client: JmapUser, **variables: str) -> list[str]:
    url = client.session["capabilities"]["urn:magpie:params:jmap:long-poll"]["url"]
    for name in ("since", "types", "timeout"):
        url = url.replace(f"{{{name}}}", variables.get(name, ""))
    return ["curl", "-sk", "-H", f"Authorization: Basic {client.login}", url]


def test_a_poll_is_answered_when_there_is_something_to_say(magpie: Magpie, client: JmapUser, address: str) -> None:
    def curl(**variables: str) -> dict[str, Any]:
        return json.loads(subprocess.run(poll(client, **variables), check=True, capture_output=True).stdout)

    now = curl()
    assert (now["@type"], now["changed"]) == ("StateChange", {})
    assert curl(since=now["pushState"], timeout="0") == now
    with subprocess.Popen(poll(client, since=now["pushState"], types="EmailDelivery"), stdout=subprocess.PIPE) as waits:
        magpie.deliver(address, giants.letter(1))
        told = json.loads(waits.communicate(timeout=60)[0])
    assert told["changed"] == {client.account: {"EmailDelivery": told["pushState"]}}
    # Who comes late hears of it all the same.
    assert curl(since=now["pushState"], types="EmailDelivery", timeout="60") == told


def test_open_channels_are_counted(magpie: Magpie, client: JmapUser) -> None:
    def channels(kind: str) -> float:
        page = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{magpie.port('http')}/metrics"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        lines = [line for line in page.splitlines() if line.startswith(f'magpie_push_channels{{kind="{kind}"}}')]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    before = channels("websocket")
    with Socket(client) as socket:
        socket.ask("here", "Core/echo")
        socket.hear()
        assert channels("websocket") == before + 1
