"""Several connections change the same mailboxes in turn, at random, and everything that each of them is told must be
true: numbers, UIDs, flags, in the order that the RFC allows. Run with extensions that change what is told, and without.
"""

import random
import re

import pytest

from harness import giants
from harness.imapmodel import Connection, Email, Truth, uid_set
from harness.server import Magpie

STEPS = 400
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$label"]
NAMES = ["INBOX", "Other"]


class Session:
    """One run: what is true, who is connected, and chance."""

    def __init__(self, magpie: Magpie, user: str, seed: int, extensions: list[str | None]):
        self.magpie, self.user = magpie, user
        self.chance = random.Random(seed)
        self.truth = Truth(*NAMES)
        self.clients = [
            Connection(magpie, user, self.truth, number, enable) for number, enable in enumerate(extensions)
        ]
        self.clients[0].run("CREATE Other")
        for client in self.clients:
            client.select(self.chance.choice(NAMES))

    def step(self) -> None:
        client = self.chance.choice(self.clients)
        actions = [self.append, self.deliver, self.store, self.copy, self.move, self.expunge, self.fetch, self.search,
                   self.noop, self.status, self.select, self.idle]  # fmt: skip
        weights = [4, 1, 8, 3, 2, 3, 4, 3, 4, 2, 1, 1]
        self.chance.choices(actions, weights)[0](client)

    # Each is one command, what it does to the truth, and what its answer must be. -----------------------

    def append(self, client: Connection) -> None:
        target, flags = self.chance.choice(NAMES), self.some_flags()
        box = self.truth.mailboxes[target]
        uid = box.add(Email(flags - {"\\Deleted"}), "\\Deleted" in flags)
        message = giants.letter(uid, 300)
        answer, _ = client.run(f"APPEND {target} ({' '.join(sorted(flags))})", message)
        match = re.match(r"OK \[APPENDUID \d+ (\d+)\]", answer)
        assert match and int(match[1]) == uid, (answer, uid)

    def deliver(self, _: Connection) -> None:
        uid = self.truth.mailboxes["INBOX"].add(Email(set()), False)
        self.magpie.deliver(f"{self.user}@example.test", giants.letter(uid, 300))

    def store(self, client: Connection) -> None:
        uids = self.some_uids(client)
        if not uids:
            return
        sign, flags = self.chance.choice(["+", "-", ""]), self.some_flags()
        silent = self.chance.choice(["", ".SILENT"])
        command, by_uid = self.addressed(client, "STORE", uids)
        self.truth.store(client.mailbox, uids, sign, flags)
        present = [uid for uid in uids if client.box().find(uid)]
        if silent:
            # Who asks not to be told knows what it has done, if it knew what was there.
            for uid in present:
                client.flags.pop(uid, None)
        answer, _ = client.run(f"{command} {sign}FLAGS{silent} ({' '.join(sorted(flags))})")
        assert answer.startswith(("OK", "NO") if len(present) < len(uids) else "OK"), answer
        if not silent:
            for uid in present:
                assert client.flags[uid] == client.box().find(uid).flags(), (uid, client.log[-10:])
        if by_uid:
            client.knows_everything()

    def copy(self, client: Connection) -> None:
        self.carry(client, "COPY", self.truth.copy)

    def move(self, client: Connection) -> None:
        self.carry(client, "MOVE", self.truth.move)

    def carry(self, client: Connection, verb: str, carry) -> None:
        uids, target = self.some_uids(client), self.chance.choice(NAMES)
        if not uids:
            return
        command, _ = self.addressed(client, verb, uids)
        sources = sorted(uid for uid in uids if client.box().find(uid))
        made = carry(client.mailbox, uids, target)
        answer, rest = client.run(f"{command} {target}")
        assert answer.startswith("OK"), (answer, client.log[-10:])
        match = re.search(r"\[COPYUID \d+ ([\d,:]+) ([\d,:]+)\]", "\n".join([answer, *rest]))
        assert bool(match) == bool(made), (answer, rest, made)
        if match:
            assert (uid_set(match[1]), uid_set(match[2])) == (sources, made), (answer, rest, sources, made)
        client.knows_everything()

    def expunge(self, client: Connection) -> None:
        uids = self.some_uids(client) if self.chance.random() < 0.5 else None
        self.truth.expunge(client.mailbox, uids)
        answer, _ = client.run(f"UID EXPUNGE {written(uids)}" if uids else "EXPUNGE")
        assert answer.startswith("OK"), answer
        client.knows_everything()

    def fetch(self, client: Connection) -> None:
        uids = self.some_uids(client)
        if not uids:
            return
        command, by_uid = self.addressed(client, "FETCH", uids)
        answer, _ = client.run(f"{command} (UID FLAGS INTERNALDATE)")
        gone = any(client.box().find(uid) is None for uid in uids)
        assert answer.startswith(("OK", "NO") if gone else "OK"), answer
        for uid in uids:
            assert client.box().find(uid) is None or client.flags[uid] == client.box().find(uid).flags()
        if by_uid:
            client.knows_everything()

    def search(self, client: Connection) -> None:
        flag = self.chance.choice(["SEEN", "FLAGGED", "ANSWERED", "DELETED", "UNSEEN", "UNFLAGGED"])
        known = set(client.uids)
        answer, rest = client.run(f"UID SEARCH {flag}")
        assert answer.startswith("OK"), answer
        client.knows_everything()
        (found,) = [line for line in rest if line.startswith(("SEARCH", "ESEARCH"))]
        found = {int(word) for word in found.split()[1:]}
        wanted = "\\" + flag.removeprefix("UN").capitalize()
        right = {m.uid for m in client.box().members if (wanted in m.flags()) != flag.startswith("UN")}
        # What has come or gone since the client was last told may be in the answer, or not.
        assert found & known & set(client.uids) == right & known, (found, right, client.log[-10:])

    def noop(self, client: Connection) -> None:
        answer, _ = client.run("NOOP")
        assert answer.startswith("OK"), answer
        client.knows_everything()

    def status(self, client: Connection) -> None:
        name = self.chance.choice([name for name in NAMES if name != client.mailbox])
        _, rest = client.run(f"STATUS {name} (MESSAGES UIDNEXT UNSEEN)")
        (line,) = [line for line in rest if line.startswith("STATUS")]
        told = {key: int(value) for key, value in re.findall(r"([A-Z]+) (\d+)", line.partition("(")[2])}
        box = self.truth.mailboxes[name]
        unseen = sum("\\Seen" not in member.flags() for member in box.members)
        assert told == {"MESSAGES": len(box.members), "UIDNEXT": box.uidnext, "UNSEEN": unseen}, (line, told)

    def select(self, client: Connection) -> None:
        client.select(self.chance.choice(NAMES))
        client.knows_everything()

    def idle(self, client: Connection) -> None:
        client.idle(until=len(client.box().members))
        client.run("NOOP")
        client.knows_everything()

    # Chance. -------------------------------------------------------------------------------------------

    def some_flags(self) -> set[str]:
        return {flag for flag in FLAGS if self.chance.random() < 0.3}

    def some_uids(self, client: Connection) -> list[int]:
        if not client.uids:
            return []
        return sorted(self.chance.sample(client.uids, self.chance.randint(1, min(4, len(client.uids)))))

    def addressed(self, client: Connection, verb: str, uids: list[int]) -> tuple[str, bool]:
        """The command that names messages by UID, or by the numbers that this client knows them by."""
        if self.chance.random() < 0.5:
            return f"UID {verb} {written(uids)}", True
        return f"{verb} {written([client.uids.index(uid) + 1 for uid in uids])}", False


def written(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


@pytest.mark.parametrize("extensions", [[None, None], ["CONDSTORE", None, None], ["QRESYNC", "QRESYNC", None]],
                         ids=["plain", "condstore", "qresync"])  # fmt: skip
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_told_is_true(magpie: Magpie, user: str, extensions: list[str | None], seed: int) -> None:
    with magpie.imap(user) as client:
        missing = {extension for extension in extensions if extension} - set(client.capabilities)
        if missing:
            pytest.skip(f"{', '.join(missing)} is not announced")
    session = Session(magpie, user, seed, extensions)
    try:
        for _ in range(STEPS):
            session.step()
        for client in session.clients:
            session.noop(client)
    finally:
        for client in session.clients:
            client.close()
