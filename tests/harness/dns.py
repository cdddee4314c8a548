"""A DNS server with the records that a test needs, in this process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class Dns:
    """Answers over UDP from a table; what is not in it does not exist. Remembers what it was asked."""

    def __init__(self) -> None:
        self.records: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[str]] = {}
        self.broken: set[dns.name.Name] = set()
        self.asked: list[str] = []
        self.delay = 0.0
        self.silent_until: dict[dns.name.Name, float] = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def add(self, name: str, kind: str, *values: str) -> None:
        """Records of a name, in the form that zone files have."""
        key = (dns.name.from_text(name), dns.rdatatype.from_text(kind))
        self.records.setdefault(key, []).extend(values)

    def add_text(self, name: str, text: str) -> None:
        """A TXT record of any length."""
        self.add(name, "TXT", " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)))

    def fail(self, name: str) -> None:
        """From now on the name's servers fail."""
        self.broken.add(dns.name.from_text(name))

    def mend(self, name: str) -> None:
        """The name's servers answer again."""
        self.broken.discard(dns.name.from_text(name))

    def silence(self, name: str, seconds: float) -> None:
        """Questions about a name are answered only when so many seconds have passed."""
        self.silent_until[dns.name.from_text(name)] = time.monotonic() + seconds

    def close(self) -> None:
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                data, client = self.socket.recvfrom(4096)
            except OSError:
                return
            with contextlib.suppress(Exception):
                late, answer = self._answer(data)
                if late:
                    threading.Timer(late, self._send, (answer, client)).start()
                else:
                    self._send(answer, client)

    def _send(self, answer: bytes, client) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendto(answer, client)

    def _answer(self, data: bytes) -> tuple[float, bytes]:
        """How late to answer, and what."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        # A resolver may ask in mixed case, and compares what it gets back.
        name = dns.name.from_text(question.name.to_text().lower())
        self.asked.append(f"{name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(question.rdtype)}")
        if self.delay:
            time.sleep(self.delay)
        reply = dns.message.make_response(query, recursion_available=True)
        values = self.records.get((name, question.rdtype))
        if name in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif values:
            reply.answer.append(dns.rrset.from_text(question.name, 300, "IN", question.rdtype, *values))
        elif not any(known.is_subdomain(name) for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        late = self.silent_until.get(name, 0.0) - time.monotonic()
        return max(late, 0.0), reply.to_wire(max_size=65_000)


@contextlib.contextmanager
def serving() -> Iterator[Dns]:
    server = Dns()
    try:
        yield server
    finally:
        server.close()
