"""SIGKILL while 12 connections deliver and 6 append: what got its 250 or its OK is there, once, byte for byte."""

import random
import time
from pathlib import Path

import pytest

from harness.promises import Audit, Ledger, append, deliver, deliver_again
from harness.server import Magpie

USERS = 16
DELIVERING = 12
APPENDING = 6


@pytest.mark.timeout(1200)
def test_every_acknowledged_delivery_is_there_once(tmp_path: Path, seed: int, rounds: int) -> None:
    """Kill, start, look, `magpie verify`; what was in flight is sent again, as senders do, and must not double."""
    generator = random.Random(seed)
    users = [f"user{number}" for number in range(1, USERS + 1)]
    server = Magpie(tmp_path / "data", users=USERS)
    ledger = Ledger(seed)
    audit = Audit(ledger, users)
    server.start()
    try:
        for number in range(1, rounds + 1):
            ledger.first.clear()
            threads = deliver(server, ledger, users, DELIVERING) + append(server, ledger, users, APPENDING)
            assert ledger.first.wait(60), "not one delivery was acknowledged"
            pause = generator.choice([0, 0.02, 0.1, 0.4, 1.2]) * generator.random()
            time.sleep(pause)
            server.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"

            ledger.give_up()
            server.start()
            audit.check(server)
            server.cli("verify")
            resent = len(ledger.in_flight)
            deliver_again(server, ledger)
            audit.check(server)
            print(
                f"round {number}: killed after {pause:.3f} s, {len(ledger.acknowledged)} acknowledged, {resent} sent again"
            )
        audit.check_everything(server)
        server.cli("verify")
        server.stop()
    finally:
        server.kill()


@pytest.mark.timeout(600)
def test_killed_while_starting(tmp_path: Path, seed: int) -> None:
    """A server that is killed again and again before it is ready starts in the end, with all it had."""
    generator = random.Random(seed)
    users = ["user1", "user2"]
    server = Magpie(tmp_path / "data", users=2)
    ledger = Ledger(seed)
    server.start()
    threads = deliver(server, ledger, users, 4)
    assert ledger.first.wait(60)
    time.sleep(0.5)
    server.kill()
    for thread in threads:
        thread.join(60)
    for _ in range(10):
        server.kill_while_starting(generator.random() * 0.3)
    server.start()
    try:
        Audit(ledger, users).check(server)
        server.cli("verify")
        server.stop()
    finally:
        server.kill()
