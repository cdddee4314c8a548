"""offlineimap keeps a tree of Maildirs and the mailboxes the same, both ways."""

import ssl
import subprocess
from pathlib import Path

from harness import giants, mailbox, maildir
from harness.server import PASSWORD, Magpie

SETTINGS = """
[general]
accounts = magpie
metadata = {home}/metadata
maxsyncaccounts = 1
fsync = False

[Account magpie]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {home}/mail
utime_from_header = no

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = yes
sslcacertfile = {certificate}
auth_mechanisms = PLAIN
maxconnections = 2
"""


# offlineimap writes it into what it uploads.
MARK = b"X-OfflineIMAP"


def synchronise(magpie: Magpie, user: str, home: Path) -> str:
    certificate = home / "certificate.pem"
    certificate.write_text(ssl.get_server_certificate(("127.0.0.1", magpie.port("imaps"))))
    rc = home / "offlineimaprc"
    rc.write_text(SETTINGS.format(home=home, port=magpie.port("imaps"), user=user, password=PASSWORD,
                                  certificate=certificate))  # fmt: skip
    command = ["offlineimap", "-c", str(rc), "-o", "-u", "basic"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def listing(magpie: Magpie, user: str) -> list[bytes]:
    with magpie.imap(user) as client:
        mailbox.count(client)
        return mailbox.ok(client.fetch("1:*", "(UID FLAGS)"))


def test_both_ways(magpie: Magpie, user: str, address: str, tmp_path: Path) -> None:
    magpie.deliver(address, *(giants.letter(number) for number in range(30)))
    synchronise(magpie, user, tmp_path)
    inbox = tmp_path / "mail" / "INBOX"
    assert len(maildir.files(inbox)) == 30

    for number in range(30, 60):
        maildir.put(inbox, number, giants.letter(number), "S")
    with magpie.imap(user) as client:
        mailbox.count(client)
        mailbox.ok(client.store("1:5", "+FLAGS", r"(\Flagged)"))
        mailbox.ok(client.store("6:7", "+FLAGS", r"(\Deleted)"))
        mailbox.ok(client.expunge())
        mailbox.ok(client.create("Far"))
        mailbox.ok(client.copy("1:3", "Far"))
    synchronise(magpie, user, tmp_path)

    with magpie.imap(user) as client:
        far = maildir.without(MARK, mailbox.fetch_all(client).values())
    assert len(far) == 58
    assert maildir.without(MARK, maildir.sources(inbox)) == far
    assert len(maildir.files(tmp_path / "mail" / "Far")) == 3
    assert sum("F" in entry.name.rpartition(",")[2] for entry in maildir.files(inbox)) == 5

    before = listing(magpie, user), maildir.state(tmp_path / "mail")
    synchronise(magpie, user, tmp_path)
    assert (listing(magpie, user), maildir.state(tmp_path / "mail")) == before
