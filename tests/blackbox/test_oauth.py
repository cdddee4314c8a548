"""OAuth 2.0: apps get access on the server's pages, and log in everywhere with what they got."""

import base64
import http.client
import imaplib
import json
import smtplib
import subprocess
from pathlib import Path

import pytest

from harness import mailbox
from harness.curl import curl
from harness.oauth import MAIL, REDIRECT, Answer, App, Browser, Form
from harness.server import PASSWORD, Magpie, any_certificate, running
from harness.site import Site


@pytest.fixture
def app(magpie: Magpie) -> App:
    return App(magpie, "--device")


def jmap(magpie: Magpie, token: str, path: str = "/jmap/session") -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", magpie.port("http"), timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


def standard(user: str, token: str) -> bytes:
    return f"n,a={user},\x01host=127.0.0.1\x01port=1\x01auth=Bearer {token}\x01\x01".encode()


def older(user: str, token: str) -> bytes:
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


FORMS = [("OAUTHBEARER", standard), ("XOAUTH2", older)]


def test_an_app_finds_its_way_from_nothing_but_the_address_of_the_server(magpie: Magpie, user: str, app: App) -> None:
    refused = jmap(magpie, "")
    assert refused.status == 401
    bearer, basic = refused.headers.get_all("WWW-Authenticate")
    assert bearer.startswith("Bearer ") and basic.startswith("Basic ")
    where = bearer.split('resource_metadata="')[1].split('"')[0]
    base = f"http://127.0.0.1:{magpie.port('http')}"
    resource = jmap(magpie, "", where.removeprefix(base)).json()
    assert resource["resource"] == f"{base}/jmap/session"
    assert resource["authorization_servers"] == [base]
    metadata = jmap(magpie, "", "/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == base and MAIL in metadata["scopes_supported"]
    assert metadata["token_endpoint"] == f"{base}/oauth/token"
    tokens = app.tokens(user)
    assert (tokens["token_type"], tokens["scope"], tokens["expires_in"]) == ("Bearer", MAIL, 3600)
    session = jmap(magpie, tokens["access_token"])
    assert (session.status, session.json()["username"]) == (200, f"{user}@example.test")
    wrong = jmap(magpie, "mat_" + "x" * 43)
    assert wrong.status == 401 and 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]


def test_what_is_wrong_with_a_code(magpie: Magpie, user: str, app: App) -> None:
    other = App(magpie)
    for changed in [
        {"code_verifier": "x" * 43},
        {"redirect_uri": "http://127.0.0.1:8000/callback"},
        {"client_id": other.id},
        {"code": "mac_" + "x" * 43},
    ]:
        code = app.code(user)
        assert app.redeem(**{"code": code, **changed}).error == "invalid_grant", changed
        if "code" not in changed:
            assert app.redeem(code).error == "invalid_grant", "it was presented wrongly before"
    code = app.code(user)
    tokens = app.redeem(code).json()
    assert jmap(magpie, tokens["access_token"]).status == 200
    assert app.redeem(code).error == "invalid_grant"
    assert jmap(magpie, tokens["access_token"]).status == 401, "a replayed code ends what became of it"


def test_51_nobody_is_sent_where_the_app_is_not(magpie: Magpie, app: App) -> None:
    browser = Browser(magpie)
    for redirect in [
        "https://evil.example/",
        f"{REDIRECT}/x",
        REDIRECT.replace("127.0.0.1", "127.0.0.1.evil.example"),
        "",
    ]:
        page = browser.open(app.question(redirect_uri=redirect))
        assert page.status == 400 and page.headers["Location"] is None, redirect
    page = browser.open(app.question(redirect_uri="http://127.0.0.1:49152/callback"))
    assert page.status == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    told = browser.open(app.question(code_challenge="")).told()
    assert (told["error"], told["state"]) == ("invalid_request", "a state")


def test_51_forms_of_others_are_not_taken(magpie: Magpie, user: str, app: App) -> None:
    browser = Browser(magpie)
    form = Form(browser.open(app.question()))
    typed = {"name": user, "password": PASSWORD, "decision": "allow"}
    assert browser.send(form, origin="https://evil.example", **typed).status == 403
    assert Browser(magpie).send(form, **typed).status == 403, "it has not got the form"
    assert browser.send(form, seal="0.0", **typed).status == 403
    wrong = browser.send(form, name=user, password="wrong", decision="allow")
    assert wrong.status == 403 and 'role="alert"' in wrong.text
    assert browser.send(Form(wrong), decision="deny").told()["error"] == "access_denied"


def test_an_app_password_grants_nothing(magpie: Magpie, user: str, app: App) -> None:
    made = magpie.cli_json("app-password", "create", user, "--for", "imap,jmap")["password"]
    browser = Browser(magpie)
    page = browser.open(app.question())
    assert browser.send(Form(page), name=user, password=made, decision="allow").status == 403


