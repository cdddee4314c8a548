"""The PROXY protocol: believed from a load balancer, and from nobody else."""

import socket
import struct
from collections.abc import Iterator

import pytest

from harness.server import PASSWORD, any_certificate
from harness.site import Site
from harness.wire import Wire

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client: str) -> bytes:
    return f"PROXY TCP4 {client} 198.51.100.1 56324 25\r\n".encode()


def v2(client: str, extra: bytes = b"") -> bytes:
    version = socket.AF_INET6 if ":" in client else socket.AF_INET
    addresses = socket.inet_pton(version, client) * 2 + struct.pack("!HH", 56324, 25) + extra
    family = 0x21 if ":" in client else 0x11
    return SIGNATURE + struct.pack("!BBH", 0x21, family, len(addresses)) + addresses


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """smtp and imaps stand behind a proxy on this machine, the others do not."""
    behind = 'proxies = ["127.0.0.0/8", "::1"]\nconnections_per_address = 2\n'
    server = Site(
        tmp_path_factory.mktemp("site"),
        '[connections]\nproxy_header = "1s"\n',
        {"smtp": behind, "imaps": behind, "imap": 'proxies = "192.0.2.0/24"\n'},
    )
    server.start().add("alice", password=PASSWORD)
    yield server
    server.stop()


def begin(site: Site, header: bytes, protocol: str = "smtp") -> Wire:
    wire = Wire(site, "smtp" if protocol == "imaps" else protocol)
    if protocol == "imaps":
        wire.socket.close()
        wire.socket = socket.create_connection(("127.0.0.1", site.port("imaps")), timeout=30)
    wire.send(header)
    return wire


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (v1("192.0.2.7"), "[192.0.2.7]"),
        (v2("192.0.2.8"), "[192.0.2.8]"),
        (v2("2001:db8::9", b"\x04\x00\x05abcde"), "[IPv6:2001:db8::9]"),
        (SIGNATURE + b"\x20\x00\x00\x00", "[127.0.0.1]"),
        (b"PROXY UNKNOWN\r\n", "[127.0.0.1]"),
    ],
)
def test_the_client_is_whom_the_proxy_names(site: Site, header: bytes, client: str) -> None:
    """Everything in one packet: the header, and what the client has sent already."""
    with begin(site, header + b"HELO client.example.com\r\n") as wire:
        assert wire.line().startswith(b"220")
        for command in (b"MAIL FROM:<>", b"RCPT TO:<alice@example.test>", b"DATA", b"Subject: x\r\n\r\nx\r\n."):
            assert wire.line()[:1] in b"23"
            wire.send(command + b"\r\n")
        assert wire.line().startswith(b"250")
    with begin(site, v1("192.0.2.200"), "imaps") as wire:
        wire.start_tls()
        assert wire.line().startswith(b"* OK")
        wire.send(f"a LOGIN alice {PASSWORD}\r\nb SELECT INBOX\r\nc FETCH * BODY[HEADER]\r\n".encode())
        header_block = b""
        while not (line := wire.line()).startswith(b"c "):
            header_block += line + b"\n"
        assert client.encode() in header_block


@pytest.mark.parametrize(
    "said",
    [
        b"EHLO client.example.com\r\n",
        b"PROXY TCP4 192.0.2.1\r\n",
        SIGNATURE + b"\x21\x11\x00\x02ab",
        b"PROXY TCP4 " * 30,
    ],
)
def test_a_proxy_without_a_header_is_turned_away(site: Site, said: bytes) -> None:
    with begin(site, said) as wire:
        assert wire.line() == b""


def test_a_proxy_that_says_nothing_is_turned_away(site: Site) -> None:
    with begin(site, b"") as wire:
        assert wire.line() == b""


@pytest.mark.parametrize("protocol", ["imap", "pop3", "lmtp"])
@pytest.mark.parametrize("header", [v1("192.0.2.1"), v2("192.0.2.1")])
def test_14_a_header_from_anybody_else_closes_the_connection(site: Site, protocol: str, header: bytes) -> None:
    follows = {"imap": b"a CAPABILITY\r\n", "pop3": b"CAPA\r\n", "lmtp": b"LHLO client.example.com\r\n"}
    with begin(site, header + follows[protocol], protocol) as wire:
        assert wire.line(), "the greeting"
        assert wire.line() == b""


def test_places_are_counted_by_client(site: Site) -> None:
    held = [begin(site, v1("203.0.113.1")) for _ in range(2)]
    assert all(wire.line().startswith(b"220") for wire in held)
    with begin(site, v2("203.0.113.1")) as third:
        assert third.line().startswith(b"421 4.7.0")
    others = [begin(site, v1(f"203.0.113.{number}")) for number in range(2, 8)]
    assert all(wire.line().startswith(b"220") for wire in others), "the proxy itself has no such limit"
    for wire in held + others:
        wire.socket.close()


def test_the_server_still_works(site: Site) -> None:
    client = site.pop3()
    client.stls(any_certificate())
    client.user("alice")
    client.pass_(PASSWORD)
    client.quit()
