"""What a server has promised to keep, and whether it did: for tests that kill it or cut its power.

A mail is a function of its key and of the seed of the run, so that a promise is only a key: whoever checks makes
the same bytes again.
"""

import contextlib
import imaplib
import random
import re
import smtplib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import corpus, giants
from .mailbox import ok
from .server import DOMAIN, Magpie

SUBJECT = re.compile(rb"^Subject: (?:letter|attachment) (\d+)-(\d+)\r$", re.MULTILINE)


@dataclass(frozen=True)
class Parcel:
    """One mail to some users: `number` is its name within the run. Appended over IMAP, or delivered."""

    seed: int
    number: int
    users: tuple[str, ...]
    appended: bool = False

    def source(self) -> bytes:
        """The bytes of the mail: mostly short letters; some large ones, some with an attachment that others have too."""
        generator = random.Random(f"{self.seed}/{self.number}")
        kind = generator.random()
        if kind < 0.7:
            return giants.letter(self.number, generator.randrange(500, 12_000), self.seed)
        if kind < 0.85:
            return giants.letter(self.number, generator.randrange(40_000, 200_000), self.seed, text=False)
        shared = random.Random(generator.randrange(3)).randbytes(150_000)
        return giants.with_attachment(self.number, shared, self.seed)


@dataclass
class Ledger:
    """Everything that was sent in a run: acknowledged, or in flight when the connection broke.

    What was in flight over IMAP is uncertain for good: nobody sends it again.
    """

    seed: int
    acknowledged: dict[int, Parcel] = field(default_factory=dict)
    in_flight: dict[int, Parcel] = field(default_factory=dict)
    uncertain: dict[int, Parcel] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    first: threading.Event = field(default_factory=threading.Event)
    next_number: int = 0

    def draw(self, users: list[str], generator: random.Random, appended: bool = False) -> Parcel:
        """The next parcel, for one user mostly and sometimes for several; in flight from now on."""
        one = appended or generator.random() < 0.85
        several = generator.sample(users, min(len(users), 1 if one else generator.randrange(2, 5)))
        with self.lock:
            self.next_number += 1
            parcel = Parcel(self.seed, self.next_number, tuple(several), appended)
            self.in_flight[parcel.number] = parcel
            return parcel

    def acknowledge(self, parcel: Parcel) -> None:
        with self.lock:
            self.acknowledged[parcel.number] = self.in_flight.pop(parcel.number)
        self.first.set()

    def give_up(self) -> None:
        """Nobody will ever know whether what was being appended is there, but by looking."""
        for number in [number for number, parcel in self.in_flight.items() if parcel.appended]:
            self.uncertain[number] = self.in_flight.pop(number)

    def find(self, number: int) -> Parcel | None:
        return self.acknowledged.get(number) or self.in_flight.get(number) or self.uncertain.get(number)

    def expected(self, user: str) -> set[int]:
        return {number for number, parcel in self.acknowledged.items() if user in parcel.users}


def deliver(server: Magpie, ledger: Ledger, users: list[str], threads: int) -> list[threading.Thread]:
    """Starts threads that deliver one parcel after the other until the server goes away."""

    def work(thread: int, begin: int) -> None:
        generator = random.Random(f"{ledger.seed}/{begin}/{thread}")
        with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
            client = server.smtp(timeout=30)
            while True:
                send(client, parcel := ledger.draw(users, generator))
                ledger.acknowledge(parcel)

    started = [threading.Thread(target=work, args=(n, ledger.next_number), daemon=True) for n in range(threads)]
    for thread in started:
        thread.start()
    return started


def append(server: Magpie, ledger: Ledger, users: list[str], threads: int) -> list[threading.Thread]:
    """Starts threads that append one parcel after the other over IMAP until the server goes away."""

    def work(thread: int, begin: int) -> None:
        generator = random.Random(f"{ledger.seed}/{begin}/append/{thread}")
        with contextlib.suppress(OSError, imaplib.IMAP4.abort):
            clients = {user: server.imap(user, timeout=30) for user in generator.sample(users, 3)}
            while True:
                parcel = ledger.draw(list(clients), generator, appended=True)
                ok(clients[parcel.users[0]].append("INBOX", "", None, parcel.source()))
                ledger.acknowledge(parcel)

    started = [threading.Thread(target=work, args=(n, ledger.next_number), daemon=True) for n in range(threads)]
    for thread in started:
        thread.start()
    return started


def deliver_again(server: Magpie, ledger: Ledger) -> None:
    """Sends what was in flight once more, as a sender does that has not seen the 250."""
    with server.smtp(timeout=30) as client:
        for parcel in sorted(ledger.in_flight.values(), key=lambda parcel: parcel.number):
            send(client, parcel)
            ledger.acknowledge(parcel)


def send(client: smtplib.SMTP, parcel: Parcel) -> None:
    refused = client.sendmail("bob@example.com", [f"{user}@{DOMAIN}" for user in parcel.users], parcel.source())
    assert refused == {}, refused


class Audit:
    """Checks, round after round, that everybody has what was acknowledged: once, byte for byte, and for good."""

    def __init__(self, ledger: Ledger, users: list[str]):
        self.ledger = ledger
        self.seen: dict[str, dict[int, int]] = {user: {} for user in users}

    def check(self, server: Magpie) -> None:
        """Reads what is new since the last check, and looks whether what was there then is still there."""
        for user, seen in self.seen.items():
            with server.imap(user, timeout=60) as client:
                ok(client.select("INBOX", readonly=True))
                uids = [int(uid) for uid in ok(client.uid("SEARCH", "ALL"))[0].split()]
                assert uids == sorted(set(uids)), f"{user}: UIDs do not ascend"
                gone = set(seen.values()) - set(uids)
                assert not gone, f"{user}: UIDs that were there are gone: {sorted(gone)[:10]}"
                last = max(seen.values(), default=0)
                for uid, stored in fetch(client, [uid for uid in uids if uid not in seen.values()]):
                    assert uid > last, f"{user}: UID {uid} is new, and not above {last}"
                    number = identify(user, stored, self.ledger)
                    assert number not in seen, f"{user}: mail {number} is there twice, UIDs {seen[number]} and {uid}"
                    seen[number] = uid
            missing = self.ledger.expected(user) - set(seen)
            assert not missing, f"{user}: {len(missing)} acknowledged mails are lost: {sorted(missing)[:10]}"

    def check_everything(self, server: Magpie) -> None:
        """Reads every byte of every mail again."""
        for seen in self.seen.values():
            seen.clear()
        self.check(server)


def fetch(client: imaplib.IMAP4, uids: list[int], batch: int = 50) -> Iterator[tuple[int, bytes]]:
    """The messages with these UIDs, a batch at a time."""
    for at in range(0, len(uids), batch):
        wanted = ",".join(map(str, uids[at : at + batch]))
        for item in ok(client.uid("FETCH", wanted, "(UID BODY.PEEK[])")):
            if isinstance(item, tuple):
                yield int(re.search(rb"UID (\d+)", item[0])[1]), item[1]


def identify(user: str, stored: bytes, ledger: Ledger) -> int:
    """The number of a stored mail, after comparing every byte of it."""
    subject = SUBJECT.search(stored)
    assert subject, f"{user}: a mail that nobody sent: {stored[:200]!r}"
    number = int(subject[2])
    parcel = ledger.find(number)
    assert parcel and user in parcel.users, f"{user}: mail {number} was not for this user"
    sent = parcel.source()
    message = stored if parcel.appended else corpus.without_trace(stored, sent)
    assert message == sent, f"{user}: mail {number}: {corpus.difference(message, sent)}"
    return number
