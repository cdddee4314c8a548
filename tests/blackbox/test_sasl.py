"""SCRAM-SHA-256 with clients that we did not write: scramp below imaplib and poplib, and GNU SASL."""

import base64
import imaplib
import poplib
import ssl
import subprocess
from pathlib import Path

import pytest
from scramp import ScramClient

from harness import mailbox
from harness.server import PASSWORD, Magpie

SCRAM = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"


class Scram:
    """The client's side of an exchange, as imaplib wants it: called with a challenge, returns the answer."""

    def __init__(self, user: str, password: str):
        self.client = ScramClient([SCRAM], user, password)
        self.steps = iter([self.first, self.final, self.verify])

    def __call__(self, challenge: bytes) -> bytes:
        return next(self.steps)(challenge.decode()).encode()

    def first(self, challenge: str) -> str:
        assert challenge == ""
        return self.client.get_client_first()

    def final(self, challenge: str) -> str:
        self.client.set_server_first(challenge)
        return self.client.get_client_final()

    def verify(self, challenge: str) -> str:
        self.client.set_server_final(challenge)  # raises if the server does not know the password
        return ""


def test_imap(magpie: Magpie, user: str, address: str) -> None:
    magpie.deliver(address, b"Subject: for whom it is\r\n\r\nx\r\n")
    for login in (user, address):
        with magpie.imaps() as client:
            assert f"AUTH={SCRAM}" in client.capabilities
            mailbox.ok(client.authenticate(SCRAM, Scram(login, PASSWORD)))
            assert b"Subject: for whom it is" in mailbox.newest(client)


def pop3_login(client: poplib.POP3, scram: Scram) -> bytes:
    answer = client._shortcmd(f"AUTH {SCRAM}")
    while answer.startswith(b"+ "):
        answer = client._shortcmd(base64.b64encode(scram(base64.b64decode(answer[2:]))).decode())
    return answer


def test_pop3(magpie: Magpie, user: str, address: str) -> None:
    magpie.deliver(address, b"Subject: for whom it is\r\n\r\nx\r\n")
    client = magpie.pop3s()
    assert SCRAM in client.capa()["SASL"]
    assert pop3_login(client, Scram(user, PASSWORD)).startswith(b"+OK")
    assert client.stat()[0] == 1
    client.quit()


def refusal(magpie: Magpie, user: str, password: str) -> str:
    with magpie.imaps() as client, pytest.raises(imaplib.IMAP4.error) as refused:
        client.authenticate(SCRAM, Scram(user, password))
    return str(refused.value)


def test_38_wrong_password_and_unknown_user_look_the_same(magpie: Magpie, user: str) -> None:
    wrong = refusal(magpie, user, "wrong-horse-battery")
    unknown = refusal(magpie, "nobody-of-this-name", PASSWORD)
    assert wrong == unknown and "[AUTHENTICATIONFAILED]" in wrong


def test_38_an_exchange_cannot_be_replayed(magpie: Magpie, user: str) -> None:
    scram, said = Scram(user, PASSWORD), []

    def overheard(challenge: bytes) -> bytes:
        said.append(scram(challenge))
        return said[-1]

    with magpie.imaps() as client:
        mailbox.ok(client.authenticate(SCRAM, overheard))
    replayed = iter(said)
    with magpie.imaps() as client, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate(SCRAM, lambda _: next(replayed))


def test_37_aborted_exchanges_end_and_others_are_unharmed(magpie: Magpie, user: str) -> None:
    with magpie.imaps() as client:
        for _ in range(10):
            with pytest.raises(imaplib.IMAP4.error, match="cancelled"):
                client.authenticate(SCRAM, lambda _: None)
            with pytest.raises(imaplib.IMAP4.error):
                client.authenticate(SCRAM, lambda _: b"n,,n=")
    with magpie.imaps() as client:
        mailbox.ok(client.authenticate(SCRAM, Scram(user, PASSWORD)))


def test_app_passwords_and_new_passwords(magpie: Magpie, user: str, address: str) -> None:
    app = magpie.cli_json("app-password", "create", address, "--label", "phone")["password"]
    for password in (app, PASSWORD):
        with magpie.imaps() as client:
            mailbox.ok(client.authenticate(SCRAM, Scram(user, password)))


def gsasl(magpie: Magpie, user: str, password: str, mechanism: str, *options: str, home: Path):
    certificate = home / "certificate.pem"
    certificate.write_text(ssl.get_server_certificate(("127.0.0.1", magpie.port("imaps"))))
    command = ["gsasl", "--client", "--imap", "--mechanism", mechanism, "--authentication-id", user,
               "--authorization-id", user, "--password", password, "--x509-ca-file", str(certificate), "--quiet",
               "--no-client-first", *options, "localhost", str(magpie.port("imap"))]  # fmt: skip
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60)


def test_bound_to_the_channel(magpie: Magpie, user: str, tmp_path: Path) -> None:
    """GNU SASL binds itself to the TLS channel by tls-exporter (RFC 9266)."""
    done = gsasl(magpie, user, PASSWORD, PLUS, home=tmp_path)
    assert done.returncode == 0 and "OK" in done.stdout, (done.stdout, done.stderr)
    done = gsasl(magpie, user, "wrong-horse-battery", PLUS, home=tmp_path)
    assert done.returncode != 0, (done.stdout, done.stderr)


def test_not_bound_to_the_channel(magpie: Magpie, user: str, tmp_path: Path) -> None:
    done = gsasl(magpie, user, PASSWORD, SCRAM, "--no-cb", home=tmp_path)
    assert done.returncode == 0 and "OK" in done.stdout, (done.stdout, done.stderr)


def test_a_stripped_offer_is_noticed(magpie: Magpie, user: str) -> None:
    """A client that could bind itself, and was told that the server cannot, says so in its first message."""
    with magpie.imaps() as client, pytest.raises(imaplib.IMAP4.error, match=r"AUTHENTICATIONFAILED.*hidden"):
        client.authenticate(SCRAM, lambda _: f"y,,n={user},r=client".encode())
    # Without TLS there is nothing to hide.
    with magpie.imap() as client, pytest.raises(imaplib.IMAP4.error, match="cancelled"):
        client.authenticate(SCRAM, lambda challenge: None if challenge else f"y,,n={user},r=client".encode())
