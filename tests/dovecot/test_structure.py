"""ENVELOPE, BODYSTRUCTURE and RFC822.SIZE of 6,046 real mails: Magpie and Dovecot must say the same.

Each difference is of one of the kinds in `EXPECTED`, with the reason why Magpie's answer stands, or the test fails.
"""

import hashlib
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import corpus
from harness.response import Client, Text, Value
from harness.server import PASSWORD, running
from peers import Dovecot

BATCH = 250
ITEMS = "RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[]"


class Difference(NamedTuple):
    """One mail of which the two say different things: the item, and what each says."""

    mail: bytes
    item: str
    ours: Value
    theirs: Value

    def field(self, name: str) -> list[bytes]:
        """The values of a field of the mail's header."""
        header = self.mail.partition(b"\r\n\r\n")[0]
        return re.findall(rb"(?im)^%s[ \t]*:([^\r]*(?:\r\n[ \t][^\r]*)*)" % name.encode(), header)


class Kind(NamedTuple):
    """A kind of difference that is expected, and why Magpie's answer stands."""

    reason: str
    fits: Callable[[Difference], bool]


def names_addresses_it_has_not(it: Difference) -> bool:
    said = {leaf.octets for leaf in leaves(it.theirs) if isinstance(leaf, Text)}
    return it.item == "ENVELOPE" and bool(said & {b"MISSING_MAILBOX", b"MISSING_DOMAIN", b"SYNTAX_ERROR"})


def repeats_an_address_field(it: Difference) -> bool:
    return it.item == "ENVELOPE" and any(len(it.field(name)) > 1 for name in ("To", "Cc", "Reply-To"))


def has_an_address_outside_the_grammar(it: Difference) -> bool:
    """Two at signs, a quote in the domain, words behind `>`, or a phrase that needed quotes."""
    broken = rb"@[\w.]+@|\.\"|>\w|\S@\S+ <|@[\w.]+:"
    fields = b"".join(value for name in ("From", "To") for value in it.field(name))
    return it.item == "ENVELOPE" and bool(re.search(broken, fields))


def has_no_mime_version(it: Difference) -> bool:
    return it.item == "BODYSTRUCTURE" and not it.field("MIME-Version")


def has_a_multipart_without_parts(it: Difference) -> bool:
    """Its boundary never stands at the beginning of a line of its body."""
    found = re.search(rb'(?i)boundary="([^"]+)"', b"".join(it.field("Content-Type")))
    return it.item == "BODYSTRUCTURE" and bool(found) and b"\r\n--" + found[1] not in it.mail


def has_a_line_that_only_begins_like_its_boundary(it: Difference) -> bool:
    found = re.search(rb'(?i)boundary="([^"]+)"', b"".join(it.field("Content-Type")))
    line = rb"\r\n--" + re.escape(found[1]) + rb"(?:--)?[^\s-]" if found else rb"$^"
    return it.item == "BODYSTRUCTURE" and bool(re.search(line, it.mail))


def has_a_type_outside_the_grammar(it: Difference) -> bool:
    """A parameter without the semicolon before it."""
    return it.item == "BODYSTRUCTURE" and any(
        re.match(rb"\s*[\w/-]+\s+\w+=", value) for value in it.field("Content-Type")
    )


def has_a_parameter_that_needed_quotes(it: Difference) -> bool:
    return it.item == "BODYSTRUCTURE" and bool(re.search(rb"(?i)(?:file)?name=[^\";\s]+[ \t]+[^\";\s=]+\r\n", it.mail))


EXPECTED = [
    Kind("what an address lacks is empty here, and a made-up word there", names_addresses_it_has_not),
    Kind("of a field that may stand once the last one counts, as RFC 8621 §4.1.3 has it", repeats_an_address_field),
    Kind("an address outside the grammar keeps all that was written", has_an_address_outside_the_grammar),
    Kind("a type that can be understood is better than none", has_a_type_outside_the_grammar),
    Kind("what a mail says of its encoding counts without MIME-Version as well", has_no_mime_version),
    Kind("a multipart without any part is shown as the text that it is", has_a_multipart_without_parts),
    Kind("a delimiter is a whole line (RFC 2046 §5.1.1)", has_a_line_that_only_begins_like_its_boundary),
    Kind("a file's name is kept whole where its quotes are missing", has_a_parameter_that_needed_quotes),
]


