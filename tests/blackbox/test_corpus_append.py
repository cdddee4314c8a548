"""Mail that is appended by IMAP comes back exactly as it is, line ends and all."""

import pytest

from harness import corpus, giants
from harness.mailbox import count, fetch_all, ok
from harness.server import Magpie
from harness.wire import ImapWire


@pytest.mark.timeout(600)
def test_every_written_mail(magpie: Magpie, user: str) -> None:
    """The mails under tests/corpus, and of the fetched ones all that are torture, and every tenth of the rest."""
    samples = corpus.written() + corpus.fetched("cpython", "mail-parser") + corpus.fetched("spamassassin")[::10]
    samples = [sample for sample in samples if sample.source and b"\0" not in sample.source]
    with magpie.imap(user, timeout=120) as client:
        for sample in samples:
            append_raw(client, sample.source)
        stored = list(fetch_all(client).values())
    assert len(stored) == len(samples)
    for sample, got in zip(samples, stored):
        assert got == sample.source, f"{sample}: {corpus.difference(got, sample.source)}"


def append_raw(client, source: bytes) -> None:
    """APPEND without imaplib's habit of mending line ends."""
    tag = client._new_tag()
    client.send(b"%s APPEND INBOX {%d}\r\n" % (tag, len(source)))
    while client._get_response():
        pass
    client.send(source + b"\r\n")
    kind, data = client._command_complete("APPEND", tag)
    assert kind == "OK", data


GIANTS = {
    "many-addresses": lambda: giants.many_addresses(8_000),
    "many-parameters": lambda: giants.many_parameters(100_000),
    "deep": lambda: giants.deep(10_000),
    "deep-messages": lambda: giants.deep_messages(2_000),
    "many-parts": lambda: giants.many_parts(1_000_000),
}


@pytest.mark.parametrize("name", GIANTS)
def test_23_to_26_giants_are_stored_whole_and_quickly(magpie: Magpie, user: str, name: str) -> None:
    """What cannot be understood is kept: byte for byte, in time that grows with its size only."""
    source = GIANTS[name]()
    with magpie.imap(user, timeout=120) as client:
        ok(client.append("INBOX", "", None, source))
        assert count(client) == 1
        got = fetch_all(client)[1]
    assert got == source, corpus.difference(got, source)
    # Not by imaplib, which gives up on lines of more than a million bytes.
    with ImapWire(magpie, user, timeout=120) as wire:
        assert wire.command(b"EXAMINE INBOX")[0] == b"OK"
        outcome, _, untagged = wire.command(b"FETCH 1 (BODYSTRUCTURE)")
        assert outcome == b"OK"
        (structure,) = untagged
        assert structure.startswith(b"* 1 FETCH (BODYSTRUCTURE (")
        assert len(structure) < 4 << 20, "the structure is cut at some size, however many parts there are"
