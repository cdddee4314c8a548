"""Submission (RFC 6409): mail apps log in and send, as themselves and nobody else."""

import base64
import email
import email.policy
import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dkim
import pytest
from scramp import ScramClient

from harness import mailbox
from harness.node import node
from harness.patience import inbox, until
from harness.server import DOMAIN, PASSWORD, Magpie, any_certificate
from harness.site import Site

SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
TOKENS = ["OAUTHBEARER", "XOAUTH2"]


@pytest.fixture
def other(owner: str) -> str:
    """The address of somebody else here."""
    return f"{owner}@{DOMAIN}"


class Submission(smtplib.SMTP_SSL):
    """smtplib on the port with TLS from the first octet."""

    def __init__(self, server: Magpie, user: str | None = None, password: str = PASSWORD):
        super().__init__(
            "127.0.0.1", server.port("submissions"), local_hostname="laptop", context=any_certificate(), timeout=60
        )
        if user:
            self.login(user, password)

    def refusal(self, *command: str) -> tuple[int, str]:
        code, text = self.docmd(*command)
        return code, text.decode()


def message(sender: str, subject: str, *fields: str, body: str = "Text.\r\n") -> bytes:
    lines = [f"From: {sender}", f"Subject: {subject}", *fields]
    return ("".join(f"{line}\r\n" for line in lines) + "\r\n" + body).encode()


def stored(server: Magpie, user: str, count: int = 1) -> list[bytes]:
    """What is in an INBOX: a delivery in the session is there with its 250."""
    with server.imap(user) as client:
        mails = list(mailbox.fetch_all(client).values())
    assert len(mails) == count, mails
    return mails


def parsed(mail: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.default)


# Who comes in. -------------------------------------------------------------------------------------------------


def test_nothing_goes_without_a_login_and_no_login_without_tls(tmp_path: Path) -> None:
    site = Site(tmp_path).start()
    site.add("alice", password=PASSWORD)
    try:
        with site.smtp("submission") as client:
            client.ehlo()
            assert not client.has_extn("auth") and client.has_extn("starttls")
            assert client.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0alice\0{PASSWORD}".encode()).decode())[0] == 538
            assert client.docmd("MAIL", "FROM:<alice@example.test>")[0] == 530
            client.starttls(context=any_certificate())
            client.ehlo()
            assert client.docmd("MAIL", "FROM:<alice@example.test>")[0] == 530
            offered = client.esmtp_features["auth"].split()
            assert offered == [PLUS, SCRAM, "PLAIN", "LOGIN"]
            client.login("alice@example.test", PASSWORD)
            client.sendmail("alice@example.test", ["alice@example.test"], message("alice@example.test", "me"))
        with site.imap() as client:
            assert client.starttls(any_certificate())[0] == "OK"
            client.login("alice@example.test", PASSWORD)
            [mail] = mailbox.fetch_all(client).values()
        # Where its author is, and with what, is nobody's business.
        received = parsed(mail)["Received"]
        assert "with ESMTPSA" in received and "laptop" not in received and "127.0.0.1" not in received
    finally:
        site.stop()


def test_extensions(magpie: Magpie, user: str) -> None:
    with Submission(magpie, user) as client:
        client.ehlo()
        for extension in ("pipelining", "size", "8bitmime", "smtputf8", "enhancedstatuscodes", "chunking", "binarymime",
                          "dsn", "futurerelease", "requiretls"):  # fmt: skip
            assert client.has_extn(extension), extension
        for extension in ("auth", "mt-priority", "deliverby"):
            assert not client.has_extn(extension), extension
    with magpie.smtp() as client:
        client.ehlo()
        # Nobody outside is promised notifications: a forged sender would get them.
        assert not client.has_extn("dsn") and not client.has_extn("auth")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("protocol", ["submission", "submissions"])
