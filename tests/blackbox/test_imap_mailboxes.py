"""The tree of mailboxes: CREATE, RENAME, DELETE, LIST, STATUS, subscriptions, names in every script."""

import re

import pytest

from harness import giants
from harness.mailbox import count, modified_utf7, ok, quoted
from harness.server import Magpie
from harness.wire import ImapWire

LIST_LINE = re.compile(rb'\* LIST \((?P<flags>[^)]*)\) (?P<delimiter>"."|NIL) (?P<name>.*)$')


def listed(client, pattern: str = "*") -> dict[bytes, set[bytes]]:
    """Names and attributes that LIST shows."""
    found = {}
    for line in ok(client.list('""', pattern)):
        if line:
            match = LIST_LINE.match(b"* LIST " + line)
            found[match["name"].strip(b'"')] = set(match["flags"].split())
    return found


def delimiter(client) -> str:
    (line,) = ok(client.list('""', '""'))
    return LIST_LINE.match(b"* LIST " + line)["delimiter"].strip(b'"').decode()


def test_inbox_is_there(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        assert b"INBOX" in listed(client)
        assert count(client, "inbox") == 0, "INBOX is INBOX in any case"


def test_create_with_parents_and_delete(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        sep = delimiter(client)
        deep = sep.join(["Projects", "2026", "Autumn"])
        ok(client.create(quoted(deep)))
        names = set(listed(client))
        assert {b"Projects", sep.join(["Projects", "2026"]).encode(), deep.encode()} <= names
        assert client.create(quoted(deep))[0] == "NO", "it is there already"
        ok(client.delete(quoted(deep)))
        assert deep.encode() not in listed(client)
        assert client.delete(quoted(deep))[0] == "NO", "it is gone already"
        assert client.delete("INBOX")[0] == "NO"


def test_patterns(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        sep = delimiter(client)
        for name in ("a", f"a{sep}b", f"a{sep}b{sep}c", "ab"):
            client.create(quoted(name))
        assert set(listed(client, "a%")) == {b"a", b"ab"}
        assert set(listed(client, quoted(f"a{sep}%"))) == {f"a{sep}b".encode()}
        assert set(listed(client, "a*")) == {b"a", b"ab", f"a{sep}b".encode(), f"a{sep}b{sep}c".encode()}
        flags = listed(client, "a%")
        assert rb"\HasChildren" in flags[b"a"] and rb"\HasNoChildren" in flags[b"ab"], flags


def test_rename_moves_the_subtree(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        sep = delimiter(client)
        ok(client.create(quoted(f"old{sep}child")))
        ok(client.append(quoted(f"old{sep}child"), "", None, giants.letter(1)))
        ok(client.rename("old", quoted(f"new{sep}place")))
        names = set(listed(client))
        assert f"new{sep}place{sep}child".encode() in names
        assert not {b"old", f"old{sep}child".encode()} & names
        assert count(client, f"new{sep}place{sep}child") == 1


def test_rename_inbox_moves_its_mail(magpie: Magpie, user: str) -> None:
    """RFC 9051 §6.3.6: INBOX stays, its messages go."""
    with magpie.imap(user) as client:
        ok(client.append("INBOX", "", None, giants.letter(2)))
        ok(client.rename("INBOX", "before"))
        assert count(client, "before") == 1
        assert count(client, "INBOX") == 0


def test_rename_into_itself_is_refused(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        sep = delimiter(client)
        ok(client.create("circle"))
        assert client.rename("circle", quoted(f"circle{sep}inside"))[0] == "NO"
        assert client.rename("not-there", "somewhere")[0] == "NO"
        ok(client.create("taken"))
        assert client.rename("circle", "taken")[0] == "NO"


def test_uidvalidity_changes_when_a_name_comes_back(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:

        def validity() -> bytes:
            return re.search(rb"UIDVALIDITY (\d+)", ok(client.status("again", "(UIDVALIDITY)"))[0])[1]

        ok(client.create("again"))
        first = validity()
        ok(client.delete("again"))
        ok(client.create("again"))
        assert int(validity()) > int(first)


@pytest.mark.parametrize("name", ["받은 편지함/업무", "下書き・控え", "Grüße & Küsse", "Отчёты", "a b", "📬 post", "&"])
def test_names_in_every_script(magpie: Magpie, user: str, name: str) -> None:
    """Modified UTF-7 for IMAP4rev1, UTF-8 for IMAP4rev2: the same mailbox."""
    with magpie.imap(user) as client:
        name = name.replace("/", delimiter(client))
        ok(client.create(quoted(name)))
        assert modified_utf7(name).encode() in listed(client)
        ok(client.append(quoted(name), "", None, giants.letter(3)))
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"ENABLE IMAP4rev2")[0] == b"OK"
        outcome, text, untagged = wire.command(b'SELECT "' + name.encode() + b'"')
        assert outcome == b"OK", text
        assert b"* 1 EXISTS" in untagged
        _, _, untagged = wire.command(b'LIST "" *')
        assert any(line.endswith((b'"' + name.encode() + b'"', b" " + name.encode())) for line in untagged), untagged


@pytest.mark.parametrize(
    "name",
    [
        b"&AGE-",  # modified UTF-7 for what must be written plainly
        b"&Jjo",  # a shift that does not end
        b"&!!!!-",
        b"control\x01character",
        b"x" * 2000,
        b"/".join([b"n"] * 10_000),
        b"a//b",
        b"/a",
    ],
    ids=[
        "utf7-plain",
        "utf7-cut",
        "utf7-rubbish",
        "control",
        "long",
        "deep",
        "empty-level",
        "leading",
    ],
)
def test_46_bad_names_are_refused_with_a_reason(magpie: Magpie, user: str, name: bytes) -> None:
    with ImapWire(magpie, user) as wire:
        outcome, text, _ = wire.command(b"CREATE {%d+}\r\n" % len(name) + name)
        if outcome == b"BYE" or len(name) > 4096:
            return
        assert outcome in (b"NO", b"BAD"), text
        assert len(text) > 10, "the refusal says nothing"
        if outcome == b"NO":
            assert b"[CANNOT]" in text, text
        assert wire.command(b"NOOP")[0] == b"OK"
        _, _, untagged = wire.command(b'LIST "" *')
        assert len(untagged) < 12, "nothing of the kind was made"


@pytest.mark.parametrize("name", [b"50% off", b"*starred*"])
def test_wildcards_are_only_special_to_list(magpie: Magpie, user: str, name: bytes) -> None:
    """RFC 9051 §5.1: valid in names, though hard to list one by one; mail from elsewhere may lie in such folders."""
    with ImapWire(magpie, user) as wire:
        assert wire.command(b'CREATE "' + name + b'"')[0] == b"OK"
        _, _, untagged = wire.command(b'LIST "" *')
        assert sum(line.endswith(b'"' + name + b'"') for line in untagged) == 1, untagged
        assert wire.command(b'SELECT "' + name + b'"')[0] == b"OK"
        assert wire.command(b'DELETE "' + name + b'"')[0] == b"OK"


def test_invalid_utf8_after_enable(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie, user) as wire:
        assert wire.command(b"ENABLE IMAP4rev2")[0] == b"OK"
        for name in (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"):
            assert wire.command(b"CREATE {%d+}\r\n" % len(name) + name)[0] in (b"NO", b"BAD"), name
        assert wire.command(b"NOOP")[0] == b"OK"


def test_nfd_and_nfc_are_one_name(magpie: Magpie, user: str) -> None:
    """A Mac's decomposed Hangul names the mailbox that a Windows machine made."""
    import unicodedata

    name = "보낸 편지"
    with magpie.imap(user) as client:
        ok(client.create(quoted(name)))
        assert client.create(quoted(unicodedata.normalize("NFD", name)))[0] == "NO"
        assert count(client, unicodedata.normalize("NFD", name)) == 0


def test_status_counts(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as client:
        ok(client.create("counted"))
        for number in range(3):
            ok(client.append("counted", r"(\Seen)" if number == 0 else "", None, giants.letter(number)))
        (line,) = ok(client.status("counted", "(MESSAGES UNSEEN UIDNEXT UIDVALIDITY)"))
        values = dict(re.findall(rb"([A-Z]+) (\d+)", line))
        assert values[b"MESSAGES"] == b"3" and values[b"UNSEEN"] == b"2" and values[b"UIDNEXT"] == b"4", line
        assert client.status("not-there", "(MESSAGES)")[0] == "NO"


def test_subscriptions_outlive_their_mailbox(magpie: Magpie, user: str) -> None:
    """RFC 9051 §6.3.7: a name stays subscribed when its mailbox is deleted."""
    with magpie.imap(user) as client:
        ok(client.create("news"))
        ok(client.subscribe("news"))
        assert any(b"news" in line for line in ok(client.lsub('""', "*")))
        ok(client.delete("news"))
        assert any(b"news" in line for line in ok(client.lsub('""', "*")) if line)
        ok(client.unsubscribe("news"))
        assert not any(b"news" in line for line in ok(client.lsub('""', "*")) if line)


def test_users_do_not_see_each_other(magpie: Magpie, user: str) -> None:
    with magpie.imap(user) as mine, magpie.imap("carol") as other:
        ok(mine.create("private-of-mine"))
        assert b"private-of-mine" not in listed(other)
        assert other.select("private-of-mine")[0] == "NO"
