"""Servers that speak JMAP: Magpie, and Cyrus where its files are, each with accounts of quite different sizes; and many clients
that wait to be told of changes.
"""

import base64
import calendar
import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import rows
from harness import cyrus
from harness.server import PASSWORD, Magpie
from processes import Tree

# What a request costs in the store, by the names of metrics.
COUNTED = {
    "kv reads": "magpie_kv_reads_total",
    "rows read": "magpie_kv_rows_read_total",
    "kv commits": r'magpie_kv_commits_total\{result="ok"\}',
    "kv syncs": "magpie_kv_fsyncs_total",
}
# How a Session object says that clients can be told in other ways than all JMAP servers know.
WAYS = {"websocket": "urn:ietf:params:jmap:websocket", "long-poll": "urn:magpie:params:jmap:long-poll"}
# Cyrus takes the files of messages where it keeps them, and is told to look: so many at most, since it looks for long.
CYRUS_EMAILS = 100_000


class WebmailMagpie:
    """`magpie dev`, whose JMAP is on."""

    name, password, login = rows.MAGPIE, PASSWORD, ()

    def __init__(self, folder: Path):
        self.server = Magpie(folder / "webmail-magpie", users=rows.LISTENERS.stop)

    def start(self) -> "WebmailMagpie":
        self.server.start()
        self.ports = {name: self.server.port(name) for name in ("http", "imap", "lmtp")}
        return self

    @property
    def tree(self) -> Tree:
        return Tree(self.server.process.pid)

    def holds(self, emails: int) -> bool:
        return True

    def fill(self, account: int, mbox: Path) -> None:
        self.server.cli("import", "--account", f"user{account}@example.test", f"mbox:{mbox}", timeout=3600)

    def tells_by(self, way: str) -> bool:
        """Whether clients can be told in this way."""
        url = f"http://127.0.0.1:{self.ports['http']}/jmap/session"
        login = base64.b64encode(f"user{rows.LISTENERS.start}@example.test:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return way not in WAYS or WAYS[way] in json.load(answer)["capabilities"]

    def counters(self) -> dict[str, float]:
        """What the store has done so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {
            name: sum(map(float, re.findall(rf"(?m)^{metric} ([0-9.e+]+)$", text))) for name, metric in COUNTED.items()
        }

    def stop(self) -> None:
        if self.server.process:
            self.server.stop()


class WebmailCyrus:
    """Cyrus with conversations, which JMAP needs, and Debian's defaults. It lets in anybody who names an account."""

    name, password, login = rows.CYRUS, cyrus.PASSWORD, ("--domain", "")

    def __init__(self) -> None:
        self.server = cyrus.Cyrus()

    def start(self) -> "WebmailCyrus":
        self.server.start()
        self.ports = {"http": self.server.http_port, "imap": self.server.imap_port}
        return self

    @property
    def tree(self) -> Tree:
        return Tree(self.server.process.pid)

    def holds(self, emails: int) -> bool:
        return emails <= CYRUS_EMAILS

    def fill(self, account: int, mbox: Path) -> None:
        """Puts the messages where Cyrus keeps them, and has it look. It numbers its accounts as they are made."""
        while (user := self.server.account().user) != f"user{account}":
            pass
        folder = Path(self.run("mbpath", f"user/{user}").strip())
        owner = self.server.identity.get("user")
        for number, (received, message) in enumerate(messages(mbox), 1):
            path = folder / f"{number}."
            path.write_bytes(message)
            os.utime(path, (received, received))
            if owner:
                shutil.chown(path, owner)
        self.run("reconstruct", f"user/{user}")

    def run(self, program: str, *arguments: str) -> str:
        """What a program of Cyrus says."""
        command = [
            str(self.server.home / "root/usr/lib/cyrus/bin" / program),
            "-C",
            str(self.server.home / "imapd.conf"),
        ]
        environment = self.server._environment()
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=True, **self.server.identity
        )
        return done.stdout

    def counters(self) -> dict[str, float]:
        return {}

    def stop(self) -> None:
        self.server.stop()


def messages(mbox: Path) -> Iterator[tuple[int, bytes]]:
    """When the messages came, in seconds of Unix, and they themselves. The load generator wrote the file: no message has a line of
    its own that begins with `From `."""
    received, message = 0, []
    with mbox.open("rb") as lines:
        for line in lines:
            if not line.startswith(b"From "):
                message.append(line)
                continue
            if message:
                yield received, b"".join(message[:-1])
            date = line.split(maxsplit=2)[2].decode().strip()
            received, message = calendar.timegm(time.strptime(date)), []
    if message:
        yield received, b"".join(message[:-1])


@contextlib.contextmanager
def webmails(folder: Path):
    """The servers that are there."""
    with contextlib.ExitStack() as stack:
        found = [WebmailMagpie(folder)]
        if cyrus.UNPACKED.exists() and os.geteuid() == 0:
            found.append(WebmailCyrus())
        for server in found:
            stack.callback(server.stop)
            server.start()
        yield found
