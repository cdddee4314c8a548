"""SIGKILL while hundreds of clients wait for news and mail comes in: each comes back with what it has been told last, and in the
end knows every email that is there, by its id; and everything that got its 250 is there, once.
"""

import asyncio
import contextlib
import random
import smtplib
import time
from pathlib import Path

import pytest

from harness import giants
from harness.crowd import Account, EventSource, Idle, Member, Poll, Socket
from harness.mailbox import ok
from harness.server import DOMAIN, Magpie

USERS = 8
# Of each kind and for each user, who may have twenty of each.
CLIENTS = 12
KILLS = 2
# Messages between two kills, each for one user; the same after the last.
LETTERS = 32
SENDERS = 3


class Post:
    """The mail of a run: letter N is for user N modulo their number. One that got no 250 is sent again as it was."""

    def __init__(self, server: Magpie, seed: int):
        self.server, self.seed = server, seed
        self.waiting: list[int] = []
        self.acknowledged: set[int] = set()
        self.next = 0

    def write(self, count: int) -> None:
        self.waiting += range(self.next, self.next + count)
        self.next += count

    def send(self) -> None:
        """Sends until nothing waits, or the server is gone."""
        with contextlib.suppress(OSError, smtplib.SMTPException), self.server.smtp() as client:
            while self.waiting:
                number = self.waiting.pop(0)
                try:
                    client.sendmail("bob@example.com", [f"user{number % USERS + 1}@{DOMAIN}"], self.letter(number))
                except BaseException:
                    self.waiting.append(number)
                    raise
                self.acknowledged.add(number)

    def letter(self, number: int) -> bytes:
        return giants.letter(number, 1_000, self.seed)

    async def start(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(asyncio.to_thread(self.send)) for _ in range(SENDERS)]


@pytest.mark.timeout(300)
def test_55_hundreds_of_clients_miss_nothing_when_the_server_dies(tmp_path: Path, seed: int) -> None:
    asyncio.run(live_through(Magpie(tmp_path / "data", users=USERS), seed))


async def live_through(server: Magpie, seed: int) -> None:
    generator, up, begun = random.Random(seed), asyncio.Event(), time.monotonic()
    server.start()
    try:
        up.set()
        accounts = [Account(server, up, f"user{number}") for number in range(1, USERS + 1)]
        crowd: dict[Account, list[Member]] = {}
        for account in accounts:
            state = (await account.call("Email/get", ids=[]))["state"]
            kinds = (EventSource, Socket, Poll, Idle)
            crowd[account] = [kind(account, state) for kind in kinds for _ in range(CLIENTS)]
        members = [member for group in crowd.values() for member in group]
        async with asyncio.TaskGroup() as lives:
            tasks = [lives.create_task(member.live()) for member in members]
            post = Post(server, seed)
            for _ in range(KILLS):
                await everybody_listens(members)
                await die_and_rise(server, up, post, members, generator)
            post.write(LETTERS)
            while post.waiting:
                await asyncio.gather(*await post.start())
            for account, group in crowd.items():
                await check(server, post, account, group)
            await everybody_listens(members)
            for task in tasks:
                task.cancel()
        told, returns = (sum(getattr(member, name) for member in members) for name in ("told", "returns"))
        assert returns >= KILLS * len(members), "somebody did not notice that the server was gone"
        print(f"{len(members)} clients, {post.next} letters, told {told} times, {time.monotonic() - begun:.1f} s")
        server.cli("verify")
        server.stop()
        assert b"panicked" not in server.log.read_bytes(), server.log_tail()
    finally:
        server.kill()


async def everybody_listens(members: list[Member]) -> None:
    await asyncio.wait_for(asyncio.gather(*(member.here.wait() for member in members)), 60)


async def die_and_rise(
    server: Magpie, up: asyncio.Event, post: Post, members: list[Member], generator: random.Random
) -> None:
    """Kills the server while mail comes in and clients are being told, and starts it again."""
    before = len(post.acknowledged)
    post.write(LETTERS)
    senders = await post.start()
    enough = before + generator.randrange(LETTERS // 2, LETTERS)
    while len(post.acknowledged) < enough:
        assert not all(sender.done() for sender in senders), server.log_tail()
        await asyncio.sleep(0.002)
    up.clear()
    await asyncio.to_thread(server.kill)
    await asyncio.gather(*senders)
    # Some may find out only later that they are alone.
    for member in members:
        member.here.clear()
    await asyncio.to_thread(server.start)
    up.set()


async def check(server: Magpie, post: Post, account: Account, group: list[Member]) -> None:
    """Everybody learns of every email that is there; and that is all that was acknowledged, each once."""
    emails = (await account.call("Email/get", ids=None, properties=["subject"]))["list"]
    numbers = sorted(int(email["subject"].rpartition("-")[2]) for email in emails)
    mine = [n for n in range(post.next) if f"user{n % USERS + 1}" == account.user]
    assert numbers == mine, f"{account.user}: {numbers} instead of {mine}"
    with server.imap(account.user) as client:
        ok(client.select("INBOX", readonly=True))
        uids = {int(uid) for uid in ok(client.uid("SEARCH", "ALL"))[0].split()}
    ids = {email["id"] for email in emails}
    for member in group:
        there = uids if isinstance(member, Idle) else ids
        try:
            await asyncio.wait_for(member.until_seen(there), 60)
        except TimeoutError:
            missing = sorted(there - member.seen, key=str)
            raise AssertionError(f"{account.user}: a client by {type(member).__name__} has missed {missing}") from None
        assert member.seen == there, f"{account.user}: {type(member).__name__} has seen what is not there"
