"""Cyrus IMAP as a second JMAP server, written by others: what tests say of the RFCs is asked of it too.

Debian lets no machine have it beside Dovecot, so `scripts/prepare.sh` only unpacks it into .cache/cyrus, with the libraries that
it needs. An instance has directories and ports of its own. Cyrus refuses to run as root; then it runs as `nobody`.
"""

import contextlib
import imaplib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .jmap import Login
from .server import OFFSETS, ROOT, free_port_base

UNPACKED = ROOT / ".cache" / "cyrus"
# Everybody comes in with any password: who is who is no part of what is tested.
PASSWORD = "any"

SETTINGS = """\
configdirectory: {home}/conf
partition-default: {home}/data
defaultpartition: default
t1searchpartition-default: {home}/search
defaultsearchtier: t1
search_engine: xapian
search_fuzzy_always: no
cyrus_user: {user}
admins: admin
unixhierarchysep: yes
altnamespace: yes
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
allowplaintext: yes
munge8bit: no
conversations: yes
conversations_counted_flags: \\Draft \\Flagged
httpmodules: jmap
jmap_nonstandard_extensions: no
jmap_emailsearch_db_path: {home}/conf/emailsearch.db
expunge_mode: delayed
delete_mode: delayed
"""

SERVICES = """\
START {{
  recover cmd="{bin}/ctl_cyrusdb -C {home}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{bin}/imapd -C {home}/imapd.conf" listen="127.0.0.1:{imap}" proto=tcp4 prefork=2
  http cmd="{bin}/httpd -C {home}/imapd.conf" listen="127.0.0.1:{http}" proto=tcp4 prefork=2
}}
EVENTS {{
}}
"""

FOLDERS = {"Drafts": r"\Drafts", "Sent": r"\Sent", "Trash": r"\Trash", "Junk": r"\Junk", "Archive": r"\Archive"}


class Cyrus:
    """One instance, and the accounts on it."""

    def __init__(self) -> None:
        # Below /var/tmp, where `nobody` may look for its programs, and the names of sockets are short.
        self.home = Path(tempfile.mkdtemp(prefix="cyrus-", dir="/var/tmp"))
        self.identity = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        base = free_port_base()
        self.imap_port, self.http_port = base + OFFSETS["imap"], base + OFFSETS["http"]
        self.numbers = itertools.count(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/"

    def account(self) -> Login:
        """A new account, with the mailboxes that Magpie's have from the start."""
        user = f"user{next(self.numbers)}"
        with self.imap("admin") as admin:
            answered(admin.create(f"user/{user}"))
        with self.imap(user) as imap:
            for name, use in FOLDERS.items():
                answered(imap._simple_command("CREATE", name, f"(USE ({use}))"))
                answered(imap.subscribe(name))
            answered(imap.subscribe("INBOX"))
        return Login(self.url, user, PASSWORD, lambda: self.index(user))

    def imap(self, user: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        answered(client.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORD}".encode()))
        return client

    def index(self, user: str) -> None:
        """Searches find what has been indexed; this does it now."""
        self._run("squatter", "-C", str(self.home / "imapd.conf"), "-i", "-u", user)

    def start(self) -> "Cyrus":
        owner = self.identity.get("user")
        shutil.copytree(UNPACKED, self.home / "root", symlinks=True)
        for folder in ("conf/db", "conf/proc", "conf/log", "conf/msg", "conf/socket", "data", "search"):
            (self.home / folder).mkdir(parents=True)
        binaries = self.home / "root/usr/lib/cyrus/bin"
        user = owner or subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        (self.home / "imapd.conf").write_text(SETTINGS.format(home=self.home, user=user))
        (self.home / "cyrus.conf").write_text(
            SERVICES.format(home=self.home, bin=binaries, imap=self.imap_port, http=self.http_port)
        )
        self.home.chmod(0o755)
        if owner:
            for path in [
                self.home,
                *(self.home / "conf").rglob("*"),
                *map(self.home.joinpath, ("conf", "data", "search")),
            ]:
                shutil.chown(path, owner)
        command = [str(binaries / "master"), "-C", str(self.home / "imapd.conf"), "-M", str(self.home / "cyrus.conf"),
                   "-p", str(self.home / "conf" / "pid")]  # fmt: skip
        log = (self.home / "output").open("wb")
        self.process = subprocess.Popen(
            command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, **self.identity,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None, (self.home / "output").read_text()
            assert time.monotonic() < deadline, "Cyrus does not get ready"
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _answers(self) -> bool:
        request = urllib.request.Request(f"{self.url}.well-known/jmap", method="OPTIONS")
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        libraries = [self.home / "root" / folder / "x86_64-linux-gnu" for folder in ("usr/lib", "lib")]
        # Nothing here outlives the tests: what it stores need not reach the disk.
        return dict(os.environ, LD_LIBRARY_PATH=":".join(map(str, libraries)), LD_PRELOAD="libeatmydata.so")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.home / "root/usr/lib/cyrus/bin" / program), *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, timeout=60, **self.identity)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def answered(answer: tuple[str, list]) -> None:
    assert answer[0] == "OK", answer


@contextlib.contextmanager
def running() -> Iterator[Cyrus]:
    server = Cyrus()
    try:
        yield server.start()
    finally:
        server.stop()
