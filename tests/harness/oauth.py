"""An app and a browser for OAuth: what a person does on the pages, and what an app does behind them."""

import base64
import hashlib
import http.client
import json
import secrets
import urllib.parse
from html.parser import HTMLParser
from typing import Any

from .server import PASSWORD, Magpie

REDIRECT = "http://127.0.0.1/callback"
MAIL = "urn:ietf:params:oauth:scope:mail"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Answer:
    """What the server has said."""

    def __init__(self, answer: http.client.HTTPResponse):
        self.status = answer.status
        self.headers = answer.headers
        self.text = answer.read().decode()

    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def error(self) -> str:
        return self.json()["error"]

    def told(self) -> dict[str, str]:
        """What the browser is to bring the app."""
        assert self.status == 303, self.text
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.headers["Location"]).query))


class Form(HTMLParser):
    """The form of a page."""

    def __init__(self, page: Answer):
        super().__init__()
        self.action, self.fields = "", {}
        self.feed(page.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert tag != "script" and not any(name.startswith("on") for name in given)
        if tag == "form":
            self.action = given["action"]
        elif tag == "input":
            self.fields[given["name"]] = given.get("value") or ""


class Browser:
    """Keeps cookies, and says which page it sends a form from."""

    def __init__(self, magpie: Magpie):
        self.port = magpie.port("http")
        self.origin = f"http://127.0.0.1:{self.port}"
        self.cookies: dict[str, str] = {}

    def open(self, path: str) -> Answer:
        return self._ask("GET", path, None, {})

    def send(self, form: Form, origin: str | None = None, **typed: str) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin or self.origin}
        return self._ask("POST", form.action, urllib.parse.urlencode({**form.fields, **typed}), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = Answer(connection.getresponse())
        connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


class App:
    """A public client, registered on the command line."""

    def __init__(self, magpie: Magpie, *options: str):
        self.magpie = magpie
        self.id = magpie.cli_json("oauth", "client", "add", "An app", "--redirect", REDIRECT, *options)["id"]
        self.verifier = ""

    def question(self, **changed: str) -> str:
        """The path to which the app sends the browser."""
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        variables = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": REDIRECT,
            "scope": MAIL,
            "state": "a state",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changed,
        }
        return "/oauth/authorize?" + urllib.parse.urlencode({n: v for n, v in variables.items() if v})

    def ask(self, path: str, **variables: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.magpie.port("http"), timeout=60)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urllib.parse.urlencode({"client_id": self.id, **variables}), headers)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def code(self, user: str) -> str:
        """What the app hears after its user has agreed."""
        browser = Browser(self.magpie)
        page = browser.open(self.question())
        assert page.status == 200, page.text
        told = browser.send(Form(page), name=user, password=PASSWORD, decision="allow").told()
        assert (told["state"], told["iss"]) == ("a state", browser.origin)
        return told["code"]

    def redeem(self, code: str, **changed: str) -> Answer:
        variables = {"code": code, "redirect_uri": REDIRECT, "code_verifier": self.verifier, **changed}
        return self.ask("/oauth/token", grant_type="authorization_code", **variables)

    def tokens(self, user: str) -> dict[str, Any]:
        answer = self.redeem(self.code(user))
        assert answer.status == 200, answer.text
        return answer.json()

    def refresh(self, token: str) -> Answer:
        return self.ask("/oauth/token", grant_type="refresh_token", refresh_token=token)

    def poll(self, device_code: str) -> Answer:
        return self.ask("/oauth/token", grant_type=DEVICE_GRANT, device_code=device_code)
