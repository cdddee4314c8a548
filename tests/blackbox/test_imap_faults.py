"""The faults of IMAP, by their numbers, on bare sockets. After each, the next good command must work."""

import contextlib
import re
import threading
import time
import zlib

import pytest

from harness import giants
from harness.server import PASSWORD, Magpie
from harness.wire import ImapWire, SmtpWire

MB = 1 << 20


def uids(wire: ImapWire, mailbox: bytes = b"INBOX") -> list[int]:
    """The UIDs in a mailbox; selects it."""
    assert wire.command(b"SELECT " + mailbox)[0] == b"OK"
    outcome, text, found = wire.command(b"UID SEARCH ALL")
    assert outcome == b"OK", text
    return [int(number) for line in found if line.startswith(b"* SEARCH") for number in line.split()[2:]]


def append(wire: ImapWire, mailbox: bytes, mail: bytes) -> int:
    """Stores a mail and returns its UID."""
    tag = wire.tag()
    wire.send(tag + b" APPEND %s {%d+}\r\n" % (mailbox, len(mail)) + mail + b"\r\n")
    outcome, text, _ = wire.outcome(tag)
    assert outcome == b"OK", text
    return int(re.search(rb"APPENDUID \d+ (\d+)", text)[1])


@pytest.mark.parametrize("size", [b"4294967295+", b"4294967296+", b"99999999999999999999+", b"1000000+"])
def test_33_a_giant_literal_before_login(magpie: Magpie, size: bytes) -> None:
    before = magpie.memory()
    with ImapWire(magpie) as wire:
        wire.send(b"a LOGIN {" + size + b"}\r\n")
        assert wire.closed(), size
    assert magpie.memory() - before < 32 * MB


