"""Servers that behave badly: silent, talkative, forgetful. Mail gets through where there is a way, once, and others do not wait."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.internet import Internet
from harness.peer import DROP, HANG, listening, once
from harness.sender import Sender, letter

pytestmark = pytest.mark.usefixtures("needs_root")


def test_63_a_host_that_never_greets_is_passed_over(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening(greeting=None) as silent, listening() as next_one:
        internet.host(f"a.{elsewhere}", silent.address)
        internet.host(f"b.{elsewhere}", next_one.address)
        internet.exchangers(elsewhere, f"a.{elsewhere}", f"b.{elsewhere}")
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        next_one.wait(1)
        assert silent.connections == 1


@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request", b"", b"\xff\xfe\x00\x01", b"2200 ok", b"220-one\r\n221 other", b"220-" + b"x" * 100_000],
    ids=["http", "empty", "binary", "number", "two codes", "long"],
)  # fmt: skip
def test_63_nonsense_is_passed_over(sender: Sender, internet: Internet, elsewhere: str, greeting: bytes) -> None:
    with listening(greeting=greeting) as odd, listening() as next_one:
        internet.host(f"a.{elsewhere}", odd.address)
        internet.host(f"b.{elsewhere}", next_one.address)
        internet.exchangers(elsewhere, f"a.{elsewhere}", f"b.{elsewhere}")
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        next_one.wait(1)
        assert not odd.mails and odd.connections == 1


def test_63_a_host_that_closes_after_each_command(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Nothing gets through to it; another takes it, and alone it defers the message."""
    with listening(one_command=True) as rude, listening() as polite:
        internet.host(f"a.{elsewhere}", rude.address)
        internet.host(f"b.{elsewhere}", polite.address)
        internet.exchangers(elsewhere, f"a.{elsewhere}", f"b.{elsewhere}")
        internet.exchangers(f"alone.{elsewhere}", f"a.{elsewhere}")
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        polite.wait(1)
        id = sender.send(f"carol@alone.{elsewhere}")
        sender.wait(lambda: sender.tried(id), "tried")
        assert f"a.{elsewhere}" in sender.explain(id)
        sender.cli("queue", "drop", id, "--yes")


@pytest.mark.parametrize("verb", [b"EHLO", b"MAIL", b"."], ids=["EHLO", "MAIL", "dot"])
def test_63_an_answer_of_a_gigabyte_is_cut_off(sender: Sender, internet: Internet, elsewhere: str, verb: bytes) -> None:
    """The connection ends after a little of it, memory stays flat, and the message waits for another attempt."""
    peer = internet.peer(elsewhere, flood=(verb, 1 << 30))
    before = sender.memory()
    id = sender.send(f"carol@{elsewhere}")
    sender.wait(lambda: sender.tried(id), "tried")
    peer.until(lambda: peer.open == 0, what="closed")
    # What stood in the kernel's buffers counts too.
    assert peer.flooded < 64 << 20, peer.flooded
    assert sender.memory() - before < 64 << 20
    peer.change(flood=None)
    sender.cli("queue", "retry", id)
    sender.wait_until_empty_of(id)
    # After the dot nobody can know whether it was taken (RFC 1047); before it, nobody has.
    assert peer.addresses()[f"carol@{elsewhere}"] == (2 if verb == b"." else 1)


@pytest.mark.parametrize("fate", [DROP, HANG])
def test_63_silence_after_the_dot_is_tried_again(sender: Sender, internet: Internet, elsewhere: str, fate: str) -> None:
    """It may have been taken: it is tried again, and nobody else is asked meanwhile. Both copies have one Message-ID."""
    with listening(after_dot=fate) as peer, listening() as other:
        internet.host(f"a.{elsewhere}", peer.address)
        internet.host(f"b.{elsewhere}", other.address)
        internet.exchangers(elsewhere, f"a.{elsewhere}", f"b.{elsewhere}")
        internet.publish()
        id = sender.send(f"carol@{elsewhere}")
        [entry] = sender.wait(lambda: sender.tried(id), "tried")
        assert sender.recipients(entry) == {f"carol@{elsewhere}": "waiting"}, entry
        assert not other.mails
        peer.change(after_dot=None)
        sender.cli("queue", "retry", id)
        sender.wait_until_empty_of(id)
        ids = {re.search(rb"(?im)^Message-ID: *(\S+)", mail.data)[1] for mail in peer.mails}
        assert len(peer.mails) == 2 and len(ids) == 1
        assert not other.mails


