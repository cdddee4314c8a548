"""Postfix as a relay in front of Magpie, as a destination, or as a smarthost: configuration, queue and ports apart from those
of the machine. Needs root."""

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

from . import loopback
from .authority import Certificate
from .maildrop import Maildrop
from .server import is_free

# What every instance has.
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
myhostname = {name}
mydestination =
local_recipient_maps =
local_transport = error:nothing is local
alias_maps =
alias_database =
smtpd_banner = $myhostname ESMTP
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

# One that passes mail on.
RELAY = """
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = {transport}
relayhost = {relayhost}
smtp_tls_security_level = may
smtp_tls_loglevel = 1
lmtp_tls_security_level = may
lmtp_tls_loglevel = 1
"""

# One that keeps everybody's mail in one maildir.
DESTINATION = """
mynetworks =
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{group}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 60000000
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
"""

TLS = """
smtpd_tls_chain_files = {key}, {chain}
smtpd_tls_security_level = {level}
"""

# Only for those who log in.
LOGIN = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {home}/auth/socket
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
"""

# Who Postfix asks about logins.
DOVECOT = """
base_dir = {home}/auth/run
state_dir = {home}/auth/run
log_path = {home}/auth/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/auth/passwd
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {home}/auth/socket {{
    mode = 0666
  }}
}}
"""

MASTER = """
{address}:{port} inet n - n - - smtpd
{more}pickup unix n - n 60 1 pickup
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
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Maildrop):
    def __init__(self, home: Path, address: str, port: int):
        super().__init__(home / "mail" / "all")
        self.home, self.address, self.port = home, address, port

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
    port = next(port for port in range(30_000, 31_000) if is_free(port))
    with place() as home:
        main = RELAY.format(transport=transport, relayhost=relayhost)
        with started(Postfix(home, "127.0.0.1", port), "relay.example.net", main) as postfix:
            yield postfix


@contextlib.contextmanager
def destination(
    name: str = "mx.postfix.test",
    certificate: Certificate | None = None,
    level: str = "may",
    login: tuple[str, str] | None = None,
    settings: str = "",
) -> Iterator[Postfix]:
    """A Postfix that keeps mail for everybody: at port 25 of an address of its own, with TLS if it has a certificate.
    With a login it is a smarthost: at ports 587 and 465, only for those who log in."""
    with place() as home:
        postfix = Postfix(home, loopback.address(), 587 if login else 25)
        owner = pwd.getpwnam("nobody")
        (home / "mail").mkdir()
        os.chown(home / "mail", owner.pw_uid, owner.pw_gid)
        main = DESTINATION.format(home=home, user=owner.pw_uid, group=owner.pw_gid)
        if certificate:
            main += TLS.format(chain=certificate.chain, key=certificate.key, level=level)
        more = ""
        if login:
            main += LOGIN.format(home=home)
            more = f"{postfix.address}:465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        with contextlib.ExitStack() as stack:
            if login:
                stack.enter_context(logins(home, *login))
            yield stack.enter_context(started(postfix, name, main + settings, more))


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder for an instance. Its sockets have long names, and its users must be able to get there: not below
    pytest's own directory."""
    home = Path(tempfile.mkdtemp(prefix="postfix-", dir="/var/tmp"))
    try:
        home.chmod(0o755)
        for directory in ("etc", "queue", "data"):
            (home / directory).mkdir(mode=0o755)
        os.chown(home / "data", pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def started(postfix: Postfix, name: str, main: str, more: str = "") -> Iterator[Postfix]:
    etc = postfix.home / "etc"
    (etc / "main.cf").write_text(MAIN.format(home=postfix.home, name=name) + main)
    (etc / "master.cf").write_text(MASTER.format(address=postfix.address, port=postfix.port, more=more))
    postfix.run("postfix", "start")
    try:
        # It goes on starting behind the command that starts it.
        deadline = time.monotonic() + 30
        while loopback.is_free(postfix.address, postfix.port):
            assert time.monotonic() < deadline, postfix.log()[-4000:]
            time.sleep(0.02)
        yield postfix
    finally:
        postfix.run("postfix", "stop", check=False)


@contextlib.contextmanager
def logins(home: Path, user: str, password: str) -> Iterator[None]:
    """Dovecot's part that knows passwords, for as long as Postfix asks."""
    folder = home / "auth"
    (folder / "run").mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    (folder / "passwd").write_text(f"{user}:{{PLAIN}}{password}\n")
    (folder / "passwd").chmod(0o644)
    (folder / "dovecot.conf").write_text(DOVECOT.format(home=home))
    command = ["dovecot", "-F", "-c", str(folder / "dovecot.conf")]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not (folder / "socket").exists():
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(30)
