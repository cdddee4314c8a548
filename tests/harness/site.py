"""A server that `magpie serve` runs from a configuration, with certificates that a test makes."""

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from .server import BINARY, OFFSETS, Magpie

# Listeners by the names that Magpie knows; each gets a port of its own on loopback.
LISTENERS = ("smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s", "http")


class Site(Magpie):
    """`settings` is what stands in the configuration besides hostname, data directory and the listeners' addresses;
    `listeners` has further lines for single listeners, of which `names` are there."""

    def __init__(
        self,
        folder: Path,
        settings: str = "",
        listeners: dict[str, str] | None = None,
        names: tuple[str, ...] = LISTENERS,
    ):
        super().__init__(folder / "data", users=0)
        self.config = folder / "magpie.toml"
        self.settings = settings
        self.listeners = listeners or {}
        self.names = names

    def _command(self) -> list[str]:
        self.config.write_text(self.configuration())
        return [str(BINARY), "serve", "--config", str(self.config)]

    def configuration(self) -> str:
        text = f'hostname = "mail.example.test"\ndata = "{self.data}"\n'
        text += self.settings
        for name in self.names:
            text += f'[listener.{name}]\naddresses = "localhost:{self.base + OFFSETS[name]}"\n'
            text += self.listeners.get(name, "")
        return text

    def add(self, *names: str, password: str) -> "Site":
        """Makes accounts in example.test."""
        self.cli("domain", "create", "example.test")
        for name in names:
            self.cli("account", "create", f"{name}@example.test", "--password", password)
        return self

    def environment(self) -> dict[str, str]:
        values = super().environment()
        del values["MAGPIE_DATA"]
        return dict(values, MAGPIE_CONFIG=str(self.config))

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """An answer of the http port."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port('http')}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def said(self) -> str:
        """The server's log."""
        return self.log.read_text(errors="replace")

    def log_lines(self) -> list[dict]:
        """The log lines of a server that logs in JSON."""
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]


def certificate(folder: Path, name: str, *names: str, days: int = 90) -> tuple[Path, Path]:
    """Makes a certificate for some names; returns the paths of its chain and its key."""
    chain, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", str(days), "-subj", f"/CN={names[0]}", "-addext",
         "subjectAltName=" + ",".join(f"DNS:{each}" for each in names), "-out", str(chain), "-keyout", str(key)],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def certificate_settings(*pairs: tuple[Path, Path]) -> str:
    return "".join(f'[[tls.certificate]]\nchain = "{chain}"\nkey = "{key}"\n' for chain, key in pairs)
