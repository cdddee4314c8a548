"""What every family builds its mails with: headers in wire form, encoded words in any charset, parts."""

import base64
import quopri
import random
import textwrap
from dataclasses import dataclass, field

CRLF = b"\r\n"


@dataclass
class Mail:
    """One mail of the corpus, and what a reader who understands it can see.

    `subject` is the decoded subject (None where nobody can tell), `finds` are words that a search of the whole
    message must find.
    """

    source: bytes
    subject: str | None = None
    finds: list[str] = field(default_factory=list)


def word(text: str, charset: str, codec: str | None = None) -> str:
    """An encoded word (RFC 2047) in base64. `codec` is Python's name where it differs from the label."""
    return f"=?{charset}?B?{base64.b64encode(text.encode(codec or charset)).decode()}?="


def words(text: str, charset: str, codec: str | None = None, piece: int = 12) -> str:
    """A long text as several encoded words on folded lines, as mail programs write subjects."""
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    return "\r\n ".join(word(part, charset, codec) for part in pieces)


def q_word(text: str, charset: str, codec: str | None = None) -> str:
    """An encoded word in the Q encoding."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    encoded = "".join(chr(byte) if byte in safe else f"={byte:02X}" for byte in text.encode(codec or charset))
    return f"=?{charset}?Q?{encoded}?="


def head(*fields: tuple[str, str | bytes]) -> bytes:
    """Header fields in order, without the empty line that ends them."""
    lines = []
    for name, value in fields:
        value = value if isinstance(value, bytes) else value.encode("utf-8")
        lines.append(name.encode() + b": " + value + CRLF)
    return b"".join(lines)


def text(body: str, codec: str) -> bytes:
    """A body in one charset, with CRLF line ends."""
    return body.replace("\n", "\r\n").encode(codec)


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76, as RFC 2045 has it."""
    return b"".join(base64.b64encode(data[at : at + 57]) + CRLF for at in range(0, len(data), 57))


def quoted_printable(data: bytes) -> bytes:
    return quopri.encodestring(data.replace(CRLF, b"\n")).replace(b"\n", CRLF)


def part(content_type: str, body: bytes, *more: tuple[str, str | bytes]) -> bytes:
    """One part of a multipart: its headers, an empty line, its body."""
    return head(("Content-Type", content_type), *more) + CRLF + body


def multipart(boundary: str, *parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    """Parts between boundary lines. A line end before a boundary belongs to the boundary (RFC 2046 §5.1.1)."""
    edge = b"--" + boundary.encode()
    joined = b"".join(edge + CRLF + piece + CRLF for piece in parts)
    return preamble + joined + edge + b"--" + CRLF + epilogue


def noise(seed: int, size: int) -> bytes:
    """Bytes that no compressor makes smaller, the same on every run: stands for pictures and archives."""
    return random.Random(seed).randbytes(size)


def wrapped(paragraphs: str, width: int = 72) -> str:
    """Paragraphs broken into lines, for languages with spaces."""
    return "\n\n".join(textwrap.fill(" ".join(each.split()), width) for each in paragraphs.strip().split("\n\n")) + "\n"
