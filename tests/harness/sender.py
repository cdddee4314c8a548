"""A server that sends mail into the internet of the tests: its configuration, its clients, its queue, its reports."""

import contextlib
import json
import os
import smtplib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import mailbox
from .internet import Internet
from .report import Report
from .server import PASSWORD, any_certificate
from .site import Site

# Servers that say nothing are given up in the time of a test.
HURRY = 'greeting_timeout = "3s"\ncommand_timeout = "5s"\nend_timeout = "5s"\nconnect_timeout = "3s"\n'

# One account sends the mail of all tests.
NO_LIMITS = "[submission]\nmessages_per_hour = 0\nrecipients_per_hour = 0\nrecipients_per_day = 0\n"

LISTENERS = ("smtp", "submission", "submissions", "imap", "http")
DOMAIN = "example.test"


class Sender(Site):
    """A site whose mail goes out to an `Internet`. `outbound` and `relay` are further lines of these sections, `settings`
    whatever else should stand in the configuration."""

    def __init__(
        self,
        folder: Path,
        internet: Internet,
        settings: str = "",
        relay: str = "",
        outbound: str = "",
        allow: Sequence[str] = ("127.0.0.0/8", "::1/128"),
        limits: str = NO_LIMITS,
    ):
        dns = f'"{internet.dns.address}:53"'
        text = (
            f"[login]\nplaintext = true\n"
            f"[checks]\ndns = [{dns}]\nexempt = []\n"
            f'[relay]\ndns = [{dns}]\ndns_anchor = "{internet.dns.anchor}"\n'
            f'trust = ["{internet.authority.path}"]\n{HURRY}allow = {json.dumps(list(allow))}\n{relay}'
            f"[outbound]\n{outbound}"
            f"{limits}"
        )
        super().__init__(folder, text + settings, names=LISTENERS)
        self.internet = internet

    # Sending. --------------------------------------------------------------------------------------------

    def submit(self, user: str = "alice", protocol: str = "submission") -> smtplib.SMTP:
        """A client that has logged in, over TLS."""
        if protocol == "submissions":
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                "127.0.0.1", self.port(protocol), "client.example.com", context=any_certificate(), timeout=60
            )
        else:
            client = self.smtp(protocol)
            client.starttls(context=any_certificate())
        client.login(f"{user}@{DOMAIN}", PASSWORD)
        return client

    def send(
        self,
        *recipients: str,
        user: str = "alice",
        message: bytes | None = None,
        subject: str = "A letter",
        mail: Sequence[str] = (),
        rcpt: Sequence[str] = (),
    ) -> str:
        """Submits a message; returns the id that the server gave it. `mail` and `rcpt` are parameters."""
        with self.submit(user) as client:
            return submitted(
                client,
                f"{user}@{DOMAIN}",
                recipients,
                message or letter(subject, sender=f"{user}@{DOMAIN}"),
                mail,
                rcpt,
            )

    # The queue. ------------------------------------------------------------------------------------------

    def queue(self, *arguments: str) -> list[dict]:
        return self.cli_json("queue", "list", *arguments)

    def wait(self, holds: Callable[[], object], what: str, timeout: float = 60):
        """Until something holds; returns it."""
        deadline = time.monotonic() + timeout
        while not (found := holds()):
            assert time.monotonic() < deadline, f"not {what} within {timeout} s: {self.queue()}\n{self.log_tail()}"
            time.sleep(0.05)
        return found

    def entries(self, id: str) -> list[dict]:
        """A message in the queue: one entry, or none if it has left."""
        return [entry for entry in self.queue() if entry["id"] == id]

    def explain(self, id: str) -> str:
        """Why a message is still there, in words."""
        return self.cli("queue", "explain", id).stdout

    def attempts(self, id: str) -> int:
        """How often it was tried; 0 where it is not there any more."""
        return sum(part["attempts"] for entry in self.entries(id) for part in entry["parts"])

    def tried(self, id: str) -> list[dict]:
        """The entry, once an attempt has come to its end and another one waits for its time, or stands in line for it."""
        return [
            entry
            for entry in self.entries(id)
            if all(
                part["state"] == "in_line" or (part["attempts"] and part["state"] != "sending")
                for part in entry["parts"]
            )
        ]

    @staticmethod
    def recipients(entry: dict) -> dict[str, str]:
        """Whom an entry is for, and how it stands with each."""
        return {address: part["state"] for part in entry["parts"] for address in part["recipients"]}

    def destination(self, name: str) -> dict | None:
        """What `magpie queue destinations` says of one."""
        found = [line for line in self.cli_json("queue", "destinations") if line["destination"] == name]
        return found[0] if found else None

    def wait_until_empty_of(self, id: str, timeout: float = 60) -> None:
        self.wait(lambda: not self.entries(id), "gone", timeout)

    def wait_until_empty_of_destination(self, name: str, timeout: float = 60) -> None:
        self.wait(lambda: not self.queue("--destination", name), "empty", timeout)

    def wait_until_empty(self, timeout: float = 60) -> None:
        self.wait(lambda: not self.queue(), "empty", timeout)

    # What came back. -------------------------------------------------------------------------------------

    def reports(self, user: str = "alice") -> list[Report]:
        """The notifications in a mailbox, the oldest first."""
        with self.imap_of(user) as client:
            mails = mailbox.fetch_all(client)
        return [Report(mails[uid]) for uid in sorted(mails) if b"multipart/report" in mails[uid]]

    def report(self, user: str = "alice", about: str = "", timeout: float = 60) -> Report:
        """The only notification in a mailbox, or the only one about a recipient, once it is there."""

        def found() -> list[Report]:
            return [one for one in self.reports(user) if not about or about in one.about]

        reports = self.wait(found, "a report", timeout)
        assert len(reports) == 1, [report.source for report in reports]
        return reports[0]

    def imap_of(self, user: str):
        return self.imap(f"{user}@{DOMAIN}")


@contextlib.contextmanager
def sending(folder: Path, internet: Internet, users: Sequence[str] = ("alice", "bob"), **options) -> Iterator[Sender]:
    """A server with accounts, for the length of a `with`."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Sender(folder, internet, **options)
    site.start()
    try:
        site.add(*users, password=PASSWORD)
        yield site
        if site.process:
            site.stop()
        assert "panicked" not in site.said(), site.log_tail()
    finally:
        site.kill()


def submitted(
    client: smtplib.SMTP,
    sender: str,
    recipients: Sequence[str],
    message: bytes,
    mail: Sequence[str] = (),
    rcpt: Sequence[str] = (),
) -> str:
    """Sends over a connection; returns the id in the answer, with which `magpie queue` finds the message."""
    for code, said in (client.mail(sender, list(mail)), *(client.rcpt(each, list(rcpt)) for each in recipients)):
        assert code == 250, (code, said)
    code, said = client.data(message)
    assert code == 250, (code, said)
    return said.decode().split()[-1].strip(".")


def letter(
    subject: str = "A letter",
    *,
    sender: str = f"alice@{DOMAIN}",
    to: str = "someone@else.test",
    body: str = "Hello.",
    head: str = "",
) -> bytes:
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{os.urandom(8).hex()}@{DOMAIN}>\r\n{head}\r\n{body}\r\n"
    ).encode()
