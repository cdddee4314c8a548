"""Real servers take what we send: Debian's Postfix and OpenSMTPD, as destinations and as smarthosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import corpus, opensmtpd, postfix
from harness.internet import Internet
from harness.maildrop import parsed
from harness.opensmtpd import OpenSmtpd
from harness.postfix import Postfix
from harness.sender import Sender, letter, sending

pytestmark = pytest.mark.usefixtures("needs_root")

LOGIN = ("relay-user", "relay-password-1")


@pytest.fixture(scope="module")
def mx_postfix(internet: Internet) -> Iterator[Postfix]:
    certificate = internet.authority.certify("mx.postfix.test")
    with postfix.destination("mx.postfix.test", certificate) as server:
        internet.host("mx.postfix.test", server.address)
        internet.exchangers("postfix.test", "mx.postfix.test")
        internet.policy("postfix.test", "enforce", "mx.postfix.test")
        yield server


@pytest.fixture(scope="module")
def mx_opensmtpd(internet: Internet) -> Iterator[OpenSmtpd]:
    certificate = internet.authority.certify("mx.opensmtpd.test", old=True)
    with opensmtpd.running("mx.opensmtpd.test", certificate, resolver=internet.dns.address) as server:
        internet.host("mx.opensmtpd.test", server.address)
        internet.exchangers("opensmtpd.test", "mx.opensmtpd.test")
        internet.publish()
        yield server


def body(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[2]


def test_to_postfix(sender: Sender, mx_postfix: Postfix) -> None:
    """Over TLS, as the domain's policy demands; everything as it was sent, in Korean and in Japanese too."""
    mails = [letter("to Postfix"), letter("dots", body="a\r\n.\r\n..\r\n...b\r\n\r\n.")]
    mails += [submittable(sample.source) for sample in corpus.written("korean", "japanese")[:6]]
    already = len(mx_postfix.mails())
    for mail in mails:
        sender.send("carol@postfix.test", "dave@postfix.test", message=mail)
    stored = mx_postfix.wait(already + 2 * len(mails))
    for mail in mails:
        assert sum(body(one).rstrip(b"\r\n") == body(mail).rstrip(b"\r\n") for one in stored) == 2
    assert all(b"using TLSv1." in mail for mail in stored)
    recipients = [parsed(mail)["Delivered-To"] for mail in stored]
    assert recipients.count("carol@postfix.test") == recipients.count("dave@postfix.test") == len(mails)


def submittable(source: bytes) -> bytes:
    """A mail of the corpus in the name of the account that sends it."""
    head, _, rest = corpus.crlf(source).partition(b"\r\n\r\n")
    keep, skipping = [], False
    for line in head.split(b"\r\n"):
        if line[:1] not in b" \t":
            skipping = line.split(b":")[0].lower() in (
                b"from", b"sender", b"received", b"return-path", b"dkim-signature", b"delivered-to", b"authentication-results"
            )  # fmt: skip
        if not skipping:
            keep.append(line)
    return b"From: alice@example.test\r\n" + b"\r\n".join(keep) + b"\r\n\r\n" + rest


def test_to_opensmtpd(sender: Sender, mx_opensmtpd: OpenSmtpd) -> None:
    """With TLS if it can; Debian 12's offers it and cannot, and gets the mail all the same."""
    sender.send("carol@opensmtpd.test", "dave@opensmtpd.test", subject="to OpenSMTPD")
    stored = mx_opensmtpd.wait(2)
    assert {parsed(mail)["Delivered-To"] for mail in stored} == {"carol@opensmtpd.test", "dave@opensmtpd.test"}
    assert all(b"Hello." in mail for mail in stored)
    assert all((b"TLSv1" in mail) == mx_opensmtpd.speaks_tls() for mail in stored)


def test_a_large_one(sender: Sender, mx_postfix: Postfix, mx_opensmtpd: OpenSmtpd) -> None:
    """20 MB, most of it in blobs; where the server says that it is too large, that is a failure at once."""
    text = letter("large", body="\r\n".join(["0123456789" * 7] * 280_000))
    sender.send("carol@postfix.test", "carol@opensmtpd.test", message=text)
    for server in (mx_postfix, mx_opensmtpd):
        assert body(server.about("large", timeout=120)).rstrip() == body(text).rstrip()


