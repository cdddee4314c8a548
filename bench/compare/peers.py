"""Private instances of Dovecot and Postfix: own directories, own ports, nothing of the system's configuration."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from processes import Tree

DOMAIN = "example.test"

DOVECOT = """\
base_dir = {run}
state_dir = {run}
log_path = {folder}/log
protocols = imap lmtp pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
mail_fsync = {fsync}
mail_max_userip_connections = 20000
auth_username_format = %Ln
# The password is compared as it is: what a login costs here is the session, not a hash.
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n allow_all_users=yes
}}
default_client_limit = 20000
service imap {{
  process_limit = 10000
}}
# The documented "high-performance" mode: one login process serves many logins.
service imap-login {{
  service_count = 0
  process_min_avail = {processors}
  process_limit = {processors}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = {processors}
  process_limit = {processors}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""

POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.{domain}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
"""

# Two ports: what comes in by the first goes on to LMTP; what comes in by the second is kept, so that accepting
# can be measured alone. Everything else is Postfix's default.
POSTFIX_MASTER = """\
{smtp} inet n - n - - smtpd
{hold} inet n - n - - smtpd
  -o {{ smtpd_client_restrictions = check_client_access static:HOLD }}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class PeerError(Exception):
    """A peer did not start or did not do what it should; carries the end of its log."""


class Dovecot:
    """Dovecot with Maildir, which serves IMAP, POP3 and LMTP."""

    def __init__(self, folder: Path, password: str, fsync: str):
        self.folder, self.password, self.fsync = folder, password, fsync
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen | None = None

    def start(self) -> "Dovecot":
        version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
        if not version.startswith("2.3."):
            raise PeerError(f"this comparison is written for Dovecot 2.3, and {version.strip()} is installed")
        owner = pwd.getpwnam("mail")
        (self.folder / "mail").mkdir(parents=True)
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        # The names of its sockets must be short.
        self.run = Path(tempfile.mkdtemp(prefix="magpie-dovecot-"))
        self.run.chmod(0o755)
        self.ports = dict(zip(("imap", "pop3", "lmtp"), free_ports(3)))
        config = self.folder / "dovecot.conf"
        config.write_text(
            DOVECOT.format(
                run=self.run, folder=self.folder, fsync=self.fsync, password=self.password,
                uid=owner.pw_uid, gid=owner.pw_gid, processors=os.cpu_count(), **self.ports,
            )
        )  # fmt: skip
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(config)], start_new_session=True)
        await_ports(self.ports.values(), self.process, self.folder / "log")
        return self

    @property
    def tree(self) -> Tree:
        assert self.process
        return Tree(self.process.pid)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            shutil.rmtree(self.run, ignore_errors=True)


class Postfix:
    """Postfix, which takes mail by SMTP and hands it to LMTP, or on as `settings` say."""

    def __init__(self, folder: Path, lmtp: int, settings: str = ""):
        self.folder, self.lmtp, self.settings = folder, lmtp, settings
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen | None = None

    def start(self) -> "Postfix":
        etc, queue, data = (self.folder / name for name in ("etc", "queue", "data"))
        for folder in (etc, queue, data):
            folder.mkdir(parents=True)
        shutil.chown(data, "postfix")
        self.ports = dict(zip(("smtp", "hold"), free_ports(2)))
        main = POSTFIX_MAIN.format(folder=self.folder, domain=DOMAIN, lmtp=self.lmtp)
        (etc / "main.cf").write_text(main + self.settings)
        (etc / "master.cf").write_text(POSTFIX_MASTER.format(**self.ports))
        # `check` makes the queue's folders, with their owners.
        subprocess.run(["postfix", "-c", str(etc), "check"], check=True, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-c", str(etc), "-d"], start_new_session=True, stderr=subprocess.DEVNULL
        )
        await_ports(self.ports.values(), self.process, self.folder / "log")
        return self

    @property
    def tree(self) -> Tree:
        assert self.process
        return Tree(self.process.pid)

    def await_empty_queue(self, timeout: float = 300) -> None:
        """Waits until everything has gone on. What LMTP refuses would stay, and is an error."""
        deadline = time.monotonic() + timeout
        while any(self.has_mail(name) for name in ("incoming", "active")):
            if time.monotonic() > deadline:
                raise PeerError(f"Postfix does not get rid of its mail\n{tail(self.folder / 'log')}")
            time.sleep(0.005)
        if self.has_mail("deferred"):
            raise PeerError(f"Postfix could not hand on some mail\n{tail(self.folder / 'log')}")

    def has_mail(self, name: str) -> bool:
        return any(files for _, _, files in os.walk(self.folder / "queue" / name))

    def drop_held(self) -> None:
        """Removes what was kept, so that runs do not slow one another down by the size of a directory."""
        for folder, _, files in os.walk(self.folder / "queue" / "hold"):
            for name in files:
                Path(folder, name).unlink(missing_ok=True)

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(60)


def free_ports(count: int) -> list[int]:
    """Ports that are free now, below those that the kernel gives to clients."""
    found: list[int] = []
    for port in range(28_000, 32_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PeerError("no free ports were found")


def await_ports(ports, process: subprocess.Popen, log: Path, timeout: float = 30) -> None:
    """Waits until somebody listens on every port."""
    deadline = time.monotonic() + timeout
    for port in ports:
        while not is_open(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"nobody listens on port {port}\n{tail(log)}")
            time.sleep(0.02)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(it has no log)"


def check_reachable(folder: Path) -> None:
    """The peers give up root: the users that they become must get to their files."""
    for parent in [folder, *folder.parents]:
        if not parent.stat().st_mode & 0o001:
            raise PeerError(
                f"{parent} is closed to other users, and the peers run as such: choose --directory elsewhere"
            )