def test_passwords(magpie: Magpie, user: str, address: str, other: str, owner: str, mechanism: str, protocol: str):
    with Submission(magpie) if protocol == "submissions" else magpie.smtp("submission") as client:
        client.ehlo()
        client.user, client.password = user, PASSWORD
        initial = mechanism == "PLAIN"
        code, _ = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"), initial_response_ok=initial)
        assert code == 235
        client.sendmail(address, [other], message(address, mechanism))
    [mail] = stored(magpie, owner)
    assert parsed(mail)["Subject"] == mechanism


def test_scram(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    scram = ScramClient([SCRAM], user, PASSWORD)

    def answer(challenge: bytes | None = None) -> str:
        if challenge is None:
            return scram.get_client_first()
        text = challenge.decode()
        if text.startswith("v="):
            scram.set_server_final(text)
            return ""
        scram.set_server_first(text)
        return scram.get_client_final()

    with Submission(magpie) as client:
        client.ehlo()
        assert client.auth(SCRAM, answer)[0] == 235
        client.sendmail(address, [other], message(address, "by scram"))
    stored(magpie, owner)


def gsasl(server: Magpie, user: str, mechanism: str, password: str, certificate: Path):
    command = ["gsasl", "--client", "--smtp", "--mechanism", mechanism, "--authentication-id", user,
               "--authorization-id", user, "--password", password, "--x509-ca-file", str(certificate), "--quiet",
               "--no-client-first", "localhost", str(server.port("submission"))]  # fmt: skip
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60)


def test_scram_bound_to_the_channel(magpie: Magpie, user: str) -> None:
    certificate = magpie.data / "tls" / "cert.pem"
    done = gsasl(magpie, user, PLUS, PASSWORD, certificate)
    assert done.returncode == 0 and "235" in done.stdout, (done.stdout, done.stderr)
    done = gsasl(magpie, user, PLUS, "wrong-horse-battery", certificate)
    assert done.returncode != 0 and "535" in done.stdout, (done.stdout, done.stderr)


def test_the_channel_is_offered_only_where_there_is_one(magpie: Magpie) -> None:
    with magpie.smtp("submission") as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == [SCRAM, *TOKENS, "PLAIN", "LOGIN"]
        assert client.docmd("AUTH", PLUS)[0] == 504
    old = any_certificate()
    old.maximum_version = old.minimum_version = 0x0303  # TLS 1.2 has no binding that is safe
    with magpie.smtp("submission") as client:
        client.starttls(context=old)
        client.ehlo()
        assert client.esmtp_features["auth"].split() == [SCRAM, *TOKENS, "PLAIN", "LOGIN"]


def test_38_wrong_password_and_unknown_user_get_the_same_answer(magpie: Magpie, user: str) -> None:
    answers = []
    for name, password in [(user, "wrong-horse-battery"), ("nobody-of-this-name", PASSWORD)]:
        with Submission(magpie) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(name, password)
        answers.append((refused.value.smtp_code, refused.value.smtp_error))
    assert answers[0] == answers[1] and answers[0][0] == 535 and answers[0][1].startswith(b"5.7.8 ")


def test_an_account_that_may_only_receive(magpie: Magpie, user: str, address: str) -> None:
    with Submission(magpie, user) as client:
        magpie.cli("account", "change", address, "--state", "receive-only")
        with Submission(magpie) as late, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            late.login(user, PASSWORD)
        assert (refused.value.smtp_code, refused.value.smtp_error[:6]) == (525, b"5.7.13")
        # Who was inside before sends nothing more either.
        assert client.mail(address)[0] == 550


# As whom. ------------------------------------------------------------------------------------------------------


