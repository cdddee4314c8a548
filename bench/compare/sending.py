"""Servers that send: Magpie and Postfix, each with a queue of its own, in front of Postfix's smtp-sink.

Mail for one domain goes to the sink; that for another goes to a port where nobody listens, and waits.
"""

import contextlib
import os
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from harness.server import PASSWORD
from harness.site import Site
from peers import Postfix, await_ports, free_ports
from processes import Tree

ALIVE, DEAD = "alive.example", "dead.example"
# At this port nobody ever listens (RFC 1078's tcpmux, where there is no inetd).
NOBODY = 1

MAGPIE = """
[login]
plaintext = true
[submission]
messages_per_hour = 0
recipients_per_hour = 0
recipients_per_day = 0
[relay.route.alive]
domains = ["{alive}"]
hosts = ["127.0.0.1:{sink}"]
[relay.route.dead]
domains = ["{dead}"]
hosts = ["127.0.0.1:{nobody}"]
"""

POSTFIX = """\
transport_maps = inline:{{ {{ {alive} = smtp:[127.0.0.1]:{sink} }}, {{ {dead} = smtp:[127.0.0.1]:{nobody} }} }}
"""


# What a message costs in the store, by the names of metrics.
COUNTED = {
    "kv commits": r'magpie_kv_commits_total\{result="ok"\}',
    "kv syncs": "magpie_kv_fsyncs_total",
    "blob syncs": "magpie_blob_fsyncs_total",
}


class Sink:
    """smtp-sink: takes everything, keeps nothing, and counts."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        command = ["smtp-sink", "-c", f"127.0.0.1:{self.port}", "1000"]
        if os.geteuid() == 0:
            command[1:1] = ["-u", "nobody"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.count = 0
        threading.Thread(target=self._follow, daemon=True).start()
        await_ports([self.port], self.process, Path(os.devnull))

    def _follow(self) -> None:
        rest = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            rest += data
            if found := re.findall(rb"mesg=(\d+)", rest[: rest.rfind(b"\r") + 1]):
                self.count = int(found[-1])
                rest = rest[rest.rfind(b"\r") + 1 :]

    def until(self, count: int, timeout: float = 600) -> None:
        """Waits until so many messages have come in all."""
        deadline = time.monotonic() + timeout
        while self.count < count:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"{self.count} of {count} messages have got to the sink")
            time.sleep(0.002)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


class SendingMagpie:
    """`magpie serve`, with accounts that send."""

    name, password = "Magpie", PASSWORD

    def __init__(self, folder: Path, sink: Sink, accounts: int):
        folder.mkdir(parents=True)
        settings = MAGPIE.format(alive=ALIVE, dead=DEAD, sink=sink.port, nobody=NOBODY)
        self.site = Site(folder, settings, names=("submission", "http"))
        self.accounts = accounts

    def start(self) -> "SendingMagpie":
        self.site.start()
        self.site.add(*(f"user{number}" for number in range(1, self.accounts + 1)), password=PASSWORD)
        self.port = self.site.port("submission")
        return self

    @property
    def tree(self) -> Tree:
        return Tree(self.site.process.pid)

    def counters(self) -> dict[str, float]:
        """What the store has done so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.site.port('http')}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {
            name: sum(map(float, re.findall(rf"(?m)^{metric} ([0-9.e+]+)$", text))) for name, metric in COUNTED.items()
        }

    def stop(self) -> None:
        if self.site.process:
            self.site.stop()


class SendingPostfix(Postfix):
    """Postfix, which relays for whoever is on this machine."""

    name, password = "Postfix", ""

    def __init__(self, folder: Path, sink: Sink, accounts: int):
        super().__init__(folder, NOBODY, POSTFIX.format(alive=ALIVE, dead=DEAD, sink=sink.port, nobody=NOBODY))

    def start(self) -> "SendingPostfix":
        super().start()
        self.port = self.ports["smtp"]
        return self

    def counters(self) -> dict[str, float]:
        return {}


@contextlib.contextmanager
def senders(folder: Path, accounts: int, called: str = "sending") -> Iterator[tuple[Sink, list]]:
    """The sink, and both servers in front of it."""
    with contextlib.ExitStack() as stack:
        sink = Sink()
        stack.callback(sink.stop)
        started = []
        for kind in (SendingMagpie, SendingPostfix):
            started.append(stack.enter_context(sender(kind, folder / f"{called}-{kind.name.lower()}", sink, accounts)))
        yield sink, started


@contextlib.contextmanager
def sender(kind: type, folder: Path, sink: Sink, accounts: int) -> Iterator:
    """One server in front of the sink."""
    server = kind(folder, sink, accounts)
    try:
        yield server.start()
    finally:
        server.stop()
