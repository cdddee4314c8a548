"""neomutt, a mail program that people use, opens a folder over IMAP and copies what it sees into a file."""

import email
import mailbox as mailboxes
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from harness import corpus, giants
from harness.mailbox import count, flags, ok, quoted
from harness.server import PASSWORD, Magpie

SETTINGS = """
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap://127.0.0.1:{port}/"
set spoolfile = "+INBOX"
set ssl_starttls = no
set ssl_force_tls = no
set mbox_type = mbox
set confirmappend = no
set confirmcreate = no
set delete = yes
set quit = yes
set sort = mailbox-order
set wait_key = no
set sleep_time = 0
set header_cache = ""
set message_cachedir = ""
set certificate_file = "{home}/certificates"
set charset = "utf-8"
set imap_check_subscribed = no
"""


def neomutt(magpie: Magpie, user: str, home: Path, folder: str, keys: str) -> str:
    """Runs neomutt on a terminal of our own and feeds it keys; it has to end by itself. Returns what it drew."""
    rc = home / "neomuttrc"
    rc.write_text(SETTINGS.format(user=user, password=PASSWORD, port=magpie.port("imap"), home=home))
    command = ["neomutt", "-n", "-F", str(rc), "-f", folder, "-e", f'push "{keys}"']
    environment = dict(
        os.environ, TERM="xterm", HOME=str(home), LANG="C.UTF-8", LC_ALL="C.UTF-8", LINES="40", COLUMNS="120"
    )
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=home, start_new_session=True
    )
    os.close(inner)
    drawn, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                drawn += os.read(terminal, 65536)
            except OSError:
                break  # the terminal hung up: neomutt has ended
        elif process.poll() is not None:
            break
    else:
        process.kill()
        process.wait()
        pytest.fail(f"neomutt did not end; it had drawn:\n{drawn[-3000:].decode(errors='replace')}")
    os.close(terminal)
    assert process.wait(10) == 0, drawn[-3000:].decode(errors="replace")
    return drawn.decode(errors="replace")


def test_reads_a_folder(magpie: Magpie, user: str, address: str, tmp_path: Path) -> None:
    """Every message of INBOX, tagged and copied into an mbox, is the message that was delivered."""
    sent = [sample.source for sample in corpus.written("korean", "japanese", "signed")] + [giants.letter(1, 200_000)]
    with magpie.smtp() as client:
        for mail in sent:
            client.sendmail("bob@example.com", [address], mail)
    out = tmp_path / "out.mbox"
    keys = f"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{out}<enter><quit>"
    neomutt(magpie, user, tmp_path, f"imap://127.0.0.1:{magpie.port('imap')}/INBOX", keys)
    copied = [message.as_bytes() for message in mailboxes.mbox(out)]
    assert [content(copy) for copy in copied] == [content(mail.replace(b"\r\n", b"\n")) for mail in sent]


def content(mail: bytes) -> list[bytes]:
    """The decoded parts of a mail: neomutt folds headers of parts anew, and an mbox quotes lines that begin with From."""
    parts = [part for part in email.message_from_bytes(mail).walk() if not part.is_multipart()]
    return [part.get_payload(decode=True).replace(b"\n>From ", b"\nFrom ").strip() for part in parts]


def test_deletes_and_moves(magpie: Magpie, user: str, tmp_path: Path) -> None:
    with magpie.imap(user) as client:
        ok(client.create(quoted("보관함")))
        for number in range(1, 4):
            ok(client.append("INBOX", "", None, giants.letter(number)))
    keys = (
        "<first-entry><delete-message><first-entry><next-entry><flag-message>"
        "<last-entry><save-message><kill-line>+보관함<enter><quit>"
    )
    neomutt(magpie, user, tmp_path, f"imap://127.0.0.1:{magpie.port('imap')}/INBOX", keys)
    with magpie.imap(user) as client:
        assert count(client, "보관함") == 1
        assert count(client) == 1
        assert rb"\Flagged" in flags(client, "1")
