"""Bare connections, for what a well-behaved client library would not send."""

import re
import socket
import ssl
import time
import zlib

from .server import PASSWORD, Magpie, any_certificate


class Wire:
    """A socket that is written to byte by byte and read line by line."""

    def __init__(self, server: Magpie, protocol: str, timeout: float = 30):
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", server.port(protocol)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if protocol in ("imaps", "pop3s", "submissions"):
            self.start_tls()
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def start_tls(self) -> None:
        context: ssl.SSLContext = any_certificate()
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        """The next line, without its CRLF; empty when the connection was closed."""
        while b"\r\n" not in self.buffer:
            try:
                data = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                rest, self.buffer = self.buffer, b""
                return rest
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed inside a literal")
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def closed(self, within: float = 30) -> bool:
        """Whether the server closes the connection, whatever it says before that."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.1))
            try:
                if not self.socket.recv(65536):
                    return True
            except (ConnectionResetError, BrokenPipeError):
                return True
            except TimeoutError:
                return False
        return False


class Deflated:
    """A connection's socket with a deflate layer in both directions."""

    def __init__(self, plain: socket.socket):
        self.plain = plain
        self.packer = zlib.compressobj(wbits=-15)
        self.unpacker = zlib.decompressobj(wbits=-15)
        self.received = 0

    def sendall(self, data: bytes) -> None:
        self.plain.sendall(self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size: int) -> bytes:
        while data := self.plain.recv(size):
            self.received += len(data)
            if clear := self.unpacker.decompress(data):
                return clear
        return b""

    def settimeout(self, seconds: float) -> None:
        self.plain.settimeout(seconds)

    def close(self) -> None:
        self.plain.close()


class SmtpWire(Wire):
    """A bare SMTP connection, past the greeting."""

    def __init__(self, server: Magpie, protocol: str = "smtp", ehlo: bool = True, timeout: float = 30):
        super().__init__(server, protocol, timeout)
        self.greeting = self.reply()
        if ehlo:
            assert self.command(b"EHLO client.example.com")[0] == 250

    def reply(self) -> tuple[int, bytes]:
        """One reply, its lines joined; (0, …) when the connection was closed."""
        texts = []
        while True:
            line = self.line()
            if not re.match(rb"\d{3}([ -]|$)", line):
                return 0, line
            texts.append(line[4:])
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(texts)

    def command(self, line: bytes) -> tuple[int, bytes]:
        self.send(line + b"\r\n")
        return self.reply()

    def begin(self, recipient: bytes = b"alice@example.test", sender: bytes = b"bob@example.com") -> None:
        """Goes as far as 354."""
        assert self.command(b"MAIL FROM:<" + sender + b">")[0] == 250
        assert self.command(b"RCPT TO:<" + recipient + b">")[0] == 250
        assert self.command(b"DATA")[0] == 354


class ImapWire(Wire):
    """A bare IMAP connection, past the greeting; with a user, logged in."""

    def __init__(self, server: Magpie, user: str | None = None, protocol: str = "imap", timeout: float = 30):
        super().__init__(server, protocol, timeout)
        self.count = 0
        self.greeting = self.line()
        if user:
            assert self.command(b"LOGIN %s %s" % (user.encode(), PASSWORD.encode()))[0] == b"OK"

    def compress(self) -> Deflated:
        """Compresses the connection from here on."""
        assert self.command(b"COMPRESS DEFLATE")[0] == b"OK"
        deflated = Deflated(self.socket)
        self.socket = deflated
        return deflated

    def response(self) -> bytes:
        """One response, literals included."""
        whole = self.line()
        while literal := re.search(rb"\{(\d+)\}$", whole):
            whole += b"\r\n" + self.exactly(int(literal[1])) + self.line()
        return whole

    def tag(self) -> bytes:
        self.count += 1
        return b"t%d" % self.count

    def command(self, line: bytes) -> tuple[bytes, bytes, list[bytes]]:
        """Sends a command; returns its outcome (OK, NO, BAD), the text, and the untagged responses before it."""
        tag = self.tag()
        self.send(tag + b" " + line + b"\r\n")
        return self.outcome(tag)

    def outcome(self, tag: bytes) -> tuple[bytes, bytes, list[bytes]]:
        """Reads up to the response that ends the command `tag`. A closed connection is the outcome `BYE`."""
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag + b" "):
                _, outcome, text = (response + b" ").split(b" ", 2)
                return outcome, text.strip(), untagged
            if not response:
                return b"BYE", b"", untagged
            untagged.append(response)
