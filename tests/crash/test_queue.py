"""SIGKILL while everything goes through the inbound queue: what got its 250 is delivered once, by the workers."""

import random
import time
from pathlib import Path

import pytest

from harness.promises import Audit, Ledger, deliver, deliver_again
from harness.server import Magpie

THREADS = 8
USERS = 6


@pytest.mark.timeout(1200)
def test_every_acknowledged_message_leaves_the_queue_once(tmp_path: Path, seed: int, rounds: int) -> None:
    """Kill in the midst of taking and delivering, start, wait for the workers, look, `magpie verify`."""
    generator = random.Random(seed)
    users = [f"user{number}" for number in range(1, USERS + 1)]
    server = Magpie(tmp_path / "data", users=USERS, options=("--inbound-mark", "0"))
    ledger = Ledger(seed)
    audit = Audit(ledger, users)
    left_behind = 0
    server.start()
    try:
        for number in range(1, min(rounds, 10) + 1):
            ledger.first.clear()
            threads = deliver(server, ledger, users, THREADS)
            assert ledger.first.wait(60), "not one message was acknowledged"
            time.sleep(generator.choice([0, 0.02, 0.1, 0.4, 1.2]) * generator.random())
            server.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"

            # Without a server the command line looks for itself, and changes nothing.
            waiting = server.cli_json("queue", "inbound", "list")
            left_behind += len(waiting)
            server.start()
            wait_until_empty(server)
            audit.check(server)
            server.cli("verify")
            deliver_again(server, ledger)
            wait_until_empty(server)
            audit.check(server)
            print(f"round {number}: {len(waiting)} were in the queue, {len(ledger.acknowledged)} acknowledged")
        assert left_behind, "not one message was in the queue when the server was killed: that proves little"
        audit.check_everything(server)
        server.cli("verify")
        server.stop()
    finally:
        server.kill()


def wait_until_empty(server: Magpie, timeout: float = 120) -> None:
    """Waits until the workers have delivered everything; nothing may end in the error queue."""
    deadline = time.monotonic() + timeout
    while waiting := server.cli_json("queue", "inbound", "list"):
        states = {part["state"] for message in waiting for part in message["parts"]}
        assert "failed" not in states, waiting
        assert time.monotonic() < deadline, f"{len(waiting)} messages are still in the queue: {waiting[0]}"
        time.sleep(0.1)
