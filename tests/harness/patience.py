"""Waiting for what a server does by itself, and not longer than that takes."""

import time
from collections.abc import Callable

from . import mailbox
from .server import Magpie


def until(done: Callable[[], object], what: str, timeout: float = 60):
    """Waits until `done` says something true, and returns that."""
    deadline = time.monotonic() + timeout
    while not (answer := done()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return answer


def inbox(server: Magpie, user: str, count: int) -> list[bytes]:
    """The mails in an INBOX, once there are so many."""

    def look() -> list[bytes] | None:
        with server.imap(user) as client:
            mails = list(mailbox.fetch_all(client).values())
        return mails if len(mails) >= count else None

    return until(look, f"{user} does not get {count} mails")