def test_a_refresh_token_that_comes_again_ends_everything(magpie: Magpie, user: str, app: App) -> None:
    first = app.tokens(user)
    second = app.refresh(first["refresh_token"]).json()
    assert jmap(magpie, second["access_token"]).status == 200
    assert app.refresh(first["refresh_token"]).error == "invalid_grant"
    for tokens in (first, second):
        assert jmap(magpie, tokens["access_token"]).status == 401
        assert app.refresh(tokens["refresh_token"]).error == "invalid_grant"


def test_what_ends_a_grant(magpie: Magpie, user: str, app: App) -> None:
    def ends(tokens: dict[str, str]) -> None:
        assert jmap(magpie, tokens["access_token"]).status == 401
        assert app.refresh(tokens["refresh_token"]).error == "invalid_grant"

    tokens = app.tokens(user)
    assert app.ask("/oauth/revoke", token=tokens["access_token"]).status == 200
    ends(tokens)
    tokens = app.tokens(user)
    grant = magpie.cli_json("oauth", "grant", "list", user)[-1]
    assert grant["client"] == app.id and grant["client_name"] == "An app"
    magpie.cli("oauth", "grant", "revoke", user, grant["id"])
    ends(tokens)
    tokens = app.tokens(user)
    magpie.cli("account", "password", user, "--password", PASSWORD)
    ends(tokens)
    tokens = app.tokens(user)
    magpie.cli("account", "change", user, "--state", "disabled")
    magpie.cli("account", "change", user, "--state", "active")
    ends(tokens)
    tokens = app.tokens(user)
    assert app.id in [client["id"] for client in magpie.cli_json("oauth", "client", "list")]
    magpie.cli("oauth", "client", "remove", app.id)
    assert jmap(magpie, tokens["access_token"]).status == 401
    assert app.refresh(tokens["refresh_token"]).error == "invalid_client"


def test_an_event_source_ends_within_a_minute_of_its_token(magpie: Magpie, user: str, app: App) -> None:
    tokens = app.tokens(user)
    connection = http.client.HTTPConnection("127.0.0.1", magpie.port("http"), timeout=120)
    fields = {"Authorization": f"Bearer {tokens['access_token']}"}
    connection.request("GET", "/jmap/events?types=*&closeafter=no&ping=0", headers=fields)
    events = connection.getresponse()
    assert events.status == 200
    app.ask("/oauth/revoke", token=tokens["refresh_token"])
    events.read()  # to its end; the timeout of the connection is the bound
    connection.close()


def test_a_device(magpie: Magpie, user: str, app: App) -> None:
    codes = app.ask("/oauth/device", scope=MAIL).json()
    assert app.poll(codes["device_code"]).error == "authorization_pending"
    assert app.poll(codes["device_code"]).error == "slow_down"
    browser = Browser(magpie)
    assert "user_code" in Form(browser.open("/device")).fields
    page = browser.open(codes["verification_uri_complete"].removeprefix(browser.origin))
    assert codes["user_code"] in page.text and "An app" in page.text
    done = browser.send(Form(page), name=user, password=PASSWORD, decision="allow")
    assert (done.status, "connected" in done.text) == (200, True)
    tokens = app.poll(codes["device_code"]).json()
    assert jmap(magpie, tokens["access_token"]).status == 200
    denied = app.ask("/oauth/device").json()
    page = browser.open(f"/device?user_code={denied['user_code'].lower()}")
    browser.send(Form(page), decision="deny")
    assert app.poll(denied["device_code"]).error == "access_denied"
    assert App(magpie).ask("/oauth/device").error == "unauthorized_client"


@pytest.mark.parametrize(("mechanism", "form"), FORMS)
def test_imap(magpie: Magpie, user: str, address: str, app: App, mechanism: str, form) -> None:
    magpie.deliver(address, b"Subject: for whom it is\r\n\r\nx\r\n")
    token = app.tokens(user)["access_token"]
    for client in (magpie.imaps(), magpie.imap()):
        with client:
            assert f"AUTH={mechanism}" in client.capabilities
            mailbox.ok(client.authenticate(mechanism, lambda _: form(address, token)))
            assert b"Subject: for whom it is" in mailbox.newest(client)
    said = []

    def wrong(challenge: bytes) -> bytes:
        said.append(challenge)
        return form(address, "mat_" + "x" * 43) if not challenge else b"\x01"

    with magpie.imaps() as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate(mechanism, wrong)
    told = json.loads(said[1])
    assert told["scope"] == MAIL and told["status"] in ("invalid_token", "401")
    if mechanism == "OAUTHBEARER":
        metadata = jmap(magpie, "", "/.well-known/" + told["openid-configuration"].rpartition("/")[2]).json()
        assert metadata["device_authorization_endpoint"].endswith("/oauth/device")
    with magpie.imaps() as client, pytest.raises(imaplib.IMAP4.error):
        client.authenticate(mechanism, lambda challenge: b"" if challenge else form("alice@example.test", token))


