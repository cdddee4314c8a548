"""An IMAP client that holds a copy of an account and learns of changes by QRESYNC alone (RFC 7162 §3.2)."""

import copy
import random
import re
from dataclasses import dataclass, field

from .response import Client, GrammarError, Reader, Text
from .server import PASSWORD, Magpie

Flags = frozenset[str]


@dataclass
class Box:
    """A mailbox as the client knows it."""

    uidvalidity: int
    modseq: int
    flags: dict[int, Flags] = field(default_factory=dict)


@dataclass
class Status:
    """A mailbox as LIST tells of it (RFC 5819)."""

    uidvalidity: int
    modseq: int
    messages: int
    unseen: int
    uidnext: int


class Follower:
    """A client with a copy of which messages are in which mailbox, and of their flags."""

    def __init__(self, magpie: Magpie, user: str, chance: random.Random):
        self.magpie, self.user, self.chance = magpie, user, chance
        self.boxes: dict[str, Box] = {}
        self.log: list[str] = []
        self.earlier: dict[str, Box] = {}
        self.reconnect()

    def reconnect(self) -> None:
        self.client = Client(self.magpie.port("imap"), self.user, PASSWORD)
        self.client.command("ENABLE QRESYNC")

    def follow(self) -> None:
        """Catches up with every mailbox that has changed; now and then from an earlier state."""
        if self.chance.random() < 0.2:
            self.boxes, self.earlier = self.earlier, copy.deepcopy(self.boxes)
        there = statuses(self.client)
        self.boxes = {name: box for name, box in self.boxes.items() if name in there}
        for name, status in there.items():
            known = self.boxes.get(name)
            if known is None or (known.uidvalidity, known.modseq) != (status.uidvalidity, status.modseq):
                self._open(name, known)

    def _open(self, name: str, known: Box | None) -> None:
        command = f"SELECT {name}"
        uids = sorted(known.flags) if known and self.chance.random() < 0.5 else []
        if known:
            listed = f" {written(uids)}" if uids else ""
            command += f" (QRESYNC ({known.uidvalidity} {known.modseq}{listed}))"
        try:
            self._resync(name, known, command, uids)
        except GrammarError as error:
            # It was deleted, or renamed, after the list was made, or while it was selected.
            self.boxes.pop(name, None)
            if "the selected mailbox was deleted" in str(error):
                self.reconnect()
            elif "NONEXISTENT" not in str(error):
                raise

    def _resync(self, name: str, known: Box | None, command: str, uids: list[int]) -> None:
        said = self.client.command(command).decode()
        self.log = [*self.log[-10:], f"{command}\n{said}"]
        uidvalidity = int(re.search(r"\[UIDVALIDITY (\d+)\]", said)[1])
        modseq = int(re.search(r"\[HIGHESTMODSEQ (\d+)\]", said)[1])
        if known is None or known.uidvalidity != uidvalidity:
            known = self.boxes[name] = Box(uidvalidity, modseq)
            if int(re.search(r"\* (\d+) EXISTS", said)[1]):
                self._take(known, self.client.command("UID FETCH 1:* (FLAGS)").decode())
        else:
            self._take(known, said)
            known.modseq = max(modseq, known.modseq)
            if uids:
                # Who says what it knows is told of that alone (§3.2.5.2).
                self._take(known, self.client.command(f"UID FETCH {uids[-1] + 1}:* (FLAGS)").decode())
        # News that come while it is selected belong to it, and to no other mailbox.
        self._take(known, self.client.command("UNSELECT").decode())

    def _take(self, box: Box, said: str) -> None:
        for line in said.split("\r\n"):
            if match := re.fullmatch(r"\* VANISHED (?:\(EARLIER\) )?([\d,:]+)", line):
                for first, last in ranges(match[1]):
                    for uid in [uid for uid in box.flags if first <= uid <= last]:
                        del box.flags[uid]
            elif match := re.fullmatch(r"\* \d+ FETCH \((.*)\)", line):
                uid, flags = re.search(r"\bUID (\d+)", match[1]), re.search(r"FLAGS \(([^)]*)\)", match[1])
                assert uid, f"without its UID a client does not know what this is about: {line}"
                if flags:
                    box.flags[int(uid[1])] = frozenset(flags[1].split()) - {"\\Recent"}

    def check(self) -> None:
        """While nothing changes: what it holds is what a client sees that knows nothing."""
        there = snapshot(Client(self.magpie.port("imap"), self.user, PASSWORD))
        assert self.boxes.keys() == there.keys(), (self.boxes.keys(), there.keys())
        for name, box in self.boxes.items():
            found = {uid: message.flags for uid, message in there[name].items()}
            different = {
                uid: (box.flags.get(uid), found.get(uid))
                for uid in box.flags.keys() | found.keys()
                if box.flags.get(uid) != found.get(uid)
            }
            assert not different, (
                f"{name}, known up to {box.modseq}: copy and server differ: {different}\n" + "\n".join(self.log)
            )


@dataclass(frozen=True)
class Message:
    """A message as it is in a mailbox."""

    email: str
    thread: str
    flags: Flags
    message_id: str
    size: int


def statuses(client: Client) -> dict[str, Status]:
    """All mailboxes, by their names as they travel."""
    items = "UIDVALIDITY HIGHESTMODSEQ MESSAGES UNSEEN UIDNEXT"
    said = client.command(f'LIST "" "*" RETURN (STATUS ({items}))')
    reader, found = Reader(said), {}
    while reader.at < len(reader.octets):
        line = said[reader.at : said.index(b"\r\n", reader.at)]
        if line.startswith(b"* STATUS "):
            reader.expect(b"* STATUS ")
            name = reader.value()
            reader.expect(b" ")
            pairs = reader.sequence()
            values = dict(zip(pairs[::2], pairs[1::2]))
            found[as_written(name)] = Status(*(values[item] for item in items.split()))
            reader.expect(b"\r\n")
        else:
            reader.at += len(line) + 2
    return found


def as_written(name) -> str:
    """A mailbox's name as a command may name it again."""
    text = name.octets.decode() if isinstance(name, Text) else str(name)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def snapshot(client: Client) -> dict[str, dict[int, Message]]:
    """Everything in all mailboxes, asked for afresh."""
    found: dict[str, dict[int, Message]] = {}
    for name, status in statuses(client).items():
        client.command(f"EXAMINE {name}")
        box = found[name] = {}
        if status.messages:
            items = "UID FLAGS EMAILID THREADID RFC822.SIZE ENVELOPE"
            for values in client.fetch("1:*", items).values():
                flags = frozenset(str(flag) for flag in values["FLAGS"]) - {"\\Recent"}
                (email,), (thread,) = values["EMAILID"], values["THREADID"]
                message_id = values["ENVELOPE"][9]
                written = message_id.octets.decode().strip("<>") if message_id else ""
                box[values["UID"]] = Message(email, thread, flags, written, values["RFC822.SIZE"])
        assert len(box) == status.messages, (name, status, len(box))
        unseen = sum("\\Seen" not in message.flags for message in box.values())
        assert unseen == status.unseen, (name, status, unseen)
    client.close()
    return found


def ranges(uids: str) -> list[tuple[int, int]]:
    """A sequence set as pairs."""
    pairs = []
    for part in uids.split(","):
        first, _, last = part.partition(":")
        ends = sorted((int(first), int(last or first)))
        pairs.append((ends[0], ends[1]))
    return pairs


def written(uids) -> str:
    return ",".join(map(str, uids))
