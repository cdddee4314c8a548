"""An app that sends by JMAP: one request makes a draft, sends it, and moves it to Sent."""

import base64
import json
import ssl
import urllib.request
from typing import Any

from .server import DOMAIN, PASSWORD, Magpie

MAIL, SUBMISSION = "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"
MDN = "urn:ietf:params:jmap:mdn"
USING = ["urn:ietf:params:jmap:core", MAIL, SUBMISSION, MDN]


class JmapSender:
    """A user's session. `port` is the listener: `http` for sites that set up no other."""

    def __init__(self, magpie: Magpie, user: str = "alice", port: str = "http", timeout: float = 60):
        scheme = "https" if port == "https" else "http"
        login = base64.b64encode(f"{user}@{DOMAIN}:{PASSWORD}".encode()).decode()
        self.headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        self.address, self.timeout = f"{user}@{DOMAIN}", timeout
        self.session = json.loads(self.open(f"{scheme}://127.0.0.1:{magpie.port(port)}/.well-known/jmap"))
        self.account = self.session["primaryAccounts"][SUBMISSION]
        mailboxes = self.call("Mailbox/get", ids=None)["list"]
        self.mailboxes = {box["role"]: box["id"] for box in mailboxes if box["role"]}
        self.identity = self.call("Identity/get", ids=None)["list"][0]["id"]

    def open(self, url: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(url, body, self.headers)
        checked = context if url.startswith("https") else None
        with urllib.request.urlopen(request, context=checked, timeout=self.timeout) as answer:
            return answer.read()

    def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        methods = [
            [name, {"accountId": self.account, **arguments}, str(at)] for at, (name, arguments) in enumerate(calls)
        ]
        body = json.dumps({"using": USING, "methodCalls": methods}).encode()
        answer = json.loads(self.open(self.session["apiUrl"], body))
        return [(name, arguments) for name, arguments, _ in answer["methodResponses"]]

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        told, response = self.calls((name, arguments))[0]
        assert told == name, response
        return response

    # Sending. --------------------------------------------------------------------------------------------

    def draft(self, to: list[str], subject: str, text: str = "A letter.", **properties: Any) -> dict[str, Any]:
        """What `Email/set` makes a draft of."""
        return {
            "mailboxIds": {self.mailboxes["drafts"]: True},
            "keywords": {"$draft": True, "$seen": True},
            "from": [{"name": None, "email": self.address}],
            "to": [{"name": None, "email": address} for address in to],
            "subject": subject,
            "bodyStructure": {"type": "text/plain", "partId": "1"},
            "bodyValues": {"1": {"value": text}},
            **properties,
        }

    def send(
        self, draft: dict[str, Any], envelope: dict[str, Any] | None = None, name: str = "send", **arguments: Any
    ) -> dict[str, dict[str, Any]]:
        """Makes a draft, sends it and moves it to Sent, in one request; the answers by their names."""
        moved = {
            f"mailboxIds/{self.mailboxes['drafts']}": None,
            f"mailboxIds/{self.mailboxes['sent']}": True,
            "keywords/$draft": None,
        }
        submission = {"identityId": self.identity, "emailId": "#draft", "envelope": envelope}
        answers = self.calls(
            ("Email/set", {"create": {"draft": draft}}),
            (
                "EmailSubmission/set",
                {"create": {name: submission}, "onSuccessUpdateEmail": {f"#{name}": moved}, **arguments},
            ),
        )
        assert answers[0][1]["created"], answers
        return dict(answers[1:])

    def sent(self, draft: dict[str, Any], envelope: dict[str, Any] | None = None) -> dict[str, Any]:
        """The submission that `send` has made."""
        answer = self.send(draft, envelope)["EmailSubmission/set"]
        assert answer["created"], answer
        return self.submission(answer["created"]["send"]["id"])

    def submission(self, id: str) -> dict[str, Any]:
        (found,) = self.call("EmailSubmission/get", ids=[id])["list"]
        return found

    # Receipts. -------------------------------------------------------------------------------------------

    def acknowledge(self, email: str, kind: str = "displayed", **properties: Any) -> dict[str, Any]:
        """Tells whoever has asked for it what became of an email; the answer to `MDN/send`."""
        disposition = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": kind}
        mdn = {"forEmailId": email, "disposition": disposition, **properties}
        marked = {"#k": {"keywords/$mdnsent": True}}
        arguments = {"identityId": self.identity, "send": {"k": mdn}, "onSuccessUpdateEmail": marked}
        return self.calls(("MDN/send", arguments))[0][1]

    def undo(self, id: str) -> dict[str, Any]:
        return self.call("EmailSubmission/set", update={id: {"undoStatus": "canceled"}})
