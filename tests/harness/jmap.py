"""A JMAP client that hides nothing: what goes over the wire is what a test has written, what comes back is checked as little.

It knows two kinds of servers, and nothing of either but a URL and a login.
"""

import base64
import contextlib
import functools
import http.client
import itertools
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from . import corpus

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"
USING = [CORE, MAIL]
LETTERS = itertools.count(1)

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back for one HTTP request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get_content_type()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Login:
    """Where an account is, and how one gets in. `settle` waits until searches find all that has been stored."""

    url: str
    user: str
    password: str
    settle: Callable[[], None] = lambda: None


class Server(Protocol):
    """Makes accounts that no other test uses."""

    def account(self) -> Login: ...


class Refused(AssertionError):
    """A method answered with an error that the test did not ask for."""


class Jmap:
    """One user's session over one connection."""

    def __init__(self, login: Login):
        self.login = login
        base = urllib.parse.urlsplit(login.url)
        self.connection = http.client.HTTPConnection(base.hostname, base.port, timeout=60)
        self.authorization = "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        self.session_url = login.url
        self.session: Arguments = self.discover().json()
        self.account: str = self.session["primaryAccounts"][MAIL]

    def close(self) -> None:
        self.connection.close()

    # HTTP. ---------------------------------------------------------------------------------------------

    def open(self, url: str, body: bytes | None = None, method: str | None = None, **fields: str | None) -> Answer:
        """One HTTP request. Names of header fields have `_` for `-`; None takes one away that would be there."""
        headers = {"Authorization": self.authorization}
        if body is not None:
            headers["Content-Type"] = "application/json"
        for name, value in fields.items():
            headers[name.replace("_", "-")] = value
        headers = {name: value for name, value in headers.items() if value is not None}
        path = urllib.parse.urljoin(self.session_url, url)
        path = path.removeprefix("{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(path)))
        verb = method or ("GET" if body is None else "POST")
        try:
            return self._exchange(verb, path, body, headers)
        except (ConnectionError, http.client.HTTPException):
            # The server may have closed the connection between two requests, as it may; then another one serves.
            self.connection.close()
            return self._exchange(verb, path, body, headers)

    def _exchange(self, verb: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        # Who refuses a body need not read it whole: then the answer is there although not all was sent.
        with contextlib.suppress(BrokenPipeError):
            self.connection.request(verb, path, body, headers)
        answer = self.connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def discover(self) -> Answer:
        """The Session object, by the well-known path and whatever that redirects to (RFC 8620 §2.2)."""
        url = "/.well-known/jmap"
        for _ in range(4):
            answer = self.open(url)
            if answer.status not in (301, 302, 307, 308):
                break
            url = urllib.parse.urljoin(self.session_url, answer.headers["Location"])
        assert answer.status == 200, (answer.status, answer.body)
        self.session_url = urllib.parse.urljoin(self.login.url, url)
        return answer

    def post(self, body: Any, **fields: str | None) -> Answer:
        """A request to the API, as it is; what is not bytes becomes JSON."""
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.open(self.session["apiUrl"], octets, **fields)

    def upload(self, content: bytes, media_type: str = "application/octet-stream") -> Arguments:
        url = self.session["uploadUrl"].replace("{accountId}", urllib.parse.quote(self.account))
        answer = self.open(url, content, Content_Type=media_type)
        assert answer.status in (200, 201), (answer.status, answer.body)
        return answer.json()

    def download_url(self, blob: str, name: str = "file", media_type: str = "application/octet-stream") -> str:
        values = {"accountId": self.account, "blobId": blob, "name": name, "type": media_type}
        return expand(self.session["downloadUrl"], values)

    def download(self, blob: str, name: str = "file", media_type: str = "application/octet-stream") -> bytes:
        answer = self.open(self.download_url(blob, name, media_type))
        assert answer.status == 200, (answer.status, answer.body)
        return answer.body

    # The API. ------------------------------------------------------------------------------------------

    def request(self, *calls: list[Any], using: list[str] = USING, **more: Any) -> Arguments:
        """A whole Request object, and the Response object for it."""
        answer = self.post({"using": using, "methodCalls": list(calls), **more})
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def responses(self, *calls: tuple[str, Arguments]) -> list[list[Any]]:
        """What several calls answer; their ids are c0, c1 and so on, and the account is added where it is missing."""
        numbered = [[name, {"accountId": self.account, **given}, f"c{at}"] for at, (name, given) in enumerate(calls)]
        return self.request(*numbered)["methodResponses"]

    def calls(self, *calls: tuple[str, Arguments]) -> list[Arguments]:
        """The same where each call answers once, and none with an error."""
        answers = self.responses(*calls)
        assert len(answers) == len(calls), answers
        for (name, _), (told, said, _) in zip(calls, answers):
            if told != name:
                raise Refused(f"{name}: {told} {said}")
        return [said for _, said, _ in answers]

    def call(self, name: str, **given: Any) -> Arguments:
        return self.calls((name, given))[0]

    def error(self, name: str, **given: Any) -> str:
        """The type of the error that a call is answered with."""
        ((told, said, _),) = self.responses((name, given))
        assert told == "error", f"{name} was not refused: {told} {said}"
        return said["type"]

    # Mail. ---------------------------------------------------------------------------------------------

    def state(self, kind: str = "Email") -> str:
        return self.call(f"{kind}/get", ids=[])["state"]

    def mailboxes(self) -> dict[str, Arguments]:
        """All mailboxes, by id."""
        return {mailbox["id"]: mailbox for mailbox in self.call("Mailbox/get", ids=None)["list"]}

    def look(self, mailbox: str) -> Arguments:
        """One mailbox, with all its properties."""
        (found,) = self.call("Mailbox/get", ids=[mailbox])["list"]
        return found

    def role(self, role: str) -> str:
        """The id of the mailbox with a role."""
        (found,) = [each["id"] for each in self.mailboxes().values() if each["role"] == role]
        return found

    def mailbox(self, name: str, **properties: Any) -> str:
        """Makes a mailbox; its id."""
        made = self.call("Mailbox/set", create={"new": {"name": name, **properties}})
        assert made["created"], made
        return made["created"]["new"]["id"]

    def store(self, *mails: bytes, into: str | list[str] | None = None, **more: Any) -> list[str]:
        """Imports mails, one call each, and gives their ids. They go to the inbox if not told otherwise."""
        where = [into] if isinstance(into, str) else into or [self.inbox]
        ids = []
        for mail in mails:
            email = {"blobId": self.upload(mail, "message/rfc822")["blobId"], "mailboxIds": dict.fromkeys(where, True)}
            answer = self.call("Email/import", emails={"new": {**email, **more}})
            assert answer.get("created"), answer
            ids.append(answer["created"]["new"]["id"])
        return ids

    def email(self, id: str, *properties: str, **more: Any) -> Arguments:
        """Some properties of one email, or those that come by default."""
        wanted = {"properties": list(properties)} if properties else {}
        (email,) = self.call("Email/get", ids=[id], **wanted, **more)["list"]
        return email

    def emails(self, ids: list[str], *properties: str, **more: Any) -> list[Arguments]:
        """The same of many, in the order asked for."""
        found = {
            email["id"]: email for email in self.call("Email/get", ids=ids, properties=list(properties), **more)["list"]
        }
        return [found[id] for id in ids]

    def parsed(self, mail: bytes, *properties: str, **more: Any) -> Arguments:
        """Properties of a mail that is not stored. It gets a sender if it has none, so that every server takes it."""
        if not re.search(rb"(?im)^from:", mail):
            mail = b"From: bob@example.com\r\n" + mail
        blob = self.upload(mail, "message/rfc822")["blobId"]
        answer = self.call("Email/parse", blobIds=[blob], properties=list(properties), **more)
        assert answer.get("parsed"), answer
        return answer["parsed"][blob]

    def read(self, mail: bytes, *properties: str, **more: Any) -> Arguments:
        """The same of a mail that is stored, or that was stored before."""
        if not re.search(rb"(?im)^from:", mail):
            mail = b"From: bob@example.com\r\n" + mail
        blob = self.upload(mail, "message/rfc822")["blobId"]
        email = {"blobId": blob, "mailboxIds": {self.inbox: True}}
        answer = self.call("Email/import", emails={"new": email})
        made = answer.get("created")
        return self.email(made["new"]["id"] if made else answer["notCreated"]["new"]["existingId"], *properties, **more)

    @functools.cached_property
    def inbox(self) -> str:
        """The id of the inbox."""
        return self.role("inbox")

    def create(self, **email: Any) -> Arguments:
        """What Email/set tells of an email that it has made; a draft in the inbox unless the properties say otherwise."""
        answer = self.call("Email/set", create={"new": {"mailboxIds": {self.inbox: True}, **email}})
        assert answer.get("created"), answer
        return answer["created"]["new"]

    def refused(self, **email: Any) -> Arguments:
        """The SetError for an email that cannot be made."""
        answer = self.call("Email/set", create={"new": {"mailboxIds": {self.inbox: True}, **email}})
        assert not answer.get("created"), answer
        return answer["notCreated"]["new"]

    def update(self, kind: str, id: str, /, **patch: Any) -> Arguments:
        """Changes one object; what the server tells of it besides."""
        answer = self.call(f"{kind}/set", update={id: patch})
        assert answer.get("updated") and id in answer["updated"], answer
        return answer["updated"][id] or {}

    def unchanged(self, kind: str, id: str, /, **patch: Any) -> Arguments:
        """The SetError for a change that is refused."""
        answer = self.call(f"{kind}/set", update={id: patch})
        assert not answer.get("updated"), answer
        return answer["notUpdated"][id]

    def destroy(self, kind: str, *ids: str, **more: Any) -> None:
        answer = self.call(f"{kind}/set", destroy=list(ids), **more)
        assert sorted(answer.get("destroyed") or []) == sorted(ids), answer

    def query(self, filter: Arguments | None = None, sort: list[Arguments] | None = None, **more: Any) -> list[str]:
        """The ids of emails, after everything stored can be found."""
        self.login.settle()
        return self.call("Email/query", filter=filter, sort=sort, **more)["ids"]


class Library:
    """An account that holds the mails of tests/corpus, which tests only read."""

    def __init__(self, login: Login):
        self.client = Jmap(login)
        self.sources = {sample.name: corpus.crlf(sample.source) for sample in corpus.written()}
        self.ids: dict[str, str] = {}
        # Servers may refuse what is no message; which of the broken ones they take is their business.
        inbox = self.client.inbox
        for name, source in self.sources.items():
            blob = self.client.upload(source, "message/rfc822")["blobId"]
            answer = self.client.call("Email/import", emails={"m": {"blobId": blob, "mailboxIds": {inbox: True}}})
            if answer.get("created"):
                self.ids[name] = answer["created"]["m"]["id"]
            else:
                assert name.startswith("broken/"), (name, answer)
        login.settle()


def reference(call: int, name: str, path: str) -> dict[str, str]:
    """A result reference to one of the calls of `responses`."""
    return {"resultOf": f"c{call}", "name": name, "path": path}


def expand(template: str, values: dict[str, str]) -> str:
    """A URI template of level 1 (RFC 6570)."""
    for variable, value in values.items():
        template = template.replace(f"{{{variable}}}", urllib.parse.quote(value, safe=""))
    return template


def letter(subject: str = "A letter", body: str = "Some text.\r\n", **fields: str) -> bytes:
    """A small mail, unlike any before it. Names of header fields have `_` for `-`."""
    header = {
        "Message-ID": f"<letter.{next(LETTERS)}@example.com>",
        "From": "Bob <bob@example.com>",
        "To": "alice@example.test",
        "Subject": subject,
        "Date": "Mon, 19 Oct 2026 10:00:00 +0200",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in header.items())
    return (lines + "\r\n" + body).encode()


def reply(number: int, thread: str = "root", **more: str) -> bytes:
    """A mail of a thread, as a mail program threads it."""
    return letter(f"Re: {thread}", f"{number}\r\n", Message_ID=f"<{thread}.{number}@example.com>",
                  References=f"<{thread}@example.com>", In_Reply_To=f"<{thread}@example.com>", **more)  # fmt: skip
