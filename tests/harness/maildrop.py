"""What a server of others has delivered into a maildir, where it keeps everybody's mail."""

import email
import email.policy
import time
from email.message import EmailMessage
from pathlib import Path


class Maildrop:
    """A maildir that a server writes to."""

    def __init__(self, maildir: Path):
        self.maildir = maildir

    def mails(self) -> list[bytes]:
        """Every message that is there whole, with CRLF."""
        files = sorted((self.maildir / "new").glob("*")) if (self.maildir / "new").is_dir() else []
        return [file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for file in files]

    def wait(self, count: int, timeout: float = 60) -> list[bytes]:
        """The messages, as soon as there are so many."""
        deadline = time.monotonic() + timeout
        while len(mails := self.mails()) < count:
            assert time.monotonic() < deadline, (
                f"{len(mails)} of {count} messages in {self.maildir}\n{self.log()[-4000:]}"
            )
            time.sleep(0.05)
        return mails

    def about(self, subject: str, timeout: float = 60) -> bytes:
        """The one message with this subject."""
        deadline = time.monotonic() + timeout
        while not (found := [mail for mail in self.mails() if parsed(mail)["Subject"] == subject]):
            assert time.monotonic() < deadline, f"nothing about {subject!r}\n{self.log()[-4000:]}"
            time.sleep(0.05)
        assert len(found) == 1, f"{len(found)} messages about {subject!r}"
        return found[0]

    def log(self) -> str:
        return ""


def parsed(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.SMTPUTF8)
