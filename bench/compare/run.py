#!/usr/bin/env python3
"""Runs the same load against Magpie and against Postfix, Dovecot and Cyrus, in turns, and prints what came of it.

`make compare` installs and builds what this needs. The figures go to .cache/compare/results.json, and the table
to .cache/compare/results.md; docs/performance.md says what they were, and what the settings mean.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("MAGPIE_BINARY", str(ROOT / "target" / "release" / "magpie"))

import report  # noqa: E402
import rows  # noqa: E402
from harness.server import PASSWORD, Magpie  # noqa: E402
from peers import Dovecot, Postfix, check_reachable, is_open  # noqa: E402
from processes import Syncs, Tree  # noqa: E402
from rows import DOVECOT, DURABLE_DOVECOT, MAGPIE, PAIR, POSTFIX, ROWS, Row  # noqa: E402
from sending import DEAD, sender, senders  # noqa: E402
from webmail import webmails  # noqa: E402

LOAD = Path(os.environ.get("MAGPIE_LOAD", ROOT / "target" / "release" / "load"))


class Subject:
    """A server, or two in a row, as the load sees it."""

    def __init__(self, name: str, tree: Tree, ports: dict[str, int]):
        self.name, self.tree, self.ports = name, tree, ports


class Load:
    """The load generator at one kind of work, stopped where the servers are to be looked at."""

    def __init__(self, *arguments: str, password: str = PASSWORD):
        command = [str(LOAD), *arguments, "--password", password]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Load":
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"the load generator failed: {' '.join(self.process.args)}")
        return self

    def go(self) -> dict:
        """Lets it work, and returns its figures. It keeps its connections."""
        self._say()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the load generator failed: {' '.join(self.process.args)}")
        return json.loads(line)

    def _say(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __exit__(self, *_) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._say()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


class Relays:
    """The servers that send, and the sink that all of it goes to."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        self.folder, self.options = folder, options
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Relays":
        self.sink, self.servers = self.stack.enter_context(senders(self.folder, rows.SENDERS))
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def measure(self, row: Row) -> dict[str, dict]:
        """Both servers, in turns."""
        taken: dict[str, list[dict]] = {}
        for number in range(self.options.rounds):
            for server in self.servers:
                count = int(row.pair_count * self.options.seconds)
                taken.setdefault(server.name, []).append(self.round(row, server, count, number))
        figures = {name: report.summary(rounds) for name, rounds in taken.items()}
        for server in self.servers:
            if not self.options.no_strace:
                count = int(row.pair_count * self.options.seconds / 2)
                with Syncs(server.tree) as syncs:
                    self.round(row, server, count, 99)
                figures[server.name]["syncs"] = syncs.count / count
            figures[server.name]["operations_each"] = self.operations(row, server)
        return figures

    def round(self, row: Row, server, count: int, number: int) -> dict:
        """So many messages, until the sink has the last one."""
        arguments = [*row.load({"submission": server.port}), "--count", str(count), "--seed", str(1000 * (number + 1))]
        with Load(*arguments, password=server.password) as load:
            already, before, begun = self.sink.count, server.tree.cpu(), time.monotonic()
            figures = load.go()
            self.sink.until(already + count)
            figures["seconds"] = time.monotonic() - begun
            figures["cpu"] = server.tree.cpu() - before
            figures["memory"] = server.tree.memory()
        return figures

    def operations(self, row: Row, server) -> dict[str, float]:
        """What a message costs in the store, where the server counts it."""
        if not (before := server.counters()):
            return {}
        count = 200
        self.round(row, server, count, 98)
        return {name: (value - before[name]) / count for name, value in server.counters().items()}

    def backlog(self, row: Row, messages: int) -> dict[str, dict]:
        """The rate beside so much mail that waits for a dead server, and the memory that this takes.

        A second server of the same kind has nothing that waits. Both are measured in turns, so that neither what a
        machine does by the way nor what has passed through a queue is taken for what waiting mail costs; first right
        after it came, then after a rest, when the stores have put in order what they were given.
        """
        figures = {}
        for server in self.servers:
            folder = self.folder / f"control-{server.name.lower()}"
            with sender(type(server), folder, self.sink, rows.SENDERS) as control:
                count = int(row.pair_count * self.options.seconds)
                for each in (control, server):
                    self.round(row, each, count, 97)
                memory = settled(server.tree)
                say(f"{server.name}: {messages:,} messages for a server that is down")
                arguments = ["submit", "--to", DEAD, "--size", "2000", *rows.common(server.port, 20, range(1, 21))]
                with Load(*arguments, "--count", str(messages), password=server.password) as load:
                    load.go()
                with_it = settled(server.tree)
                turns = [self.turn(row, control, server, count, n) for n in range(self.options.rounds)]
                time.sleep(rows.BACKLOG_REST)
                rested = [self.turn(row, control, server, count, 10 + n) for n in range(self.options.rounds)]
            say(f"{server.name}: {shares(turns)} of the rate without; after a rest {shares(rested)}")
            figures[server.name] = {
                "memory": with_it, "added": with_it - memory, "messages": messages,
                "alone": statistics.median(alone for alone, _ in turns + rested),
                "beside": statistics.median(beside for _, beside in turns + rested),
                "rate_kept": min(kept(turns), kept(rested)),
                "kept_at_once": kept(turns), "kept_rested": kept(rested),
            }  # fmt: skip
        return figures

    def turn(self, row: Row, control, server, count: int, number: int) -> tuple[float, float]:
        """A round of each: messages in a second without and beside what waits."""
        alone, beside = (count / self.round(row, each, count, number)["seconds"] for each in (control, server))
        return alone, beside