def test_in_nobody_elses_name(magpie: Magpie, user: str, address: str, other: str) -> None:
    with Submission(magpie, user) as client:
        client.ehlo()
        for foreign in (other, "ceo@example.com", f"nobody-here@{DOMAIN}"):
            code, text = client.refusal("MAIL", f"FROM:<{foreign}>")
            assert code == 553 and text.startswith("5.7.1 "), (foreign, code, text)
        for fields in (f"From: {other}", f"From: {address}, {other}", "From: ceo@example.com", "From: undisclosed:;"):
            client.mail(address)
            client.rcpt(other)
            code, text = client.data(f"{fields}\r\nSubject: x\r\n\r\nx\r\n")
            assert code == 550, (fields, code, text)
            client.rset()
        client.sendmail(address, [address], message(address, "as myself", f"Sender: {other}"))
    # Somebody else's Sender does not leave.
    [mail] = stored(magpie, user)
    assert parsed(mail)["Sender"] is None


def test_as_an_alias_and_with_a_detail(magpie: Magpie, user: str, address: str) -> None:
    alias = f"alias-of-{user}@{DOMAIN}"
    magpie.cli("alias", "create", alias, address)
    names = [alias, f"{user}+detail@{DOMAIN}"]
    with Submission(magpie, user) as client:
        for name in names:
            client.sendmail(name, [address], message(name, "as another of mine"))
    assert [parsed(mail)["Return-Path"] for mail in stored(magpie, user, 2)] == [f"<{name}>" for name in names]


def test_a_notification_on_reading_has_no_sender(magpie: Magpie, user: str, address: str, other: str, owner: str):
    with Submission(magpie, user) as client:
        client.sendmail("", [other], message(address, "read"))
    [mail] = stored(magpie, owner)
    assert mail.startswith(b"Return-Path: <>\r\n")


# What leaves. --------------------------------------------------------------------------------------------------


def test_the_header_is_completed(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    sent = f"Subject: bare\r\nTo: {other}\r\nBcc: secret@{DOMAIN},\r\n\tother@{DOMAIN}\r\n\r\n..x\r\nlast"
    with Submission(magpie, user) as client:
        client.sendmail(address, [other], sent.encode())
    [mail] = stored(magpie, owner)
    assert b"secret@" not in mail and b"Bcc" not in mail
    seen = parsed(mail)
    assert seen["From"] == address and seen["Date"] and re.fullmatch(r"<\w+@mail.example.test>", seen["Message-ID"])
    assert mail.endswith(b"\r\n\r\n..x\r\nlast\r\n")
    assert seen["Received"].startswith("by mail.example.test with ESMTPSA")


def test_what_is_complete_stays_as_it_is(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    sent = message(address, "whole", "Date: Sun, 22 Nov 2026 16:53:26 +0900", "Message-ID: <1@laptop.example>")
    with Submission(magpie, user) as client:
        client.sendmail(address, [other], sent)
    [mail] = stored(magpie, owner)
    assert mail.endswith(b"+0000\r\n" + sent)


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Magpie, dict[str, str]]]:
    """A server that signs what its domain sends with two keys, and their records."""
    server = Magpie(tmp_path_factory.mktemp("signing") / "data", users=3).start()
    records = {}
    for key in server.cli_json("dkim", "create", DOMAIN):
        server.cli("dkim", "activate", DOMAIN, key["selector"])
        records[f"{key['selector']}._domainkey.{DOMAIN}."] = key["record"]
    yield server, records
    if server.process:
        server.stop()


def body_of(kind: str) -> str:
    return {
        "short": "Text.\r\n",
        "blanks": "a  b \t\r\n\r\n \r\n\r\n\r\n",
        "empty": "",
        "large": "0123456789 abcdefghij\r\n" * 100_000,
        "korean": "안녕하세요\r\n",
    }[kind]


@pytest.mark.parametrize("kind", ["short", "blanks", "empty", "large", "korean"])
def test_everything_is_signed(signing: tuple[Magpie, dict[str, str]], kind: str) -> None:
    server, records = signing
    with Submission(server, "user1") as client:
        sent = message(f"user1@{DOMAIN}", kind, f"To: user2@{DOMAIN}", body=body_of(kind))
        client.sendmail(f"user1@{DOMAIN}", [f"user2@{DOMAIN}"], sent)
    with server.imap("user2") as client:
        mail = mailbox.newest(client)
    assert f"Subject: {kind}\r\n".encode() in mail
    assert mail.count(b"DKIM-Signature:") == 2
    lookup = lambda name, timeout=5: records[name.decode()].encode()  # noqa: E731
    assert [dkim.DKIM(mail).verify(idx=number, dnsfunc=lookup) for number in range(2)] == [True, True]
    assert not dkim.DKIM(mail.replace(b"\r\nSubject: ", b"\r\nSubject: x")).verify(dnsfunc=lookup)


