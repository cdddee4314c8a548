"""Every mail of the corpus, by SMTP in and by IMAP out, byte for byte behind the trace fields."""

import concurrent.futures
import hashlib
import re
import smtplib

import pytest

from harness import corpus
from harness.mailbox import stream_all
from harness.server import Magpie

CONNECTIONS = 8


def deliver(magpie: Magpie, address: str, mails: list[bytes]) -> list[int]:
    """Delivers mails over one connection; returns the reply code of each."""
    codes = []
    with magpie.smtp(timeout=120) as client:
        client.ehlo()
        for number, mail in enumerate(mails):
            # A sender of its own for each, so that the trace tells which one came back.
            client.mail(f"n{number}@example.com", ["BODY=8BITMIME"])
            assert client.rcpt(address)[0] == 250
            codes.append(send_data(client, mail))
    return codes


def send_data(client: smtplib.SMTP, wire: bytes) -> int:
    """DATA with exactly these bytes, dots doubled (RFC 5321 §4.5.2): smtplib itself would mend line ends."""
    assert client.docmd("DATA")[0] == 354
    client.send(re.sub(rb"(?m)^\.", b"..", wire) + (b"" if wire.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    return client.getreply()[0]


def digest(mail: bytes) -> str:
    return hashlib.sha256(mail).hexdigest()


@pytest.mark.timeout(900)
def test_every_mail_comes_back_as_it_was_sent(magpie: Magpie, user: str, address: str) -> None:
    samples = corpus.everything()
    wires = [corpus.on_the_wire(sample.source) for sample in samples]
    shares = [range(start, len(samples), CONNECTIONS) for start in range(CONNECTIONS)]
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = list(pool.map(lambda share: deliver(magpie, address, [wires[at] for at in share]), shares))
    codes = {at: code for share, answer in zip(shares, answers) for at, code in zip(share, answer)}

    for at, sample in enumerate(samples):
        wanted = 550 if corpus.has_bare_line_end(wires[at]) else 250
        assert codes[at] == wanted, f"{sample}: {codes[at]} instead of {wanted}"
    delivered = {digest(wires[at]): at for at in codes if codes[at] == 250}

    returned = set()
    with magpie.imap(user, timeout=120) as client:
        for uid, stored in stream_all(client):
            sender = re.match(rb"Return-Path: <n(\d+)@example\.com>\r\n", stored)
            assert sender, f"UID {uid} has no Return-Path of ours: {stored[:80]!r}"
            # Trace fields of our own end where the mail begins, and that is for the digest to say: a mail of the
            # corpus begins with Return-Path and Received lines as well.
            candidates = (stored[end:] for end in ends_of_fields(stored))
            found = next((delivered[d] for d in map(digest, candidates) if d in delivered), None)
            assert found is not None, f"UID {uid} is not a mail that was sent: {stored[:300]!r}"
            assert found not in returned, f"{samples[found]} came twice"
            returned.add(found)
    assert returned == set(delivered.values())


def ends_of_fields(stored: bytes) -> list[int]:
    """Where each of the trace fields at the start of a stored mail ends."""
    ends, at = [], 0
    while field := corpus.TRACE.match(stored, at):
        at = field.end()
        ends.append(at)
    return ends
