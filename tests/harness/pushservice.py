"""A push service (RFC 8030) of the tests' own, and an app that gets its messages: what only the app can read (RFC 8291), and
whether it is from whom it says (RFC 8292), is found out with libraries that have nothing to do with Magpie."""

import base64
import contextlib
import http.server
import json
import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import http_ece
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from .authority import Authority


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass(frozen=True)
class Posted:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """What it says, if it is not encrypted."""
        return json.loads(self.body)

    def sender(self, origin: str) -> tuple[str, dict[str, Any]]:
        """The key by which the sender is known, and its claims: signed, for this service, and for no more than a day."""
        scheme, _, rest = self.headers["authorization"].partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        assert scheme == "vapid"
        signed, _, signature = parts["t"].rpartition(".")
        octets = decoded(signature)
        assert len(octets) == 64
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(parts["k"]))
        r, s = (int.from_bytes(half) for half in (octets[:32], octets[32:]))
        key.verify(utils.encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
        head, claims = (json.loads(decoded(part)) for part in signed.split("."))
        assert head == {"typ": "JWT", "alg": "ES256"}
        assert claims["aud"] == origin and time.time() < claims["exp"] <= time.time() + 86_400
        return parts["k"], claims


class PushService:
    """HTTPS at a port of loopback. Answers 201, or else what is in `answers`: a status and further headers."""

    def __init__(self, authority: Authority, name: str):
        self.name = name
        self.posted: queue.Queue[Posted] = queue.Queue()
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.always: tuple[int, dict[str, str]] = (201, {})
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service._take(self)

            do_GET = do_POST

            def log_message(self, *_) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = authority.certify(name).context()
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"https://{self.name}:{self.server.server_address[1]}"

    def next(self, timeout: float = 60) -> Posted:
        return self.posted.get(timeout=timeout)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in request.headers.items()}
        status, further = self.answers.pop(0) if self.answers else self.always
        self.posted.put(Posted(request.path, headers, body))
        with contextlib.suppress(OSError):
            request.send_response(status)
            for name, value in {"Content-Length": "0", **further}.items():
                request.send_header(name, value)
            request.end_headers()


class App:
    """Has the keys of a subscription."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    def keys(self) -> dict[str, str]:
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"p256dh": encoded(point), "auth": encoded(self.auth)}

    def read(self, posted: Posted) -> dict[str, Any]:
        """What a message says that is for this app alone."""
        assert posted.headers["content-encoding"] == "aes128gcm"
        text = http_ece.decrypt(posted.body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return json.loads(text)


@contextlib.contextmanager
def serving(authority: Authority, name: str) -> Iterator[PushService]:
    service = PushService(authority, name)
    try:
        yield service
    finally:
        service.close()
