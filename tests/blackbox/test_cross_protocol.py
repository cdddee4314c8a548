"""IMAP, POP3, SMTP, LMTP and JMAP change one account at once, and the server is killed in the midst of it. A client that only
follows changes, by JMAP or by QRESYNC, has then exactly what the server has; both protocols tell of the same account; and
what was answered has happened.

`CROSS_SEED=… CROSS_ROUNDS=…` repeats a run, or makes a longer one.
"""

import os
import random
import threading
from pathlib import Path

import pytest

from harness import jmapmodel, qresync
from harness.changers import KEYWORDS, LOST, PROGRAMS, Changer, Ledger
from harness.mailbox import modified_utf7
from harness.response import Client
from harness.server import PASSWORD, Magpie

USER = "user1"
# So much each program does in a round.
ACTIONS = 8


class Gate:
    """Whether the server is there, and how often it has been killed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.kills = 0

    def killing(self, magpie: Magpie) -> None:
        """Kills the server and starts it again."""
        self.open.clear()
        self.kills += 1
        magpie.kill()
        magpie.start()
        self.open.set()


class Work(threading.Thread):
    """A program at work for a round. It begins anew where the server was killed under it, and where somebody deleted the
    mailbox that it had selected."""

    def __init__(self, changer: Changer, gate: Gate):
        super().__init__(daemon=True)
        self.changer, self.gate = changer, gate
        self.surprise: BaseException | None = None

    def run(self) -> None:
        try:
            self._connect()
            for _ in range(ACTIONS):
                self._act()
        except BaseException as surprise:
            self.surprise = surprise

    def _connect(self) -> None:
        while True:
            self.gate.open.wait()
            self.kills = self.gate.kills
            try:
                return self.changer.connect()
            except LOST:
                if self.kills == self.gate.kills:
                    raise

    def _act(self) -> None:
        try:
            self.changer.act()
            self.changer.ledger.count()
        except LOST as lost:
            if self.kills == self.gate.kills and "the selected mailbox was deleted" not in str(lost):
                raise
            self._connect()


class Account:
    """Everybody who looks at the account or changes it."""

    def __init__(self, magpie: Magpie, seed: int):
        self.magpie = magpie
        self.chance = random.Random(seed)
        self.ledger, self.gate = Ledger(seed), Gate()
        own = [random.Random(self.chance.random()) for _ in PROGRAMS]
        self.changers = [program(magpie, USER, self.ledger, chance) for program, chance in zip(PROGRAMS, own)]
        self.followers = (
            jmapmodel.Follower(magpie, USER, random.Random(self.chance.random())),
            qresync.Follower(magpie, USER, random.Random(self.chance.random())),
        )

    def round(self, kill: bool) -> None:
        """All programs at once, and the clients that follow beside them."""
        works = [Work(changer, self.gate) for changer in self.changers]
        kill_at = self.ledger.answered + self.chance.randrange(ACTIONS * len(works) // 2) if kill else None
        for work in works:
            work.start()
        while any(work.is_alive() for work in works):
            if kill_at is not None and self.ledger.answered >= kill_at:
                kill_at = None
                self.gate.killing(self.magpie)
                for follower in self.followers:
                    follower.reconnect()
            for follower in self.followers:
                follower.follow()
        for work in works:
            if work.surprise:
                raise work.surprise

    def check(self) -> None:
        """Nobody changes anything now."""
        for follower in self.followers:
            follower.follow()
            follower.check()
        imap = qresync.snapshot(Client(self.magpie.port("imap"), USER, PASSWORD))
        jmap = self.followers[0].jmap
        compare(imap, jmap.everything("Mailbox"), jmap.everything("Email"))
        inbox = [message.message_id for message in imap['"INBOX"'].values()]
        self.ledger.check(inbox)
        pop3 = self.magpie.pop3(USER)
        assert pop3.stat() == (len(inbox), sum(message.size for message in imap['"INBOX"'].values()))
        pop3.quit()


def compare(imap: dict[str, dict[int, qresync.Message]], mailboxes: dict[str, dict], emails: dict[str, dict]) -> None:
    """What IMAP tells of an account, and what JMAP does."""
    paths = {path(mailbox, mailboxes): id for id, mailbox in mailboxes.items()}
    assert paths.keys() == imap.keys()
    # IMAP's EMAILID and THREADID are what a message got first (RFC 8474 §5): JMAP's ids tell copies apart, and follow threads
    # that join. So it is by what is in them that both have the same mailboxes.
    for name, messages in imap.items():
        seen = [(m.message_id, keywords(m.flags), m.size) for m in messages.values()]
        told = [
            (email["messageId"][0], sorted(email["keywords"]), email["size"])
            for email in emails.values()
            if paths[name] in email["mailboxIds"]
        ]
        assert sorted(seen, key=str) == sorted(told, key=str), name
    for id, mailbox in mailboxes.items():
        inside = [email for email in emails.values() if id in email["mailboxIds"]]
        unread = [email for email in inside if not email["keywords"].keys() & {"$seen", "$draft"}]
        threads = {email["threadId"] for email in inside}
        counted = (mailbox["totalEmails"], mailbox["unreadEmails"], mailbox["totalThreads"])
        assert counted == (len(inside), len(unread), len(threads)), mailbox


def keywords(flags: frozenset[str]) -> list[str]:
    return sorted(KEYWORDS[flag] for flag in flags - {"\\Deleted"})


def path(mailbox: dict, mailboxes: dict[str, dict]) -> str:
    """A mailbox's name in IMAP, as a command may name it."""
    names = [mailbox["name"]]
    while mailbox["parentId"]:
        mailbox = mailboxes[mailbox["parentId"]]
        names.append(mailbox["name"])
    text = modified_utf7("/".join(reversed(names)))
    return '"INBOX"' if text.upper() == "INBOX" else f'"{text}"'


@pytest.mark.timeout(900)
def test_clients_that_follow_have_what_the_server_has(data: Path) -> None:
    seed = int(os.environ.get("CROSS_SEED", random.SystemRandom().randrange(1_000_000)))
    rounds = int(os.environ.get("CROSS_ROUNDS", "4"))
    print(f"seed {seed}: repeat with CROSS_SEED={seed} CROSS_ROUNDS={rounds}")
    magpie = Magpie(data, users=1).start()
    try:
        account = Account(magpie, seed)
        for number in range(rounds):
            account.round(kill=number % 2 == 1)
            account.check()
            magpie.cli("verify")
        print(f"{account.ledger.answered} changes were answered, {account.ledger.letters} letters written")
        magpie.stop()
        assert b"panicked" not in magpie.log.read_bytes(), magpie.log_tail()
    finally:
        magpie.kill()