@pytest.mark.timeout(600)
def test_envelopes_structures_and_sizes_are_what_dovecot_says(tmp_path: Path) -> None:
    samples = corpus.fetched("spamassassin")
    theirs = ask_dovecot(tmp_path, samples)
    ours = ask_magpie(tmp_path, samples)
    wanted = {digest(corpus.crlf(sample.source)): sample.name for sample in samples}
    assert wanted.keys() == ours.keys() == theirs.keys(), "not every mail came through byte for byte"

    seen: Counter[str] = Counter()
    unexpected = []
    for key, name in wanted.items():
        for difference in differences(ours[key], theirs[key]):
            kind = next((kind for kind in EXPECTED if kind.fits(difference)), None)
            if kind:
                seen[kind.reason] += 1
            else:
                unexpected.append(f"{name} {difference.item}\n  ours   {difference.ours}\n  theirs {difference.theirs}")
    print(
        f"{len(wanted)} mails; expected differences:",
        *(f"{count:5}  {reason}" for reason, count in seen.items()),
        sep="\n",
    )
    assert not unexpected, "\n".join([f"{len(unexpected)} differences without a reason:", *unexpected])
    assert seen.keys() == {kind.reason for kind in EXPECTED}, "a kind of difference is gone: take it out"


def ask_dovecot(tmp_path: Path, samples: list[corpus.Sample]) -> dict[str, dict[str, Value]]:
    open_to_others(tmp_path)
    server = Dovecot(tmp_path / "dovecot", PASSWORD, "never").start()
    try:
        fill_maildir(server.folder / "mail" / "alice", samples)
        subprocess.run(["chown", "-R", "mail:mail", server.folder / "mail"], check=True)
        return ask(server.ports["imap"], len(samples))
    finally:
        server.stop()


def ask_magpie(tmp_path: Path, samples: list[corpus.Sample]) -> dict[str, dict[str, Value]]:
    maildir = tmp_path / "Maildir"
    fill_maildir(maildir, samples)
    with running(tmp_path / "data") as server:
        server.cli("import", "--account", "alice", f"maildir:{maildir}")
        return ask(server.port("imap"), len(samples))


def ask(port: int, count: int) -> dict[str, dict[str, Value]]:
    """What a server says of each mail, by the digest of its bytes."""
    client = Client(port, "alice", PASSWORD)
    client.command("EXAMINE INBOX")
    found = {}
    for first in range(1, count + 1, BATCH):
        for items in client.fetch(f"{first}:{min(count, first + BATCH - 1)}", ITEMS).values():
            source = items["BODY[]"]
            assert isinstance(source, Text)
            found[digest(source.octets)] = items
    client.close()
    return found


def differences(ours: dict[str, Value], theirs: dict[str, Value]) -> Iterator[Difference]:
    mail = ours["BODY[]"]
    assert isinstance(mail, Text)
    for item in ("RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE"):
        one, other = plain(ours[item]), plain(theirs[item])
        if one != other:
            yield Difference(mail.octets, item, one, other)


def plain(value: Value) -> Value:
    """A value without what the two may write in different ways.

    Dovecot writes every run of spaces in a phrase as one; Magpie keeps what was sent (RFC 5322 §2.2.3 takes out the
    line end only). Types and encodings are the same in capitals, and one language may stand without parentheses
    (RFC 9051 §9, `body-fld-lang`).
    """
    if isinstance(value, Text):
        # Placeholders are told from what was written by their capitals.
        squeezed = b" ".join(value.octets.split())
        return Text(squeezed if squeezed.startswith((b"MISSING_", b"SYNTAX_")) else squeezed.lower())
    if isinstance(value, tuple):
        return plain(value[0]) if len(value) == 1 and isinstance(value[0], Text) else tuple(map(plain, value))
    return value


def leaves(value: Value) -> Iterator[Value]:
    if isinstance(value, tuple) and not isinstance(value, Text):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def fill_maildir(folder: Path, samples: list[corpus.Sample]) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    for number, sample in enumerate(samples):
        (folder / "cur" / f"{1_000_000_000 + number}.M{number:06}.host:2,").write_bytes(sample.source)


def open_to_others(folder: Path) -> None:
    """Dovecot gives up root: the user that it becomes must get to its files."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
