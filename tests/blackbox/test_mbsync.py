"""mbsync (isync) keeps a Maildir and a mailbox the same, both ways; logs in by SCRAM through Cyrus SASL."""

import ssl
import subprocess
from pathlib import Path

import pytest

from harness import giants, mailbox, maildir
from harness.server import PASSWORD, Magpie

SETTINGS = """
IMAPAccount magpie
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {certificate}
AuthMechs {mechanism}

IMAPStore far
Account magpie

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


# mbsync writes it into what it copies, to find it again.
TUID = b"X-TUID"


class Mbsync:
    """One user's Maildirs, and the program that keeps them."""

    def __init__(self, magpie: Magpie, user: str, home: Path, mechanism: str = "SCRAM-SHA-256"):
        self.home = home
        self.inbox = maildir.create(home / "mail" / "INBOX")
        certificate = home / "certificate.pem"
        certificate.write_text(ssl.get_server_certificate(("127.0.0.1", magpie.port("imaps"))))
        self.rc = home / "mbsyncrc"
        self.rc.write_text(SETTINGS.format(port=magpie.port("imaps"), user=user, password=PASSWORD, home=home,
                                           certificate=certificate, mechanism=mechanism))  # fmt: skip

    def run(self) -> None:
        command = ["mbsync", "--config", str(self.rc), "--all"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=240)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "warning" not in done.stderr.lower(), done.stderr[-2000:]


def listing(magpie: Magpie, user: str) -> list[bytes]:
    """UIDs and flags of everything in the INBOX."""
    with magpie.imap(user) as client:
        mailbox.count(client)
        return mailbox.ok(client.fetch("1:*", "(UID FLAGS)"))


def find(entries: list[Path], number: int) -> Path:
    """The file that holds the letter of this number."""
    (found,) = [entry for entry in entries if b"Subject: letter 1-%d\n" % number in entry.read_bytes()]
    return found


@pytest.mark.timeout(300)
def test_a_thousand_messages_both_ways(magpie: Magpie, user: str, address: str, tmp_path: Path) -> None:
    """500 on each side become 1,000 on both; a second run writes nothing anywhere."""
    magpie.deliver(address, *(giants.letter(number, 800) for number in range(500)))
    mbsync = Mbsync(magpie, user, tmp_path)
    for number in range(500, 1000):
        maildir.put(mbsync.inbox, number, giants.letter(number, 800), "S" if number % 2 else "")
    mbsync.run()

    with magpie.imap(user) as client:
        far = maildir.without(TUID, mailbox.fetch_all(client, batch=200).values())
    assert len(far) == 1000
    assert maildir.without(TUID, maildir.sources(mbsync.inbox)) == far

    before = listing(magpie, user), maildir.state(mbsync.inbox)
    mbsync.run()
    assert (listing(magpie, user), maildir.state(mbsync.inbox)) == before


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_changes_travel_both_ways(magpie: Magpie, user: str, address: str, tmp_path: Path, mechanism: str) -> None:
    magpie.deliver(address, *(giants.letter(number, 800) for number in range(6)))
    mbsync = Mbsync(magpie, user, tmp_path, mechanism)
    mbsync.run()
    entries = maildir.files(mbsync.inbox)
    assert len(entries) == 6
    # The far side flags one, removes one, and makes a folder; the near side does the same with others.
    with magpie.imap(user) as client:
        mailbox.count(client)
        mailbox.ok(client.store("1", "+FLAGS", r"(\Flagged)"))
        mailbox.ok(client.store("2", "+FLAGS", r"(\Deleted)"))
        mailbox.ok(client.expunge())
        mailbox.ok(client.create(mailbox.quoted("Far & 멀리")))
        mailbox.ok(client.copy("1", mailbox.quoted("Far & 멀리")))
    answered, gone = (find(entries, number) for number in (4, 5))
    cur = mbsync.inbox / "cur"
    answered.rename(cur / (answered.name.partition(":")[0] + ":2,RS"))
    gone.unlink()
    maildir.put(maildir.create(tmp_path / "mail" / "Near"), 9, giants.letter(9, 800))
    mbsync.run()

    with magpie.imap(user) as client:
        far = maildir.without(TUID, mailbox.fetch_all(client).values())
        assert maildir.without(TUID, maildir.sources(mbsync.inbox)) == far and len(far) == 4
        assert {*mailbox.names(client)} >= {"Near", mailbox.modified_utf7("Far & 멀리")}
        assert mailbox.count(client, "Near") == 1
        mailbox.count(client)
        assert any(rb"\Answered" in line for line in mailbox.ok(client.fetch("1:*", "(FLAGS)")))
    flagged = [entry for entry in maildir.files(mbsync.inbox) if "F" in entry.name.rpartition(",")[2]]
    assert flagged == [find(maildir.files(mbsync.inbox), 0)]
    before = listing(magpie, user), maildir.state(tmp_path / "mail")
    mbsync.run()
    assert (listing(magpie, user), maildir.state(tmp_path / "mail")) == before
