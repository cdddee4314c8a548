"""Many clients that wait to be told of new mail, in one event loop: by event sources, WebSockets, requests that wait, and IDLE.

Each remembers what it has been told last, comes back with that when its connection ends, and notes the ids of all emails that
it has learned of. When the server is down, and when it is back, they hear from whoever kills and starts it.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from .jmapuser import USING
from .server import PASSWORD, Magpie

MAIL = "urn:ietf:params:jmap:mail"
# What a server's death looks like to its clients.
GONE = (OSError, asyncio.IncompleteReadError, WebSocketException)


class Http:
    """A connection over HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: str):
        self.reader, self.writer, self.login = reader, writer, login

    @classmethod
    async def open(cls, port: int, login: str) -> "Http":
        return cls(*await asyncio.open_connection("127.0.0.1", port), login)

    async def begin(self, method: str, path: str, body: bytes = b"", **fields: str) -> dict[str, str]:
        """Sends a request that must be answered with 200; the fields of the answer."""
        fields = {"Host": "localhost", "Authorization": self.login, "Content-Length": str(len(body)), **fields}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        assert " 200 " in status, (path, status, await self.reader.read(1000))
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def ask(self, method: str, path: str, body: bytes = b"", **fields: str) -> Any:
        """The JSON that a request is answered with."""
        answer = await self.begin(method, path, body, **fields)
        return json.loads(await self.reader.readexactly(int(answer["content-length"])))

    async def events(self) -> AsyncIterator[dict[str, str]]:
        """The events of an answer that does not end; chunks know nothing of them."""
        text = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            text += (await self.reader.readexactly(size + 2))[:-2]
            *whole, text = text.split(b"\n\n")
            for event in whole:
                yield dict(line.split(": ", 1) for line in event.decode().split("\n") if not line.startswith(":"))

    def close(self) -> None:
        self.writer.close()


class Account:
    """What the clients of one user have in common: the login, and a connection over which they ask one after the other,
    since a user may have few requests under way. The first who comes proves the password; then it costs no hash."""

    def __init__(self, server: Magpie, up: asyncio.Event, user: str):
        self.server, self.up, self.user = server, up, user
        self.login = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        self.asking = asyncio.Lock()
        self.http: Http | None = None
        self.id = ""

    async def connect(self) -> Http:
        return await Http.open(self.server.port("http"), self.login)

    async def enter(self) -> None:
        """Waits for the server, and until the password is proven."""
        await self.up.wait()
        await self.call("Core/echo")

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        async with self.asking:
            try:
                if not self.http:
                    self.http = await self.connect()
                    session = await self.http.ask("GET", "/jmap/session")
                    self.id = session["primaryAccounts"][MAIL]
                body = {"using": USING, "methodCalls": [[name, {"accountId": self.id, **arguments}, "c"]]}
                answer = await self.http.ask(
                    "POST", "/jmap/api", json.dumps(body).encode(), Content_Type="application/json"
                )
            except GONE:
                self.http = None
                raise
        ((told, response, _),) = answer["methodResponses"]
        assert told == name, (name, told, response)
        return response

    async def created(self, since: str) -> set[str]:
        """The ids of emails that have come since then."""
        found: set[str] = set()
        more = True
        while more:
            changes = await self.call("Email/changes", sinceState=since)
            found |= set(changes["created"])
            since, more = changes["newState"], changes["hasMoreChanges"]
        return found


