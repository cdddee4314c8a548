"""getmail fetches new mail into a Maildir, over POP3 and over IMAP, with and without TLS."""

import subprocess
from pathlib import Path

import pytest

from harness import giants, mailbox, maildir
from harness.server import PASSWORD, Magpie

SETTINGS = """
[retriever]
type = {type}
server = localhost
port = {port}
username = {user}
password = {password}

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > {home}/mail/new/$$")
# Its own Maildirs it does not write as root.
allow_root_commands = true

[options]
read_all = false
delete = {delete}
delivered_to = false
received = false
verbose = 1
"""


def getmail(magpie: Magpie, user: str, home: Path, protocol: str, delete: bool) -> str:
    kinds = {"pop3": "SimplePOP3Retriever", "pop3s": "SimplePOP3SSLRetriever",
             "imap": "SimpleIMAPRetriever", "imaps": "SimpleIMAPSSLRetriever"}  # fmt: skip
    maildir.create(home / "mail")
    rc = home / "getmailrc"
    rc.write_text(SETTINGS.format(type=kinds[protocol], port=magpie.port(protocol), user=user, password=PASSWORD,
                                  home=home, delete=str(delete).lower()))  # fmt: skip
    command = ["getmail", "--getmaildir", str(home), "--rcfile", str(rc)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("protocol", ["pop3", "pop3s", "imap", "imaps"])
def test_new_mail_is_fetched_once(magpie: Magpie, user: str, address: str, tmp_path: Path, protocol: str) -> None:
    magpie.deliver(address, *(giants.letter(number) for number in range(10)))
    with magpie.imap(user) as client:
        stored = sorted(mailbox.fetch_all(client).values())
    getmail(magpie, user, tmp_path, protocol, delete=False)
    fetched = maildir.sources(tmp_path / "mail")
    assert maildir.without(b"X-getmail-retrieved-from-mailbox", fetched) == stored
    getmail(magpie, user, tmp_path, protocol, delete=False)
    assert len(maildir.files(tmp_path / "mail")) == 10

    magpie.deliver(address, giants.letter(10))
    getmail(magpie, user, tmp_path, protocol, delete=True)
    assert len(maildir.files(tmp_path / "mail")) == 11
    with magpie.imap(user) as client:
        assert mailbox.count(client) == 0
