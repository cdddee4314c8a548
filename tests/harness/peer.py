"""An SMTP server that does as a test tells it, however bad its manners: it answers never, wrongly, without end or once.

Every connection has a thread of its own. What was received whole is in `mails`, whatever was answered to it.
"""

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import loopback

Answer = bytes | Callable[[bytes], bytes]

# What is done with a message when its last octet is there, instead of an answer.
DROP, HANG = "drop", "hang"


@dataclass(frozen=True)
class Mail:
    """A message as it came: the arguments of MAIL and RCPT, and what stood between DATA and the dot."""

    sender: bytes
    recipients: tuple[bytes, ...]
    data: bytes
    tls: str | None
    connection: int
    at: float

    @property
    def addresses(self) -> list[str]:
        return [re.match(rb"<([^>]*)>", recipient)[1].decode() for recipient in self.recipients]


@dataclass
class Manners:
    """What a peer does. As it stands here, it is a plain server that takes everything."""

    name: str = "mx.peer.test"
    # None says nothing and keeps the connection.
    greeting: bytes | None = b"220 mx.peer.test ESMTP"
    extensions: tuple[bytes, ...] = (b"PIPELINING", b"8BITMIME", b"SIZE 60000000", b"ENHANCEDSTATUSCODES")
    tls: ssl.SSLContext | None = None
    # STARTTLS is offered, and then the handshake is broken off.
    tls_breaks: bool = False
    # TLS from the first octet on.
    immediate: bool = False
    # Answers that are not the usual ones, by verb; `.` is that to a whole message.
    answers: dict[bytes, Answer] = field(default_factory=dict)
    # Recipients that are taken in one transaction, and messages over one connection: then 452 and 421.
    most_recipients: int = 10_000
    most_messages: int = 1_000_000
    # The connection ends after the answer to each command.
    one_command: bool = False
    # DROP or HANG when the message is there.
    after_dot: str | None = None
    # Octets of an answer without end that are sent in place of the answer to this verb.
    flood: tuple[bytes, int] | None = None
    # What comes before its answer is dropped, as by servers that know no PIPELINING.
    lockstep: bool = False
    # How long it thinks before each answer, in seconds.
    delay: float = 0.0


