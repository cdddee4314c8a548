"""The mails that the tests deliver, and what becomes of them on their way."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = ROOT / "tests" / "corpus"
FETCHED = ROOT / ".cache" / "corpus"


@dataclass(frozen=True)
class Sample:
    """One mail: where it comes from, and its bytes as they are in the file."""

    name: str
    source: bytes

    def __repr__(self) -> str:
        return self.name


def written(*families: str) -> list[Sample]:
    """The mails under tests/corpus; all of them, or those of the families named."""
    return [
        Sample(f"{path.parent.name}/{path.stem}", path.read_bytes())
        for path in sorted(WRITTEN.glob("*/*.eml"))
        if not families or path.parent.name in families
    ]


def expectations() -> dict[str, dict]:
    """For each written mail: its decoded subject, and words that a search finds."""
    return json.loads((WRITTEN / "expect.json").read_text())


def fetched(*sources: str) -> list[Sample]:
    """The real mails under .cache/corpus; `scripts/corpus.py` brings them there."""
    found = []
    for folder in sorted(FETCHED.iterdir()) if FETCHED.exists() else []:
        if folder.is_dir() and (not sources or folder.name in sources):
            found += [Sample(f"{folder.name}/{path.stem}", path.read_bytes()) for path in sorted(folder.iterdir())]
    if not found:
        raise AssertionError("the corpus is missing: run scripts/corpus.py")
    return found


def everything() -> list[Sample]:
    return written() + fetched()


def crlf(source: bytes) -> bytes:
    """A mail from a file, as it travels: every line end CRLF. A lone CR stays what it is."""
    return re.sub(rb"\r?\n", b"\r\n", source)


def on_the_wire(source: bytes) -> bytes:
    """A mail as an SMTP server receives it: CRLF, and a line end before the final dot (RFC 5321 §4.1.1.4)."""
    wire = crlf(source)
    return wire if wire.endswith(b"\r\n") or not wire else wire + b"\r\n"


def has_bare_line_end(wire: bytes) -> bool:
    """Whether a CR or LF stands alone: refused by SMTP (fault 1), welcome by import."""
    rest = wire.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def has_two_authors(wire: bytes) -> bool:
    """Whether the header has a second From: refused by SMTP (fault 19). A line without a name ends a header."""
    header = re.match(rb"(?:[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*", wire)[0]
    return len(re.findall(rb"(?im)^from[ \t]*:", header)) > 1


TRACE = re.compile(rb"(?:(Return-Path|Received|Delivered-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)")


def without_trace(stored: bytes, sent: bytes) -> bytes:
    """What is stored, less the trace fields that the server put before it; for comparing with what was sent.

    The fields are taken off only where they are all that stands before the message: anything else in front
    stays, and shows in the comparison.
    """
    extra = len(stored) - len(sent)
    if extra <= 0:
        return stored
    at = 0
    while at < extra and (field := TRACE.match(stored, at)):
        at = field.end()
    return stored[extra:] if at == extra else stored


def trace_of(stored: bytes, sent: bytes) -> bytes:
    """The trace fields that the server put before a message."""
    return stored[: len(stored) - len(without_trace(stored, sent))]


def difference(got: bytes, wanted: bytes) -> str:
    """Where two mails begin to differ, for a message that a person can read."""
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    return (
        f"lengths {len(got)} and {len(wanted)}; first difference at {at}: "
        f"got {got[max(at - 40, 0) : at + 40]!r}, wanted {wanted[max(at - 40, 0) : at + 40]!r}"
    )
