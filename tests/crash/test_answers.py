"""SIGKILL while mail comes in for somebody who is away: whoever has their 250 gets the message into the mailbox and is told, once."""

import contextlib
import random
import smtplib
import threading
import time
from pathlib import Path

import pytest

from harness import mailbox
from harness.away import go_away
from harness.patience import until
from harness.server import DOMAIN, Magpie

USERS = 60
THREADS = 4


def send(client: smtplib.SMTP, user: int) -> None:
    address = f"user{user}@{DOMAIN}"
    text = f"From: {address}\r\nTo: alice@{DOMAIN}\r\nSubject: {user}\r\nMessage-ID: <{user}@app.example>\r\n\r\nHello.\r\n"
    assert client.sendmail(address, [f"alice@{DOMAIN}"], text) == {}


def deliver(server: Magpie, users: list[int], acknowledged: set[int], first: threading.Event) -> list[threading.Thread]:
    """Starts threads that send from one user after the other until the server goes away."""
    lock = threading.Lock()

    def work() -> None:
        with contextlib.suppress(OSError, smtplib.SMTPException), server.smtp() as client:
            while True:
                with lock:
                    user = users.pop() if users else None
                if user is None:
                    return
                try:
                    send(client, user)
                except BaseException:
                    with lock:
                        users.append(user)
                    raise
                acknowledged.add(user)
                first.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def answers(server: Magpie, user: int) -> int:
    with server.imap(f"user{user}") as client:
        return sum(b"Alice is away" in mail for mail in mailbox.fetch_all(client).values())


@pytest.mark.timeout(1200)
def test_whoever_was_acknowledged_is_told_once(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    server = Magpie(tmp_path / "data", users=USERS)
    server.start()
    try:
        go_away(server, "alice", textBody="Alice is away")
        users, acknowledged, kills = list(range(1, USERS + 1)), set(), 0
        while users:
            first = threading.Event()
            threads = deliver(server, users, acknowledged, first)
            assert first.wait(60), "not one message was acknowledged"
            time.sleep(0.1 * generator.random())
            server.kill()
            kills += 1
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a connection outlived the server"
            server.start()
        assert acknowledged == set(range(1, USERS + 1))
        print(f"{kills} kills")
        for user in range(1, USERS + 1):
            until(lambda user=user: answers(server, user), f"user{user} is told nothing\n{server.log_tail()}")
        # Nothing is under way any more when somebody who writes now has been told.
        with server.smtp() as client:
            text = f"From: bob@{DOMAIN}\r\nTo: alice@{DOMAIN}\r\nSubject: last\r\n\r\nHello.\r\n"
            client.sendmail(f"bob@{DOMAIN}", [f"alice@{DOMAIN}"], text)

        def bob_is_told() -> bool:
            with server.imap("bob") as client:
                return mailbox.count(client) > 0

        until(bob_is_told, "bob is told nothing")
        twice = {user: count for user in range(1, USERS + 1) if (count := answers(server, user)) != 1}
        assert not twice, twice
        server.cli("verify")
        server.stop()
    finally:
        server.kill()
