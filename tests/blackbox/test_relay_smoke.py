"""That nothing leaves a machine unless somebody says by which way, and that the ways are understood."""

import subprocess
from pathlib import Path

from harness.server import BINARY, running
from harness.site import Site

SECRET = "correct-horse-of-the-smarthost"


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
