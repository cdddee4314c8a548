"""Certificates from files: by the name that a client asks for, exchanged while the server runs."""

import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import PASSWORD, any_certificate
from harness.site import Site, certificate, certificate_settings


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two certificates; their files are looked at when the server is told to, and not before."""
    pairs = [
        certificate(tmp_path, "first", "mail.example.test"),
        certificate(tmp_path, "second", "imap.example.org", "*.example.net"),
    ]
    server = Site(tmp_path, '[tls]\ncheck_every = "1h"\n' + certificate_settings(*pairs))
    server.start().add("alice", password=PASSWORD)
    yield server
    if server.process:
        server.stop()


def connect(
    site: Site, protocol: str = "imaps", name: str | None = "mail.example.test", session=None, alpn=None
) -> ssl.SSLSocket:
    context = site.tls if hasattr(site, "tls") else any_certificate()
    site.tls = context
    if alpn:
        context = any_certificate()
        context.set_alpn_protocols(alpn)
    plain = socket.create_connection(("127.0.0.1", site.port(protocol)), timeout=30)
    return context.wrap_socket(plain, server_hostname=name, session=session)


def shown(site: Site, name: str | None = "mail.example.test") -> str:
    """The certificate that a client is shown, in PEM."""
    with connect(site, name=name) as client:
        return ssl.DER_cert_to_PEM_cert(client.getpeercert(binary_form=True)).strip()


def pem(path: Path) -> str:
    return path.read_text().strip()


def test_the_name_decides(site: Site, tmp_path: Path) -> None:
    first, second = pem(tmp_path / "first.crt"), pem(tmp_path / "second.crt")
    assert shown(site) == first
    assert shown(site, None) == first
    assert shown(site, "unknown.example") == first
    assert shown(site, "IMAP.example.org") == second
    assert shown(site, "pop.example.net") == second


def wait_for(site: Site, words: str, times: int = 1) -> None:
    deadline = time.monotonic() + 30
    while site.said().count(words) < times:
        assert time.monotonic() < deadline, site.log_tail()
        time.sleep(0.01)


def test_a_new_certificate_is_shown_and_sessions_go_on(site: Site, tmp_path: Path) -> None:
    with site.imaps("alice") as before:
        old = pem(tmp_path / "first.crt")
        certificate(tmp_path, "first", "mail.example.test")
        assert shown(site) == old, "nobody has looked yet"
        site.process.send_signal(signal.SIGHUP)
        wait_for(site, "a new certificate is shown")
        assert shown(site) == pem(tmp_path / "first.crt") != old
        assert before.noop()[0] == "OK"


def test_a_broken_certificate_changes_nothing(site: Site, tmp_path: Path) -> None:
    old = pem(tmp_path / "first.crt")
    shutil.copy(tmp_path / "second.key", tmp_path / "first.key")
    site.process.send_signal(signal.SIGHUP)
    wait_for(site, "the key does not belong to the certificate")
    assert shown(site) == old
    (tmp_path / "first.crt").unlink()
    site.process.send_signal(signal.SIGHUP)
    wait_for(site, "the old one is shown on", 2)
    assert shown(site) == old
    certificate(tmp_path, "first", "mail.example.test")
    site.process.send_signal(signal.SIGHUP)
    wait_for(site, "a new certificate is shown")
    assert shown(site) == pem(tmp_path / "first.crt") != old


def test_files_are_looked_at_now_and_then(tmp_path: Path) -> None:
    pair = certificate(tmp_path, "first", "mail.example.test", days=3)
    server = Site(tmp_path, '[tls]\ncheck_every = "1s"\n' + certificate_settings(pair)).start()
    try:
        wait_for(server, "a certificate expires soon")
        certificate(tmp_path, "first", "mail.example.test")
        wait_for(server, "a new certificate is shown")
        assert shown(server) == pem(tmp_path / "first.crt")
    finally:
        server.stop()


def test_04_a_ticket_of_another_listener_is_worth_nothing(site: Site) -> None:
    def greeted(client: ssl.SSLSocket) -> ssl.SSLSession:
        client.recv(1000)
        return client.session

    with connect(site) as client:
        ticket = greeted(client)
        assert ticket.has_ticket and not client.session_reused
    with connect(site, session=ticket) as client:
        greeted(client)
        assert client.session_reused
    with connect(site) as client:
        ticket = greeted(client)
    with connect(site, "pop3s", session=ticket) as client:
        greeted(client)
        assert not client.session_reused


def test_a_connection_meant_for_another_service_is_refused(site: Site) -> None:
    with connect(site, alpn=["imap"]) as client:
        assert client.selected_alpn_protocol() == "imap"
    with pytest.raises(ssl.SSLError):
        connect(site, alpn=["http/1.1"])


def test_a_certificate_that_cannot_be_used_stops_the_start(site: Site, tmp_path: Path) -> None:
    (tmp_path / "second.key").write_text("rubbish")
    done = site.cli("serve", "--check", check=False)
    assert done.returncode == 1
    assert f"the certificate {tmp_path / 'second.crt'} cannot be used: the key cannot be read" in done.stderr
