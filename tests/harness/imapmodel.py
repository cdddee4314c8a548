"""What a server's mailboxes should hold, and what each connection has been told of them: every untagged response is
checked against both.

Commands are given one at a time, from several connections in turn, so at any moment it is known what is there. What
differs between the connections is how far each has been told.
"""

import re
import socket
from dataclasses import dataclass, field

from .server import PASSWORD, Magpie

# Responses that may remove messages must not come during these (RFC 9051 §7.5.1).
NO_EXPUNGE = {"FETCH", "STORE", "SEARCH"}


@dataclass
class Email:
    """Flags belong to the email, in whatever mailboxes it is; only \\Deleted belongs to its place in one."""

    flags: set[str]


@dataclass
class Member:
    uid: int
    email: Email
    deleted: bool

    def flags(self) -> frozenset[str]:
        return frozenset(self.email.flags | ({"\\Deleted"} if self.deleted else set()))


@dataclass
class Mailbox:
    members: list[Member] = field(default_factory=list)
    uidnext: int = 1

    def find(self, uid: int) -> Member | None:
        return next((member for member in self.members if member.uid == uid), None)

    def add(self, email: Email, deleted: bool) -> int:
        self.members.append(Member(self.uidnext, email, deleted))
        self.uidnext += 1
        return self.uidnext - 1


class Truth:
    """The account's mailboxes."""

    def __init__(self, *names: str):
        self.mailboxes = {name: Mailbox() for name in names}

    def copy(self, source: str, uids: list[int], target: str) -> list[int]:
        return [self._carry(member, target) for member in self._found(source, uids)]

    def move(self, source: str, uids: list[int], target: str) -> list[int]:
        made = []
        for member in self._found(source, uids):
            self.mailboxes[source].members.remove(member)
            made.append(self._carry(member, target))
        return made

    def _carry(self, member: Member, target: str) -> int:
        there = any(other.email is member.email for other in self.mailboxes[target].members)
        email = Email(set(member.email.flags)) if there else member.email
        return self.mailboxes[target].add(email, member.deleted)

    def _found(self, mailbox: str, uids: list[int]) -> list[Member]:
        return [member for uid in sorted(uids) if (member := self.mailboxes[mailbox].find(uid))]

    def store(self, mailbox: str, uids: list[int], sign: str, flags: set[str]) -> None:
        for member in self._found(mailbox, uids):
            now = set(member.flags())
            now = now | flags if sign == "+" else now - flags if sign == "-" else set(flags)
            member.deleted = "\\Deleted" in now
            member.email.flags = now - {"\\Deleted"}

    def expunge(self, mailbox: str, uids: list[int] | None) -> None:
        box = self.mailboxes[mailbox]
        box.members = [m for m in box.members if not m.deleted or (uids is not None and m.uid not in uids)]


