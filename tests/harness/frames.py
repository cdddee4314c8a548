"""HTTP/2 frames as a hostile client sends them: over TLS, with nothing between the test and the octets."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(path: str, host: str = "mail.example.test") -> bytes:
    """The header of a GET, in the simplest form that HPACK has."""
    return b"\x82\x87" + b"".join(
        bytes([index, len(text)]) + text.encode() for index, text in ((0x04, path), (0x01, host))
    )


class Raw:
    """A connection that has agreed on h2, and then does as it likes."""

    def __init__(self, port: int, alpn: tuple[str, ...] = ("h2",)):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(alpn))
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60))
        self.agreed = self.socket.selected_alpn_protocol()

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def begin(self) -> "Raw":
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        return self

    def frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """What the server sends, until it closes: kind, flags, stream, payload."""
        with self.socket.makefile("rb") as incoming:
            while len(head := incoming.read(9)) == 9:
                length, kind, flags, stream = struct.unpack(">I", b"\0" + head[:3]) + struct.unpack(">BBI", head[3:])
                yield kind, flags, stream, incoming.read(length)

    def flood(self, octets: bytes, most: int) -> int:
        """Sends this again and again, and reads nothing; how many octets were taken until the server had enough."""
        sent = 0
        with contextlib.suppress(OSError):
            while sent < most:
                self.socket.sendall(octets)
                sent += len(octets)
        return sent