class Member:
    """One client. `known` is the state that it has been told of, `seen` what it has learned of."""

    def __init__(self, account: Account, known: str):
        self.account, self.known = account, known
        self.seen: set[Any] = set()
        self.told = self.returns = 0
        self.news = asyncio.Event()
        # Set while it listens.
        self.here = asyncio.Event()

    async def live(self) -> None:
        """Listens, and comes back whenever the connection ends."""
        while True:
            try:
                await self.account.enter()
                await self.listen()
            except InvalidStatus:
                raise
            except GONE:
                self.returns += 1
            finally:
                self.here.clear()

    async def listen(self) -> None:
        raise NotImplementedError

    async def hear(self, state: str) -> None:
        """Asks what there is since the state that it knew. Only then it knows the new one: if that fails, it asks again."""
        self.told += 1
        self.learn(await self.account.created(self.known))
        self.known = state

    def learn(self, ids: set[Any]) -> None:
        self.seen |= ids
        self.news.set()

    async def until_seen(self, ids: set[Any]) -> None:
        while not self.seen >= ids:
            self.news.clear()
            await self.news.wait()


class EventSource(Member):
    """RFC 8620 §7.3"""

    async def listen(self) -> None:
        http = await self.account.connect()
        try:
            await http.begin("GET", "/jmap/events?types=Email&closeafter=no&ping=0", Last_Event_ID=self.known)
            self.here.set()
            async for event in http.events():
                assert event["event"] == "state" and json.loads(event["data"])["changed"], event
                await self.hear(event["id"])
        finally:
            http.close()


class Socket(Member):
    """RFC 8887"""

    async def listen(self) -> None:
        url, login = f"ws://127.0.0.1:{self.account.server.port('http')}/jmap/ws", {"Authorization": self.account.login}
        async with connect(
            url, subprotocols=["jmap"], additional_headers=login, compression=None, open_timeout=60, ping_interval=None
        ) as socket:
            enable = {"@type": "WebSocketPushEnable", "dataTypes": ["Email"], "pushState": self.known}
            await socket.send(json.dumps(enable))
            self.here.set()
            async for text in socket:
                told = json.loads(text)
                assert told["@type"] == "StateChange", told
                await self.hear(told["pushState"])


class Poll(Member):
    """Requests that are answered when there is something to say."""

    async def listen(self) -> None:
        http = await self.account.connect()
        try:
            self.here.set()
            while True:
                told = await http.ask("GET", f"/jmap/poll?since={self.known}&types=Email&timeout=300")
                assert told["changed"], told
                await self.hear(told["pushState"])
        finally:
            http.close()


class Idle(Member):
    """RFC 2177. It knows UIDs instead of ids, and resumes behind the last."""

    exists = 0
    validity = b""

    async def listen(self) -> None:
        port = self.account.server.port("imap")
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await self.reader.readuntil(b"\r\n")
            await self.command(f"LOGIN {self.account.user} {PASSWORD}")
            examined = await self.command("EXAMINE INBOX")
            validity = re.search(rb"UIDVALIDITY (\d+)", examined)[1]
            assert self.validity in (b"", validity), "UIDs have become invalid"
            self.validity = validity
            while True:
                while len(self.seen) < self.exists:
                    last = max(self.seen, default=0)
                    rows = await self.command(f"UID FETCH {last + 1}:* (UID)")
                    self.learn({uid for uid in map(int, re.findall(rb"UID (\d+)", rows)) if uid > last})
                await self.idle()
        finally:
            self.writer.close()

    async def idle(self) -> None:
        """Until there is a message more."""
        known = self.exists
        self.writer.write(b"i IDLE\r\n")
        self.here.set()
        while self.exists == known:
            self.note(await self.reader.readuntil(b"\r\n"))
        self.told += 1
        self.writer.write(b"DONE\r\n")
        await self.until(b"i ")

    async def command(self, text: str) -> bytes:
        self.writer.write(f"t {text}\r\n".encode())
        return await self.until(b"t ")

    async def until(self, tag: bytes) -> bytes:
        """All lines until the one that says how a command has ended, which must be well."""
        lines = b""
        while not (line := await self.reader.readuntil(b"\r\n")).startswith(tag):
            self.note(line)
            lines += line
        assert line.startswith(tag + b"OK"), line
        return lines

    def note(self, line: bytes) -> None:
        if found := re.fullmatch(rb"\* (\d+) EXISTS\r\n", line):
            self.exists = int(found[1])