def kept(turns: list[tuple[float, float]]) -> float:
    """The share of the rate that is left, of the turn in the middle."""
    return statistics.median(beside / alone for alone, beside in turns)


def shares(turns: list[tuple[float, float]]) -> str:
    return ", ".join(f"{beside / alone:.2f} ({beside:,.0f} of {alone:,.0f}/s)" for alone, beside in turns)


class Webmails:
    """The servers that speak JMAP, with the same mail in accounts of several sizes."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        self.folder, self.options = folder, options
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Webmails":
        self.servers = self.stack.enter_context(webmails(self.folder))
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def fill(self, wanted: list[Row]) -> None:
        for emails in sorted({row.emails for row in wanted}):
            # The file's name is that of the mailbox.
            mbox = self.folder / str(emails) / "INBOX"
            mbox.parent.mkdir()
            subprocess.run([str(LOAD), "mbox", str(mbox), "--count", str(emails)], check=True)
            for server in self.servers:
                if server.holds(emails):
                    begun = time.monotonic()
                    server.fill(rows.WEBMAIL[emails], mbox)
                    say(f"{server.name}: {emails:,} emails for one account in {time.monotonic() - begun:.0f} s")
            shutil.rmtree(mbox.parent)

    def measure(self, row: Row) -> dict[str, dict]:
        """All servers that have so many emails, in turns."""
        servers = [server for server in self.servers if server.name in row.subjects and server.holds(row.emails)]
        taken: dict[str, list[dict]] = {}
        for _ in range(self.options.rounds):
            for server in servers:
                taken.setdefault(server.name, []).append(self.round(row, server, self.options.seconds))
        figures = {name: report.summary(rounds) for name, rounds in taken.items()}
        for server in servers:
            if row.writes and not self.options.no_strace:
                with self.load(row, server, self.options.seconds / 2) as load, Syncs(server.tree) as syncs:
                    operations = len(load.go()["latencies_us"])
                figures[server.name]["syncs"] = syncs.count / max(operations, 1)
            figures[server.name]["operations_each"] = self.operations(row, server)
        return figures

    def load(self, row: Row, server, seconds: float, work: Callable | None = None) -> Load:
        arguments = (work or row.load)(server.ports)
        return Load(*arguments, *server.login, "--seconds", str(seconds), password=server.password)

    def round(self, row: Row, server, seconds: float) -> dict:
        with self.load(row, server, seconds) as load:
            before = server.tree.cpu()
            figures = load.go()
            figures["cpu"] = server.tree.cpu() - before
            figures["memory"] = server.tree.memory()
        return figures

    def operations(self, row: Row, server) -> dict[str, float]:
        """What a request costs in the store, where the server counts it."""
        if not server.counters():
            return {}
        with self.load(row, server, min(1, self.options.seconds), row.counts or row.load) as load:
            before = server.counters()
            operations = len(load.go()["latencies_us"])
            after = server.counters()
        return {name: (after[name] - value) / max(operations, 1) for name, value in before.items()}

    def push(self, way: str, clients: int) -> dict[str, dict]:
        """How soon clients are told of new mail while so many are connected, and what memory a connection takes."""
        server = self.servers[0]
        before = settled(server.tree)
        port = server.ports["imap" if way == "idle" else "http"]
        arguments = ["push", "--way", way, "--lmtp", f"127.0.0.1:{server.ports['lmtp']}",
                     *rows.common(port, clients, rows.LISTENERS), "--seconds", str(self.options.seconds)]  # fmt: skip
        opening = time.monotonic()
        with Load(*arguments, password=server.password) as load:
            opened = time.monotonic() - opening
            memory = settled(server.tree)
            cpu = server.tree.cpu()
            taken = load.go()
            taken |= {"cpu": server.tree.cpu() - cpu, "memory": memory}
        figures = report.summary([taken]) | {"opened_s": opened, "clients": clients}
        if clients > 1:
            figures["memory_kib"] = (memory - before) / 1024 / clients
        return {server.name: figures}


class Arena:
    """All servers, running and with mail in them."""

    def __init__(self, folder: Path, options: argparse.Namespace):
        self.folder, self.options = folder, options
        self.stack = contextlib.ExitStack()
        self.subjects: dict[str, Subject] = {}

    def __enter__(self) -> "Arena":
        with contextlib.ExitStack() as starting:
            self.magpie = Magpie(self.folder / "magpie", users=rows.ACCOUNTS)
            starting.callback(lambda: self.magpie.running and self.magpie.stop())
            self.magpie.start()
            ports = {name: self.magpie.port(name) for name in ("smtp", "lmtp", "imap", "pop3")}
            self._add(MAGPIE, Tree(self.magpie.process.pid), ports)
            for name, fsync in ((DOVECOT, "optimized"), (DURABLE_DOVECOT, "always")):
                dovecot = Dovecot(self.folder / f"dovecot-{fsync}", PASSWORD, fsync)
                starting.callback(dovecot.stop)
                self._add(name, dovecot.start().tree, dovecot.ports)
            self.postfix = Postfix(self.folder / "postfix", self.subjects[DOVECOT].ports["lmtp"])
            starting.callback(self.postfix.stop)
            tree = self.postfix.start().tree
            self._add(POSTFIX, tree, {"smtp": self.postfix.ports["hold"]})
            self._add(PAIR, tree + self.subjects[DOVECOT].tree, {"smtp": self.postfix.ports["smtp"]})
            self.stack = starting.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def _add(self, name: str, tree: Tree, ports: dict[str, int]) -> None:
        self.subjects[name] = Subject(name, tree, ports)

    def fill(self, wanted: list[Row]) -> None:
        """Gives all servers the same mail to read."""
        for name in (MAGPIE, DOVECOT, DURABLE_DOVECOT):
            address = f"127.0.0.1:{self.subjects[name].ports['lmtp']}"
            reading = {row.key for row in wanted if name in row.subjects}
            if reading & {"fetch-envelope", "fetch-flags", "fetch-bodies", "store-one", "store-all", "search"}:
                say(f"{name}: {rows.MESSAGES:,} messages for one account")
                deliver(address, "--kind", "mixed", "--rare", rows.RARE, count=rows.MESSAGES)
            if reading & {"login", "pop3"}:
                count = rows.SMALL * len(rows.VISITORS)
                say(f"{name}: {count:,} messages for {len(rows.VISITORS)} others")
                visitors = ("--user", str(rows.VISITORS.start), "--users", str(len(rows.VISITORS)))
                deliver(address, *visitors, count=count)

    def measure(self, row: Row) -> dict[str, dict]:
        """All servers of a row, in turns."""
        taken: dict[str, list[dict]] = {}
        names = [name for name in row.subjects if self.serves(name, row)]
        for number in range(self.options.rounds):
            for name in names:
                taken.setdefault(name, []).append(self.round(row, self.subjects[name], number))
        figures = {name: report.summary(rounds) for name, rounds in taken.items()}
        if row.writes and not self.options.no_strace:
            for name in names:
                figures[name]["syncs"] = self.count_syncs(row, self.subjects[name])
        return figures

    def serves(self, name: str, row: Row) -> bool:
        if row.protocol in ("imap",) or is_open(self.subjects[name].ports.get(row.protocol, 0)):
            return True
        say(f"{name} does not offer {row.protocol}: left out")
        return False

    def round(self, row: Row, subject: Subject, number: int) -> dict:
        with Load(*row.load(subject.ports), *self._stint(row, subject, number)) as load:
            before, begun = subject.tree.cpu(), time.monotonic()
            figures = load.go()
            if subject.name == PAIR:
                self.postfix.await_empty_queue()
                figures["seconds"] = time.monotonic() - begun
            figures["cpu"] = subject.tree.cpu() - before
            figures["memory"] = subject.tree.memory()
        if subject.name == POSTFIX:
            self.postfix.drop_held()
        return figures

    def _stint(self, row: Row, subject: Subject, number: int, share: float = 1) -> list[str]:
        seconds = self.options.seconds * share
        pair = subject.name == PAIR
        stint = ["--count", str(int(row.pair_count * seconds))] if pair else ["--seconds", str(seconds)]
        return [*stint, "--seed", str(1000 * (number + 1))] if row.load(subject.ports)[0] == "deliver" else stint

    def count_syncs(self, row: Row, subject: Subject) -> float:
        stint = self._stint(row, subject, 99, share=0.5)
        with Load(*row.load(subject.ports), *stint) as load, Syncs(subject.tree) as syncs:
            operations = len(load.go()["latencies_us"])
            if subject.name == PAIR:
                self.postfix.await_empty_queue()
        if subject.name == POSTFIX:
            self.postfix.drop_held()
        return syncs.count / max(operations, 1)

    def idle(self, sessions: int) -> dict[str, dict]:
        """What sessions in IDLE take, each: the servers' memory with them, less that before."""
        figures = {}
        for name in (MAGPIE, DOVECOT):
            subject = self.subjects[name]
            before = settled(subject.tree)
            arguments = ["idle", *rows.common(subject.ports["imap"], sessions, rows.IDLERS)]
            begun = time.monotonic()
            with Load(*arguments):
                opened = time.monotonic() - begun
                memory = settled(subject.tree)
            figures[name] = {"memory_kib": (memory - before) / 1024 / sessions, "opened_s": opened, "memory": memory}
        return figures