class Peer:
    """The server. Its manners may change while it runs."""

    def __init__(self, address: str | None = None, port: int = 25, **manners) -> None:
        self.address, self.port = address or loopback.address(), port
        self.manners = Manners(**manners)
        self.mails: list[Mail] = []
        self.commands: list[bytes] = []
        self.verbs: Counter[bytes] = Counter()
        self.connections = 0
        self.open = self.most_open = 0
        self.flooded = 0
        self.news = threading.Condition()
        self.closing = threading.Event()
        self.sockets: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.listener = socket.create_server((self.address, port), family=family, backlog=200)
        threading.Thread(target=self._accept, daemon=True).start()

    # What tests ask. --------------------------------------------------------------------------------------

    def wait(self, count: int, timeout: float = 60) -> list[Mail]:
        """The mails, as soon as there are so many."""
        self.until(lambda: len(self.mails) >= count, timeout, f"{count} mails")
        return self.mails

    def until(self, holds: Callable[[], bool], timeout: float = 60, what: str = "it") -> None:
        with self.news:
            assert self.news.wait_for(holds, timeout), (
                f"{self.address}: not {what} within {timeout} s; {len(self.mails)} mails, {self.connections} "
                f"connections, the last commands: {self.commands[-8:]}"
            )

    def addresses(self) -> Counter[str]:
        """How often each recipient has got a message."""
        return Counter(address for mail in self.mails for address in mail.addresses)

    def change(self, **manners) -> None:
        for name, value in manners.items():
            assert hasattr(self.manners, name), name
            setattr(self.manners, name, value)

    def close(self) -> None:
        """No connection is accepted any more, and those that there are end."""
        self.closing.set()
        # A thread that waits in accept() holds the port: wake it up.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Ends every connection without a word."""
        for connection in list(self.sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    # How it answers. --------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self.news:
            self.connections += 1
            number = self.connections
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self.news.notify_all()
        self.sockets.add(connection)
        with contextlib.suppress(OSError, EOFError):
            Conversation(self, connection, number).run()
        self.sockets.discard(connection)
        connection.close()
        with self.news:
            self.open -= 1
            self.news.notify_all()

    def _heard(self, line: bytes) -> None:
        with self.news:
            self.commands.append(line)
            self.verbs[verb_of(line)] += 1
            self.news.notify_all()

    def _received(self, mail: Mail) -> None:
        with self.news:
            self.mails.append(mail)
            self.news.notify_all()


class Conversation:
    """One connection."""

    def __init__(self, peer: Peer, connection: socket.socket, number: int):
        self.peer, self.manners, self.number = peer, peer.manners, number
        self.socket: socket.socket | ssl.SSLSocket = connection
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.messages = 0
        self._reset()

    def run(self) -> None:
        if self.manners.immediate:
            self._start_tls()
        if self.manners.greeting is None:
            return self._listen_for_ever()
        self._say(self.manners.greeting)
        while True:
            line = self._line()
            self.peer._heard(line)
            if self.manners.delay:
                time.sleep(self.manners.delay)
            if self.manners.lockstep:
                self._drop_what_came_early()
            verb = verb_of(line)
            if self.manners.flood and self.manners.flood[0] == verb:
                self._flood(self.manners.flood[1])
            answer = self.manners.answers.get(verb)
            if callable(answer):
                answer = answer(line)
            self._command(verb, line, answer)
            if verb == b"QUIT" or self.manners.one_command or (answer or b"").startswith(b"421"):
                return

    def _command(self, verb: bytes, line: bytes, answer: bytes | None) -> None:
        if verb in (b"EHLO", b"HELO", b"LHLO"):
            self._say(answer or self._welcome(verb))
        elif verb == b"STARTTLS" and answer is None:
            self._say(b"220 2.0.0 go ahead")
            self._start_tls()
        elif verb == b"MAIL":
            self._reset()
            if self.messages >= self.manners.most_messages:
                self._say(b"421 4.7.0 enough for one connection")
                raise EOFError
            if not answer or answer.startswith(b"2"):
                self.sender = line[10:]
            self._say(answer or b"250 2.1.0 ok")
        elif verb == b"RCPT":
            if not answer and len(self.recipients) >= self.manners.most_recipients:
                answer = b"452 4.5.3 too many recipients"
            if not answer or answer.startswith(b"2"):
                self.recipients.append(line[8:])
            self._say(answer or b"250 2.1.5 ok")
        elif verb == b"DATA":
            if not answer and not self.recipients:
                answer = b"554 5.5.1 no valid recipients"
            self._say(answer or b"354 go ahead")
            if not answer or answer.startswith(b"354"):
                self._message(self._until_dot())
        elif verb == b"BDAT":
            self._chunk(line)
        elif verb == b"RSET":
            self._reset()
            self._say(answer or b"250 2.0.0 ok")
        elif verb == b"QUIT":
            self._say(answer or b"221 2.0.0 bye")
        elif verb == b"NOOP":
            self._say(answer or b"250 2.0.0 ok")
        else:
            self._say(answer or b"500 5.5.1 what?")

    def _welcome(self, verb: bytes) -> bytes:
        extensions = list(self.manners.extensions) if verb != b"HELO" else []
        if self.manners.tls and not isinstance(self.socket, ssl.SSLSocket) and extensions:
            extensions.append(b"STARTTLS")
        words = [self.manners.name.encode(), *extensions]
        return b"\r\n".join(b"250%c%s" % (b"- "[n == len(words) - 1], word) for n, word in enumerate(words))

    def _message(self, data: bytes) -> None:
        tls = self.socket.version() if isinstance(self.socket, ssl.SSLSocket) else None
        mail = Mail(self.sender, tuple(self.recipients), data, tls, self.number, time.monotonic())
        self.messages += 1
        answer = self.manners.answers.get(b".")
        if callable(answer):
            answer = answer(data)
        answer = answer or b"250 2.0.0 taken"
        if self.manners.flood and self.manners.flood[0] == b".":
            self.peer._received(mail)
            self._flood(self.manners.flood[1])
        if answer.startswith(b"2"):
            self.peer._received(mail)
        if self.manners.after_dot == DROP:
            raise EOFError
        if self.manners.after_dot == HANG:
            self._listen_for_ever()
        self._say(answer)
        self._reset()

    def _chunk(self, line: bytes) -> None:
        words = line.split()
        size = int(words[1])
        while len(self.buffer) < size:
            self._read()
        self.chunks += self.buffer[:size]
        self.buffer = self.buffer[size:]
        if words[-1].upper() == b"LAST":
            self._message(bytes(self.chunks))
        else:
            self._say(b"250 2.0.0 ok")

    def _until_dot(self) -> bytes:
        lines = []
        while (line := self._line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(line + b"\r\n" for line in lines)

    def _start_tls(self) -> None:
        # What came in plain text before the handshake is not to be taken for what comes after it.
        assert not self.buffer, "commands behind STARTTLS"
        if self.manners.tls_breaks:
            self.socket.recv(1)
            self.socket.sendall(b"this is no handshake\r\n")
            raise EOFError
        plain = self.socket
        self.socket = self.manners.tls.wrap_socket(plain, server_side=True)
        self.peer.sockets.discard(plain)
        self.peer.sockets.add(self.socket)

    def _flood(self, size: int) -> None:
        """Lines of an answer that has no last one, until somebody has had enough."""
        lines = b"250-and there is more to say about that\r\n" * 2000
        sent = 0
        while sent < size:
            self.socket.sendall(lines)
            sent += len(lines)
            with self.peer.news:
                self.peer.flooded += len(lines)

    def _drop_what_came_early(self) -> None:
        self.buffer = b""
        while select.select([self.socket], [], [], 0)[0]:
            if not self.socket.recv(65536):
                raise EOFError

    def _listen_for_ever(self) -> None:
        while True:
            self.buffer = b""
            self._read()

    def _reset(self) -> None:
        self.sender = b""
        self.recipients: list[bytes] = []
        self.chunks = bytearray()

    def _say(self, answer: bytes) -> None:
        self.socket.sendall(answer + b"\r\n")

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._read()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _read(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.buffer += data


def verb_of(line: bytes) -> bytes:
    return line.split(b" ", 1)[0].upper()


def once(answer: bytes, times: int = 1, then: bytes | None = None) -> Callable[[bytes], bytes | None]:
    """An answer that is given so many times, and the usual one after that."""
    left = [times]
    lock = threading.Lock()

    def say(_: bytes) -> bytes | None:
        with lock:
            left[0] -= 1
            return answer if left[0] >= 0 else then

    return say


@contextlib.contextmanager
def listening(*args, **manners) -> Iterator[Peer]:
    peer = Peer(*args, **manners)
    try:
        yield peer
    finally:
        peer.close()