def test_4xx_for_hours_is_no_failure(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Greylisting: refused for now at RCPT, by one message after the other, until it is not."""
    peer = internet.peer(elsewhere, answers={b"RCPT": once(b"451 4.7.1 greylisted, come back later", 6)})
    id = sender.send(f"carol@{elsewhere}")
    for number in range(1, 7):
        peer.until(lambda wanted=number: peer.verbs[b"RCPT"] >= wanted, what=f"asked {number} times")
        sender.wait(lambda: sender.tried(id), "tried")
        assert "greylisted" in sender.explain(id), sender.explain(id)
        sender.cli("queue", "retry", id)
    peer.wait(1)
    sender.wait_until_empty_of(id)
    assert not [report for report in sender.reports() if f"carol@{elsewhere}" in report.about]


def test_each_recipient_has_a_fate_of_its_own(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Refused for good, refused for now, taken: a report on the first, another attempt for the second only."""

    def judge(line: bytes) -> bytes | None:
        return (
            b"550 5.1.1 nobody here" if b"no-one" in line else b"450 4.2.1 busy" if busy and b"later" in line else None
        )

    busy = [True]
    peer = internet.peer(elsewhere, answers={b"RCPT": judge})
    id = sender.send(f"no-one@{elsewhere}", f"later@{elsewhere}", f"carol@{elsewhere}")
    peer.wait(1)
    report = sender.report(about=f"no-one@{elsewhere}")
    assert report.about == [f"no-one@{elsewhere}"]
    assert report.recipients[0]["status"] == "5.1.1" and "nobody here" in report.recipients[0]["diagnostic-code"]
    busy.clear()
    sender.cli("queue", "retry", id)
    sender.wait_until_empty_of(id)
    assert peer.addresses() == {f"carol@{elsewhere}": 1, f"later@{elsewhere}": 1}


def test_so_many_recipients_in_each_transaction(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """452 after ten (RFC 5321 §4.5.3.1.10): the others come in further transactions, and everybody gets one copy."""
    peer = internet.peer(elsewhere, most_recipients=10)
    everybody = [f"user{number}@{elsewhere}" for number in range(35)]
    id = sender.send(*everybody)

    def all_there() -> bool:
        if len(peer.addresses()) < len(everybody) and sender.attempts(id):
            sender.cli("queue", "retry", id, check=False)
        return len(peer.addresses()) == len(everybody)

    sender.wait(all_there, "with everybody")
    sender.wait_until_empty_of(id)
    assert peer.addresses() == dict.fromkeys(everybody, 1)
    assert all(len(mail.recipients) <= 10 for mail in peer.mails)


def test_421_after_some_messages(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """The server ends the connection after three: the others go over new ones."""
    peer = internet.peer(elsewhere, most_messages=3)
    with sender.submit() as client:
        for number in range(20):
            client.sendmail("alice@example.test", [f"user{number}@{elsewhere}"], letter(f"number {number}"))

    def all_there() -> bool:
        sender.cli("queue", "retry", "--destination", elsewhere, check=False)
        return len(peer.mails) >= 20

    sender.wait(all_there, "all there")
    assert peer.addresses() == {f"user{number}@{elsewhere}": 1 for number in range(20)}


def test_a_connection_is_used_again(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Thirty messages, and fewer connections; none lost, none twice, and the next begins only after the answer."""
    peer = internet.peer(elsewhere, delay=0.002)
    with sender.submit() as client:
        for number in range(30):
            client.sendmail("alice@example.test", [f"user{number}@{elsewhere}"], letter(f"number {number}"))
    peer.wait(30)
    assert peer.addresses() == {f"user{number}@{elsewhere}": 1 for number in range(30)}
    assert peer.connections <= 20 and peer.most_open <= 20, (peer.connections, peer.most_open)


def test_a_kept_connection_that_the_server_has_ended(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """What is found out only with the next message is no fault of that message."""
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}")
    peer.wait(1)
    peer.hang_up()
    sender.send(f"dave@{elsewhere}")
    peer.wait(2)
    assert peer.addresses() == {f"carol@{elsewhere}": 1, f"dave@{elsewhere}": 1}


def test_a_server_without_pipelining_gets_one_command_at_a_time(
    sender: Sender, internet: Internet, elsewhere: str
) -> None:
    """RFC 2920 §3.1. A server that drops what comes before its answer sees everything all the same."""
    peer = internet.peer(elsewhere, extensions=(b"8BITMIME",), delay=0.05, lockstep=True)
    sender.send(*(f"user{number}@{elsewhere}" for number in range(5)))
    [mail] = peer.wait(1)
    assert len(mail.recipients) == 5


def test_a_server_of_the_last_century(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """EHLO is unknown: HELO, and nothing that needs an extension."""
    peer = internet.peer(elsewhere, answers={b"EHLO": b"502 5.5.1 what?"}, lockstep=True)
    sender.send(f"carol@{elsewhere}")
    [mail] = peer.wait(1)
    assert mail.sender == b"<alice@example.test>" and peer.verbs[b"HELO"] == 1


def test_62_killed_after_the_remotes_answer(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """SIGKILL between the 250 of the other side and our noting it: at most one more copy, with the same Message-ID."""
    peer = internet.peer(elsewhere)
    peer.change(answers={b".": lambda _: (sender.kill(), b"250 2.0.0 taken")[1]})
    sender.send(f"carol@{elsewhere}")
    peer.wait(1)
    peer.change(answers={})
    sender.start()
    sender.wait_until_empty_of_destination(elsewhere)
    ids = {re.search(rb"(?im)^Message-ID: *(\S+)", mail.data)[1] for mail in peer.mails}
    assert 1 <= len(peer.mails) <= 2 and len(ids) == 1


def thirty(sender: Sender, domain: str) -> None:
    with sender.submit() as client:
        for number in range(30):
            client.sendmail("alice@example.test", [f"user{number}@{domain}"], letter())


def test_65_a_dead_destination_does_not_slow_the_others(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """120 messages for servers that never greet; one for another domain is there at once, before any of them is through."""
    with listening(greeting=None) as hanging:
        for number in range(3):
            internet.host(f"hanging{number}.{elsewhere}", hanging.address)
        alive = internet.peer(f"alive.{elsewhere}")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: thirty(sender, f"hanging{number % 3}.{elsewhere}"), range(4)))
        hanging.until(lambda: hanging.open > 0, what="connected")
        begun = time.monotonic()
        sender.send(f"carol@alive.{elsewhere}")
        alive.wait(1)
        # The silent ones would have kept it for as long as a greeting is waited for, each in turn.
        assert hanging.open > 0, f"only after {time.monotonic() - begun} s, when the others were over"
        # And few connections wait there, however many messages do.
        assert hanging.most_open <= 3 * 20, hanging.most_open
        for number in range(3):
            sender.cli("queue", "drop", "--destination", f"hanging{number}.{elsewhere}", "--yes")
