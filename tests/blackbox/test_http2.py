"""HTTP/2: curl, an HTTP library, and clients that mean harm."""

import base64
import json
import struct
import subprocess
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from harness import frames, giants
from harness.curl import curl
from harness.frames import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, Raw, frame
from harness.server import PASSWORD, Magpie
from harness.web import Web


def url(magpie: Magpie, path: str) -> str:
    return f"https://127.0.0.1:{magpie.port('https')}{path}"


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_curl_speaks_both(magpie: Magpie, user: str, version: str) -> None:
    told = curl(
        "--insecure", f"--http{version}", "--user", f"{user}:{PASSWORD}", "--write-out", "\n%{http_version}",
        url(magpie, "/jmap/session"),
    )  # fmt: skip
    body, spoken = told.rsplit(b"\n", 1)
    assert spoken.decode() == version
    assert json.loads(body)["apiUrl"] == url(magpie, "/jmap/api")


def test_whoever_names_neither_is_refused_and_who_names_none_gets_the_old_one(magpie: Magpie) -> None:
    with pytest.raises(OSError):
        Raw(magpie.port("https"), ("imap",))
    with Raw(magpie.port("https"), ("http/1.1",)) as old:
        assert old.agreed == "http/1.1"


def test_many_requests_on_one_connection(magpie: Magpie, user: str, address: str) -> None:
    for number in range(5):
        magpie.deliver(address, giants.letter(number))
    with Web(magpie, user) as web:
        for _ in range(30):
            assert web.call("Email/query", calculateTotal=True)["total"] == 5
        blob = web.upload(b"x" * 3_000_000)
        assert web.get(web.file(blob)).content == b"x" * 3_000_000


def test_streams_of_one_connection_do_not_wait_for_each_other(magpie: Magpie, user: str) -> None:
    """An event source that never ends, and requests beside it, by a library that shows every frame."""
    with Web(magpie, user) as web:
        events = (
            web.session["eventSourceUrl"].replace("{types}", "*").replace("{closeafter}", "no").replace("{ping}", "0")
        )
        path = events.split("/", 3)[3]
        with web.stream("GET", f"/{path}") as source:
            assert source.status_code == 200
            for _ in range(5):
                assert web.get("/jmap/session").status_code == 200


def test_websockets_may_be_streams(magpie: Magpie) -> None:
    """RFC 8441: the server says so in its settings."""
    with Raw(magpie.port("https")) as raw:
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        conn.initiate_connection()
        raw.socket.sendall(conn.data_to_send())
        changed: dict = {}
        while not changed:
            for event in conn.receive_data(raw.socket.recv(65536)):
                if isinstance(event, h2.events.RemoteSettingsChanged):
                    changed = {int(code): setting.new_value for code, setting in event.changed_settings.items()}
    assert changed[8] == 1 and changed[3] == 100


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("pings", frame(PING, 0, 0, bytes(8))),
        ("settings", frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff")),
        ("bodies without octets", frame(frames.DATA, 0, 1)),
        ("unknown", frame(0xFA, 0, 0, b"x")),
    ],
)
def test_frames_that_ask_for_nothing(magpie: Magpie, user: str, name: str, octets: bytes) -> None:
    """CVE-2019-9512, -9515, -9518: the connection ends, and everybody else is served."""
    with Raw(magpie.port("https")) as raw:
        raw.begin()
        raw.socket.sendall(frame(HEADERS, END_HEADERS, 1, frames.block("/jmap/session")))
        sent = raw.flood(octets * 50, 64 << 20)
        assert sent < 64 << 20, f"{name}: all was taken"
    Web(magpie, user).close()


def test_requests_that_are_taken_back_at_once(magpie: Magpie, user: str) -> None:
    """CVE-2023-44487."""
    before = magpie.memory()
    for _ in range(5):
        with Raw(magpie.port("https")) as raw:
            raw.begin()
            pairs = b"".join(
                frame(HEADERS, END_HEADERS | END_STREAM, n, frames.block("/jmap/session"))
                + frame(RST_STREAM, 0, n, b"\x00\x00\x00\x08")
                for n in range(1, 40_001, 2)
            )
            assert raw.flood(pairs, 100 * len(pairs)) < 100 * len(pairs)
    assert magpie.memory() - before < 64 << 20
    Web(magpie, user).close()


def test_a_header_without_end(magpie: Magpie, user: str) -> None:
    """CVE-2024-27316: memory stays flat, and the connection ends."""
    before = magpie.memory()
    field = (b"\x10\x01x\x64" + b"y" * 100) * 150
    with Raw(magpie.port("https")) as raw:
        raw.begin()
        raw.socket.sendall(frame(HEADERS, END_STREAM, 1, frames.block("/jmap/session")))
        assert raw.flood(frame(CONTINUATION, 0, 1, field), 256 << 20) < 256 << 20
    assert magpie.memory() - before < 32 << 20
    Web(magpie, user).close()


def test_answers_that_nobody_takes_do_not_fill_memory(magpie: Magpie, user: str) -> None:
    """A client asks for a large file a hundred times, and gives no room for any of it."""
    with Web(magpie, user) as web:
        blob = web.upload(bytes(20 << 20))
        before = magpie.memory()
        with Raw(magpie.port("https")) as raw:
            conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
            conn.initiate_connection()
            conn.update_settings({4: 0})
            login = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
            fields = [
                (":method", "GET"), (":scheme", "https"), (":authority", "mail.example.test"),
                (":path", web.file(blob, "image/png")), ("authorization", login),
            ]  # fmt: skip
            for n in range(1, 201, 2):
                conn.send_headers(n, fields, end_stream=True)
            raw.socket.sendall(conn.data_to_send())
            statuses: list[bytes] = []
            while len(statuses) < 100:
                for event in conn.receive_data(raw.socket.recv(65536)):
                    if isinstance(event, h2.events.ResponseReceived):
                        statuses.append(dict(event.headers)[b":status"])
                raw.socket.sendall(conn.data_to_send())
            assert set(statuses) <= {b"200", b"429"} and statuses.count(b"200") >= 64
            assert magpie.memory() - before < 64 << 20
        # Their places are free when the connection is gone.
        while (answer := web.get(web.file(blob, "image/png"))).status_code == 429:
            pass
        assert answer.content == bytes(20 << 20)


def test_a_server_that_stops_says_so(data: Path) -> None:
    """GOAWAY: the client comes back later, and nothing is cut."""
    server = Magpie(data, users=1).start()
    last = []
    with Raw(server.port("https")).begin() as raw:
        for kind, flags, _, payload in raw.frames():
            if kind == SETTINGS and not flags:
                server.process.terminate()
            if kind == PING and not flags:
                raw.socket.sendall(frame(PING, 1, 0, payload))
            if kind == frames.GOAWAY:
                last.append(struct.unpack(">II", payload[:8]))
    # First that it is time to go, and then, when that has been heard, which request was the last: there was none.
    assert last == [(0x7FFFFFFF, 0), (0, 0)]
    assert server.process.wait(60) == 0
    server.process = None


def test_curl_follows_a_stop_while_it_downloads(magpie: Magpie, user: str) -> None:
    """Octets that are on their way arrive: a slow reader of HTTP/2 gets all of a large file."""
    with Web(magpie, user) as web:
        content = bytes(range(256)) * 40_000
        blob = web.upload(content)
    done = subprocess.run(
        ["curl", "--silent", "--insecure", "--http2", "--limit-rate", "5M", "--user", f"{user}:{PASSWORD}",
         url(magpie, web.file(blob, "image/png"))], capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == content
