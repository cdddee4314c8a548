"""OpenSMTPD as a destination or as a smarthost, on an address of its own. Needs root.

Debian lets no machine have it beside Postfix, so `scripts/prepare.sh` only unpacks it into .cache/opensmtpd; and it has
its paths and the names of its users compiled in. So it runs in a mount namespace of its own, where these exist.

That of Debian 12 (6.8.0p2) offers STARTTLS and cannot do it with OpenSSL 3: a peer with a fault that many had to deal with.
`speaks_tls` tells.
"""

import contextlib
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import loopback
from .authority import Certificate
from .maildrop import Maildrop
from .server import ROOT, any_certificate

UNPACKED = ROOT / ".cache" / "opensmtpd"
PROGRAM = UNPACKED / "usr" / "sbin" / "smtpd"
# Numbers that no Debian package has.
DAEMON, QUEUE, KEEPER = 64_201, 64_202, 64_203

# What it sees in place of the machine's own: the programs that deliver, its spool, its users, where its sockets are.
ENTER = """
set -e
mount --make-rprivate /
for name in passwd group resolv.conf; do mount --bind "$1/etc/$name" "/etc/$name"; done
mount --bind "$2/usr/libexec" /usr/libexec
mount --bind "$1/lib" /var/lib
mount --bind "$1/spool" /var/spool
mount --bind "$1/run" /run
exec "$2/usr/sbin/smtpd" -d -f "$1/smtpd.conf"
"""


class OpenSmtpd(Maildrop):
    """Keeps mail for everybody in one maildir."""

    def __init__(self, home: Path, address: str):
        super().__init__(home / "mail")
        self.home, self.address = home, address

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def speaks_tls(self, port: int = 25) -> bool:
        """Whether a handshake succeeds after STARTTLS."""
        with smtplib.SMTP(self.address, port, local_hostname="client.example.com", timeout=30) as client:
            try:
                client.starttls(context=any_certificate())
            except ssl.SSLError:
                client.close()
                return False
        return True


@contextlib.contextmanager
def running(
    name: str = "mx.opensmtpd.test",
    certificate: Certificate | None = None,
    login: tuple[str, str] | None = None,
    resolver: str = "127.0.0.1",
) -> Iterator[OpenSmtpd]:
    """An OpenSMTPD that takes mail for everybody at port 25, with TLS if it has a certificate. With a login it takes
    mail at port 587 only, and only of those who log in."""
    home = Path(tempfile.mkdtemp(prefix="opensmtpd-", dir="/var/tmp"))
    server = OpenSmtpd(home, loopback.address())
    try:
        prepare(home, resolver)
        (home / "smtpd.conf").write_text(configuration(server, name, certificate, login))
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", str(home), str(UNPACKED)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            port = 587 if login else 25
            deadline = time.monotonic() + 30
            while loopback.is_free(server.address, port):
                assert process.poll() is None and time.monotonic() < deadline, server.log()
                time.sleep(0.02)
            yield server
        finally:
            # Its first process is the first of its namespace: nothing outlives it.
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def prepare(home: Path, resolver: str) -> None:
    """The folders and users that are compiled into it."""
    home.chmod(0o755)
    for folder in ("etc", "lib/opensmtpd/empty", "run", "mail", "spool/smtpd"):
        (home / folder).mkdir(parents=True, mode=0o755)
    (home / "spool" / "smtpd").chmod(0o711)
    os.chown(home / "mail", KEEPER, KEEPER)
    users = {"opensmtpd": DAEMON, "opensmtpq": QUEUE, "keeper": KEEPER}
    empty = "/var/lib/opensmtpd/empty"
    passwd = "".join(f"{name}:x:{number}:{number}::{empty}:/bin/sh\n" for name, number in users.items())
    group = "".join(f"{name}:x:{number}:\n" for name, number in users.items())
    (home / "etc" / "passwd").write_text(Path("/etc/passwd").read_text() + passwd)
    (home / "etc" / "group").write_text(Path("/etc/group").read_text() + group)
    (home / "etc" / "resolv.conf").write_text(f"nameserver {resolver}\n")


def configuration(server: OpenSmtpd, name: str, certificate: Certificate | None, login: tuple[str, str] | None) -> str:
    lines = ['table everybody { "@" = "keeper" }']
    if certificate:
        lines += [f'pki "{name}" cert "{certificate.chain}"', f'pki "{name}" key "{certificate.key}"']
    pki = f'pki "{name}"' if certificate else ""
    host = f'hostname "{name}"'
    if login:
        user, password = login
        done = subprocess.run(["openssl", "passwd", "-6", password], check=True, capture_output=True, text=True)
        (server.home / "logins").write_text(f"{user}\t{done.stdout}")
        lines += [
            f"table logins file:{server.home}/logins",
            f"listen on {server.address} port 587 tls-require {pki} auth <logins> {host}",
        ]
    else:
        lines.append(f"listen on {server.address} port 25 {f'tls {pki}' if certificate else ''} {host}")
    lines += [
        f'action "keep" maildir "{server.maildir}" virtual <everybody>',
        f'match {"auth" if login else ""} from any for any action "keep"',
    ]
    return "\n".join(lines) + "\n"
