"""NOTIFY (RFC 5465) on the wire: a client hears of what happens without asking."""

from harness import giants
from harness.server import Magpie
from harness.wire import ImapWire


def append(wire: ImapWire, mailbox: bytes, letter: bytes) -> None:
    tag = wire.tag()
    wire.send(tag + b" APPEND %s {%d+}\r\n" % (mailbox, len(letter)) + letter + b"\r\n")
    assert wire.outcome(tag)[0] == b"OK"


def test_news_between_commands(magpie: Magpie, user: str) -> None:
    """Through TLS and compression: new mail with what was asked of it, and what happens elsewhere."""
    ask = (
        b"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange)) "
        b"(personal (MessageNew MessageExpunge MailboxName))"
    )
    with ImapWire(magpie, user, "imaps") as ears, ImapWire(magpie, user) as hand:
        ears.compress()
        assert ears.command(b"SELECT INBOX")[0] == b"OK"
        assert ears.command(ask)[0] == b"OK"
        for number in range(1, 4):
            append(hand, b"INBOX", b"Subject: number %d\r\n\r\n\r\n" % number)
            assert ears.response() == b"* %d EXISTS" % number
            fetched = b"* %d FETCH (UID %d BODY[HEADER.FIELDS (SUBJECT)] {21}\r\n" % (number, number)
            assert ears.response() == fetched + b"Subject: number %d\r\n\r\n)" % number
        assert hand.command(b"CREATE Elsewhere")[0] == b"OK"
        assert ears.response() == b'* LIST (\\HasNoChildren) "/" Elsewhere'
        assert ears.response().startswith(b"* STATUS Elsewhere (UIDVALIDITY ")
        append(hand, b"Elsewhere", giants.letter(1))
        assert ears.response() == b"* STATUS Elsewhere (UIDNEXT 2 MESSAGES 1)"
        assert hand.command(b"SELECT INBOX")[0] == b"OK"
        assert hand.command(b"STORE 2 +FLAGS.SILENT (\\Deleted)")[0] == b"OK"
        assert ears.response() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted))"
        assert hand.command(b"EXPUNGE")[0] == b"OK"
        assert ears.response() == b"* 2 EXPUNGE"
        # Half a command does not keep the news from coming.
        ears.send(b"h NO")
        magpie.deliver(f"{user}@example.test", b"Subject: number 4\r\n\r\n\r\n")
        assert ears.response() == b"* 3 EXISTS"
        assert b"Subject: number 4" in ears.response()
        ears.send(b"OP\r\n")
        assert ears.outcome(b"h")[0] == b"OK"


def test_a_burst_into_many_mailboxes(magpie: Magpie, user: str) -> None:
    """In the end the client knows how many messages there are everywhere, whatever was told together."""
    with ImapWire(magpie, user) as ears, ImapWire(magpie, user) as hand:
        for number in range(20):
            assert hand.command(b"CREATE box%d" % number)[0] == b"OK"
        assert ears.command(b"NOTIFY SET (personal (MessageNew MessageExpunge))")[0] == b"OK"
        told = {}
        for round in range(5):
            for number in range(20):
                append(hand, b"box%d" % number, giants.letter(round, 300))
        while set(told.values()) != {5} or len(told) < 20:
            word, name, *_, count = ears.response().removesuffix(b")").split()[1:]
            assert word == b"STATUS" and int(count) >= told.get(name, 0)
            told[name] = int(count)


def test_a_listener_that_does_not_read(magpie: Magpie, user: str) -> None:
    """What is told waits for the client, not in the server's memory."""
    with ImapWire(magpie, user) as ears, ImapWire(magpie, user) as hand:
        assert ears.command(b"SELECT INBOX")[0] == b"OK"
        ask = b"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[]) MessageExpunge))"
        assert ears.command(ask)[0] == b"OK"
        before = magpie.memory()
        letter = giants.exactly(4 << 20)
        for _ in range(20):
            append(hand, b"INBOX", letter)
        assert magpie.memory() - before < 48 << 20
        seen = 0
        while seen < 20:
            response = ears.response()
            seen += b" FETCH (UID " in response and letter in response
