"""Every mail of the corpus, by SMTP in and by IMAP out, byte for byte behind the trace fields."""

import concurrent.futures
import re
import smtplib

import pytest

from harness import corpus
from harness.mailbox import stream_all
from harness.server import Magpie

CONNECTIONS = 8


def deliver(magpie: Magpie, address: str, mails: list[tuple[int, bytes]]) -> dict[int, int]:
    """Delivers numbered mails over one connection; returns the reply code of each."""
    codes = {}
    with magpie.smtp(timeout=120) as client:
        client.ehlo()
        for number, mail in mails:
            # A sender of its own for each, so that the trace tells which one came back.
            client.mail(f"n{number}@example.com", ["BODY=8BITMIME"])
            assert client.rcpt(address)[0] == 250
            codes[number] = send_data(client, mail)
    return codes


def send_data(client: smtplib.SMTP, wire: bytes) -> int:
    """DATA with exactly these bytes, dots doubled (RFC 5321 §4.5.2): smtplib itself would mend line ends."""
    assert client.docmd("DATA")[0] == 354
    client.send(re.sub(rb"(?m)^\.", b"..", wire) + (b"" if wire.endswith(b"\r\n") else b"\r\n") + b".\r\n")
    return client.getreply()[0]


@pytest.mark.timeout(900)
def test_every_mail_comes_back_as_it_was_sent(magpie: Magpie, user: str, address: str) -> None:
    samples = corpus.everything()
    wires = list(enumerate(corpus.on_the_wire(sample.source) for sample in samples))
    shares = [wires[start::CONNECTIONS] for start in range(CONNECTIONS)]
    codes: dict[int, int] = {}
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        for answers in pool.map(lambda share: deliver(magpie, address, share), shares):
            codes |= answers
    for number, wire in wires:
        wanted = 550 if corpus.has_bare_line_end(wire) or corpus.has_two_authors(wire) else 250
        assert codes[number] == wanted, f"{samples[number]}: {codes[number]} instead of {wanted}"

    returned = set()
    with magpie.imap(user, timeout=120) as client:
        for uid, stored in stream_all(client):
            sender = re.match(rb"Return-Path: <n(\d+)@example\.com>\r\n", stored)
            assert sender, f"UID {uid} has no Return-Path of ours: {stored[:80]!r}"
            number = int(sender[1])
            assert number not in returned, f"{samples[number]} came twice"
            returned.add(number)
            wire = wires[number][1]
            assert stored.endswith(wire), f"{samples[number]}: {corpus.difference(stored[-len(wire) :], wire)}"
            trace = stored.removesuffix(wire) if wire else stored
            assert 0 < len(trace) < 1000, f"{samples[number]}: {trace!r} stands before it"
            assert corpus.without_trace(stored, wire) == wire, f"{samples[number]}: {trace!r} stands before it"
    assert returned == {number for number, code in codes.items() if code == 250}
