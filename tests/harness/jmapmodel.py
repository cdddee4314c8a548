"""A JMAP client that holds a copy of an account and learns of changes by `*/changes` alone, as RFC 8620 §5.2 means it."""

import base64
import copy
import http.client
import json
import random
import time
from typing import Any

from .server import PASSWORD, Magpie

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
MAIL = "urn:ietf:params:jmap:mail"
# After so many seconds a connection is not used again: the server's patience ends some time later.
IDLE = 5
KINDS = ("Mailbox", "Email", "Thread")
# What can change of an email, what is derived from it, and what never changes.
EMAIL = ["id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId", "subject", "preview",
         "hasAttachment"]  # fmt: skip

Object = dict[str, Any]


class MethodError(AssertionError):
    """A method call was answered with an error."""

    def __init__(self, method: str, error: Object):
        super().__init__(f"{method}: {error}")
        self.kind = error["type"]


class Jmap:
    """A user's session over one connection that stays open, without TLS."""

    def __init__(self, magpie: Magpie, user: str, timeout: float = 60):
        login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        self.connection = http.client.HTTPConnection("127.0.0.1", magpie.port("http"), timeout=timeout)
        self.used = time.monotonic()
        self.session = json.loads(self.open("GET", "/jmap/session"))
        self.account = self.session["primaryAccounts"][MAIL]

    def open(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """The body of an answer, which must be good."""
        # A server may close a connection that has been of no use for long; then another one is opened.
        if time.monotonic() - self.used > IDLE:
            self.connection.close()
        self.connection.request(method, path, body, self.headers | headers)
        answer = self.connection.getresponse()
        content = answer.read()
        self.used = time.monotonic()
        assert answer.status in (200, 201), (method, path, answer.status, content)
        return content

    def calls(self, *calls: tuple[str, Object]) -> list[Object]:
        """The answers to method calls of one request. The first that is an error is raised."""
        invocations = [[name, {"accountId": self.account, **said}, str(at)] for at, (name, said) in enumerate(calls)]
        body = json.dumps({"using": USING, "methodCalls": invocations}).encode()
        answers = json.loads(self.open("POST", "/jmap/api", body))["methodResponses"]
        for (name, _), (told, answer, _) in zip(calls, answers, strict=True):
            if told == "error":
                raise MethodError(name, answer)
            assert told == name, (name, told)
        return [answer for _, answer, _ in answers]

    def call(self, name: str, **said: Any) -> Object:
        (answer,) = self.calls((name, said))
        return answer

    def upload(self, content: bytes) -> str:
        """The id of a blob."""
        answer = self.open("POST", f"/jmap/upload/{self.account}/", content, **{"Content-Type": "message/rfc822"})
        return json.loads(answer)["blobId"]

    def everything(self, kind: str) -> dict[str, Object]:
        """All things of a kind, asked for afresh."""
        return {thing["id"]: thing for thing in self.get(kind, None)["list"]}

    def get(self, kind: str, ids: list[str] | None, properties: list[str] | None = None) -> Object:
        wanted = properties or (EMAIL if kind == "Email" else None)
        return self.call(f"{kind}/get", ids=ids, **({"properties": wanted} if wanted else {}))

    def close(self) -> None:
        self.connection.close()


def reference(call: int, name: str, path: str) -> Object:
    return {"resultOf": str(call), "name": name, "path": path}


class Copy:
    """A client's copy of all things of one kind, and where it stands."""

    def __init__(self, kind: str, jmap: Jmap):
        self.kind = kind
        got = jmap.get(kind, None)
        self.state: str = got["state"]
        self.things: dict[str, Object] = {thing["id"]: thing for thing in got["list"]}
        # What was gone again when it was asked for: as long as the steps do not say so, they may go on about it.
        self.gone: set[str] = set()
        self.log: list[Object] = []

    def follow(self, jmap: Jmap, step: int | None) -> None:
        """Takes over what has changed, at most `step` things at once."""
        more = True
        while more:
            limit = {"maxChanges": step} if step else {}
            changes = jmap.call(f"{self.kind}/changes", sinceState=self.state, **limit)
            self.log = [*self.log[-20:], changes]
            assert changes["oldState"] == self.state
            self._take(jmap, changes, step)
            more = changes["hasMoreChanges"]
            assert not more or changes["newState"] != self.state, self._trace("it does not get on")
            self.state = changes["newState"]

    def _take(self, jmap: Jmap, changes: Object, step: int | None) -> None:
        created, updated, destroyed = (changes[name] for name in ("created", "updated", "destroyed"))
        named = [*created, *updated, *destroyed]
        assert len(set(named)) == len(named), self._trace("an id is named twice")
        assert step is None or len(named) <= step, self._trace(f"more than {step} at once")
        assert not self.things.keys() & set(created), self._trace("something is created that was there")
        assert self.things.keys() | self.gone >= set(updated), self._trace("something is updated that was not there")
        self.gone -= set(destroyed)
        for each in destroyed:
            self.things.pop(each, None)
        self._fetch(jmap, created, None)
        self._fetch(jmap, updated, changes.get("updatedProperties"))

    def _fetch(self, jmap: Jmap, ids: list[str], properties: list[str] | None) -> None:
        """Where only some properties have changed, only those are asked for (RFC 8621 §2.2)."""
        for first in range(0, len(ids), 500):
            got = jmap.get(self.kind, ids[first : first + 500], properties)
            for thing in got["list"]:
                before = self.things.get(thing["id"], {}) if properties else {}
                self.things[thing["id"]] = before | thing
            self.gone |= set(got["notFound"])

    def _trace(self, why: str) -> str:
        return f"{self.kind}: {why}\n" + "\n".join(json.dumps(changes) for changes in self.log)


class List:
    """A client's list of the results of a query (RFC 8620 §5.6)."""

    def __init__(self, query: Object, jmap: Jmap):
        self.query = query
        self._begin(jmap)

    def _begin(self, jmap: Jmap) -> None:
        found = jmap.call("Email/query", **self.query)
        self.ids: list[str] = found["ids"]
        self.state: str = found["queryState"]

    def follow(self, jmap: Jmap) -> None:
        try:
            changes = jmap.call("Email/queryChanges", sinceQueryState=self.state, **self.query)
        except MethodError as error:
            # The account changed while the answer was worked out.
            if error.kind != "cannotCalculateChanges":
                raise
            return self._begin(jmap)
        removed = set(changes["removed"])
        self.ids = [each for each in self.ids if each not in removed]
        for added in changes["added"]:
            self.ids.insert(added["index"], added["id"])
        self.state = changes["newQueryState"]


class Follower:
    """A client with copies of mailboxes, emails and threads, and of the list of its inbox."""

    def __init__(self, magpie: Magpie, user: str, chance: random.Random):
        self.magpie, self.user, self.chance = magpie, user, chance
        self.reconnect()
        self.copies = [Copy(kind, self.jmap) for kind in KINDS]
        inbox = next(id for id, mailbox in self.copies[0].things.items() if mailbox["role"] == "inbox")
        newest_first = [{"property": "receivedAt", "isAscending": False}]
        self.lists = [
            List({"filter": {"inMailbox": inbox}, "sort": newest_first, "collapseThreads": collapse}, self.jmap)
            for collapse in (False, True)
        ]
        self.earlier = self._standing()

    def reconnect(self) -> None:
        self.jmap = Jmap(self.magpie, self.user)

    def follow(self) -> None:
        """Catches up in steps of any size; now and then from an earlier state, as a client does whose last steps were
        lost with its battery."""
        if self.chance.random() < 0.2:
            self.copies, self.lists = self.earlier
            self.earlier = self._standing()
        elif self.chance.random() < 0.3:
            self.earlier = self._standing()
        step = self.chance.choice([None, None, 1, 3, 20])
        for copied in self.chance.sample(self.copies, len(self.copies)):
            copied.follow(self.jmap, step)
        for listed in self.lists:
            listed.follow(self.jmap)

    def _standing(self) -> tuple[list[Copy], list[List]]:
        return copy.deepcopy((self.copies, self.lists))

    def check(self) -> None:
        """While nothing changes: what it holds is what the server has."""
        for copied in self.copies:
            assert not copied.gone, copied._trace(f"never told that these are gone: {copied.gone}")
            there = self.jmap.everything(copied.kind)
            different = {
                id: (copied.things.get(id), there.get(id))
                for id in copied.things.keys() | there.keys()
                if copied.things.get(id) != there.get(id)
            }
            assert not different, copied._trace(f"copy and server differ: {different}")
        for listed in self.lists:
            there = self.jmap.call("Email/query", **listed.query)["ids"]
            assert listed.ids == there, (listed.query, listed.ids, there)
