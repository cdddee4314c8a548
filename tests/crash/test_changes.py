"""SIGKILL while connections change their mailboxes: what was answered OK has happened, and nothing half-way."""

import copy
import imaplib
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import giants
from harness.mailbox import ok
from harness.server import Magpie

USERS = 6
MAILBOXES = ["INBOX", "kept", "moved"]
# Stands for a UID until the server has said it.
UNKNOWN = 0


@dataclass
class State:
    """What one account holds: where each letter lies, and its flags.

    A copy is a further place of the same letter: all of its places share their flags, except `\\Deleted`.
    """

    places: dict[str, dict[int, tuple[int, bool]]] = field(default_factory=lambda: {name: {} for name in MAILBOXES})
    flags: dict[int, frozenset[str]] = field(default_factory=dict)

    def shown(self) -> dict[str, dict[int, tuple[int, frozenset[str]]]]:
        """As IMAP shows it: for each mailbox, UID → (letter, flags)."""
        return {
            name: {
                uid: (letter, self.flags[letter] | ({"\\Deleted"} if deleted else set()))
                for uid, (letter, deleted) in held.items()
            }
            for name, held in self.places.items()
        }

    def contents(self) -> dict[str, list]:
        """The same without UIDs, which are not known before the server has answered."""
        return {name: sorted(held.values(), key=str) for name, held in self.shown().items()}


