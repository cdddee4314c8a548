"""The mails under tests/corpus are what their sources make, and the signatures among them hold."""

import subprocess
import sys

import pytest

from harness import corpus


def test_written_mails_agree_with_their_sources() -> None:
    done = subprocess.run([sys.executable, corpus.WRITTEN / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["smime-signed", "smime-opaque"])
def test_signatures_hold(name: str) -> None:
    path = corpus.WRITTEN / "signed" / f"{name}.eml"
    done = subprocess.run(
        ["openssl", "smime", "-verify", "-noverify", "-in", path, "-out", "/dev/null"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