@pytest.mark.parametrize(("mechanism", "form"), FORMS)
def test_pop3(magpie: Magpie, user: str, address: str, app: App, mechanism: str, form) -> None:
    magpie.deliver(address, b"Subject: for whom it is\r\n\r\nx\r\n")
    token = app.tokens(user)["access_token"]
    client = magpie.pop3s()
    assert mechanism in client.capa()["SASL"]
    refused = client._shortcmd(f"AUTH {mechanism} {base64.b64encode(form(address, 'x')).decode()}")
    assert json.loads(base64.b64decode(refused[2:]))["scope"] == MAIL
    with pytest.raises(Exception, match="AUTH"):
        client._shortcmd("AQ==")
    message = base64.b64encode(form(address, token)).decode()
    assert client._shortcmd(f"AUTH {mechanism}") == b"+ "
    assert client._shortcmd(message).startswith(b"+OK")
    assert client.stat()[0] == 1
    client.quit()


@pytest.mark.parametrize(("mechanism", "form"), FORMS)
def test_submission(magpie: Magpie, user: str, address: str, app: App, mechanism: str, form) -> None:
    token = app.tokens(user)["access_token"]

    def connect() -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL(
            "127.0.0.1", magpie.port("submissions"), "laptop", context=any_certificate(), timeout=60
        )
        client.ehlo()
        assert mechanism in client.esmtp_features["auth"]
        return client

    with connect() as client:
        client.auth(mechanism, lambda challenge=None: form(address, token).decode())
        client.sendmail(address, [address], f"From: {address}\r\nSubject: by token\r\n\r\nx\r\n".encode())
    with connect() as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.auth(mechanism, lambda challenge=None: "\x01" if challenge else form(address, "mat_x").decode())
    assert refused.value.smtp_code == 535
    with magpie.imap(user) as client:
        assert b"Subject: by token" in mailbox.newest(client)


def test_curl(magpie: Magpie, user: str, address: str, app: App, tmp_path: Path) -> None:
    magpie.deliver(address, b"Subject: for whom it is\r\n\r\nx\r\n")
    token = app.tokens(user)["access_token"]
    login = ["--insecure", "--user", address, "--oauth2-bearer", token]
    assert b"for whom it is" in curl(*login, f"imaps://127.0.0.1:{magpie.port('imaps')}/INBOX;MAILINDEX=1")
    assert b"for whom it is" in curl(*login, f"pop3s://127.0.0.1:{magpie.port('pop3s')}/1")
    session = json.loads(
        curl("--insecure", "--oauth2-bearer", token, f"https://127.0.0.1:{magpie.port('https')}/jmap/session")
    )
    assert session["username"] == address
    letter = tmp_path / "mail.eml"
    letter.write_bytes(f"From: {address}\r\nSubject: by curl\r\n\r\nx\r\n".encode())
    curl(*login, "--mail-from", address, "--mail-rcpt", address, "--upload-file", str(letter),
         f"smtps://127.0.0.1:{magpie.port('submissions')}/laptop")  # fmt: skip
    with magpie.imap(user) as client:
        assert b"Subject: by curl" in mailbox.newest(client)
    wrong = ["--insecure", "--user", address, "--oauth2-bearer", "mat_x"]
    for url in (
        f"imaps://127.0.0.1:{magpie.port('imaps')}/INBOX;MAILINDEX=1",
        f"pop3s://127.0.0.1:{magpie.port('pop3s')}/1",
    ):
        done = subprocess.run(["curl", "--silent", "--max-time", "60", *wrong, url], capture_output=True, check=False)
        assert done.returncode == 67, "login denied"


def test_tokens_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    with running(tmp_path / "data") as magpie:
        app = App(magpie)
        tokens = [app.tokens("alice") for _ in range(3)]
        tokens[0] = app.refresh(tokens[0]["refresh_token"]).json()
        app.ask("/oauth/revoke", token=tokens[1]["refresh_token"])
        code = app.code("alice")
        magpie.kill()
        magpie.start()
        assert app.redeem(code).status == 200
        assert [jmap(magpie, each["access_token"]).status for each in tokens] == [200, 401, 200]
        assert app.refresh(tokens[0]["refresh_token"]).status == 200
        assert app.refresh(tokens[1]["refresh_token"]).error == "invalid_grant"


@pytest.mark.parametrize(
    ("settings", "there"), [("", False), ('[oauth]\nissuer = "https://mail.example.test"\n', True)]
)
def test_serve_hands_out_tokens_only_where_it_is_known_where(tmp_path: Path, settings: str, there: bool) -> None:
    site = Site(tmp_path, settings).start()
    try:
        assert site.get("/.well-known/oauth-authorization-server")[0] == (200 if there else 404)
        # The port is without TLS.
        assert site.get("/oauth/authorize")[0] == (403 if there else 404)
        with site.imaps() as client:
            assert ("AUTH=OAUTHBEARER" in client.capabilities) == there
        with site.imap() as client:
            assert "AUTH=OAUTHBEARER" not in client.capabilities
    finally:
        site.stop()
