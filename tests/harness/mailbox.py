"""Reading mail over IMAP in the ways that many tests need."""

import imaplib
import re
from collections.abc import Iterator


def quoted(name: str) -> str:
    """A mailbox name as imaplib wants it: quoted, in modified UTF-7 (RFC 3501 §5.1.3)."""
    return '"' + modified_utf7(name).replace("\\", "\\\\").replace('"', '\\"') + '"'


def modified_utf7(name: str) -> str:
    """RFC 3501 §5.1.3, for the names of mailboxes in IMAP4rev1."""
    import base64

    def shift(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        return "&" + base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    return re.sub(r"&|[^ -~]+", shift, name)


def ok(answer: tuple[str, list]) -> list:
    """The data of an imaplib answer that must be OK."""
    kind, data = answer
    assert kind == "OK", (kind, data)
    return data


def names(client: imaplib.IMAP4) -> list[str]:
    """The names of all mailboxes, as they travel and without the quotes."""
    lines = ok(client.list())
    return [re.search(rb'^\([^)]*\) (?:"[^"]*"|NIL) "?(.*?)"?$', line)[1].decode() for line in lines]


def count(client: imaplib.IMAP4, mailbox: str = "INBOX") -> int:
    """How many messages a mailbox holds; selects it."""
    return int(ok(client.select(quoted(mailbox)))[0])


def fetch_all(client: imaplib.IMAP4, mailbox: str = "INBOX", batch: int = 50) -> dict[int, bytes]:
    """The source of every message in a mailbox, by UID."""
    return dict(stream_all(client, mailbox, batch))


def stream_all(client: imaplib.IMAP4, mailbox: str = "INBOX", batch: int = 50) -> Iterator[tuple[int, bytes]]:
    """The same, a batch at a time, in the order of their UIDs."""
    total = int(ok(client.select(quoted(mailbox), readonly=True))[0])
    for first in range(1, total + 1, batch):
        last = min(first + batch - 1, total)
        for item in ok(client.fetch(f"{first}:{last}", "(UID BODY.PEEK[])")):
            if isinstance(item, tuple):
                yield int(re.search(rb"UID (\d+)", item[0])[1]), item[1]


def newest(client: imaplib.IMAP4, mailbox: str = "INBOX") -> bytes:
    """The source of the last message in a mailbox."""
    total = count(client, mailbox)
    assert total, f"{mailbox} is empty"
    return ok(client.fetch(str(total), "(BODY.PEEK[])"))[0][1]


def flags(client: imaplib.IMAP4, message: str) -> set[bytes]:
    """The flags of one message of the selected mailbox, without \\Recent."""
    data = ok(client.fetch(message, "(FLAGS)"))
    return set(re.search(rb"FLAGS \(([^)]*)\)", data[0])[1].split()) - {b"\\Recent"}
