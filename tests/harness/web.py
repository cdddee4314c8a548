"""A user of JMAP over HTTP/2, with a connection that is kept."""

from typing import Any

import httpx

from .server import PASSWORD, Magpie

MAIL = "urn:ietf:params:jmap:mail"


class Web(httpx.Client):
    """One connection, and the session that was found over it."""

    def __init__(self, magpie: Magpie, user: str):
        base = f"https://127.0.0.1:{magpie.port('https')}"
        super().__init__(base_url=base, http2=True, verify=False, auth=(user, PASSWORD), timeout=60)
        found = self.get("/jmap/session")
        assert found.http_version == "HTTP/2" and found.status_code == 200, found.text
        self.session = found.json()
        self.account = self.session["primaryAccounts"][MAIL]

    def __enter__(self) -> "Web":
        return self  # It is open: it has been used.

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        methods = [[name, {"accountId": self.account, **arguments}, "a"]]
        answer = self.post("/jmap/api", json={"using": ["urn:ietf:params:jmap:core", MAIL], "methodCalls": methods})
        told, response, _ = answer.json()["methodResponses"][0]
        assert told == name, response
        return response

    def upload(self, content: bytes, media_type: str = "application/octet-stream") -> str:
        """The blob that content becomes."""
        answer = self.post(f"/jmap/upload/{self.account}/", content=content, headers={"Content-Type": media_type})
        assert answer.status_code == 201, answer.text
        return answer.json()["blobId"]

    def file(self, blob: str, media_type: str = "text/plain") -> str:
        """The path of a download."""
        return f"/jmap/download/{self.account}/{blob}/a.txt?type={media_type}"
