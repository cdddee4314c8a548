"""A Postfix of its own: configuration, queue and ports apart from those of the machine. Needs root."""

import contextlib
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .server import is_free

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.net
mydestination =
local_recipient_maps =
local_transport = error:nothing is local
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_banner = $myhostname ESMTP
default_transport = {transport}
relayhost = {relayhost}
smtp_tls_security_level = may
smtp_tls_loglevel = 1
lmtp_tls_security_level = may
lmtp_tls_loglevel = 1
smtp_host_lookup = native
lmtp_host_lookup = native
maillog_file = {home}/log
maillog_file_prefixes = {home}
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, home: Path, port: int):
        self.home = home
        self.port = port

    def run(self, *command: str, check: bool = True) -> str:
        program, *arguments = command
        done = subprocess.run([program, "-c", str(self.home / "etc"), *arguments], capture_output=True, text=True)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr, self.log()[-4000:])
        return done.stdout

    def log(self) -> str:
        log = self.home / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def wait_until_empty(self, timeout: float = 60) -> None:
        """Until everything in the queue has been delivered, or given up."""
        deadline = time.monotonic() + timeout
        while self.run("postqueue", "-j").strip():
            assert time.monotonic() < deadline, self.run("postqueue", "-p") + self.log()[-4000:]
            time.sleep(0.1)


@contextlib.contextmanager
def running(transport: str, relayhost: str = "") -> Iterator[Postfix]:
    """A Postfix that takes mail on loopback and passes it on."""
    # Its sockets have long names, and its users must be able to get there: not below pytest's own directory.
    home = Path(tempfile.mkdtemp(prefix="postfix-", dir="/var/tmp"))
    port = next(port for port in range(30_000, 31_000) if is_free(port))
    try:
        home.chmod(0o755)
        for directory in ("etc", "queue", "data"):
            (home / directory).mkdir(mode=0o755)
        os.chown(home / "data", pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        (home / "etc" / "main.cf").write_text(MAIN.format(home=home, transport=transport, relayhost=relayhost))
        (home / "etc" / "master.cf").write_text(MASTER.format(port=port))
        postfix = Postfix(home, port)
        postfix.run("postfix", "start")
        try:
            yield postfix
        finally:
            postfix.run("postfix", "stop", check=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)
