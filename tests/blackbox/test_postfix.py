"""Postfix: its load generator, and Postfix itself relaying to us over SMTP and over LMTP."""

import os
import smtplib
import subprocess

import pytest

from harness import corpus, giants, mailbox, postfix
from harness.server import Magpie

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts only as root")


def test_smtp_source(magpie: Magpie, user: str, address: str) -> None:
    """200 messages over ten connections at once, several over each."""
    command = ["smtp-source", "-s", "10", "-m", "200", "-l", "5000", "-d", "-c", "-M", "source.example.net",
               "-f", "bob@example.com", "-t", address, f"127.0.0.1:{magpie.port('smtp')}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 200


def test_smtp_source_over_lmtp(magpie: Magpie, user: str, address: str) -> None:
    command = ["smtp-source", "-L", "-s", "5", "-m", "50", "-l", "5000", "-d", "-M", "source.example.net",
               "-f", "bob@example.com", "-t", address, f"127.0.0.1:{magpie.port('lmtp')}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 50


@needs_root
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_relayed(magpie: Magpie, user: str, address: str, protocol: str) -> None:
    """What Postfix was given arrives whole, over TLS, for one recipient and for several."""
    transport = f"{protocol}:[127.0.0.1]:{magpie.port(protocol)}"
    if protocol == "lmtp":
        transport = f"lmtp:inet:127.0.0.1:{magpie.port('lmtp')}"
    mails = [giants.letter(number, 3000) for number in range(20)]
    mails += [corpus.crlf(sample.source) for sample in corpus.written("korean", "japanese")[:5]]
    with postfix.running(transport) as relay:
        with smtplib.SMTP("127.0.0.1", relay.port, local_hostname="client.example.com", timeout=60) as client:
            for mail in mails:
                client.sendmail("bob@example.com", [address, "alice@example.test"], mail)
        relay.wait_until_empty()
        log = relay.log()
    assert "status=sent" in log and "status=bounced" not in log and "status=deferred" not in log, log
    assert "TLS connection established" in log, log
    with magpie.imap(user) as client:
        stored = mailbox.fetch_all(client).values()
    assert len(stored) == len(mails)
    assert all(b"relay.example.net" in mail for mail in stored)
    bodies = sorted(mail.partition(b"\r\n\r\n")[2] for mail in stored)
    assert bodies == sorted(mail.partition(b"\r\n\r\n")[2] for mail in mails)


@needs_root
def test_15_refused_recipients_come_back_at_once(magpie: Magpie, user: str, address: str) -> None:
    """Postfix hears 550 at RCPT for who is unknown, and delivers to the others."""
    with postfix.running(f"smtp:[127.0.0.1]:{magpie.port('smtp')}") as relay:
        with smtplib.SMTP("127.0.0.1", relay.port, local_hostname="client.example.com", timeout=60) as client:
            client.sendmail("alice@example.test", ["nobody-here@example.test", address], giants.letter(1))
        relay.wait_until_empty()
        assert "550 5.1.1" in relay.log()
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 1
