"""fetchmail empties a mailbox over POP3 and over IMAP."""

import subprocess
from pathlib import Path

import pytest

from harness import giants, mailbox
from harness.server import PASSWORD, Magpie

SETTINGS = """
set no bouncemail
poll localhost protocol {protocol} port {port} {uidl}
    user "{user}" password "{password}" {ssl} {keep}
    mda "/bin/sh -c 'cat >> {home}/fetched'"
"""
NOTHING_NEW = 1


def fetchmail(magpie: Magpie, user: str, home: Path, protocol: str, secure: bool, keep: bool) -> int:
    """Runs it once; returns its exit code, which is 0 if it has fetched something."""
    port = magpie.port(f"{protocol}s" if secure else protocol)
    rc = home / "fetchmailrc"
    rc.write_text(SETTINGS.format(
        protocol=protocol.upper(), port=port, user=user, password=PASSWORD, home=home,
        ssl='ssl sslproto "TLS1.2+" no sslcertck' if secure else 'sslproto ""',
        uidl="uidl" if keep and protocol == "pop3" else "", keep="keep" if keep else "no keep"))  # fmt: skip
    rc.chmod(0o600)
    command = ["fetchmail", "--fetchmailrc", str(rc), "--idfile", str(home / "ids"), "--pidfile", str(home / "pid"),
               "--nosyslog", "--nodetach", "--verbose"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode in (0, NOTHING_NEW), done.stdout[-3000:] + done.stderr[-3000:]
    return done.returncode


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
@pytest.mark.parametrize("secure", [True, False])
def test_emptied(magpie: Magpie, user: str, address: str, tmp_path: Path, protocol: str, secure: bool) -> None:
    magpie.deliver(address, *(giants.letter(number) for number in range(20)))
    assert fetchmail(magpie, user, tmp_path, protocol, secure, keep=False) == 0
    fetched = (tmp_path / "fetched").read_bytes()
    assert [fetched.count(b"Subject: letter 1-%d\n" % number) for number in range(20)] == [1] * 20
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 0
    assert fetchmail(magpie, user, tmp_path, protocol, secure, keep=False) == NOTHING_NEW


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_kept_mail_is_fetched_once(magpie: Magpie, user: str, address: str, tmp_path: Path, protocol: str) -> None:
    magpie.deliver(address, *(giants.letter(number) for number in range(5)))
    assert fetchmail(magpie, user, tmp_path, protocol, secure=True, keep=True) == 0
    assert fetchmail(magpie, user, tmp_path, protocol, secure=True, keep=True) == NOTHING_NEW
    magpie.deliver(address, giants.letter(5))
    assert fetchmail(magpie, user, tmp_path, protocol, secure=True, keep=True) == 0
    fetched = (tmp_path / "fetched").read_bytes()
    assert [fetched.count(b"Subject: letter 1-%d\n" % number) for number in range(6)] == [1] * 6
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 6