@dataclass
class Model:
    """What one account holds, by what its server has said."""

    user: str
    seed: int
    state: State = field(default_factory=State)
    letters: int = 0
    # What the account holds after the command that is under way: once the server died, as likely as what it held before.
    uncertain: State | None = None

    def change(self, client: imaplib.IMAP4, generator: random.Random) -> None:
        """One random change. The model follows when the server says OK; until then the outcome is uncertain."""
        name = generator.choice(MAILBOXES)
        held = self.state.places[name]
        if not held:
            return self._append(client, name)
        action = generator.choice(["append", "flag", "copy", "move", "expunge"])
        if action == "append":
            return self._append(client, name)
        ok(client.select(name))
        uid = generator.choice(list(held))
        letter, _ = held[uid]
        targets = [other for other in MAILBOXES if letter not in {at for at, _ in self.state.places[other].values()}]
        if action == "flag" or (action in ("copy", "move") and not targets):
            self._flag(client, uid, letter, generator.choice(["\\Seen", "\\Flagged", "label"]))
        elif action == "expunge":
            self._expunge(client, name, uid)
        else:
            self._transfer(client, action, name, uid, generator.choice(targets))

    def _append(self, client: imaplib.IMAP4, name: str) -> None:
        self.letters += 1
        after = self._begin()
        after.flags[self.letters] = frozenset()
        after.places[name][UNKNOWN] = (self.letters, False)
        answer = ok(client.append(name, "", None, giants.letter(self.letters, seed=self.seed)))
        self._done(name, int(re.search(rb"APPENDUID \d+ (\d+)", answer[0])[1]))

    def _flag(self, client: imaplib.IMAP4, uid: int, letter: int, flag: str) -> None:
        after = self._begin()
        after.flags[letter] ^= {flag}
        change = "+FLAGS.SILENT" if flag in after.flags[letter] else "-FLAGS.SILENT"
        ok(client.uid("STORE", str(uid), change, f"({flag})"))
        self._done()

    def _expunge(self, client: imaplib.IMAP4, name: str, uid: int) -> None:
        after = self._begin()
        after.places[name][uid] = (after.places[name][uid][0], True)
        ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)"))
        self._done()
        after = self._begin()
        del after.places[name][uid]
        ok(client.uid("EXPUNGE", str(uid)))
        self._done()

    def _transfer(self, client: imaplib.IMAP4, action: str, name: str, uid: int, target: str) -> None:
        """COPY or MOVE of one message; both answer with a COPYUID that holds its new UID (RFC 4315)."""
        after = self._begin()
        after.places[target][UNKNOWN] = after.places[name][uid]
        if action == "move":
            del after.places[name][uid]
        client.untagged_responses.pop("COPYUID", None)
        tag = client._command("UID", action.upper(), str(uid), target)
        kind, data = client._command_complete("UID", tag)
        assert kind == "OK", data
        said = b" ".join(each for each in [*data, *client.untagged_responses.get("COPYUID", [])] if each)
        self._done(target, int(re.search(rb"(?:COPYUID )?\d+ \d+ (\d+)", said)[1]))

    def _begin(self) -> State:
        """A copy of the state, for a command to change; uncertain until the command is done."""
        self.uncertain = copy.deepcopy(self.state)
        return self.uncertain

    def _done(self, name: str | None = None, uid: int | None = None) -> None:
        """The server said OK, and perhaps under which UID."""
        if name:
            held = self.uncertain.places[name]
            assert uid not in held, f"{self.user}: UID {uid} of {name} was given twice"
            held[uid] = held.pop(UNKNOWN)
        self.state, self.uncertain = self.uncertain, None

    def check(self, server: Magpie) -> None:
        """Compares with what the server holds now, and goes on from there."""
        actual = State()
        shown: dict[str, dict[int, tuple[int, frozenset[str]]]] = {}
        with server.imap(self.user) as client:
            for name in MAILBOXES:
                shown[name] = dict(self._read(client, name))
        for name, held in shown.items():
            for uid, (letter, flags) in held.items():
                actual.places[name][uid] = (letter, "\\Deleted" in flags)
                actual.flags[letter] = flags - {"\\Deleted"}
        possible = [self.state] + ([self.uncertain] if self.uncertain else [])
        contents = {name: sorted(held.values(), key=str) for name, held in shown.items()}
        wanted = [state.contents() for state in possible]
        assert contents in wanted, f"{self.user}: holds {contents}, and should hold one of {wanted}"
        if contents == wanted[0]:
            assert shown == self.state.shown(), f"{self.user}: UIDs changed"
        self.state, self.uncertain = actual, None

    def _read(self, client: imaplib.IMAP4, name: str) -> Iterator[tuple[int, tuple[int, frozenset[str]]]]:
        if not int(ok(client.select(name, readonly=True))[0]):
            return
        for item in ok(client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")):
            if isinstance(item, tuple):
                uid = int(re.search(rb"UID (\d+)", item[0])[1])
                found = re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().split()
                letter = int(re.search(rb"Subject: letter \d+-(\d+)", item[1])[1])
                assert item[1] == giants.letter(letter, seed=self.seed), f"{self.user}: letter {letter} changed"
                yield uid, (letter, frozenset(found) - {"\\Recent"})


@pytest.mark.timeout(900)
def test_every_answered_change_has_happened(tmp_path: Path, seed: int, rounds: int) -> None:
    generator = random.Random(seed)
    server = Magpie(tmp_path / "data", users=USERS)
    models = [Model(f"user{number}", seed) for number in range(1, USERS + 1)]
    server.start()
    try:
        for model in models:
            with server.imap(model.user) as client:
                ok(client.create("kept"))
                ok(client.create("moved"))
        for number in range(1, rounds + 1):
            changes = run_until_killed(server, models, generator)
            server.start()
            for model in models:
                model.check(server)
            server.cli("verify")
            print(f"round {number}: {changes} changes were answered before the kill")
        server.stop()
    finally:
        server.kill()


def run_until_killed(server: Magpie, models: list[Model], generator: random.Random) -> int:
    """Changes all accounts at once, kills the server in the midst of it; returns how many changes were answered."""
    answered = [0] * len(models)
    surprises: list[BaseException] = []

    def work(at: int, own: random.Random) -> None:
        try:
            client = server.imap(models[at].user, timeout=30)
            while True:
                models[at].change(client, own)
                answered[at] += 1
        except (OSError, imaplib.IMAP4.abort):
            return  # the server is gone, as it should be
        except BaseException as surprise:
            surprises.append(surprise)

    threads = [
        threading.Thread(target=work, args=(at, random.Random(generator.random())), daemon=True)
        for at in range(len(models))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while sum(answered) == 0 and time.monotonic() < deadline and not surprises:
        time.sleep(0.005)
    time.sleep(generator.random() * 0.8)
    server.kill()
    for thread in threads:
        thread.join(60)
    assert not surprises, surprises
    assert sum(answered), "not one change was answered"
    return sum(answered)
