"""Programs that people and servers send with: swaks, nodemailer, msmtp and smtplib, over every port and mechanism."""

import smtplib
import subprocess
from pathlib import Path

import pytest

from harness.internet import Internet
from harness.node import node
from harness.sender import Sender, letter
from harness.server import PASSWORD, any_certificate

pytestmark = pytest.mark.usefixtures("needs_root")

ALICE = "alice@example.test"


def swaks(sender: Sender, port: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["swaks", "--server", f"127.0.0.1:{sender.port(port)}", "--from", ALICE, "--helo", "client.example.com",
               "--auth-user", ALICE, "--auth-password", PASSWORD, "--timeout", "30", *arguments]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port, tls", [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_swaks(sender: Sender, internet: Internet, elsewhere: str, port: str, tls: str, mechanism: str) -> None:
    peer = internet.peer(elsewhere)
    done = swaks(sender, port, tls, "--auth", mechanism, "--to", f"carol@{elsewhere},dave@{elsewhere}",
                 "--header", "Subject: by swaks")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sender.wait(lambda: len(peer.addresses()) == 2, "with both")
    assert all(b"Subject: by swaks" in mail.data for mail in peer.mails)


def test_swaks_with_a_wrong_password(sender: Sender, elsewhere: str) -> None:
    done = swaks(sender, "submission", "--tls", "--auth-password", "wrong", "--to", f"carol@{elsewhere}")
    assert done.returncode == 28 and "535" in done.stdout, done.stdout


def test_swaks_in_the_name_of_another(sender: Sender, elsewhere: str) -> None:
    done = swaks(sender, "submission", "--tls", "--from", "bob@example.test", "--to", f"carol@{elsewhere}")
    assert done.returncode == 23 and "<** 5" in done.stdout.replace("<~*", "<**"), done.stdout


def test_nobody_sends_without_a_login(sender: Sender, elsewhere: str) -> None:
    """Neither over submission nor by the port for other servers (no open relay)."""
    for port in ("submission", "smtp"):
        with sender.smtp(port) as client:
            client.starttls(context=any_certificate())
            client.ehlo()
            code, _ = client.mail("alice@example.test")
            if port == "submission":
                assert code == 530, code
            else:
                assert client.rcpt(f"carol@{elsewhere}")[0] in (550, 554)


def test_nodemailer(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A pool of three connections, ten messages with an attachment and a name in Korean."""
    peer = internet.peer(elsewhere)
    sent = node(
        "submission.mjs", port=sender.port("submission"), secure=False, user=ALICE, password=PASSWORD,
        sender=f"앨리스 <{ALICE}>", to=[f"carol@{elsewhere}"], subjects=[f"편지 {number}" for number in range(10)],
    )  # fmt: skip
    assert all(mail["accepted"] == [f"carol@{elsewhere}"] for mail in sent)
    peer.wait(10)
    assert len({mail.data.partition(b"Subject: ")[2].split(b"\r\n")[0] for mail in peer.mails}) == 10


def msmtp(sender: Sender, folder: Path, recipient: str, message: bytes, **settings: str) -> subprocess.CompletedProcess:
    values = {
        "host": "localhost", "port": str(sender.port("submission")), "tls": "on", "tls_starttls": "on",
        "tls_certcheck": "off", "auth": "scram-sha-256", "user": ALICE, "password": PASSWORD, "from": ALICE,
        "domain": "client.example.com", "timeout": "60",
    } | settings  # fmt: skip
    config = folder / "msmtprc"
    config.write_text("defaults\naccount default\n" + "".join(f"{name} {value}\n" for name, value in values.items()))
    config.chmod(0o600)
    command = ["msmtp", "-C", str(config), "--dsn-notify=failure", "--dsn-return=headers", recipient]
    return subprocess.run(command, input=message, capture_output=True, timeout=120)


@pytest.mark.parametrize("auth", ["scram-sha-256", "plain", "login"])
def test_msmtp(sender: Sender, internet: Internet, elsewhere: str, tmp_path: Path, auth: str) -> None:
    """With SCRAM, and with the parameters of DSN."""
    peer = internet.peer(elsewhere)
    done = msmtp(sender, tmp_path, f"carol@{elsewhere}", letter("by msmtp").replace(b"\r\n", b"\n"), auth=auth)
    assert done.returncode == 0, done.stderr
    [mail] = peer.wait(1)
    assert b"Subject: by msmtp" in mail.data


def test_msmtp_over_tls_from_the_first_octet(
    sender: Sender, internet: Internet, elsewhere: str, tmp_path: Path
) -> None:
    peer = internet.peer(elsewhere)
    port = str(sender.port("submissions"))
    done = msmtp(sender, tmp_path, f"carol@{elsewhere}", letter(), port=port, tls_starttls="off")
    assert done.returncode == 0, done.stderr
    peer.wait(1)


def test_smtplib(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Python's own, over both ports; with a second message over the same connection."""
    peer = internet.peer(elsewhere)
    for port in ("submission", "submissions"):
        with sender.submit(protocol=port) as client:
            for number in range(2):
                assert client.sendmail(ALICE, [f"{port}{number}@{elsewhere}"], letter()) == {}
    peer.wait(4)


def test_pipelined_submission(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """MAIL, RCPT and DATA in one packet (RFC 2920), recipients that are refused among them."""
    peer = internet.peer(elsewhere)
    with sender.submit() as client:
        client.ehlo()
        assert client.has_extn("pipelining")
        client.sock.sendall(
            f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<nobody-here@example.test>\r\nRCPT TO:<carol@{elsewhere}>\r\nDATA\r\n".encode()
        )
        assert [client.getreply()[0] for _ in range(4)] == [250, 550, 250, 354]
        client.sock.sendall(letter() + b".\r\n")
        assert client.getreply()[0] == 250
    peer.wait(1)


def test_what_is_offered(sender: Sender) -> None:
    """AUTH only under TLS unless plain text is allowed, and what RFC 6409 and the design promise."""
    with sender.smtp("submission") as client:
        client.starttls(context=any_certificate())
        client.ehlo()
        features = client.esmtp_features
    for name in ("pipelining", "8bitmime", "size", "enhancedstatuscodes", "smtputf8", "chunking", "dsn"):
        assert name in features, features
    assert {"PLAIN", "LOGIN", "SCRAM-SHA-256"} <= set(features["auth"].split())


def test_the_same_message_again_is_not_sent_twice(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A client that has not seen the 250 says it all again: one copy leaves."""
    peer = internet.peer(elsewhere)
    message = letter("once")
    client = sender.submit()
    assert client.mail(ALICE)[0] == client.rcpt(f"carol@{elsewhere}")[0] == 250
    assert client.docmd("DATA")[0] == 354
    client.sock.sendall(message + b".\r\n")
    client.close()
    sender.send(f"carol@{elsewhere}", message=message)
    sender.wait_until_empty_of_destination(elsewhere)
    sender.send(f"carol@{elsewhere}", subject="another")
    peer.until(lambda: any(b"Subject: another" in mail.data for mail in peer.mails), what="with the other one")
    assert len(peer.mails) == 2


def test_a_stolen_password_sends_only_so_much(internet: Internet, elsewhere: str, tmp_path: Path) -> None:
    """Recipients are counted by account; what is beyond the limit is refused for now, and nothing of it is sent."""
    from harness.sender import sending

    limits = "[submission]\nrecipients_per_day = 20\n"
    peer = internet.peer(elsewhere)
    with sending(tmp_path, internet, users=["alice", "bob"], limits=limits) as site:
        with site.submit() as client:
            for number in range(20):
                client.sendmail(ALICE, [f"user{number}@{elsewhere}"], letter())
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                client.sendmail(ALICE, [f"late@{elsewhere}"], letter())
            assert refused.value.smtp_code in (450, 451, 452)
        site.send(f"from-bob@{elsewhere}", user="bob")
        peer.wait(21)
    assert f"late@{elsewhere}" not in peer.addresses()
