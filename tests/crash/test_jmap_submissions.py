"""SIGKILL while apps send by JMAP: what was answered 200 arrives, here and at another server, and what is repeated after a
lost answer adds nothing. Only where the server was killed between the other's 250 and its own note may there be one more
copy there, which SMTP cannot tell."""

import contextlib
import http.client
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import mailbox
from harness.jmapsender import JmapSender
from harness.peer import Peer
from harness.server import DOMAIN, PASSWORD
from harness.site import Site

THREADS = 4
USERS = 4


class Ledger:
    """What was sent: answered, or in flight when the server went away."""

    def __init__(self):
        self.lock = threading.Lock()
        self.first = threading.Event()
        self.number = 0
        self.in_flight: dict[int, tuple[str, list[str]]] = {}
        self.answered: dict[int, list[str]] = {}

    def draw(self, sender: str, generator: random.Random) -> int:
        with self.lock:
            self.number += 1
            users = [f"user{n}@{DOMAIN}" for n in generator.sample(range(1, USERS + 1), generator.choice([0, 1, 2]))]
            elsewhere = ["somebody@elsewhere.example"] if not users or self.number % 2 else []
            self.in_flight[self.number] = sender, users + elsewhere
            return self.number

    def answer(self, number: int) -> None:
        with self.lock:
            _, self.answered[number] = self.in_flight.pop(number)
        self.first.set()


def send(client: JmapSender, number: int, recipients: list[str]) -> None:
    size = random.Random(number).choice([100, 3_000, 100_000])
    draft = client.draft(
        recipients, str(number), "0123456789 abcdef\n" * (size // 18), messageId=[f"{number}@app.example"]
    )
    # Now and then a moment later: what is held survives as well.
    envelope = {
        "mailFrom": {"email": client.address, "parameters": {"HOLDFOR": "1"} if number % 5 == 0 else None},
        "rcptTo": [{"email": recipient} for recipient in recipients],
    }
    answer = client.send(draft, envelope)["EmailSubmission/set"]
    assert answer["created"], answer


def submit(server: Site, ledger: Ledger, seed: int) -> list[threading.Thread]:
    """Starts threads that send one message after the other until the server goes away."""

    def work(thread: int, begin: int) -> None:
        generator, sender = random.Random(f"{seed}/{begin}/{thread}"), f"user{thread % USERS + 1}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            client = JmapSender(server, sender, timeout=30)
            while True:
                number = ledger.draw(sender, generator)
                send(client, number, ledger.in_flight[number][1])
                ledger.answer(number)

    threads = [threading.Thread(target=work, args=(n, ledger.number), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def here(server: Site, user: str) -> list[int]:
    with server.imap(f"{user}@{DOMAIN}") as client:
        return [number(mail) for mail in mailbox.fetch_all(client).values()]


def number(mail: bytes) -> int:
    return int(re.search(rb"\r\nSubject: (\d+)\r\n", mail).group(1))


def check_here(server: Site, ledger: Ledger) -> None:
    """Once all that was held has had its time."""
    deadline = time.monotonic() + 60
    for n in range(1, USERS + 1):
        user, expected = f"user{n}", {k for k, to in ledger.answered.items() if f"user{n}@{DOMAIN}" in to}
        while not expected <= set(found := here(server, user)):
            assert time.monotonic() < deadline, f"{user}: answered and lost: {sorted(expected - set(found))[:10]}"
            time.sleep(0.1)
        twice = sorted(k for k, count in Counter(found).items() if count > 1)
        assert not twice, f"{user}: twice: {twice}"


@pytest.mark.timeout(1200)
def test_every_answered_submission_arrives_once(tmp_path: Path, seed: int, rounds: int) -> None:
    """Kill, start, send again what was in flight, look, `magpie verify`; at the end nothing waits."""
    generator = random.Random(seed)
    peer = Peer("127.0.0.1", port=0)
    peer.port = peer.listener.getsockname()[1]
    settings = (
        "[login]\nplaintext = true\n"
        f'[relay.route.default]\nhosts = "127.0.0.1:{peer.port}"\n'
        "[submission]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\n"
    )
    server = Site(tmp_path, settings, names=("imap", "http"))
    ledger, kills = Ledger(), min(rounds, 8)
    server.start()
    try:
        server.add(*(f"user{n}" for n in range(1, USERS + 1)), password=PASSWORD)
        for turn in range(1, kills + 1):
            ledger.first.clear()
            threads = submit(server, ledger, seed)
            assert ledger.first.wait(60), "not one message was sent"
            time.sleep(generator.choice([0, 0.02, 0.1, 0.4, 1.2]) * generator.random())
            server.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"
            server.start()
            again = dict(ledger.in_flight)
            for repeated, (sender, recipients) in sorted(again.items()):
                send(JmapSender(server, sender), repeated, recipients)
                ledger.answer(repeated)
            check_here(server, ledger)
            print(f"round {turn}: {len(ledger.answered)} answered, {len(again)} sent again")
        deadline = time.monotonic() + 120
        while server.cli_json("queue", "list") or server.cli_json("queue", "inbound", "list"):
            assert time.monotonic() < deadline, server.log_tail()
            time.sleep(0.2)
        arrived = Counter(number(mail.data) for mail in peer.mails)
        expected = {k for k, to in ledger.answered.items() if "somebody@elsewhere.example" in to}
        assert set(arrived) == expected, (sorted(expected - set(arrived))[:10], sorted(set(arrived) - expected)[:10])
        extra = sum(arrived.values()) - len(arrived)
        # As many as were between the other's 250 and the note of it when the server was killed.
        assert extra <= kills * 20, f"{extra} copies more than messages"
        statuses = Counter()
        for n in range(1, USERS + 1):
            for submission in JmapSender(server, f"user{n}").call("EmailSubmission/get", ids=None)["list"]:
                statuses.update(one["delivered"] for one in submission["deliveryStatus"].values())
        assert set(statuses) <= {"yes", "unknown"}, statuses
        server.stop()
        server.cli("verify")
    finally:
        server.kill()
        peer.close()