def test_33_many_literals_before_login(magpie: Magpie) -> None:
    """Each is small enough; all of them together are not."""
    before = magpie.memory()
    with ImapWire(magpie) as wire:
        wire.send(b"a LOGIN")
        try:
            for _ in range(20_000):
                wire.send(b" {1000+}\r\n" + b"x" * 1000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert wire.closed()
    assert magpie.memory() - before < 32 * MB


@pytest.mark.parametrize(
    "keys",
    [
        b"(" * 3900 + b"ALL" + b")" * 3900,
        b"OR ALL " * 1100 + b"ALL",
        b"OR " * 2600 + b"ALL",
        b"NOT " * 2000 + b"ALL",
    ],
    ids=["parentheses", "ors-to-the-right", "ors-to-the-left", "nots"],
)
def test_34_nesting(magpie: Magpie, user: str, keys: bytes) -> None:
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        assert wire.command(b"SEARCH " + keys)[0] == b"BAD"
        assert wire.command(b"NOOP")[0] == b"OK"


def test_34_a_hundred_thousand_parentheses(magpie: Magpie, user: str) -> None:
    """More than a line may hold: in literals, which stand between them, and without."""
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        tag = wire.tag()
        wire.send(tag + b" SEARCH " + b"(" * 100_000 + b"\r\n")
        assert wire.outcome(tag)[0] == b"BAD"
        tag = wire.tag()
        wire.send(tag + b" SEARCH " + b"(TEXT {1+}\r\nx " * 900 + b"ALL" + b")" * 900 + b"\r\n")
        assert wire.outcome(tag)[0] == b"BAD"
        assert wire.command(b"NOOP")[0] == b"OK"


@pytest.mark.parametrize("command", [b"CREATE", b"APPEND nowhere", b"APPEND INBOX (\\Bad", b"NONSENSE", b"SEARCH TEXT"])
def test_35_a_refused_literal_is_no_command(magpie: Magpie, user: str, command: bytes) -> None:
    """Whatever is wrong with a command, the bytes of its literal are data."""
    smuggled = b"\r\nx1 CREATE smuggled\r\nx2 LOGOUT\r\n"
    for size in (len(smuggled), 200_000):
        with ImapWire(magpie, user) as wire:
            assert wire.command(b"SELECT INBOX")[0] == b"OK"
            data = (smuggled * (size // len(smuggled) + 1))[:size]
            tag = wire.tag()
            wire.send(tag + b" " + command + b" {%d+}\r\n" % size + data + b"\r\n")
            outcome, _, untagged = wire.outcome(tag)
            assert outcome in (b"BAD", b"NO", b"BYE") or command == b"SEARCH TEXT"
            assert not any(line.startswith((b"x1 ", b"x2 ")) for line in untagged), untagged
            if outcome != b"BYE":
                assert wire.command(b"NOOP")[0] == b"OK"
        with ImapWire(magpie, user) as wire:
            assert wire.command(b"SELECT smuggled")[0] == b"NO"


def test_36_a_set_of_a_million_ranges(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        before = magpie.memory()
        ranges = b",".join(b"%d" % number for number in range(1, 2_000_001, 2))
        assert wire.command(b"FETCH " + ranges + b" FLAGS")[0] == b"BAD"
        assert wire.command(b"NOOP")[0] == b"OK"
        assert magpie.memory() - before < 64 * MB


def test_36_sets_that_overlap_name_each_message_once(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        for number in range(3):
            append(wire, b"INBOX", giants.letter(number))
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        ranges = b",".join([b"3:1,2,*:1,1:*,4294967295:2"] * 250)
        for command in (b"FETCH " + ranges + b" UID", b"UID FETCH " + ranges + b" UID"):
            outcome, text, found = wire.command(command)
            assert outcome == b"OK", text
            assert [line for line in found if b"FETCH" in line] == [b"* %d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)]


def test_37_a_flood_of_broken_logins(magpie: Magpie, user: str) -> None:
    """Bad base64 and cancelled exchanges are no guesses: they end their own connection, and lock out nobody."""
    before = magpie.memory()
    for _ in range(40):
        with ImapWire(magpie) as wire:
            outcomes = []
            while len(outcomes) < 200 and b"BYE" not in outcomes:
                tag = wire.tag()
                answer = (b"*", b"!!!!", b"=", b"A" * 5000, b"\xff\xfe")[len(outcomes) % 5]
                try:
                    wire.send(tag + b" AUTHENTICATE PLAIN\r\n" + answer + b"\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    outcomes.append(b"BYE")
                    break
                outcome, _, untagged = wire.outcome(tag)
                over = any(line.startswith(b"* BYE") for line in untagged)
                outcomes.append(b"BYE" if over else outcome)
            assert set(outcomes) <= {b"NO", b"BAD", b"BYE"}
            assert outcomes[-1] == b"BYE", "nothing ends a flood"
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"NOOP")[0] == b"OK"
    assert magpie.memory() - before < 64 * MB


FOREIGN = ["INBOX/secret", "{owner}/secret", "{owner}@example.test/secret", "Other Users/{owner}/secret", "~{owner}/secret",
           "user.{owner}.secret", "#user/{owner}/secret", "../{owner}/secret", "secret"]  # fmt: skip


@pytest.mark.parametrize("form", FOREIGN)
def test_41_a_foreign_mailbox_is_like_one_that_does_not_exist(magpie: Magpie, user: str, owner: str, form: str) -> None:
    """However it is addressed, and whichever command asks: the same words as for a name that nobody has."""
    commands = [
        b'SELECT "%s"', b'EXAMINE "%s"', b'STATUS "%s" (MESSAGES UIDNEXT)', b'DELETE "%s"', b'RENAME "%s" mine',
        b'LIST "" "%s"', b'LSUB "" "%s"', b'MYRIGHTS "%s"', b'LISTRIGHTS "%s" x', b'GETACL "%s"', b'GETQUOTAROOT "%s"',
        b'GETMETADATA "%s" /private/comment', b'NOTIFY SET (MAILBOXES "%s" (MessageNew MessageExpunge))',
        b'ESEARCH IN (MAILBOXES "%s") ALL', b'COPY 1 "%s"', b'REPLACE 1 "%s" {1+}\r\nx',
    ]  # fmt: skip
    with ImapWire(magpie, owner) as wire:
        wire.command(b"CREATE secret")
        append(wire, b"secret", giants.letter(1))
    with ImapWire(magpie, user) as wire:
        append(wire, b"INBOX", giants.letter(2))
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
        for command in commands:
            answers = []
            for name in (
                form.format(owner=owner),
                form.format(owner="nobody-is-called-so").replace("secret", "absent"),
            ):
                outcome, text, untagged = wire.command(command % name.encode())
                said = b"|".join([outcome, text, *untagged]).replace(name.encode(), b"NAME")
                answers.append(said)
                wire.command(b"UNSUBSCRIBE " + name.encode() if b" " not in name.encode() else b"NOOP")
                assert wire.command(b"SELECT INBOX")[0] == b"OK"
            assert answers[0] == answers[1], command


def test_43_changes_from_many_connections(magpie: Magpie, user: str) -> None:
    """APPEND, MOVE back and forth, and RENAME at once: no UID comes twice, and no mail is lost or doubled."""
    with ImapWire(magpie, user) as wire:
        for name in (b"left", b"right"):
            assert wire.command(b"CREATE " + name)[0] == b"OK"
    given: dict[bytes, list[int]] = {b"left": [], b"right": []}
    trouble: list[BaseException] = []

    def appending(name: bytes, first: int) -> None:
        with ImapWire(magpie, user) as wire:
            given[name] += [append(wire, name, giants.letter(number)) for number in range(first, first + 25)]

    def moving(source: bytes, target: bytes) -> None:
        with ImapWire(magpie, user) as wire:
            for _ in range(15):
                assert wire.command(b"SELECT " + source)[0] == b"OK"
                outcome, text, _ = wire.command(b"UID MOVE 1:* " + target)
                assert outcome == b"OK", text

    def renaming() -> None:
        with ImapWire(magpie, user) as wire:
            for number in range(15):
                assert wire.command(b"CREATE other%d" % number)[0] == b"OK"
                assert wire.command(b"RENAME other%d other%d/below" % (number, number + 100))[0] == b"OK"

    def guarded(work, *arguments) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            trouble.append(error)

    jobs = [(appending, b"left", 0), (appending, b"right", 100), (moving, b"left", b"right"), (moving, b"right", b"left"),
            (renaming,)]  # fmt: skip
    threads = [threading.Thread(target=guarded, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble, trouble
    with ImapWire(magpie, user) as wire:
        found = uids(wire, b"left"), uids(wire, b"right")
    for name in given:
        assert given[name] == sorted(set(given[name])), f"the UIDs of APPEND do not ascend: {given[name]}"
    for numbers in found:
        assert numbers == sorted(set(numbers))
    assert len(found[0]) + len(found[1]) == 50
    magpie.cli("verify")


def test_44_deliveries_around_select(magpie: Magpie, user: str, address: str) -> None:
    """What arrives between SELECT and the first event is announced once, whenever it comes."""
    total = 40
    stop = threading.Event()

    def deliver() -> None:
        with SmtpWire(magpie) as wire:
            for number in range(total):
                wire.begin(address.encode())
                wire.send(giants.letter(number, size=500) + b".\r\n")
                assert wire.reply()[0] == 250
        stop.set()

    thread = threading.Thread(target=deliver)
    thread.start()
    sessions = []
    while not stop.is_set() and len(sessions) < 12:
        sessions.append(ImapWire(magpie, user))
        sessions[-1].selected = sessions[-1].command(b"SELECT INBOX")[2]
        time.sleep(0.01)
    thread.join()
    assert sessions
    for wire in sessions:
        _, _, untagged = wire.command(b"NOOP")
        counts = [int(line.split()[1]) for line in [*wire.selected, *untagged] if line.endswith(b" EXISTS")]
        assert counts == sorted(counts)
        assert counts[-1] == total
        _, _, fetched = wire.command(b"FETCH 1:* UID")
        numbers = [int(re.search(rb"UID (\d+)", line)[1]) for line in fetched if b" FETCH " in line]
        assert numbers == list(range(1, total + 1))
        wire.socket.close()


def test_45_a_deflate_bomb(magpie: Magpie, user: str) -> None:
    """What inflates to a gigabyte is held to the limits of what it inflates to, and others are served meanwhile."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(deflate.compress(b"x" * MB) for _ in range(1024)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    with ImapWire(magpie, user) as wire, ImapWire(magpie, user) as other:
        deflated = wire.compress()
        before = magpie.memory()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            deflated.plain.sendall(bomb)
        for _ in range(20):
            assert other.command(b"NOOP")[0] == b"OK"
            assert magpie.memory() - before < 32 * MB
        assert wire.line().startswith(b"* BYE the line is longer than")
        assert wire.line() == b""


def test_45_a_literal_that_inflates(magpie: Magpie, user: str) -> None:
    """A message of 100 MB in 100 KB is larger than a message may be."""
    with ImapWire(magpie, user) as wire:
        wire.compress()
        tag = wire.tag()
        wire.send(tag + b" APPEND INBOX {%d}\r\n" % (100 * MB))
        outcome, text, _ = wire.outcome(tag)
        assert outcome == b"NO" and text.startswith(b"[TOOBIG]")
        assert wire.command(b"NOOP")[0] == b"OK"


def test_45_what_is_not_deflated_ends_the_connection(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        deflated = wire.compress()
        deflated.plain.sendall(b"\xff\xff\xff t9 NOOP\r\n" * 10)
        assert wire.line() == b"* BYE the compressed stream is broken"
        assert wire.line() == b""
        assert deflated.unpacker.eof


def test_47_a_reader_that_stalls(magpie: Magpie, user: str) -> None:
    """400 MB are asked for and not read: the server neither fetches ahead nor keeps anybody else waiting."""
    mail = giants.exactly(2 * MB)
    with ImapWire(magpie, user) as wire:
        for _ in range(10):
            append(wire, b"INBOX", mail)
    with ImapWire(magpie, user) as stalled, ImapWire(magpie, user) as other:
        assert stalled.command(b"SELECT INBOX")[0] == b"OK"
        before = magpie.memory()
        stalled.send(b"".join(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % number for number in range(20)))
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            assert other.command(b"NOOP")[0] == b"OK"
            assert magpie.memory() - before < 48 * MB
        # What was asked for is still there, whole and in order.
        outcome, _, untagged = stalled.outcome(b"f0")
        assert outcome == b"OK"
        assert len(untagged) == 10
        assert all(len(line) > 2 * MB for line in untagged)


def test_47_many_readers_that_stall(magpie: Magpie, user: str) -> None:
    """What one stalled reader holds is small enough that a hundred of them are no matter."""
    with ImapWire(magpie, user) as wire:
        append(wire, b"INBOX", giants.exactly(20 * MB))
    before = magpie.memory()
    stalled = [ImapWire(magpie, user) for _ in range(25)]
    try:
        for wire in stalled:
            assert wire.command(b"SELECT INBOX")[0] == b"OK"
            wire.send(b"f FETCH 1 BODY.PEEK[]\r\n")
        with ImapWire(magpie, user) as other:
            begun = time.monotonic()
            while time.monotonic() - begun < 2:
                assert other.command(b"NOOP")[0] == b"OK"
                assert magpie.memory() - before < 100 * MB
    finally:
        for wire in stalled:
            wire.socket.close()
    with ImapWire(magpie) as wire:
        assert wire.command(b"LOGIN %s %s" % (user.encode(), PASSWORD.encode()))[0] == b"OK"
