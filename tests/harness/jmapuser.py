"""A user of JMAP with no more than a password: the Session object, and calls over HTTP."""

import base64
import json
import urllib.request
from typing import Any

from .server import PASSWORD, Magpie, any_certificate

USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class JmapUser:
    """A user's session, found where RFC 8620 §2.2 says."""

    def __init__(self, server: Magpie, user: str, tls: bool = False):
        scheme = "https" if tls else "http"
        self.login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        self.session = json.loads(self.open(f"{scheme}://127.0.0.1:{server.port(scheme)}/.well-known/jmap"))
        self.account = self.session["primaryAccounts"]["urn:ietf:params:jmap:mail"]

    def open(self, url: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Basic {self.login}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, body, headers)
        context = any_certificate() if url.startswith("https") else None
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.read()

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The response to a call that names no account by itself."""
        body = json.dumps({"using": USING, "methodCalls": [[name, arguments, "c"]]}).encode()
        ((told, response, _),) = json.loads(self.open(self.session["apiUrl"], body))["methodResponses"]
        assert told == name, response
        return response

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The response to a call on the user's account."""
        return self.ask(name, accountId=self.account, **arguments)

    def state(self) -> str:
        return self.call("Email/get", ids=[])["state"]