def settled(tree: Tree) -> int:
    """A server's memory when what it took for a moment is given back: password hashes take tens of megabytes, and
    allocators keep what was freed for some ten seconds."""
    lowest, since = tree.memory(), time.monotonic()
    while time.monotonic() - since < 12:
        time.sleep(1)
        if (memory := tree.memory()) < 0.99 * lowest:
            lowest, since = memory, time.monotonic()
    return lowest


def deliver(address: str, *options: str, count: int) -> None:
    with Load("deliver", "--protocol", "lmtp", "--address", address, "--connections", "8",
              "--count", str(count), *options) as load:  # fmt: skip
        load.go()


@contextlib.contextmanager
def room_for_watches():
    """Dovecot watches each idling mailbox with inotify, of which Linux allows a user 128: without room for more it
    would look every 30 seconds only. Needs root; what it changes it changes back."""
    setting = Path("/proc/sys/fs/inotify/max_user_instances")
    before = setting.read_text()
    setting.write_text(str(max(int(before), 20_000)))
    try:
        yield
    finally:
        setting.write_text(before)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="how long each round works (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds each server gets (default 3)")
    parser.add_argument("--only", default="", help="the rows to measure, separated by commas")
    parser.add_argument("--no-strace", action="store_true", help="leave out the pass that counts syncs")
    parser.add_argument("--no-idle", action="store_true", help="leave out the idle sessions")
    parser.add_argument("--backlog", type=int, default=rows.BACKLOG, help="how much mail waits for a dead server")
    parser.add_argument("--push-clients", type=int, default=rows.PUSH_CLIENTS, help="how many clients wait for mail")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--directory", type=Path, default=ROOT / ".cache" / "compare",
                        help="where the servers keep their mail: all on the same disk")  # fmt: skip
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(f"{row.key:16} {row.title}" for row in ROWS))
        print(f"{'idle':16} memory of idle sessions\n{'backlog':16} {rows.BACKLOG_TITLE.format(rows.BACKLOG)}")
        print(f"{'push':16} how soon clients are told of new mail, and their connections' memory")
        return 0
    if os.geteuid() != 0:
        print("Dovecot and Postfix change to other users: run this as root", file=sys.stderr)
        return 1
    # However this ends, the servers end with it.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: sys.exit(1))
    # Thousands of connections, each a file to the system; the servers inherit it.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    keys = options.only.split(",") if options.only else [*(row.key for row in ROWS), "idle", "backlog", "push"]
    # A word stands for all rows whose names begin with it, as far as whole words go.
    wanted = [row for row in ROWS if row.key in keys or any(row.key.startswith(f"{key}-") for key in keys)]
    options.directory.mkdir(parents=True, exist_ok=True)
    check_reachable(options.directory)
    folder = options.directory / "servers"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    results = report.Results(options.directory / "results.json", options.rounds, options.seconds)
    stored = [row for row in wanted if not (row.relays or row.emails)]
    idle = "idle" in keys and not options.no_idle
    if stored or idle:
        with room_for_watches(), Arena(folder, options) as arena:
            arena.fill(stored)
            for row in stored:
                say(row.title)
                results.add(row.key, arena.measure(row))
            for sessions in rows.IDLE_SESSIONS if idle else ():
                say(rows.IDLE_TITLE.format(sessions))
                results.add(f"idle-{sessions}", arena.idle(sessions))
    relayed = [row for row in wanted if row.relays]
    if relayed or "backlog" in keys:
        with Relays(folder, options) as relays:
            for row in relayed:
                say(row.title)
                results.add(row.key, relays.measure(row))
            if "backlog" in keys:
                say(rows.BACKLOG_TITLE.format(options.backlog))
                row = next(row for row in ROWS if row.relays)
                results.add("backlog", relays.backlog(row, options.backlog))
    asked = [row for row in wanted if row.emails]
    if asked or "push" in keys:
        with Webmails(folder, options) as servers:
            servers.fill(asked)
            for row in asked:
                say(row.title)
                results.add(row.key, servers.measure(row))
            for clients in (1, options.push_clients) if "push" in keys else ():
                for way, title in rows.PUSH.items():
                    if not servers.servers[0].tells_by(way):
                        continue
                    say(rows.PUSH_TITLE.format(clients, title))
                    results.add(f"push-{way}-{'one' if clients == 1 else 'many'}", servers.push(way, clients))
    shutil.rmtree(folder, ignore_errors=True)
    table = results.table()
    (options.directory / "results.md").write_text(table)
    print(table)
    return 0


def say(text: str) -> None:
    print(f"\033[1m==>\033[0m {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
