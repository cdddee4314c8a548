"""A web server for MTA-STS policies (RFC 8461 §3.3): HTTPS on an address of its own, whatever domain is asked for."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator

from . import loopback
from .authority import Authority


class PolicyServer:
    """Answers for `mta-sts.DOMAIN` with the domain's policy, with 404 where there is none.

    `policies` has texts, or a status and headers to answer with in their place.
    """

    def __init__(self, authority: Authority):
        self.authority = authority
        self.address = loopback.address()
        self.policies: dict[str, str | tuple[int, dict[str, str], str]] = {}
        self.asked: list[str] = []
        self.contexts: dict[str, ssl.SSLContext] = {}
        context = self._context("mta-sts.test")
        context.sni_callback = self._choose
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer((self.address, 443), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def set(self, domain: str, mode: str, *hosts: str, max_age: int = 86_400) -> None:
        """The policy of a domain: `mode`, and the hosts that may take its mail."""
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}"]
        self.policies[domain] = "\r\n".join(lines) + "\r\n"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _context(self, name: str) -> ssl.SSLContext:
        if name not in self.contexts:
            self.contexts[name] = self.authority.certify(name).context()
        return self.contexts[name]

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name:
            connection.context = self._context(name)

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        domain = request.headers["Host"].removeprefix("mta-sts.")
        self.asked.append(domain)
        policy = self.policies.get(domain, (404, {}, "there is none"))
        if request.path != "/.well-known/mta-sts.txt":
            policy = (404, {}, "there is nothing here")
        status, headers, text = (200, {}, policy) if isinstance(policy, str) else policy
        with contextlib.suppress(OSError):
            request.send_response(status)
            body = text.encode()
            for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)


@contextlib.contextmanager
def serving(authority: Authority) -> Iterator[PolicyServer]:
    server = PolicyServer(authority)
    try:
        yield server
    finally:
        server.close()
