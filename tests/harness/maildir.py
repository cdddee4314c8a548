"""Maildirs on the client's side, as synchronising programs leave them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path


def create(path: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)
    return path


def put(path: Path, number: int, source: bytes, flags: str = "") -> Path:
    """Puts a message in: with LF, as Maildirs have it."""
    place = path / "cur" / f"{1_700_000_000 + number}.test{number}.localhost:2,{flags}"
    place.write_bytes(source.replace(b"\r\n", b"\n"))
    return place


def files(path: Path) -> list[Path]:
    return sorted(entry for part in ("cur", "new") for entry in (path / part).iterdir())


def sources(path: Path) -> list[bytes]:
    """The messages as they travel, in the order of their bytes."""
    return sorted(entry.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for entry in files(path))


def without(header: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """Messages less a header field that the client has written into them, sorted."""
    line = re.compile(rb"(?m)^" + re.escape(header) + rb": .*\r\n")
    return sorted(line.sub(b"", message, count=1) for message in messages)


def state(path: Path) -> list[tuple[str, int, int]]:
    """What changes when anything is written: names, inodes and times."""
    listed = []
    for folder, _, names in os.walk(path):
        for name in names:
            entry = Path(folder) / name
            status = entry.stat()
            listed.append((str(entry), status.st_ino, status.st_mtime_ns))
    return sorted(listed)
