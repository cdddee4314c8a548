"""`magpie serve`: the configuration and its mistakes, ports, limits, and the end of a server."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import giants, mailbox
from harness.server import BINARY, PASSWORD, any_certificate, free_port_base
from harness.site import Site
from harness.wire import Wire


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = Site(tmp_path_factory.mktemp("site"), '[mail]\nmessage_size = "100 KiB"\n')
    server.start().add("alice", "bob", password=PASSWORD)
    yield server
    server.stop()


def check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BINARY, "serve", "--check", "--config", path], capture_output=True, text=True, timeout=60)


def test_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "magpie.toml"
    path.write_text(
        'hostname = "mail.example.com"\n[smtp]\nreceipients = 100\n[listner.imap]\n[imap]\nerrors = "many"\n'
    )
    done = check(path)
    assert done.returncode == 1
    assert f'{path}:3: there is no key "receipients" in [smtp]; did you mean "recipients"?' in done.stderr
    assert f'{path}:4: there is no key "listner" at the top of the file; did you mean "listener"?' in done.stderr
    assert f"{path}:6: errors must be a number, not a text" in done.stderr
    path.write_text("hostname = ")
    assert f"{path}:1: " in check(path).stderr
    assert "magpie serve --example" in check(tmp_path / "nowhere.toml").stderr


def test_the_example_is_right(tmp_path: Path) -> None:
    path = tmp_path / "magpie.toml"
    path.write_bytes(subprocess.run([BINARY, "serve", "--example"], capture_output=True, check=True).stdout)
    done = check(path)
    assert (done.returncode, done.stdout) == (0, f"{path}: no mistakes found.\n"), done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["magpie.toml"], "looking writes nothing"


def test_mail_comes_and_is_read(site: Site) -> None:
    site.deliver("alice@example.test", giants.letter(1))
    with site.imaps("alice") as client:
        assert mailbox.count(client) == 1
    client = site.pop3s("bob")
    assert client.stat()[0] == 0
    client.quit()


def test_no_password_without_tls(site: Site) -> None:
    with site.imap() as client:
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(any_certificate())
        client.login("alice", PASSWORD)
    client = site.pop3()
    assert "USER" not in client.capa()
    client.quit()


def test_the_command_line_finds_the_server_by_its_configuration(site: Site) -> None:
    accounts = site.cli_json("account", "list")
    assert {account["address"] for account in accounts} == {"alice@example.test", "bob@example.test"}


def test_limits_of_the_configuration_hold(site: Site) -> None:
    with site.smtp() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(100 << 10)
    with site.imaps("alice") as client:
        assert client.append("INBOX", None, None, b"x" * (101 << 10))[0] != "OK"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    server = Site(tmp_path)
    server.base = free_port_base()
    with socket.create_server(("127.0.0.1", server.port("imap"))):
        done = subprocess.run(server._command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"port {server.port('imap')} on 127.0.0.1 is in use by another program, and imap needs it" in done.stderr


def test_places_by_address_and_in_all(tmp_path: Path) -> None:
    limits = {"imap": "connections_per_address = 2\n", "smtp": "connections = 1\n"}
    server = Site(tmp_path, "[connections]\ntotal = 4\n", limits).start()
    try:
        held = [Wire(server, "imap") for _ in range(2)]
        assert all(wire.line().startswith(b"* OK") for wire in held)
        with Wire(server, "imap") as turned_away:
            assert turned_away.line().startswith(b"* BYE [UNAVAILABLE]")
            assert turned_away.closed()
        smtp = Wire(server, "smtp")
        assert smtp.line().startswith(b"220")
        with Wire(server, "smtp") as turned_away:
            assert turned_away.line().startswith(b"421 4.7.0")
        pop3 = Wire(server, "pop3")
        assert pop3.line().startswith(b"+OK")
        with Wire(server, "lmtp") as turned_away:
            assert turned_away.line().startswith(b"421 4.7.0"), "the house is full"
        for wire in [*held, smtp, pop3]:
            wire.socket.close()
        while not Wire(server, "lmtp").line().startswith(b"220"):
            pass  # until the server has noticed
    finally:
        server.stop()


def test_sessions_finish_when_the_server_stops(tmp_path: Path) -> None:
    server = Site(tmp_path).start().add("alice", password=PASSWORD)
    idle = server.imaps("alice")
    idle.select()
    idle.send(b"x IDLE\r\n")
    assert idle.readline().startswith(b"+")
    sending = Wire(server, "smtp")
    sending.line()
    for command in (b"HELO client.example.com", b"MAIL FROM:<>", b"RCPT TO:<alice@example.test>", b"DATA"):
        sending.send(command + b"\r\n")
        assert sending.line()[:1] in b"23"
    sending.send(b"Subject: half\r\n\r\nof it")
    process = server.process
    process.send_signal(signal.SIGTERM)
    assert idle.readline().startswith(b"* BYE [UNAVAILABLE]")
    sending.send(b" and the rest\r\n.\r\n")
    assert sending.line().startswith(b"250"), "what has begun is finished"
    assert sending.closed()
    assert process.wait(30) == 0
    server.process = None
    server.start()
    with server.imaps("alice") as client:
        assert b"of it and the rest" in mailbox.newest(client)
    server.stop()


def test_a_session_that_does_not_end_is_cut(tmp_path: Path) -> None:
    server = Site(tmp_path, '[shutdown]\ndrain = "1s"\n').start().add("alice", password=PASSWORD)
    with Wire(server, "smtp") as wire:
        wire.line()
        for command in (b"HELO client.example.com", b"MAIL FROM:<>", b"RCPT TO:<alice@example.test>", b"DATA"):
            wire.send(command + b"\r\n")
            assert wire.line()[:1] in b"23"
        wire.send(b"Subject: half\r\n")
        server.stop()
        assert wire.closed()
    assert "cut off" in server.said()


def test_a_server_that_will_stop_says_so_first(tmp_path: Path) -> None:
    server = Site(tmp_path, '[shutdown]\nannounce = "3s"\n').start()
    assert server.get("/healthz/ready")[0] == 200
    stopping = threading.Thread(target=server.process.send_signal, args=(signal.SIGTERM,))
    stopping.start()
    while server.get("/healthz/ready")[0] == 200:
        pass
    assert "going down" in server.get("/healthz/ready")[1]
    assert server.get("/healthz/live")[0] == 200
    with Wire(server, "imap") as wire:
        assert wire.line().startswith(b"* OK"), "clients are served meanwhile"
    assert server.process.wait(30) == 0
    server.process = None


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = Site(tmp_path).start()
        assert listening.recv(1000).startswith(b"READY=1")
        server.stop()
        assert listening.recv(1000) == b"STOPPING=1"


def test_log_lines_in_json_share_the_trace_of_their_connection(tmp_path: Path) -> None:
    server = Site(tmp_path, '[log]\nformat = "json"\n').start().add("alice", password=PASSWORD)
    with server.smtp() as client:
        for number in range(2):
            client.sendmail("bob@example.com", ["alice@example.test"], giants.letter(number))
    server.deliver("alice@example.test", giants.letter(2))
    server.stop()
    delivered = [line for line in server.log_lines() if line["message"] == "delivered"]
    assert len(delivered) == 3
    assert {line["span"]["listener"] for line in delivered} == {"smtp"}
    traces = [line["span"]["trace"] for line in delivered]
    assert traces[0] == traces[1] != traces[2]
    assert len({line["id"] for line in delivered}) == 3
    assert PASSWORD not in server.said()