def test_a_binary_body_is_signed_in_the_form_in_which_it_leaves(signing: tuple[Magpie, dict[str, str]]) -> None:
    server, records = signing
    octets = bytes(range(256)) * 40
    sent = f"From: user1@{DOMAIN}\r\nSubject: octets\r\nMIME-Version: 1.0\r\n".encode()
    sent += b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    with Submission(server, "user1") as client:
        client.ehlo()
        assert client.mail(f"user1@{DOMAIN}", ["BODY=BINARYMIME"])[0] == 250
        assert client.rcpt(f"user2@{DOMAIN}")[0] == 250
        for number, piece in enumerate((sent[:60], sent[60:])):
            client.send(f"BDAT {len(piece)}{' LAST' if number else ''}\r\n".encode() + piece)
            assert client.getreply()[0] == 250
    with server.imap("user2") as client:
        mail = mailbox.newest(client)
    assert parsed(mail).get_content() == octets
    assert dkim.DKIM(mail).verify(dnsfunc=lambda name, timeout=5: records[name.decode()].encode())


def test_a_key_that_retires_signs_no_more(signing: tuple[Magpie, dict[str, str]]) -> None:
    server, _ = signing
    for key in server.cli_json("dkim", "list", DOMAIN):
        if key["algorithm"] == "ed25519":
            server.cli("dkim", "retire", DOMAIN, key["selector"])
    with Submission(server, "user1") as client:
        client.sendmail(f"user1@{DOMAIN}", [f"user3@{DOMAIN}"], message(f"user1@{DOMAIN}", "one key"))
    [mail] = stored(server, "user3")
    assert re.findall(rb"DKIM-Signature: v=1; a=([\w-]+)", mail) == [b"rsa-sha256"]


# Where to. -----------------------------------------------------------------------------------------------------


def test_who_is_not_there_is_told_at_once(magpie: Magpie, user: str, address: str) -> None:
    with Submission(magpie, user) as client:
        client.ehlo()
        client.mail(address)
        assert client.rcpt(f"nobody-here@{DOMAIN}")[0] == 550
        assert client.rcpt("somebody@elsewhere.example")[0] == 250


