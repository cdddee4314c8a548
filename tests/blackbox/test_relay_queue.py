"""`magpie queue`: what waits for other servers, why, and what an operator can do about it."""

import pytest

from harness.internet import Internet
from harness.peer import listening
from harness.sender import Sender, letter

pytestmark = pytest.mark.usefixtures("needs_root")

BUSY = b"450 4.2.1 come back later"


@pytest.fixture
def waiting(sender: Sender, internet: Internet, elsewhere: str):
    """A server that refuses for now, and a message that was tried there."""
    peer = internet.peer(elsewhere, answers={b"RCPT": BUSY})
    id = sender.send(f"carol@{elsewhere}", subject="waiting")
    sender.wait(lambda: sender.tried(id), "tried")
    yield peer, id
    sender.cli("queue", "drop", id, "--yes", check=False)


def test_list_show_and_explain(sender: Sender, elsewhere: str, waiting) -> None:
    _, id = waiting
    [entry] = sender.entries(id)
    assert entry["id"] == id and entry["sender"] == "alice@example.test"
    assert sender.recipients(entry) == {f"carol@{elsewhere}": "waiting"}
    listed = sender.cli("queue", "list").stdout
    assert id in listed and f"carol@{elsewhere}" in listed
    shown = sender.cli("queue", "show", id).stdout
    assert id in shown and f"carol@{elsewhere}" in shown and "alice@example.test" in shown
    said = sender.explain(id)
    # Why it is still there, what was tried, what the other side said, and when it is tried next.
    assert "come back later" in said and f"mx.{elsewhere}" in said, said
    assert sender.cli("queue", "show", "0123456789abcdef", check=False).returncode != 0


def test_retry_goes_at_once(sender: Sender, elsewhere: str, waiting) -> None:
    peer, id = waiting
    asked = peer.verbs[b"RCPT"]
    sender.cli("queue", "retry", id)
    peer.until(lambda: peer.verbs[b"RCPT"] > asked, what="tried again")
    peer.change(answers={})
    sender.wait(lambda: not sender.entries(id) or sender.tried(id), "tried")
    sender.cli("queue", "retry", id, check=False)
    peer.wait(1)
    sender.wait_until_empty_of(id)


def test_hold_and_release_a_message(sender: Sender, elsewhere: str, waiting) -> None:
    peer, id = waiting
    sender.cli("queue", "hold", id)
    [entry] = sender.entries(id)
    assert sender.recipients(entry) == {f"carol@{elsewhere}": "held"}, entry
    peer.change(answers={})
    # Another one passes: it is this message that is held.
    sender.send(f"dave@{elsewhere}")
    assert peer.wait(1)[0].addresses == [f"dave@{elsewhere}"]
    sender.cli("queue", "release", id)
    peer.wait(2)
    sender.wait_until_empty_of(id)


def test_drop_tells_nobody(sender: Sender, elsewhere: str, waiting) -> None:
    peer, id = waiting
    sender.cli("queue", "drop", id, "--yes")
    assert not sender.entries(id)
    peer.change(answers={})
    sender.send(f"dave@{elsewhere}")
    peer.wait(1)
    assert peer.addresses() == {f"dave@{elsewhere}": 1}
    assert not [one for one in sender.reports() if f"carol@{elsewhere}" in one.about]


def test_reroute_sends_it_another_way(sender: Sender, internet: Internet, elsewhere: str, waiting) -> None:
    """The envelope stays; only the way is another."""
    peer, id = waiting
    with listening() as other:
        internet.host(f"way.{elsewhere}", other.address)
        internet.exchangers(f"way.{elsewhere}", f"way.{elsewhere}")
        internet.publish()
        sender.cli("queue", "reroute", id, "--to", f"way.{elsewhere}")
        [mail] = other.wait(1)
        assert mail.addresses == [f"carol@{elsewhere}"] and not peer.mails
        sender.wait_until_empty_of(id)


def test_a_whole_destination(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Held, nothing goes there, also what comes later; listed, it says how many wait; released, everything goes."""
    peer = internet.peer(elsewhere)
    other = internet.peer(f"other.{elsewhere}")
    sender.cli("queue", "hold", "--destination", elsewhere)
    with sender.submit() as client:
        for number in range(10):
            client.sendmail("alice@example.test", [f"user{number}@{elsewhere}"], letter())
    sender.send(f"carol@other.{elsewhere}")
    other.wait(1)
    line = sender.wait(lambda: sender.destination(elsewhere), "a line")
    sender.wait(lambda: sender.destination(elsewhere)["in_line"] == 10, "ten in it")
    assert line["state"] == "held"
    assert elsewhere in sender.cli("queue", "destinations").stdout
    assert peer.connections == 0
    sender.cli("queue", "release", "--destination", elsewhere)
    peer.wait(10)
    assert peer.addresses() == {f"user{number}@{elsewhere}": 1 for number in range(10)}
    sender.wait_until_empty_of_destination(elsewhere)


def test_a_whole_sender(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, answers={b"RCPT": BUSY})
    mine = sender.send(f"carol@{elsewhere}")
    others = sender.send(f"carol@{elsewhere}", user="bob")
    for id in (mine, others):
        sender.wait(lambda id=id: sender.tried(id), "tried")
    sender.cli("queue", "drop", "--sender", "bob@example.test", "--yes")
    assert not sender.entries(others) and sender.entries(mine)
    peer.change(answers={})
    sender.cli("queue", "retry", "--sender", "alice@example.test")
    [mail] = peer.wait(1)
    assert mail.sender.startswith(b"<alice@example.test>")


def test_the_command_line_works_without_a_server(sender: Sender, elsewhere: str, waiting) -> None:
    """Stopped, everything is still there; what is decided then holds when it runs again."""
    peer, id = waiting
    sender.stop()
    try:
        [entry] = sender.entries(id)
        assert sender.recipients(entry) == {f"carol@{elsewhere}": "waiting"}
        assert "come back later" in sender.explain(id)
        sender.cli("queue", "retry", id)
        peer.change(answers={})
    finally:
        sender.start()
    peer.wait(1)
    sender.wait_until_empty_of(id)


def test_it_is_counted(sender: Sender, internet: Internet, elsewhere: str, waiting) -> None:
    """Depth and age by state and destination, attempts and their outcomes."""
    text = sender.get("/metrics")[1]
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert any(name.startswith("magpie_queue_outbound") or name.startswith("magpie_outbound") for name in names), names
    # Nobody's address stands in them.
    assert "carol@" not in text and "alice@" not in text


def test_verify_finds_nothing_wrong(sender: Sender, waiting) -> None:
    sender.cli("verify")


def test_64_a_restart_forgets_no_pause(sender: Sender, elsewhere: str, waiting) -> None:
    """A crash neither sends everything at once nor bounces it."""
    peer, id = waiting
    asked = peer.verbs[b"RCPT"]
    sender.kill()
    sender.start()
    [entry] = sender.entries(id)
    assert sender.recipients(entry) == {f"carol@{elsewhere}": "waiting"}
    assert peer.verbs[b"RCPT"] == asked
    assert not [one for one in sender.reports() if f"carol@{elsewhere}" in one.about]
