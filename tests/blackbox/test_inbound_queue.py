"""The inbound queue: what is accepted under load is delivered by workers, and what cannot be delivered explains itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import corpus, giants
from harness.patience import inbox, until
from harness.server import DOMAIN, Magpie
from harness.wire import SmtpWire

SENDER = "bob@example.com"


@pytest.fixture(scope="module")
def queueing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Magpie]:
    """A server whose load is always over the mark."""
    server = Magpie(tmp_path_factory.mktemp("queueing") / "data", users=12, options=("--inbound-mark", "0")).start()
    yield server
    if server.process:
        server.stop()


def entry(server: Magpie, message: str) -> dict | None:
    """A message in the queue; none if it has left."""
    done = server.cli("queue", "inbound", "show", message, "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def send(server: Magpie, sent: bytes, *recipients: str) -> str:
    """Sends without announcing a size; returns the id from the reply."""
    with SmtpWire(server) as wire:
        assert wire.command(f"MAIL FROM:<{SENDER}>".encode())[0] == 250
        for recipient in recipients:
            assert wire.command(f"RCPT TO:<{recipient}@{DOMAIN}>".encode())[0] == 250
        assert wire.command(b"DATA")[0] == 354
        wire.send(sent + b".\r\n")
        code, text = wire.reply()
        assert code == 250, text
    return re.search(rb"id ([0-9a-f]{16})", text)[1].decode()


def test_load_over_the_mark_goes_through_the_queue(queueing: Magpie) -> None:
    sent = {user: giants.letter(number) for number, user in enumerate(["user1", "user2", "user3"])}
    with queueing.smtp() as client:
        for user, letter in sent.items():
            assert client.sendmail(SENDER, [f"{user}@{DOMAIN}"], letter) == {}
    for user, letter in sent.items():
        [stored] = inbox(queueing, user, 1)
        assert corpus.without_trace(stored, letter) == letter
    until(lambda: queueing.cli_json("queue", "inbound", "list") == [], "the queue does not get empty")
    assert "queue is empty" in queueing.cli("queue", "inbound", "list").stdout


def test_a_large_message_with_an_attachment(queueing: Magpie) -> None:
    letter = giants.with_attachment(1, bytes(range(256)) * 2000, 7)
    send(queueing, letter, "user4", "user5")
    for user in ("user4", "user5"):
        [stored] = inbox(queueing, user, 1)
        assert corpus.without_trace(stored, letter) == letter
    queueing.cli("verify")


def test_lmtp_answers_for_each_recipient(queueing: Magpie) -> None:
    with SmtpWire(queueing, "lmtp", ehlo=False) as wire:
        for command, code in [
            (b"LHLO client.example.com", 250),
            (b"MAIL FROM:<>", 250),
            (b"RCPT TO:<user6@example.test>", 250),
            (b"RCPT TO:<nobody@example.test>", 550),
            (b"RCPT TO:<user7@example.test>", 250),
            (b"DATA", 354),
        ]:
            assert wire.command(command)[0] == code
        wire.send(giants.letter(3) + b".\r\n")
        assert [wire.reply()[0], wire.reply()[0]] == [250, 250]
    for user in ("user6", "user7"):
        inbox(queueing, user, 1)


def test_a_retry_of_the_client_makes_no_second_copy(queueing: Magpie) -> None:
    """The 250 is lost, the client sends again: both are accepted, and one is delivered."""
    letter = giants.letter(4)
    for _ in range(3):
        with SmtpWire(queueing) as wire:
            wire.begin(b"user8@example.test")
            wire.send(letter + b".\r\n")
            # The reply comes, but the client goes without a word that shows it.
            assert wire.reply()[0] == 250
    until(lambda: queueing.cli_json("queue", "inbound", "list") == [], "the queue does not get empty")
    assert len(inbox(queueing, "user8", 1)) == 1


def test_a_full_mailbox_is_explained_retried_and_filled(queueing: Magpie) -> None:
    queueing.cli("account", "quota", "user9", "--bytes", "200")
    letter = giants.letter(5, 5_000)
    message = send(queueing, letter, "user9", "user10")
    inbox(queueing, "user10", 1)
    waiting = until(
        lambda: (found := entry(queueing, message)) and found["parts"][0]["recipients"][0]["said"] and found,
        "nobody tries the message",
    )
    [part] = waiting["parts"]
    assert part["state"] in ("waiting", "delivering")
    fates = {recipient["address"]: recipient["state"] for recipient in part["recipients"]}
    assert fates == {f"user9@{DOMAIN}": "pending", f"user10@{DOMAIN}": "delivered"}
    said = queueing.cli("queue", "inbound", "show", message).stdout
    assert "because the load was over the mark" in said and "the mailbox is full" in said
    assert "It is tried next in" in said or "is being delivered now" in said or "is due now" in said
    assert message in queueing.cli("queue", "inbound", "list").stdout
    assert queueing.cli_json("queue", "inbound", "list", "--failed") == []

    queueing.cli("account", "quota", "user9", "--bytes", "none")
    queueing.cli("queue", "inbound", "retry", message)
    [stored] = inbox(queueing, "user9", 1)
    assert corpus.without_trace(stored, letter) == letter
    until(lambda: entry(queueing, message) is None, "the message does not leave the queue")
    assert len(inbox(queueing, "user10", 1)) == 1
    assert queueing.cli("queue", "inbound", "show", message, check=False).returncode == 5


def test_what_cannot_be_delivered_waits_for_an_operator(queueing: Magpie) -> None:
    """The mailbox is full, then its account is disabled: the error queue says so. It can be released or dropped."""
    queueing.cli("account", "quota", "user11", "--bytes", "200")
    released = send(queueing, giants.letter(6, 5_000), "user11")
    dropped = send(queueing, giants.letter(7, 5_000), "user11")
    for message in (released, dropped):
        until(lambda m=message: entry(queueing, m)["parts"][0]["recipients"][0]["said"], "nobody tries it")
    queueing.cli("account", "change", "user11", "--state", "disabled")
    queueing.cli("queue", "inbound", "retry", released, dropped)

    def failed() -> bool:
        found = {message["id"] for message in queueing.cli_json("queue", "inbound", "list", "--failed")}
        return found == {released, dropped}

    until(failed, "the messages do not get into the error queue")
    said = queueing.cli("queue", "inbound", "show", released).stdout
    assert "its account was disabled" in said and f"retry {released}" in said, said
    assert queueing.cli("queue", "inbound", "drop", dropped, check=False).returncode == 1, "it must ask"
    queueing.cli("queue", "inbound", "drop", dropped, "--yes")
    queueing.cli("queue", "inbound", "release", released)
    until(lambda: queueing.cli_json("queue", "inbound", "list") == [], "the queue does not get empty")
    queueing.cli("account", "change", "user11", "--state", "active")
    [stored] = inbox(queueing, "user11", 1)
    assert b"6" in re.search(rb"Subject: (.*)", stored)[1]
    queueing.cli("verify")


def test_the_queue_is_looked_after_without_a_server(data: Path) -> None:
    """What waits when the server stops can be listed and dropped, and the rest is delivered after the next start."""
    server = Magpie(data, users=2, options=("--inbound-mark", "0")).start()
    server.cli("account", "quota", "user1", "--bytes", "200")
    kept, dropped = (send(server, giants.letter(n, 5_000), "user1") for n in (8, 9))
    server.stop()
    assert {message["id"] for message in server.cli_json("queue", "inbound", "list")} == {kept, dropped}
    server.cli("queue", "inbound", "drop", dropped, "--yes")
    server.cli("account", "quota", "user1", "--bytes", "none")
    server.cli("queue", "inbound", "retry", kept)
    server.cli("verify")
    server.start()
    try:
        assert len(inbox(server, "user1", 1)) == 1
        until(lambda: server.cli_json("queue", "inbound", "list") == [], "the queue does not get empty")
        server.stop()
    finally:
        server.kill()


def test_nonsense_is_refused(queueing: Magpie) -> None:
    for words, code in [
        (("show", "no-id"), 1),
        (("show", "0123456789abcdef"), 5),
        (("retry", "0123456789abcdef"), 5),
        (("drop", "0123456789abcdef", "--yes"), 5),
        (("retry",), 2),
    ]:
        assert queueing.cli("queue", "inbound", *words, check=False).returncode == code, words