def test_too_large_for_the_server(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 1870 §6.3: what is larger than the SIZE that was announced is not even begun."""
    peer = internet.peer(elsewhere, extensions=(b"SIZE 100000", b"8BITMIME"))
    sender.send(f"carol@{elsewhere}", message=letter(body="\r\n".join(["x" * 70] * 3000)))
    [fate] = sender.report(about=f"carol@{elsewhere}").recipients
    assert fate["action"] == "failed" and fate["status"] == "5.3.4"
    assert peer.verbs[b"DATA"] == 0


@pytest.mark.parametrize("tls, port", [("verify", 587), ("verify-immediate", 465)])
def test_postfix_as_a_smarthost(internet: Internet, elsewhere: str, tmp_path: Path, tls: str, port: int) -> None:
    """Everything goes there, with a login, wherever it is for: DNS is not asked."""
    certificate = internet.authority.certify(elsewhere)
    with postfix.destination(elsewhere, certificate, login=LOGIN) as smarthost:
        internet.host(elsewhere, smarthost.address)
        internet.publish()
        route = smarthost_route(tmp_path, f"{elsewhere}:{port}", tls)
        with sending(tmp_path, internet, users=["alice"], settings=route, allow=()) as site:
            site.send("carol@anywhere.example", "dave@nowhere.broken", subject="by smarthost")
            stored = smarthost.wait(2)
            site.wait_until_empty()
    assert all(b"ESMTPSA" in mail for mail in stored)
    assert {parsed(mail)["Delivered-To"] for mail in stored} == {"carol@anywhere.example", "dave@nowhere.broken"}
    assert LOGIN[1] not in site.said()


def smarthost_route(folder: Path, host: str, tls: str, login: tuple[str, str] = LOGIN) -> str:
    """The configuration of a way to a smarthost with a login, for everything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "password").write_text(login[1] + "\n")
    return (
        f'[relay.route.smarthost]\ndomains = ["*"]\nhosts = ["{host}"]\ntls = "{tls}"\n'
        f'username = "{login[0]}"\npassword = "password"\n'
    )


def test_a_smarthost_that_does_not_know_the_password(internet: Internet, elsewhere: str, tmp_path: Path) -> None:
    """Ours to mend: the message waits, and the queue says why; the password is nowhere."""
    certificate = internet.authority.certify(elsewhere)
    with postfix.destination(elsewhere, certificate, login=("relay-user", "another")) as smarthost:
        internet.host(elsewhere, smarthost.address)
        internet.publish()
        route = smarthost_route(tmp_path, f"{elsewhere}:587", "verify")
        with sending(tmp_path, internet, users=["alice"], settings=route) as site:
            id = site.send("carol@anywhere.example")
            site.wait(lambda: site.tried(id), "tried")
            said = site.explain(id) + site.cli("queue", "show", id, "--json").stdout
            assert "535" in said or "login" in said.lower(), said
            assert LOGIN[1] not in said + site.said()
            assert not smarthost.mails()


def test_opensmtpd_as_a_smarthost_for_a_domain(internet: Internet, tmp_path: Path, elsewhere: str) -> None:
    """One domain and all below it go by way of it, everything else as DNS says."""
    certificate = internet.authority.certify("gateway.test", old=True)
    peer = internet.peer(elsewhere)
    with opensmtpd.running("gateway.test", certificate, resolver=internet.dns.address) as gateway:
        internet.host("gateway.test", gateway.address)
        internet.publish()
        tls = "require" if gateway.speaks_tls() else "never"
        route = (
            f'[relay.route.gateway]\nhosts = ["gateway.test:25"]\ntls = "{tls}"\n'
            'domains = ["partner.example", ".partner.example"]\n'
        )
        with sending(tmp_path, internet, users=["alice"], settings=route) as site:
            site.send("carol@partner.example", "dave@deep.below.partner.example", f"erin@{elsewhere}")
            peer.wait(1)
            stored = gateway.wait(2)
            site.wait_until_empty()
    assert {parsed(mail)["Delivered-To"] for mail in stored} == {
        "carol@partner.example", "dave@deep.below.partner.example"
    }  # fmt: skip
    assert peer.addresses() == {f"erin@{elsewhere}": 1}


def test_opensmtpd_as_a_smarthost_with_a_login(internet: Internet, elsewhere: str, tmp_path: Path) -> None:
    certificate = internet.authority.certify(elsewhere, old=True)
    with opensmtpd.running(elsewhere, certificate, login=LOGIN, resolver=internet.dns.address) as gateway:
        if not gateway.speaks_tls(587):
            pytest.skip("this OpenSMTPD cannot do TLS, and takes no login without it")
        internet.host(elsewhere, gateway.address)
        internet.publish()
        route = smarthost_route(tmp_path, f"{elsewhere}:587", "verify")
        with sending(tmp_path, internet, users=["alice"], settings=route) as site:
            site.send("carol@anywhere.example", subject="by OpenSMTPD")
            gateway.about("by OpenSMTPD")
