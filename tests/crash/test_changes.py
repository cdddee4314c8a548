"""SIGKILL while connections change their mailboxes: what was answered OK has happened, and nothing half-way."""

import imaplib
import random
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import giants
from harness.mailbox import ok
from harness.server import Magpie

USERS = 6
MAILBOXES = ["INBOX", "kept", "moved"]


@dataclass
class Model:
    """What one account holds, by what its server has said: for each mailbox, UID → (letter, flags)."""

    user: str
    seed: int
    mailboxes: dict[str, dict[int, tuple[int, frozenset[str]]]] = field(
        default_factory=lambda: {name: {} for name in MAILBOXES}
    )
    letters: int = 0
    # The contents after the command that is under way, without UIDs: as likely as those before it, once the server died.
    uncertain: dict[str, list] | None = None

    def contents(self) -> dict[str, list[tuple[int, frozenset[str]]]]:
        return {name: sorted(held.values(), key=str) for name, held in self.mailboxes.items()}

    def change(self, client: imaplib.IMAP4, generator: random.Random) -> None:
        """One random command. The model changes when the server says OK; until then the outcome is uncertain."""
        name = generator.choice(MAILBOXES)
        held = self.mailboxes[name]
        action = generator.choice(["append", "flag", "copy", "move", "expunge"]) if held else "append"
        after = {other: dict(messages) for other, messages in self.mailboxes.items()}
        if action == "append":
            self.letters += 1
            added = (self.letters, frozenset())
            self._try(after, name, added)
            answer = ok(client.append(name, "", None, giants.letter(self.letters, seed=self.seed)))
            held[int(re.search(rb"APPENDUID \d+ (\d+)", answer[0])[1])] = added
        else:
            ok(client.select(name))
            uid = generator.choice(list(held))
            letter, flags = held[uid]
            if action == "flag":
                flag = generator.choice(["\\Seen", "\\Flagged", "label"])
                after[name][uid] = (letter, flags ^ {flag})
                self._try(after)
                ok(client.uid("STORE", str(uid), "-FLAGS.SILENT" if flag in flags else "+FLAGS.SILENT", f"({flag})"))
                held[uid] = after[name][uid]
            elif action == "expunge":
                after[name][uid] = (letter, flags | {"\\Deleted"})
                self._try(after)
                ok(client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)"))
                held[uid] = (letter, flags | {"\\Deleted"})
                after = {other: dict(messages) for other, messages in self.mailboxes.items()}
                del after[name][uid]
                self._try(after)
                ok(client.uid("EXPUNGE", str(uid)))
                del held[uid]
            else:
                target = generator.choice([other for other in MAILBOXES if other != name])
                if action == "move":
                    del after[name][uid]
                self._try(after, target, (letter, flags))
                copied = self._transfer(client, action, uid, target)
                self.mailboxes[target][copied] = (letter, flags)
                if action == "move":
                    del held[uid]
        self.uncertain = None

    def _try(self, after: dict[str, dict], target: str | None = None, added: tuple | None = None) -> None:
        contents = {name: list(messages.values()) for name, messages in after.items()}
        if target:
            contents[target].append(added)
        self.uncertain = {name: sorted(values, key=str) for name, values in contents.items()}

    @staticmethod
    def _transfer(client: imaplib.IMAP4, action: str, uid: int, target: str) -> int:
        """COPY or MOVE of one message; returns its new UID from the COPYUID that both answer with (RFC 4315)."""
        client.untagged_responses.pop("COPYUID", None)
        tag = client._command("UID", action.upper(), str(uid), target)
        kind, data = client._command_complete("UID", tag)
        assert kind == "OK", data
        said = b" ".join(each for each in [*data, *client.untagged_responses.get("COPYUID", [])] if each)
        return int(re.search(rb"(?:COPYUID )?\d+ \d+ (\d+)", said)[1])

    def check(self, server: Magpie) -> None:
        """Compares with what the server holds now, and goes on from there."""
        actual: dict[str, dict[int, tuple[int, frozenset[str]]]] = {}
        with server.imap(self.user) as client:
            for name in MAILBOXES:
                actual[name] = {}
                if not int(ok(client.select(name, readonly=True))[0]):
                    continue
                for item in ok(client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")):
                    if isinstance(item, tuple):
                        uid = int(re.search(rb"UID (\d+)", item[0])[1])
                        found = re.search(rb"FLAGS \(([^)]*)\)", item[0])[1].decode().split()
                        letter = int(re.search(rb"Subject: letter \d+-(\d+)", item[1])[1])
                        assert item[1] == giants.letter(letter, seed=self.seed), f"{self.user}: letter {letter} changed"
                        actual[name][uid] = (letter, frozenset(found) - {"\\Recent"})
        contents = {name: sorted(held.values(), key=str) for name, held in actual.items()}
        possible = [self.contents()] + ([self.uncertain] if self.uncertain else [])
        assert contents in possible, f"{self.user}: holds {contents}, and should hold one of {possible}"
        if contents == possible[0]:
            assert actual == self.mailboxes, f"{self.user}: UIDs changed"
        self.mailboxes, self.uncertain = actual, None


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