class Connection:
    """One connection, and its view of the mailbox that it has selected: UIDs by sequence number, flags by UID."""

    def __init__(self, magpie: Magpie, user: str, truth: Truth, number: int, enable: str | None):
        self.truth = truth
        self.name = f"c{number}"
        self.tags = 0
        self.socket = socket.create_connection(("127.0.0.1", magpie.port("imap")), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.mailbox: str | None = None
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.log: list[str] = []
        self.line()
        self.run(f"LOGIN {user} {PASSWORD}")
        self.enabled = enable
        if enable:
            self.run(f"ENABLE {enable}")

    def close(self) -> None:
        self.socket.close()

    # The wire. -----------------------------------------------------------------------------------------

    def line(self) -> str:
        line = self.stream.readline()
        assert line.endswith(b"\r\n"), (self.name, line, self.log[-20:])
        text = line[:-2].decode()
        self.log.append(f"S: {text}")
        return text

    def run(self, command: str, literal: bytes | None = None) -> tuple[str, list[str]]:
        """Gives a command; checks what comes before its answer. Returns the answer and what was not about the view."""
        self.tags += 1
        tag = f"{self.name}-{self.tags}"
        self.log.append(f"C: {tag} {command}")
        sent = f"{tag} {command}".encode()
        if literal is not None:
            sent += b" {%d+}\r\n%s" % (len(literal), literal)
        self.socket.sendall(sent + b"\r\n")
        verb = command.split()[0]
        rest = []
        while True:
            line = self.line()
            if line.startswith(f"{tag} "):
                return line[len(tag) + 1 :], rest
            assert line.startswith("* "), line
            if not self.news(line[2:], verb):
                rest.append(line[2:])

    def idle(self, until: int) -> None:
        """IDLE until so many messages are in the view, all of them known."""
        self.tags += 1
        tag = f"{self.name}-{self.tags}"
        self.socket.sendall(f"{tag} IDLE\r\n".encode())
        assert self.line().startswith("+")
        while len(self.uids) != until:
            assert self.news(self.line()[2:], "IDLE")
        self.socket.sendall(b"DONE\r\n")
        while not (line := self.line()).startswith(f"{tag} OK"):
            assert self.news(line[2:], "IDLE"), line

    # What the server tells. ----------------------------------------------------------------------------

    def news(self, line: str, verb: str) -> bool:
        """A response about the selected mailbox; false if it is about something else."""
        if match := re.fullmatch(r"(\d+) EXISTS", line):
            self.exists(int(match[1]), verb)
        elif match := re.fullmatch(r"(\d+) EXPUNGE", line):
            self.expunged(int(match[1]), verb)
        elif match := re.fullmatch(r"VANISHED ([\d,:]+)", line):
            self.vanished(match[1])
        elif match := re.fullmatch(r"(\d+) FETCH \((.*)\)", line):
            self.fetched(int(match[1]), match[2])
        else:
            return False
        return True

    def fail(self, why: str) -> None:
        raise AssertionError(f"{self.name}: {why}\n" + "\n".join(self.log[-30:]))

    def box(self) -> Mailbox:
        assert self.mailbox
        return self.truth.mailboxes[self.mailbox]

    def exists(self, number: int, verb: str) -> None:
        if verb in ("SELECT", "EXAMINE"):
            if number != len(self.box().members):
                self.fail(f"{number} EXISTS, but there are {len(self.box().members)}")
            self.uids = [member.uid for member in self.box().members]
            return
        if number < len(self.uids):
            self.fail(f"EXISTS goes down from {len(self.uids)} to {number}")
        last = max(self.flags.keys() | set(self.uids) | {self.last}) if self.uids or self.last else 0
        new = [member.uid for member in self.box().members if member.uid > last]
        if number - len(self.uids) > len(new):
            self.fail(f"{number} EXISTS tells of more than the {len(new)} that have come")
        self.uids += new[: number - len(self.uids)]
        self.last = max(self.uids, default=self.last)

    def expunged(self, number: int, verb: str) -> None:
        if verb in NO_EXPUNGE:
            self.fail(f"EXPUNGE during {verb}")
        if self.enabled == "QRESYNC":
            self.fail("EXPUNGE where VANISHED was asked for")
        if not 1 <= number <= len(self.uids):
            self.fail(f"EXPUNGE of number {number} of {len(self.uids)}")
        self.forget(self.uids.pop(number - 1))

    def vanished(self, written: str) -> None:
        if self.enabled != "QRESYNC":
            self.fail("VANISHED that nobody asked for")
        for uid in uid_set(written):
            if uid in self.uids:
                self.uids.remove(uid)
            self.forget(uid)

    def forget(self, uid: int) -> None:
        if self.box().find(uid):
            self.fail(f"UID {uid} is told to be gone, but is there")
        self.flags.pop(uid, None)

    def fetched(self, number: int, items: str) -> None:
        if not 1 <= number <= len(self.uids):
            self.fail(f"FETCH of number {number} of {len(self.uids)}")
        uid = self.uids[number - 1]
        if (match := re.search(r"\bUID (\d+)", items)) and int(match[1]) != uid:
            self.fail(f"number {number} has UID {match[1]}, expected {uid}")
        if match := re.search(r"FLAGS \(([^)]*)\)", items):
            flags = frozenset(match[1].split()) - {"\\Recent"}
            member = self.box().find(uid)
            if member and flags != member.flags():
                self.fail(f"UID {uid} has {sorted(flags)}, expected {sorted(member.flags())}")
            self.flags[uid] = flags

    # What a connection should know. --------------------------------------------------------------------

    def select(self, mailbox: str) -> None:
        self.mailbox, self.uids, self.flags, self.last = mailbox, [], {}, 0
        answer, rest = self.run(f"SELECT {mailbox}")
        assert answer.startswith("OK"), answer
        self.last = max(self.uids, default=0)
        (uidnext,) = [int(match[1]) for line in rest if (match := re.search(r"\[UIDNEXT (\d+)\]", line))]
        if uidnext != self.box().uidnext:
            self.fail(f"UIDNEXT {uidnext}, expected {self.box().uidnext}")
        self.run("FETCH 1:* (UID FLAGS)") if self.uids else None

    def knows_everything(self) -> None:
        """After a command that allows all news, the view is what is there."""
        if self.uids != [member.uid for member in self.box().members]:
            self.fail(f"sees {self.uids}, but there are {[member.uid for member in self.box().members]}")
        for member in self.box().members:
            told = self.flags.get(member.uid)
            if told is not None and told != member.flags():
                self.fail(f"was told {sorted(told)} of UID {member.uid}, which has {sorted(member.flags())}")


def uid_set(written: str) -> list[int]:
    uids = []
    for part in written.split(","):
        first, _, last = part.partition(":")
        uids += range(int(first), int(last or first) + 1)
    return uids