def test_mail_for_here_and_elsewhere(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    with Submission(magpie, user) as client:
        client.sendmail(address, [other, "somebody@elsewhere.example"], message(address, "both"))
    stored(magpie, owner)
    assert "queued for other servers" in magpie.log.read_text()
    magpie.cli("verify")


def test_a_retry_makes_no_second_copy(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    """The connection breaks before the client has seen the 250: it sends all of it again."""
    sent = message(address, "again", "Message-ID: <again@laptop.example>")
    for _ in range(3):
        client = Submission(magpie, user)
        client.ehlo()
        client.mail(address)
        client.rcpt(other)
        client.rcpt("somebody@elsewhere.example")
        assert client.data(sent)[0] == 250
        client.close()  # without QUIT: nothing shows that it has got the answer
    stored(magpie, owner)
    with Submission(magpie, user) as client:
        client.sendmail(address, [other], sent)
        client.noop()
        client.sendmail(address, [other], sent)
    # Only other recipients were the departure's; this delivery is still the first one, and then a second was meant.
    stored(magpie, owner, 2)


def test_a_full_mailbox_is_told_by_mail(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    """Everybody else has the message: the client is not made to send it again."""
    magpie.cli("account", "quota", other, "--bytes", "3000")
    large = message(address, "large", "Message-ID: <large@laptop.example>", body="x" * 70 + "\r\n" + "y\r\n" * 2000)
    for _ in range(2):
        client = Submission(magpie, user)
        client.ehlo()
        client.mail(address)
        assert client.rcpt(other)[0] == 250
        assert client.rcpt(address)[0] == 250
        assert client.data(large)[0] == 250
        client.close()
    mails = [parsed(mail) for mail in inbox(magpie, user, 2)]
    [report] = [mail for mail in mails if mail.get_content_type() == "multipart/report"]
    assert len(mails) == 2, "the retry is no second failure"
    assert report["Return-Path"] == "<>" and report["To"] == address
    text = report.as_string()
    assert f"Final-Recipient: rfc822; {other}" in text and "Action: failed" in text and "Status: 5.2.2" in text
    stored(magpie, owner, 0)
    # Where nobody has it, the client is told.
    with Submission(magpie, user) as client:
        client.ehlo()
        client.mail(address)
        client.rcpt(other)
        assert client.data(large)[0] == 452


def reports(server: Magpie, user: str, count: int) -> list[str]:
    return [mail.decode() for mail in inbox(server, user, count)]


def test_of_success_who_asked_for_it_is_told(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    with Submission(magpie, user) as client:
        client.sendmail(address, [other], message(address, "tell me"), ["RET=HDRS", "ENVID=my+2Bid"],
                        ["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{other}"])  # fmt: skip
        client.sendmail(address, [other], message(address, "do not tell me"))
    [report] = reports(magpie, user, 1)
    stored(magpie, owner, 2)
    for line in ("Original-Envelope-Id: my+id", f"Original-Recipient: rfc822; {other}", "Action: delivered",
                 "Subject: tell me"):  # fmt: skip
        assert line in report, report


def test_an_alias_for_several_is_told_once(magpie: Magpie, user: str, address: str, other: str) -> None:
    alias = f"both-of-{user}@{DOMAIN}"
    magpie.cli("alias", "create", alias, address, other)
    with Submission(magpie, user) as client:
        client.sendmail(address, [alias], message(address, "tell me"), [], ["NOTIFY=SUCCESS"])
    report = until(lambda: next((m for m in reports(magpie, user, 2) if "Action:" in m), None), "no report")
    assert "Action: expanded" in report and report.count("Action: ") == 1


def test_of_success_from_the_queue(data: Path) -> None:
    """Load over the mark: the worker that delivers tells the sender."""
    server = Magpie(data, users=2, options=("--inbound-mark", "0")).start()
    try:
        with Submission(server, "user1") as client:
            for _ in range(2):
                client.sendmail(f"user1@{DOMAIN}", [f"user2@{DOMAIN}"], message(f"user1@{DOMAIN}", "tell me"), [],
                                ["NOTIFY=SUCCESS"])  # fmt: skip
        inbox(server, "user2", 2)
        told = reports(server, "user1", 2)
        assert all("Action: delivered" in report for report in told)
        server.cli("verify")
        server.stop()
    finally:
        server.kill()


def test_mail_that_is_held(magpie: Magpie, user: str, address: str, other: str, owner: str) -> None:
    with Submission(magpie, user) as client:
        client.ehlo()
        assert client.mail(address, ["HOLDFOR=99999999"])[0] == 501
        client.sendmail(address, [other], message(address, "later"), ["HOLDFOR=86400"])
        client.sendmail(address, [other], message(address, "soon"), ["HOLDFOR=1"])
    [mail] = inbox(magpie, owner, 1)
    assert b"Subject: soon\r\n" in mail
    [waiting] = magpie.cli_json("queue", "inbound", "list")
    shown = magpie.cli("queue", "inbound", "show", waiting["id"]).stdout
    assert other in shown and "later" in shown
    magpie.cli("queue", "inbound", "drop", waiting["id"], "--yes")


def test_how_much_an_account_may_send(tmp_path: Path) -> None:
    limits = "[submission]\nmessages_per_hour = 4\nrecipients_per_hour = 0\nrecipients_per_day = 6\n"
    site = Site(tmp_path, limits).start()
    site.add("alice", "bob", password=PASSWORD)
    everybody = ["alice@example.test", "bob@example.test"]

    def send(user: str, recipients: list[str]) -> tuple[int, bytes]:
        with Submission(site, f"{user}@example.test") as client:
            client.ehlo()
            client.mail(f"{user}@example.test")
            for recipient in recipients:
                client.rcpt(recipient)
            code, text = client.docmd("DATA")
            if code == 354:
                client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                code, text = client.getreply()
            return code, text

    try:
        assert [send("alice", everybody)[0] for _ in range(3)] == [250, 250, 250]
        code, text = send("alice", everybody)
        assert code == 450 and text.startswith(b"4.5.3 ") and b"6 in 24 h" in text, text
        assert [send("bob", everybody[:1])[0] for _ in range(4)] == [250] * 4
        code, text = send("bob", everybody[:1])
        assert code == 450 and text.startswith(b"4.7.1 ") and b"4 in 1 h" in text, text
    finally:
        site.stop()


# With programs that others wrote. ------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("protocol", ["submission", "submissions"])
def test_swaks(magpie: Magpie, user: str, address: str, other: str, owner: str, mechanism: str, protocol: str) -> None:
    tls = "--tls-on-connect" if protocol == "submissions" else "--tls"
    command = ["swaks", "--server", f"127.0.0.1:{magpie.port(protocol)}", tls, "--auth", mechanism, "--auth-user", user,
               "--auth-password", PASSWORD, "--from", address, "--to", f"{other},somebody@elsewhere.example",
               "--timeout", "30", "--header", "Subject: by swaks"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    [mail] = stored(magpie, owner)
    assert b"Subject: by swaks\r\n" in mail


def test_curl(magpie: Magpie, user: str, address: str, other: str, owner: str, tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_bytes(message(address, "by curl"))
    command = ["curl", "-sS", "--insecure", "--user", f"{user}:{PASSWORD}", "--mail-from", address, "--mail-rcpt", other,
               "--upload-file", str(mail), f"smtps://127.0.0.1:{magpie.port('submissions')}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    stored(magpie, owner)


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp(magpie: Magpie, user: str, address: str, other: str, owner: str, mechanism: str, tmp_path: Path) -> None:
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost 127.0.0.1\nport {magpie.port('submission')}\nfrom {address}\nuser {user}\n"
        f"password {PASSWORD}\nauth {mechanism}\ntls on\ntls_starttls on\ntls_certcheck off\n"
        "dsn_notify success\ndsn_return headers\n"
    )
    config.chmod(0o600)
    done = subprocess.run(["msmtp", "--file", str(config), other],
                          input=message(address, "by msmtp"), capture_output=True, timeout=120)  # fmt: skip
    if b"not support" in done.stderr and b"authentication" in done.stderr:
        pytest.skip("this msmtp was built without that mechanism")
    assert done.returncode == 0, done.stderr
    stored(magpie, owner)
    assert "Action: delivered" in reports(magpie, user, 1)[0]


@pytest.mark.parametrize("secure", [True, False])
def test_nodemailer(magpie: Magpie, user: str, address: str, other: str, owner: str, secure: bool) -> None:
    subjects = [f"편지 {number}" for number in range(3)]
    sent = node("submission.mjs", port=magpie.port("submissions" if secure else "submission"), secure=secure, user=user,
                password=PASSWORD, sender=address, to=[other], bcc=[address], subjects=subjects)  # fmt: skip
    assert all(set(mail["accepted"]) == {other, address} for mail in sent)
    for name in (owner, user):
        mails = stored(magpie, name, 3)
        assert sorted(parsed(mail)["Subject"] for mail in mails) == subjects
        assert all(parsed(mail)["Bcc"] is None for mail in mails)
