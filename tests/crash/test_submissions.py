"""SIGKILL while apps submit: what got its 250 is in every mailbox, once, and a retry after a lost answer adds nothing."""

import contextlib
import random
import smtplib
import threading
import time
from pathlib import Path

import pytest

from harness import mailbox
from harness.server import DOMAIN, PASSWORD, Magpie, any_certificate

THREADS = 6
USERS = 5


class Ledger:
    """What was sent: acknowledged, or in flight when the server went away."""

    def __init__(self):
        self.lock = threading.Lock()
        self.first = threading.Event()
        self.number = 0
        self.in_flight: dict[int, tuple[str, list[str]]] = {}
        self.acknowledged: dict[int, list[str]] = {}

    def draw(self, sender: str, generator: random.Random) -> int:
        with self.lock:
            self.number += 1
            users = [f"user{n}" for n in generator.sample(range(1, USERS + 1), generator.choice([1, 1, 2, 3]))]
            self.in_flight[self.number] = sender, users
            return self.number

    def acknowledge(self, number: int) -> None:
        with self.lock:
            _, self.acknowledged[number] = self.in_flight.pop(number)
        self.first.set()


def connect(server: Magpie, sender: str) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL("127.0.0.1", server.port("submissions"), context=any_certificate(), timeout=30)
    client.login(sender, PASSWORD)
    return client


def send(client: smtplib.SMTP_SSL, number: int, sender: str, users: list[str]) -> None:
    size = random.Random(number).choice([100, 3_000, 200_000])
    text = f"From: {sender}@{DOMAIN}\r\nSubject: {number}\r\nMessage-ID: <{number}@app.example>\r\n\r\n"
    text += "0123456789 abcdef\r\n" * (size // 20)
    # Somebody elsewhere too: one 250 stands for the mailboxes and the outbound queue.
    elsewhere = ["somebody@elsewhere.example"] if number % 3 == 0 else []
    assert client.sendmail(f"{sender}@{DOMAIN}", [f"{user}@{DOMAIN}" for user in users] + elsewhere, text) == {}


def submit(server: Magpie, ledger: Ledger, seed: int) -> list[threading.Thread]:
    """Starts threads that submit one message after the other until the server goes away."""

    def work(thread: int, begin: int) -> None:
        generator, sender = random.Random(f"{seed}/{begin}/{thread}"), f"user{thread % USERS + 1}"
        with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
            client = connect(server, sender)
            while True:
                number = ledger.draw(sender, generator)
                send(client, number, *ledger.in_flight[number])
                ledger.acknowledge(number)

    threads = [threading.Thread(target=work, args=(n, ledger.number), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def check(server: Magpie, ledger: Ledger) -> None:
    for number in range(1, USERS + 1):
        user = f"user{number}"
        with server.imap(user) as client:
            mails = mailbox.fetch_all(client).values()
        subjects = [int(mail.split(b"\r\nSubject: ", 1)[1].split(b"\r\n", 1)[0]) for mail in mails]
        assert len(subjects) == len(set(subjects)), (
            f"{user}: twice: {sorted(s for s in subjects if subjects.count(s) > 1)}"
        )
        missing = {n for n, users in ledger.acknowledged.items() if user in users} - set(subjects)
        assert not missing, f"{user}: acknowledged and lost: {sorted(missing)[:10]}"


@pytest.mark.timeout(1200)
def test_every_acknowledged_submission_is_there_once(tmp_path: Path, seed: int, rounds: int) -> None:
    """Kill, start, look, `magpie verify`; what was in flight is sent again, as apps do."""
    generator = random.Random(seed)
    config = tmp_path / "data"
    server = Magpie(config, users=USERS)
    ledger = Ledger()
    server.start()
    try:
        for number in range(1, min(rounds, 10) + 1):
            ledger.first.clear()
            threads = submit(server, ledger, seed)
            assert ledger.first.wait(60), "not one message was acknowledged"
            time.sleep(generator.choice([0, 0.02, 0.1, 0.4, 1.2]) * generator.random())
            server.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"
            server.start()
            check(server, ledger)
            server.cli("verify")
            again = dict(ledger.in_flight)
            for resent, (sender, users) in sorted(again.items()):
                with connect(server, sender) as client:
                    send(client, resent, sender, users)
                ledger.acknowledge(resent)
            check(server, ledger)
            print(f"round {number}: {len(ledger.acknowledged)} acknowledged, {len(again)} sent again")
        server.cli("verify")
        server.stop()
    finally:
        server.kill()
