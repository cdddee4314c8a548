"""Messages in mailboxes: APPEND, FETCH, STORE, COPY, MOVE, EXPUNGE, SEARCH, as RFC 9051 and 3501 have them."""

import email
import email.policy
import imaplib
import re
import time

import pytest

from harness import corpus, giants
from harness.mailbox import count, fetch_all, flags, ok
from harness.server import Magpie
from harness.wire import ImapWire


@pytest.fixture
def ten(magpie: Magpie, user: str) -> imaplib.IMAP4:
    """A connection with INBOX selected, ten letters in it."""
    client = magpie.imap(user)
    for number in range(1, 11):
        ok(client.append("INBOX", "", None, giants.letter(number)))
    assert count(client) == 10
    yield client
    client.logout()


def uids(client: imaplib.IMAP4) -> list[int]:
    return [int(uid) for uid in ok(client.uid("SEARCH", "ALL"))[0].split()]


def test_append_with_flags_and_date(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        when = '"19-Oct-2026 10:11:12 +0900"'
        answer = ok(client.append("INBOX", r"(\Flagged \Draft $Forwarded label)", when, giants.letter(1)))
        assert re.search(rb"\[APPENDUID \d+ 1\]", answer[0]), answer
        assert count(client) == 1
        assert flags(client, "1") == {rb"\Flagged", rb"\Draft", b"$Forwarded", b"label"}
        data = ok(client.fetch("1", "(INTERNALDATE RFC822.SIZE)"))[0]
        assert imaplib.Internaldate2tuple(data) == time.localtime(1792372272), data
        assert b"RFC822.SIZE %d" % len(giants.letter(1)) in data


def test_append_to_a_missing_mailbox_says_trycreate(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        answer = client.append("not-there", "", None, giants.letter(1))
        assert answer[0] == "NO" and b"[TRYCREATE]" in answer[1][0], answer


def test_fetch_parts(magpie: Magpie, user: str) -> None:
    """BODY[…] sections against what Python's own parser finds in the same mail."""
    (sample,) = [each for each in corpus.written("structure") if each.name.endswith("invitation")]
    source = sample.source
    message = email.message_from_bytes(source, policy=email.policy.compat32.clone(linesep="\r\n"))
    header, _, text = source.partition(b"\r\n\r\n")
    with magpie.imap(user) as client:
        ok(client.append("INBOX", "", None, source))
        count(client)

        def section(name: str) -> bytes:
            data = ok(client.fetch("1", f"(BODY.PEEK[{name}])"))[0]
            return data[1] if isinstance(data, tuple) else b""

        assert section("") == source
        assert section("HEADER") == header + b"\r\n\r\n"
        assert section("TEXT") == text
        first = message.get_payload(0).get_payload(0)
        assert section("1.1") == first.get_payload().encode()
        assert section("1.1.MIME") == b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        picture = message.get_payload(0).get_payload(1).get_payload(1)
        assert section("1.2.2") == picture.get_payload().encode()
        fields = section("HEADER.FIELDS (Subject FROM)")
        assert fields == (
            b"From: Carol <carol@example.test>\r\n"
            b"Subject: Invitation: Review of the third quarter @ Mon 21 Sep 2026\r\n\r\n"
        )
        others = section("HEADER.FIELDS.NOT (From To Subject)")
        assert others.startswith(b"Date:") and b"Subject" not in others
        data = ok(client.fetch("1", "(BODY.PEEK[]<10.20>)"))[0]
        assert data[1] == source[10:30] and b"BODY[]<10>" in data[0]
        assert flags(client, "1") == set(), "PEEK must not set \\Seen"
        ok(client.fetch("1", "(BODY[1.1])"))
        assert flags(client, "1") == {rb"\Seen"}


def test_envelope_and_structure(magpie: Magpie, user: str) -> None:
    (sample,) = [each for each in corpus.written("structure") if each.name.endswith("invitation")]
    with ImapWire(magpie, user) as wire:
        size = len(sample.source)
        assert wire.command(b"APPEND INBOX {%d+}\r\n" % size + sample.source)[0] == b"OK"
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        _, _, untagged = wire.command(b"FETCH 1 (ENVELOPE BODYSTRUCTURE)")
        (line,) = [line for line in untagged if b"FETCH" in line]
        assert b'"Tue, 15 Sep 2026 12:00:00 +0200" "Invitation: Review of the third quarter' in line
        assert b'(("Carol" NIL "carol" "example.test"))' in line
        assert b'(("Alice" NIL "alice" "example.test")("Bob" NIL "bob" "example.test"))' in line
        upper = line.upper()
        for piece in (b'"TEXT" "PLAIN" ("CHARSET" "UTF-8")', b'"IMAGE" "PNG" ("NAME" "LOGO.PNG")', b'"<LOGO@EXAMPLE.TEST>"',
                      b'"RELATED"', b'"ALTERNATIVE"', b'"MIXED"', b'"METHOD" "REQUEST"'):  # fmt: skip
            assert piece in upper, (piece, line)


def test_store(ten: imaplib.IMAP4) -> None:
    ok(ten.store("2:4", "+FLAGS", r"(\Seen custom)"))
    assert flags(ten, "3") == {rb"\Seen", b"custom"}
    ok(ten.store("3", "-FLAGS", "(custom)"))
    assert flags(ten, "3") == {rb"\Seen"}
    ok(ten.store("3", "FLAGS", r"(\Answered)"))
    assert flags(ten, "3") == {rb"\Answered"}
    answer = ten.store("5", "+FLAGS.SILENT", r"(\Flagged)")
    assert answer == ("OK", [None])
    assert ok(ten.search(None, "FLAGGED"))[0] == b"5"
    assert ok(ten.search(None, "KEYWORD", "custom"))[0] == b"2 4"


def test_read_only_keeps_everything(magpie: Magpie, user: str, ten: imaplib.IMAP4) -> None:
    ok(ten.select("INBOX", readonly=True))
    assert ten.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
    ok(ten.fetch("1", "(BODY[])"))
    assert flags(ten, "1") == set()


def test_copy_and_move(ten: imaplib.IMAP4) -> None:
    ok(ten.create("target"))
    ok(ten.store("1:3", "+FLAGS", r"(\Flagged)"))
    answer = ok(ten.copy("1:3", "target"))
    assert re.search(rb"\[COPYUID \d+ 1:3 1:3\]", answer[0]), answer
    kind, _ = ten._simple_command("MOVE", "4:5", "target")
    assert kind == "OK"
    assert count(ten, "INBOX") == 8
    assert uids(ten) == [1, 2, 3, 6, 7, 8, 9, 10]
    stored = fetch_all(ten, "target")
    assert list(stored) == [1, 2, 3, 4, 5]
    assert list(stored.values()) == [giants.letter(number) for number in range(1, 6)]
    count(ten, "target")
    assert flags(ten, "1") == {rb"\Flagged"}, "flags travel with a copy"
    kind, data = ten.copy("1", "not-there")
    assert kind == "NO" and b"[TRYCREATE]" in data[0]


def test_copy_into_the_same_mailbox(ten: imaplib.IMAP4) -> None:
    ok(ten.copy("1", "INBOX"))
    assert list(fetch_all(ten).values())[-1] == giants.letter(1)
    assert count(ten) == 11


def test_expunge(ten: imaplib.IMAP4) -> None:
    ok(ten.store("2,4,6", "+FLAGS", r"(\Deleted)"))
    view = list(range(1, 11))
    for number in ok(ten.expunge()):
        del view[int(number) - 1]  # each number counts in the view that the ones before it left
    assert view == [1, 3, 5, 7, 8, 9, 10]
    assert uids(ten) == [1, 3, 5, 7, 8, 9, 10]


def test_uid_expunge_takes_only_what_is_named(ten: imaplib.IMAP4) -> None:
    ok(ten.store("1:4", "+FLAGS", r"(\Deleted)"))
    ok(ten.uid("EXPUNGE", "2:3"))
    assert uids(ten) == [1, 4, 5, 6, 7, 8, 9, 10]


def test_close_expunges_and_unselect_does_not(magpie: Magpie, user: str, ten: imaplib.IMAP4) -> None:
    ok(ten.store("1", "+FLAGS", r"(\Deleted)"))
    ok(ten.unselect())
    assert count(ten) == 10
    ok(ten.close())
    assert count(ten) == 9


def test_uids_are_never_used_again(ten: imaplib.IMAP4) -> None:
    ok(ten.store("1:10", "+FLAGS", r"(\Deleted)"))
    ok(ten.expunge())
    ok(ten.append("INBOX", "", None, giants.letter(11)))
    ten.noop()
    assert uids(ten) == [11]


def test_search(ten: imaplib.IMAP4) -> None:
    ok(ten.store("1:3", "+FLAGS", r"(\Seen)"))
    ok(
        ten.append(
            "INBOX",
            "",
            '"01-Feb-2020 00:00:00 +0000"',
            b"From: alice@example.test\r\nSubject: odd one\r\n\r\nneedle in hay\r\n",
        )
    )
    ten.noop()

    def found(*keys: str) -> list[int]:
        return [int(number) for number in ok(ten.search(None, *keys))[0].split()]

    assert found("SEEN") == [1, 2, 3]
    assert found("UNSEEN") == list(range(4, 12))
    assert found("OR", "SEEN", "SUBJECT", '"odd one"') == [1, 2, 3, 11]
    assert found("NOT", "SEEN", "NOT", "SUBJECT", "letter") == [11]
    assert found("FROM", "alice@example.test") == [11]
    assert found("BODY", "NEEDLE") == [11]
    assert found("TEXT", "odd") == [11]
    assert found("BODY", "odd") == []
    assert found("HEADER", "Message-ID", "<1.7.2000@example.com>") == [7]
    assert found("BEFORE", "1-Jan-2021") == [11]
    assert found("SINCE", "1-Jan-2021", "SMALLER", "1000") == []
    assert found("LARGER", "1000", "3:5") == [3, 4, 5]
    assert found("UID", "9:*") == [9, 10, 11]
    assert found("SENTON", "19-Oct-2026", "(OR 2 3)") == [2, 3]
    assert found("KEYWORD", "nothing") == []


def test_two_sessions_see_each_others_changes(magpie: Magpie, user: str, ten: imaplib.IMAP4) -> None:
    with ImapWire(magpie, user) as other:
        other.command(b"SELECT INBOX")
        ok(ten.store("3", "+FLAGS", r"(\Seen)"))
        ok(ten.store("5", "+FLAGS", r"(\Deleted)"))
        ok(ten.expunge())
        ok(ten.append("INBOX", "", None, giants.letter(12)))
        _, _, untagged = other.command(b"NOOP")
        assert b"* 5 EXPUNGE" in untagged, untagged
        assert b"* 10 EXISTS" in untagged, untagged
        assert any(re.match(rb"\* 3 FETCH .*\\Seen", line) for line in untagged), untagged


def test_44_no_expunge_during_fetch(magpie: Magpie, user: str, ten: imaplib.IMAP4) -> None:
    """RFC 9051 §7.5.1: numbers stay valid until a command that may renumber."""
    with ImapWire(magpie, user) as other:
        other.command(b"SELECT INBOX")
        ok(ten.store("1", "+FLAGS", r"(\Deleted)"))
        ok(ten.expunge())
        _, _, untagged = other.command(b"FETCH 10 (UID)")
        assert not any(b"EXPUNGE" in line for line in untagged)
        assert any(b"* 10 FETCH" in line and b"UID 10" in line for line in untagged), untagged
        _, _, untagged = other.command(b"NOOP")
        assert b"* 1 EXPUNGE" in untagged


def test_42_append_cut_in_the_literal(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        wire.send(b"a APPEND INBOX {5000}\r\n")
        assert wire.line().startswith(b"+")
        wire.send(giants.letter(1)[:1000])
    with magpie.imap(user) as client:
        assert count(client) == 0


def test_empty_and_giant_appends(magpie: Magpie, user: str) -> None:
    """Zero bytes and 60 MB: clear refusals, nothing stored, the session goes on where the literal allows."""
    with ImapWire(magpie, user, timeout=120) as wire:
        outcome, text, _ = wire.command(b"APPEND INBOX {0+}\r\n")
        assert outcome in (b"NO", b"BAD"), "an empty message is no message"
        assert len(text) > 10, text
        wire.send(b"b APPEND INBOX {62914560}\r\n")
        outcome, text, _ = wire.outcome(b"b")
        assert outcome == b"NO" and re.search(rb"\[(TOOBIG|LIMIT)\]", text), text
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        _, _, untagged = wire.command(b"NOOP")
        assert not any(b"EXISTS" in line for line in untagged)


def test_a_large_mail_within_the_limit(magpie: Magpie, user: str) -> None:
    source = giants.exactly(40 << 20)
    with magpie.imap(user, timeout=120) as client:
        ok(client.append("INBOX", "", None, source))
        assert fetch_all(client)[1] == source
