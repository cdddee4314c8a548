"""SIGKILL while mail is submitted and relayed: what got its 250 reaches every recipient, hardly ever twice, and nothing stays.

`CRASH_RELAY=500` says how many messages; without, 5,000.
"""

import contextlib
import os
import random
import re
import smtplib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.internet import Internet, connected
from harness.peer import Peer
from harness.sender import Sender
from harness.server import PASSWORD, any_certificate

MESSAGES = int(os.environ.get("CRASH_RELAY", "5000"))
KILLS = 8
THREADS = 6
DESTINATIONS = 5
# A copy more can come only of what was on its way to a server, past its last octet, when the process died: at most what
# there are connections, and as a rule hardly any.
TWICE_PER_KILL = 20

SUBJECT = re.compile(rb"(?m)^Subject: crash (\d+)\r$")


@dataclass
class Plan:
    """Every message, by its number, and who has to get it."""

    seed: int
    recipients: dict[int, tuple[str, ...]]
    next: int = 0
    acknowledged: set[int] = field(default_factory=set)
    unanswered: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self) -> int | None:
        """The next one to be sent: first those that were in flight when the server died."""
        with self.lock:
            if self.unanswered:
                return self.unanswered.pop()
            if self.next >= len(self.recipients):
                return None
            self.next += 1
            return self.next - 1

    def done(self, number: int) -> None:
        with self.lock:
            self.acknowledged.add(number)

    def failed(self, number: int) -> None:
        with self.lock:
            self.unanswered.add(number)

    @property
    def complete(self) -> bool:
        return len(self.acknowledged) == len(self.recipients)

    def message(self, number: int) -> bytes:
        """The same octets whenever it is sent: how a server recognises that it has it already."""
        generator = random.Random(f"{self.seed}/{number}")
        lines = "\r\n".join("x" * generator.randrange(70) for _ in range(generator.choice([3, 30, 400])))
        head = f"From: alice@example.test\r\nTo: all\r\nSubject: crash {number}\r\nMessage-ID: <{self.seed}.{number}@example.test>\r\n"
        return f"{head}Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n{lines}\r\n".encode()


def planned(seed: int, domains: list[str]) -> Plan:
    """Most messages are for one domain, some for several, a few for several people in one."""
    generator = random.Random(seed)
    recipients = {}
    for number in range(MESSAGES):
        chosen = generator.sample(domains, generator.choice([1, 1, 1, 2, 3]))
        many = generator.choice([1, 1, 1, 4])
        recipients[number] = tuple(f"m{number}-{n}@{domain}" for domain in chosen for n in range(many))
    return Plan(seed, recipients)


def submit(server: Sender, plan: Plan) -> None:
    """Sends one message after the other until all are sent, or the server goes away."""
    number = None
    with contextlib.suppress(OSError, smtplib.SMTPException):
        client = server.smtp("submission", timeout=60)
        client.starttls(context=any_certificate())
        client.login("alice@example.test", PASSWORD)
        while (number := plan.draw()) is not None:
            refused = client.sendmail("alice@example.test", plan.recipients[number], plan.message(number))
            assert refused == {}, refused
            plan.done(number)
            number = None
        client.close()
    if number is not None:
        plan.failed(number)


def start_submitting(server: Sender, plan: Plan) -> list[threading.Thread]:
    threads = [threading.Thread(target=submit, args=(server, plan), daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def flaky(seed: int):
    """A server that refuses one recipient in thirty for now."""
    generator, lock = random.Random(seed), threading.Lock()

    def judge(_: bytes) -> bytes | None:
        with lock:
            return b"451 4.3.0 not just now" if generator.randrange(30) == 0 else None

    return judge


def received(peers: list[Peer]) -> Counter[tuple[int, str]]:
    """How often each recipient has got each message."""
    found: Counter[tuple[int, str]] = Counter()
    for peer in peers:
        for mail in list(peer.mails):
            number = int(SUBJECT.search(mail.data)[1])
            found.update((number, address) for address in mail.addresses)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="hosts with port 25 of an address of their own need root")
@pytest.mark.timeout(3600)
def test_62_every_accepted_message_arrives_and_hardly_any_twice(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    with connected(tmp_path) as internet:
        peers, domains = destinations(internet, seed)
        plan = planned(seed, domains)
        outbound = 'first_retry = "1s"\nlongest_retry = "2s"\nline_first = "1s"\nline_longest = "2s"\n'
        (tmp_path / "sender").mkdir()
        server = Sender(tmp_path / "sender", internet, outbound=outbound)
        server.start().add("alice", password=PASSWORD)
        try:
            kills = 0
            while not plan.complete or kills < KILLS:
                threads = start_submitting(server, plan)
                if kills < KILLS:
                    # Spread over the run: after each, some more were accepted, or some more have left.
                    wait_for_progress(plan, peers, (kills + 1) / (KILLS + 1), threads)
                    time.sleep(generator.random() * 0.3)
                    server.kill()
                    kills += 1
                for thread in threads:
                    thread.join(300)
                    assert not thread.is_alive(), "a connection outlived the server"
                if not server.running:
                    server.process = None
                    server.start()
            server.wait_until_empty(timeout=600)
            check(plan, peers, kills)
            server.cli("verify")
            assert not server.reports(), "a report on mail that was delivered"
            server.stop()
        finally:
            server.kill()


def destinations(internet: Internet, seed: int) -> tuple[list[Peer], list[str]]:
    """Five servers: two plain ones, one that is slow, one that refuses now and then, one that ends connections."""
    domains = [f"crash{number}.test" for number in range(DESTINATIONS)]
    manners = [{}, {}, {"delay": 0.01}, {"answers": {b"RCPT": flaky(seed)}}, {"most_messages": 7}]
    return [internet.peer(domain, **manner) for domain, manner in zip(domains, manners, strict=True)], domains


def wait_for_progress(plan: Plan, peers: list[Peer], share: float, threads: list[threading.Thread]) -> None:
    """Until this share of all messages is accepted, or, when all are, of all recipients has them."""
    everybody = sum(map(len, plan.recipients.values()))
    deadline = time.monotonic() + 600
    while len(plan.acknowledged) < share * len(plan.recipients):
        assert time.monotonic() < deadline, f"only {len(plan.acknowledged)} messages were accepted"
        if not any(thread.is_alive() for thread in threads):
            return
        time.sleep(0.01)
    while sum(len(mail.recipients) for peer in peers for mail in list(peer.mails)) < share * everybody / 2:
        assert time.monotonic() < deadline, "mail does not leave"
        time.sleep(0.01)


def check(plan: Plan, peers: list[Peer], kills: int) -> None:
    found = received(peers)
    wanted = {(number, address) for number, addresses in plan.recipients.items() for address in addresses}
    lost = wanted - set(found)
    assert not lost, f"{len(lost)} of {len(wanted)} copies are lost: {sorted(lost)[:5]}"
    assert set(found) == wanted, f"nobody sent that: {sorted(set(found) - wanted)[:5]}"
    twice = {key: count for key, count in found.items() if count > 1}
    messages = {number for number, _ in twice}
    print(f"{kills} kills, {len(plan.recipients)} messages, {len(wanted)} copies, {len(messages)} messages came twice")
    assert len(messages) <= TWICE_PER_KILL * kills, f"{len(messages)} messages came twice"
    assert max(found.values()) <= 1 + kills
    for peer in peers:
        for mail in peer.mails:
            number = int(SUBJECT.search(mail.data)[1])
            assert mail.data.endswith(plan.message(number).partition(b"\r\n\r\n")[2]), f"message {number} has changed"
