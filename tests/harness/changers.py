"""Programs that change one account at the same time, each by its own protocol and by chance: what two of them do at once to the
same mailbox is up to the server. What each letter may have come to is written down in a ledger."""

import contextlib
import http.client
import imaplib
import poplib
import random
import re
import smtplib
import threading
from collections.abc import Iterator

from .jmapmodel import Jmap, reference
from .mailbox import modified_utf7, names, quoted
from .server import Magpie

# What a client sees when its server is killed.
LOST = (ConnectionError, TimeoutError, EOFError, imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected,
        http.client.HTTPException)  # fmt: skip
KEYWORDS = {
    "\\Seen": "$seen",
    "\\Flagged": "$flagged",
    "\\Answered": "$answered",
    "\\Draft": "$draft",
    "label": "label",
}
FOLDERS = ["Work", "편지함", "Lists", "Later", "A & B"]


class Ledger:
    """What was answered, by the numbers of letters; shared by all who change the account."""

    def __init__(self, seed: int):
        self.seed = seed
        self.lock = threading.Lock()
        self.letters = 0
        # Letters that the server has said are in the INBOX, and those that somebody has asked to be taken out since.
        self.kept: set[int] = set()
        self.doomed: set[int] = set()
        # Letters of which there may be several.
        self.copied: set[int] = set()
        self.answered = 0

    def letter(self, chance: random.Random) -> tuple[int, bytes]:
        """A letter that no other is like. It may answer letters of several threads, or one that has not come yet: threads join."""
        with self.lock:
            self.letters += 1
            number = self.letters
        answered = chance.sample(range(1, number + 8), chance.choice([0, 0, 1, 1, 2]))
        subject = f"topic {chance.randrange(3)}"
        lines = [
            "From: Bob <bob@example.com>", f"Subject: {'Re: ' if answered else ''}{subject}",
            f"Message-ID: <{self.name(number)}>", "Date: Mon, 19 Oct 2026 10:00:00 +0000",
        ]  # fmt: skip
        if answered:
            lines.append("References: " + " ".join(f"<{self.name(other)}>" for other in answered))
        text = "\r\n".join([*lines, "", *("a line of text" for _ in range(chance.randrange(40))), ""])
        return number, text.encode()

    def name(self, number: int) -> str:
        return f"{number}.{self.seed}@example.com"

    def number(self, message_id: str) -> int:
        """The number in a Message-ID."""
        return int(re.search(r"(\d+)\.\d+@example\.com", message_id)[1])

    def keep(self, number: int) -> None:
        with self.lock:
            self.kept.add(number)

    def doom(self, numbers: set[int]) -> None:
        """Before the server is asked: whether it has done it is not known if it does not answer."""
        with self.lock:
            self.doomed |= numbers

    def copy(self, numbers: set[int]) -> None:
        with self.lock:
            self.copied |= numbers

    def count(self) -> None:
        with self.lock:
            self.answered += 1

    def check(self, inbox: list[str]) -> None:
        """What is in the INBOX, by Message-ID: each letter that should be there once, and of those that nobody copied no more."""
        held: dict[int, int] = {}
        for message_id in inbox:
            number = self.number(message_id)
            held[number] = held.get(number, 0) + 1
        lost = self.kept - self.doomed - held.keys()
        assert not lost, f"letters {sorted(lost)} were answered for, and are gone"
        twice = {number for number, count in held.items() if count > 1} - self.copied
        assert not twice, f"letters {sorted(twice)} are there more than once"


class Changer:
    """One program. `act` does one thing and returns when it was answered."""

    def __init__(self, magpie: Magpie, user: str, ledger: Ledger, chance: random.Random):
        self.magpie, self.user, self.ledger, self.chance = magpie, user, ledger, chance

    def connect(self) -> None:
        """Begins a new connection, where one is kept."""

    def act(self) -> None:
        raise NotImplementedError


