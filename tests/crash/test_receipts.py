"""SIGKILL while apps send receipts by JMAP: an email that is marked has its receipt, and one that is not has none. What is asked
again after a lost answer sends no second one."""

import contextlib
import email
import http.client
import random
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from harness.jmapsender import JmapSender
from harness.patience import inbox, until
from harness.peer import Peer
from harness.server import DOMAIN, PASSWORD
from harness.site import Site

USERS = 3
MAILS = 12


class Ledger:
    """Emails that have no receipt yet, by user; which of them were in flight, and which were answered."""

    def __init__(self, emails: dict[str, list[str]]):
        self.lock = threading.Lock()
        self.first = threading.Event()
        self.left = emails
        self.in_flight: set[tuple[str, str]] = set()
        self.answered: set[tuple[str, str]] = set()

    def draw(self, user: str) -> tuple[str, str] | None:
        with self.lock:
            if not self.left[user]:
                return None
            drawn = user, self.left[user].pop()
            self.in_flight.add(drawn)
            return drawn

    def answer(self, drawn: tuple[str, str]) -> None:
        with self.lock:
            self.in_flight.remove(drawn)
            self.answered.add(drawn)
        self.first.set()


def acknowledge(server: Site, ledger: Ledger) -> list[threading.Thread]:
    """Starts a thread for each user that sends one receipt after the other until the server goes away."""

    def work(user: str) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            client = JmapSender(server, user, timeout=30)
            while drawn := ledger.draw(user):
                answer = client.acknowledge(drawn[1])
                assert answer["sent"], answer
                ledger.answer(drawn)

    threads = [threading.Thread(target=work, args=(user,), daemon=True) for user in ledger.left]
    for thread in threads:
        thread.start()
    return threads


def emails(server: Site, user: str) -> dict[str, dict]:
    client = JmapSender(server, user)
    found = client.call("Email/get", ids=client.call("Email/query")["ids"], properties=["subject", "keywords"])["list"]
    return {email["id"]: email for email in found}


@pytest.mark.timeout(600)
def test_every_receipt_leaves_once(tmp_path: Path, seed: int, rounds: int) -> None:
    generator = random.Random(seed)
    peer = Peer("127.0.0.1", port=0)
    peer.port = peer.listener.getsockname()[1]
    settings = (
        "[login]\nplaintext = true\n"
        f'[relay.route.default]\nhosts = "127.0.0.1:{peer.port}"\n'
        "[submission]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\n"
    )
    server = Site(tmp_path, settings, names=("smtp", "imap", "http"))
    users = [f"user{n}" for n in range(1, USERS + 1)]
    server.start()
    try:
        server.add(*users, password=PASSWORD)
        for user in users:
            asking = f"From: bob@example.com\r\nDisposition-Notification-To: {user}.{{0}}@elsewhere.example\r\n"
            asking += f"Message-ID: <{user}.{{0}}@example.com>\r\nSubject: {user}.{{0}}\r\n\r\nRead this.\r\n"
            server.deliver(f"{user}@{DOMAIN}", *(asking.format(n).encode() for n in range(MAILS)))
            inbox(server, f"{user}@{DOMAIN}", MAILS)
        ledger = Ledger({user: list(emails(server, user)) for user in users})
        for _ in range(min(rounds, 2)):
            ledger.first.clear()
            threads = acknowledge(server, ledger)
            assert ledger.first.wait(60), "not one receipt was sent"
            time.sleep(0.1 * generator.random())
            server.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"
            server.start()
            # What nobody has heard the end of was done whole, or not at all.
            for user, id in sorted(ledger.in_flight):
                answer = JmapSender(server, user).acknowledge(id)
                assert answer["sent"] or answer["notSent"]["k"]["type"] == "mdnAlreadySent", answer
                ledger.answer((user, id))
        for thread in acknowledge(server, ledger):
            thread.join(60)
        assert len(ledger.answered) == USERS * MAILS
        until(lambda: not server.cli_json("queue", "list"), server.log_tail())
        # An octet for octet equal copy is what SMTP cannot tell when a server is killed behind the other's 250.
        arrived: dict[str, set[str]] = defaultdict(set)
        for mail in peer.mails:
            assert mail.sender.startswith(b"<>"), mail
            arrived[mail.addresses[0]].add(email.message_from_bytes(mail.data)["Message-ID"])
        expected = {f"{user}.{n}@elsewhere.example" for user in users for n in range(MAILS)}
        assert set(arrived) == expected, sorted(expected ^ set(arrived))[:10]
        assert {address: ids for address, ids in arrived.items() if len(ids) > 1} == {}
        for user in users:
            assert all("$mdnsent" in found["keywords"] for found in emails(server, user).values())
        server.stop()
        server.cli("verify")
    finally:
        server.kill()
        peer.close()
