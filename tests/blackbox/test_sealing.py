"""Seals (ARC) that `crates/checks/examples/seal.rs` makes with the code that seals in the server; dkimpy verifies them."""

import subprocess

import dkim
import pytest

from harness import corpus
from harness.server import ROOT

SEAL = ROOT / "target" / "debug" / "examples" / "seal"


def sealed(message: bytes) -> tuple[dict[str, str], bytes]:
    """The records of two servers, and the message with a seal of each."""
    if not SEAL.exists():
        pytest.skip("the example is not built: cargo build -p magpie-checks --examples")
    out = subprocess.run([str(SEAL)], input=message, capture_output=True, check=True).stdout
    records, message = out.split(b"\n\n", 1)
    return dict(line.decode().split(" ", 1) for line in records.splitlines()), message


def verified(records: dict[str, str], message: bytes) -> bytes:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".").removeprefix("s._domainkey.")].encode()

    return dkim.arc_verify(message, dnsfunc=lookup)[0]


@pytest.mark.parametrize("sample", corpus.written("korean", "japanese", "structure", "signed"), ids=repr)
def test_seals_are_verified_by_others(sample: corpus.Sample) -> None:
    message = corpus.crlf(sample.source)
    if b"\nARC-Seal:" in b"\n" + message:
        pytest.skip("sealed by somebody already")
    records, message = sealed(message)
    assert message.count(b"ARC-Seal: i=") == 2
    assert verified(records, message) == dkim.CV_Pass


def test_a_changed_message_is_noticed_by_others() -> None:
    records, message = sealed(b"From: a@x.test\r\nSubject: s\r\n\r\nbody  \r\n\r\n\r\n")
    assert verified(records, message) == dkim.CV_Pass
    assert verified(records, message + b"more\r\n") == dkim.CV_Fail
    assert verified(records, message.replace(b"cv=pass", b"cv=none")) == dkim.CV_Fail
    assert verified(records, message.replace(b"; two.test;", b"; two.test; dmarc=pass;")) == dkim.CV_Fail