class Poster(Changer):
    """Brings letters by SMTP or LMTP."""

    def act(self) -> None:
        lmtp = self.chance.random() < 0.5
        connect = smtplib.LMTP if lmtp else smtplib.SMTP
        with connect("127.0.0.1", self.magpie.port("lmtp" if lmtp else "smtp"), "client.example.com") as client:
            for _ in range(self.chance.randint(1, 3)):
                number, letter = self.ledger.letter(self.chance)
                client.sendmail("bob@example.com", [f"{self.user}@example.test"], letter)
                self.ledger.keep(number)


class PopChanger(Changer):
    """Takes letters away by POP3: they are gone when QUIT is answered."""

    def act(self) -> None:
        with ending_early():
            client = self.magpie.pop3(self.user)
            count = client.stat()[0]
            for number in sorted(self.chance.sample(range(1, count + 1), min(count, self.chance.randint(0, 2)))):
                try:
                    header = b"\n".join(client.top(number, 0)[1]).decode()
                except poplib.error_proto as error:
                    if "removed by another session" in str(error):
                        continue
                    raise
                self.ledger.doom({self.ledger.number(re.search(r"(?mi)^message-id: *(.*)$", header)[1])})
                client.dele(number)
            client.quit()


class ImapChanger(Changer):
    """What a mail program does, over one connection."""

    def connect(self) -> None:
        self.client = self.magpie.imap(self.user)
        self.mailbox = "INBOX"
        self.client.select("INBOX")

    def act(self) -> None:
        actions = [self.append, self.store, self.delete_some, self.copy, self.move, self.expunge, self.select,
                   self.create, self.rename, self.delete, self.noop]  # fmt: skip
        self.chance.choices(actions, [4, 8, 2, 3, 3, 2, 4, 2, 1, 1, 1])[0]()

    def append(self) -> None:
        target, flags = self.any_mailbox(), self.some_flags()
        number, letter = self.ledger.letter(self.chance)
        kind, said = self.client.append(target, f"({' '.join(flags)})", None, letter)
        if answered(kind, said, "TRYCREATE", "NONEXISTENT") and target == "INBOX":
            self.ledger.keep(number)

    def store(self) -> None:
        if uids := self.some_uids():
            sign, silent = self.chance.choice(["+", "-", ""]), self.chance.choice(["", ".SILENT"])
            self.uid("STORE", uids, f"{sign}FLAGS{silent}", f"({' '.join(self.some_flags())})")

    def delete_some(self) -> None:
        if uids := self.some_uids():
            self.ledger.doom(self.letters(uids))
            self.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)")
            if self.chance.random() < 0.5:
                self.uid("EXPUNGE", uids)

    def copy(self) -> None:
        if uids := self.some_uids():
            self.ledger.copy(self.letters(uids))
            self.uid("COPY", uids, self.any_mailbox())

    def move(self) -> None:
        if uids := self.some_uids():
            letters = self.letters(uids)
            self.ledger.copy(letters)
            self.ledger.doom(letters)
            self.uid("MOVE", uids, self.any_mailbox())

    def expunge(self) -> None:
        self.client.expunge()

    def noop(self) -> None:
        self.client.noop()

    def select(self) -> None:
        mailbox = self.any_mailbox()
        kind, said = self.client.select(mailbox)
        if not answered(kind, said, "NONEXISTENT"):
            mailbox = "INBOX"
            self.client.select(mailbox)
        self.mailbox = mailbox

    def create(self) -> None:
        name = self.chance.choice(FOLDERS)
        if self.chance.random() < 0.3:
            name += f"/{self.chance.choice(FOLDERS)}"
        answered(*self.client.create(quoted(name)), "ALREADYEXISTS")

    def rename(self) -> None:
        if source := self.any_folder():
            target = quoted(f"{self.chance.choice(FOLDERS)} {self.chance.randrange(4)}")
            # A mailbox cannot go into itself, nor where another one is.
            answered(*self.client.rename(source, target), "NONEXISTENT", "ALREADYEXISTS", "CANNOT")

    def delete(self) -> None:
        if folder := self.any_folder():
            if folder == self.mailbox:
                self.client.unselect()
                self.mailbox = "INBOX"
                self.client.select("INBOX")
            answered(*self.client.delete(folder), "NONEXISTENT", "HASCHILDREN")

    # Chance. -------------------------------------------------------------------------------------------

    def any_mailbox(self) -> str:
        return "INBOX" if self.chance.random() < 0.4 else self.any_folder() or "INBOX"

    def any_folder(self) -> str | None:
        """A mailbox that no client needs."""
        found = [name for name in names(self.client) if name != "INBOX"]
        known = {modified_utf7(folder) for folder in FOLDERS}
        found = [name for name in found if re.split(r"/| \d$", name)[0] in known]
        return f'"{self.chance.choice(found)}"' if found else None

    def some_flags(self) -> list[str]:
        return [flag for flag in KEYWORDS if self.chance.random() < 0.3]

    def some_uids(self) -> str:
        kind, said = self.client.uid("SEARCH", "ALL")
        assert kind == "OK", said
        uids = said[0].split() if said and said[0] else []
        return ",".join(uid.decode() for uid in self.chance.sample(uids, min(len(uids), self.chance.randint(1, 5))))

    def letters(self, uids: str) -> set[int]:
        _, said = self.client.uid("FETCH", uids, "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        headers = [item[1].decode() for item in said if isinstance(item, tuple)]
        return {self.ledger.number(header) for header in headers if "@example.com" in header}

    def uid(self, command: str, uids: str, *arguments: str) -> None:
        """Others may have removed the messages, or the mailbox that they go to."""
        answered(*self.client.uid(command, uids, *arguments), "EXPUNGEISSUED", "TRYCREATE", "NONEXISTENT")


class JmapChanger(Changer):
    """What a webmail does."""

    def connect(self) -> None:
        self.jmap = Jmap(self.magpie, self.user)

    def act(self) -> None:
        actions = [self.mark, self.carry, self.destroy, self.write, self.bring, self.make_mailbox, self.change_mailbox,
                   self.destroy_mailbox, self.several]  # fmt: skip
        self.chance.choices(actions, [8, 4, 3, 3, 3, 2, 2, 1, 2])[0]()

    def mark(self) -> None:
        self.set_emails({email["id"]: self.some_keywords() for email in self.some_emails(20)})

    def carry(self) -> None:
        mailboxes = self.mailboxes()
        emails = self.some_emails(5)
        self.ledger.doom(self.letters(emails))
        updates = {}
        for email in emails:
            to = self.chance.choice(list(mailboxes))
            ways = [{"mailboxIds": {to: True}}, {f"mailboxIds/{to}": True}]
            if len(email["mailboxIds"]) > 1:
                ways.append({f"mailboxIds/{next(iter(email['mailboxIds']))}": None})
            updates[email["id"]] = self.chance.choice(ways)
        self.set_emails(updates)

    def destroy(self) -> None:
        emails = self.some_emails(4)
        self.ledger.doom(self.letters(emails))
        self.set_emails({}, destroy=[email["id"] for email in emails])

    def write(self) -> None:
        """A draft, whose Message-ID is a letter's."""
        number, _ = self.ledger.letter(self.chance)
        mailbox = self.chance.choice(list(self.mailboxes()))
        draft = {
            "mailboxIds": {mailbox: True}, "keywords": {"$draft": True}, "subject": "topic 1",
            "messageId": [self.ledger.name(number)], "bodyValues": {"t": {"value": "text\n"}},
            "textBody": [{"partId": "t"}],
        }  # fmt: skip
        answer = self.jmap.call("Email/set", create={"draft": draft})
        self.refused(answer["notCreated"], "invalidProperties")

    def bring(self) -> None:
        number, letter = self.ledger.letter(self.chance)
        blob, mailboxes = self.jmap.upload(letter), self.mailboxes()
        mailbox = self.chance.choice(list(mailboxes))
        email = {"blobId": blob, "mailboxIds": {mailbox: True}, "keywords": {"$seen": True}}
        answer = self.jmap.call("Email/import", emails={"letter": email})
        self.refused(answer["notCreated"], "invalidProperties")
        if answer["created"] and mailboxes[mailbox]["role"] == "inbox":
            self.ledger.keep(number)

    def make_mailbox(self) -> None:
        parents = [None, *(id for id, mailbox in self.mailboxes().items() if self.is_free(mailbox))]
        made = {"name": self.chance.choice(FOLDERS), "parentId": self.chance.choice(parents)}
        answer = self.jmap.call("Mailbox/set", create={"made": made})
        self.refused(answer["notCreated"], "invalidProperties")

    def change_mailbox(self) -> None:
        free = {id: mailbox for id, mailbox in self.mailboxes().items() if self.is_free(mailbox)}
        if not free:
            return
        mailbox = self.chance.choice(list(free))
        change = self.chance.choice([
            {"name": f"{self.chance.choice(FOLDERS)} {self.chance.randrange(4)}"},
            {"parentId": self.chance.choice([None, *free])},
            {"sortOrder": self.chance.randrange(100)},
            {"isSubscribed": self.chance.random() < 0.5},
        ])  # fmt: skip
        answer = self.jmap.call("Mailbox/set", update={mailbox: change})
        self.refused(answer["notUpdated"], "invalidProperties", "notFound")

    def destroy_mailbox(self) -> None:
        free = [id for id, mailbox in self.mailboxes().items() if self.is_free(mailbox)]
        if free:
            answer = self.jmap.call("Mailbox/set", destroy=[self.chance.choice(free)], onDestroyRemoveEmails=True)
            self.refused(answer["notDestroyed"], "mailboxHasChild", "notFound")

    def several(self) -> None:
        """Marks and destroys in one request."""
        emails = self.some_emails(8)
        gone, marked = emails[:2], emails[2:]
        self.ledger.doom(self.letters(gone))
        updates = {email["id"]: self.some_keywords() for email in marked}
        self.set_emails(updates, destroy=[email["id"] for email in gone])

    # Chance. -------------------------------------------------------------------------------------------

    def mailboxes(self) -> dict[str, dict]:
        return self.jmap.everything("Mailbox")

    def is_free(self, mailbox: dict) -> bool:
        """Whether it is one that no client needs."""
        return mailbox["role"] is None and re.sub(r" \d$", "", mailbox["name"]) in FOLDERS

    def some_emails(self, most: int) -> list[dict]:
        _, got = self.jmap.calls(
            ("Email/query", {"sort": [{"property": "receivedAt", "isAscending": False}], "limit": 300}),
            ("Email/get", {"#ids": reference(0, "Email/query", "/ids"), "properties": ["mailboxIds", "messageId"]}),
        )
        return self.chance.sample(got["list"], min(len(got["list"]), self.chance.randint(1, most)))

    def letters(self, emails: list[dict]) -> set[int]:
        return {self.ledger.number(email["messageId"][0]) for email in emails}

    def some_keywords(self) -> dict:
        some = {keyword: True for keyword in KEYWORDS.values() if self.chance.random() < 0.3}
        if self.chance.random() < 0.3:
            return {"keywords": some}
        return {f"keywords/{keyword}": self.chance.choice([True, None]) for keyword in some or ["$seen"]}

    def set_emails(self, updates: dict, destroy: list[str] = ()) -> None:
        answer = self.jmap.call("Email/set", update=updates, destroy=list(destroy))
        # Another client was quicker: the email is gone, has moved to another thread, or its mailbox is gone.
        self.refused(answer["notUpdated"], "notFound", "invalidProperties")
        self.refused(answer["notDestroyed"], "notFound")

    def refused(self, errors: dict | None, *expected: str) -> None:
        unexpected = [error for error in (errors or {}).values() if error["type"] not in expected]
        assert not unexpected, unexpected


def answered(kind: str, said: list, *refusals: str) -> bool:
    """Whether the answer is OK. One that is not must have one of these codes."""
    if kind == "OK":
        return True
    text = b" ".join(part for part in said if isinstance(part, bytes)).decode(errors="replace")
    assert kind == "NO" and any(f"[{code}" in text for code in refusals), (kind, text)
    return False


@contextlib.contextmanager
def ending_early() -> Iterator[None]:
    """poplib has an error of its own for a connection that ends."""
    try:
        yield
    except poplib.error_proto as error:
        if "EOF" in str(error):
            raise EOFError from error
        raise


PROGRAMS: tuple[type[Changer], ...] = (Poster, ImapChanger, ImapChanger, PopChanger, JmapChanger, JmapChanger)
