"""Asks over JMAP, above all for automatic answers of an account to be turned on and off."""

import base64
import json
import urllib.request

from .server import PASSWORD, Magpie

USING = [f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "vacationresponse", "blob", "quota")]


def ask(server: Magpie, user: str, method: str, **arguments) -> dict:
    """Calls a method of JMAP as a user of the server's, and returns its response."""
    login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()

    def open_url(path: str, body: bytes | None = None) -> dict:
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{server.port('http')}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    account = open_url("/jmap/session")["primaryAccounts"]["urn:ietf:params:jmap:mail"]
    body = {"using": USING, "methodCalls": [[method, {"accountId": account, **arguments}, "0"]]}
    [[name, response, _]] = open_url("/jmap/api", json.dumps(body).encode())["methodResponses"]
    assert name == method, response
    return response


def go_away(server: Magpie, user: str, **properties) -> None:
    """From now on the account answers; with the properties of VacationResponse, and the defaults for all others."""
    defaults = {"fromDate": None, "toDate": None, "subject": None, "textBody": None, "htmlBody": None}
    done = ask(server, user, "VacationResponse/set", update={"singleton": defaults | properties | {"isEnabled": True}})
    assert "singleton" in (done["updated"] or {}), done


def come_back(server: Magpie, user: str) -> None:
    done = ask(server, user, "VacationResponse/set", update={"singleton": {"isEnabled": False}})
    assert "singleton" in (done["updated"] or {}), done
