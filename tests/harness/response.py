"""Reading IMAP responses into plain Python, by a grammar that knows nothing of what a server means by them."""

import re
import socket
from typing import NamedTuple

# An atom as servers write them, flags and section specifications included.
ATOM = re.compile(rb'(?:[^\x00-\x20()"\[\]{}]|\[[^\]]*\](?:<\d+>)?)+')
QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\.)*)"', re.DOTALL)
LITERAL = re.compile(rb"\{(\d+)\}\r\n")


class Text(NamedTuple):
    """A quoted string or a literal: never NIL, never a number, whatever is in it."""

    octets: bytes


# NIL is None; a number is an int; an atom is str; a string is Text; a list is a tuple.
Value = None | int | str | Text | tuple


class GrammarError(AssertionError):
    """What a server sent is not what RFC 9051 §9 lets it send."""


class Reader:
    """Reads one response after another from bytes."""

    def __init__(self, octets: bytes):
        self.octets = octets
        self.at = 0

    def value(self) -> Value:
        if self.starts_with(b"("):
            return self.sequence()
        if found := QUOTED.match(self.octets, self.at):
            self.at = found.end()
            return Text(re.sub(rb"\\(.)", rb"\1", found[1], flags=re.DOTALL))
        if found := LITERAL.match(self.octets, self.at):
            self.at = found.end() + int(found[1])
            return Text(self.octets[found.end() : self.at])
        if found := ATOM.match(self.octets, self.at):
            self.at = found.end()
            word = found[0].decode("utf-8")
            return None if word.upper() == "NIL" else int(word) if word.isdigit() else word
        raise GrammarError(f"octet {self.at}: {self.octets[self.at : self.at + 60]!r}")

    def sequence(self) -> tuple:
        """A parenthesised list. Between the parts of a multipart body there is no space (RFC 9051 §9, `body-type-mpart`)."""
        self.expect(b"(")
        found = []
        while not self.starts_with(b")"):
            found.append(self.value())
            if self.starts_with(b" "):
                self.at += 1
        self.expect(b")")
        return tuple(found)

    def starts_with(self, octets: bytes) -> bool:
        return self.octets.startswith(octets, self.at)

    def expect(self, octets: bytes) -> None:
        if not self.starts_with(octets):
            raise GrammarError(f"octet {self.at}: {octets!r} expected, found {self.octets[self.at : self.at + 60]!r}")
        self.at += len(octets)


class Client:
    """A connection that sends commands and gives back what came before the tagged answer."""

    def __init__(self, port: int, user: str, password: str):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.stream.readline()
        self.command(f"LOGIN {user} {password}")

    def command(self, text: str) -> bytes:
        """Everything untagged that the command brings. An answer other than OK is an error."""
        self.socket.sendall(b"t " + text.encode() + b"\r\n")
        said = bytearray()
        while True:
            line = self.stream.readline()
            if not line:
                raise GrammarError(f"the connection ended in the middle of {text[:60]!r}, after {bytes(said[-200:])!r}")
            if line.startswith(b"t "):
                if not line.startswith(b"t OK"):
                    raise GrammarError(f"{text[:60]!r}: {line!r}")
                return bytes(said)
            said += line
            while found := re.search(rb"\{(\d+)\}\r\n$", line):
                said += self.stream.read(int(found[1]))
                line = self.stream.readline()
                said += line

    def fetch(self, numbers: str, items: str) -> dict[int, dict[str, Value]]:
        """The answers to FETCH: for each message its items by name."""
        reader = Reader(self.command(f"FETCH {numbers} ({items})"))
        found: dict[int, dict[str, Value]] = {}
        while reader.at < len(reader.octets):
            if not re.compile(rb"\* \d+ FETCH ").match(reader.octets, reader.at):
                # News of something else, such as of a keyword that is new here: one line.
                reader.at = reader.octets.index(b"\r\n", reader.at) + 2
                continue
            reader.expect(b"* ")
            number = reader.value()
            reader.expect(b" FETCH ")
            pairs = reader.sequence()
            reader.expect(b"\r\n")
            assert isinstance(number, int) and len(pairs) % 2 == 0, (number, pairs)
            found.setdefault(number, {}).update(zip(pairs[::2], pairs[1::2]))
        return found

    def close(self) -> None:
        self.stream.close()
        self.socket.close()
