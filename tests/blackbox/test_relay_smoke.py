"""That nothing leaves a machine unless somebody says by which way, and that mail gets there by those that are named."""

import socket
import subprocess
import threading
from pathlib import Path

from harness.server import BINARY, PASSWORD, any_certificate, running
from harness.site import Site

SECRET = "correct-horse-of-the-smarthost"


class Sink:
    """A server that takes every message, one connection at a time."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.mails: list[bytes] = []
        self.arrived = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self.socket.accept()
            with connection, connection.makefile("rwb") as file:
                self._talk(file)

    def _talk(self, file) -> None:
        def answer(text: bytes) -> None:
            file.write(text + b"\r\n")
            file.flush()

        answer(b"220 sink.test")
        envelope = b""
        for line in file:
            verb = line[:4].upper()
            if verb == b"DATA":
                answer(b"354 go")
                text = b"".join(iter(file.readline, b".\r\n"))
                self.mails.append(envelope + text)
                self.arrived.set()
                envelope = b""
            elif verb == b"QUIT":
                return answer(b"221 bye")
            elif verb in (b"MAIL", b"RCPT"):
                envelope += line
            answer(b"250 ok")
        return None


def test_what_is_submitted_gets_to_another_server(tmp_path: Path) -> None:
    sink = Sink()
    route = f'[login]\nplaintext = true\n[relay.route.default]\nhosts = "127.0.0.1:{sink.port}"\n'
    site = Site(tmp_path, route)
    site.start()
    site.add("alice", password=PASSWORD)
    with site.smtp("submission") as client:
        client.starttls(context=any_certificate())
        client.login("alice@example.test", PASSWORD)
        client.sendmail(
            "alice@example.test", ["bob@elsewhere.example"], b"From: alice@example.test\r\nSubject: out\r\n\r\n.dot\r\n"
        )
    assert sink.arrived.wait(60), site.log_tail()
    [mail] = sink.mails
    assert b"RCPT TO:<bob@elsewhere.example>" in mail and b"Subject: out\r\n" in mail and b"\r\n..dot\r\n" in mail
    site.stop()
    site.cli("verify")


def test_by_default_nothing_leaves(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        screen = server.log.read_text()
        assert "Mail for other domains waits in the queue: nothing leaves this machine." in screen
        assert "the relay is turned off" in screen


def test_whoever_names_a_smarthost_is_told_so(tmp_path: Path) -> None:
    with running(tmp_path / "data", options=("--smarthost", "127.0.0.1:2525")) as server:
        screen = server.log.read_text()
        assert "Mail for other domains goes to [127.0.0.1]:2525." in screen
        assert "the relay is turned off" not in screen


def test_passwords_are_read_and_never_shown(tmp_path: Path) -> None:
    password = tmp_path / "password"
    route = (
        '[relay.route.provider]\ndomains = "*"\nhosts = "127.0.0.1:2525"\nusername = "me"\n'
        f'password = "{password}"\n[log]\nfilter = "trace"\n'
    )
    site = Site(tmp_path, route)
    site.base = 10_000
    site.config.write_text(site.configuration())
    refused = subprocess.run([str(BINARY), "serve", "--config", str(site.config)], capture_output=True, text=True)
    assert refused.returncode != 0
    assert "[relay.route.provider]: password: cannot read" in refused.stderr
    password.write_text(f"{SECRET}\n")
    site.start()
    site.stop()
    assert SECRET not in site.said()
