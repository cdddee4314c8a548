"""curl reads and writes mail: imap://, imaps://, smtp://."""

from pathlib import Path

from harness import corpus, giants, mailbox
from harness.curl import curl
from harness.server import PASSWORD, Magpie


def test_imap(magpie: Magpie, user: str, address: str) -> None:
    sent = [giants.letter(number) for number in (1, 2)]
    magpie.deliver(address, *sent)
    url, login = f"imap://127.0.0.1:{magpie.port('imap')}", ["--user", f"{user}:{PASSWORD}"]
    assert b"INBOX" in curl(*login, f"{url}/")
    for uid, mail in enumerate(sent, 1):
        stored = curl(*login, f"{url}/INBOX;UID={uid}")
        assert corpus.without_trace(stored, mail) == mail
        stored = curl(*login, f"{url}/INBOX;MAILINDEX={uid}")
        assert corpus.without_trace(stored, mail) == mail
    assert b"letter 1-2" in curl(*login, f"{url}/INBOX;UID=2;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert curl(*login, f"{url}/INBOX?SUBJECT%20letter").split() == [b"*", b"SEARCH", b"1", b"2"]
    assert b"EXISTS" in curl(*login, f"{url}/", "--request", "EXAMINE INBOX")


def test_imaps(magpie: Magpie, user: str, address: str) -> None:
    sent = giants.letter(3)
    magpie.deliver(address, sent)
    stored = curl("--insecure", "--user", f"{user}:{PASSWORD}", f"imaps://127.0.0.1:{magpie.port('imaps')}/INBOX;UID=1")
    assert corpus.without_trace(stored, sent) == sent


def test_upload_is_an_append(magpie: Magpie, user: str, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(giants.letter(4, 100_000))
    curl("--user", f"{user}:{PASSWORD}", "--upload-file", str(path), f"imap://127.0.0.1:{magpie.port('imap')}/INBOX")
    with magpie.imap(user) as client:
        assert mailbox.newest(client) == path.read_bytes()


def test_smtp_with_tls(magpie: Magpie, user: str, address: str, tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(giants.letter(5))
    curl("--insecure", "--ssl-reqd", "--mail-from", "bob@example.com", "--mail-rcpt", address,
         "--upload-file", str(path), f"smtp://127.0.0.1:{magpie.port('smtp')}/client.example.com")  # fmt: skip
    with magpie.imap(user) as client:
        assert corpus.without_trace(mailbox.newest(client), path.read_bytes()) == path.read_bytes()
