"""curl as a mail client."""

import subprocess


def curl(*arguments: str) -> bytes:
    """What curl prints; it must end well."""
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", *arguments], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
