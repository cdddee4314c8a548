"""The embedded store engine under power cuts: every acknowledged transaction is there after the power came back.

The writer is `crates/store/examples/powerloss.rs`. It acknowledges each durable write in a file on another disk;
`--no-fsync` makes it leave out the flushes, which is the control: the same rig must then find losses.
"""

import random
import subprocess
import time
from pathlib import Path

import pytest

from harness.disk import Disk
from harness.server import ROOT, pause

EXAMPLE = ROOT / "target" / "debug" / "examples" / "powerloss"
ALL_THERE, LOST, TORN, UNREADABLE = 0, 3, 4, 5


def write_and_cut(folder: Path, generator: random.Random, *options: str) -> tuple[int, str]:
    """Writes to a new disk, cuts its power at a random moment; returns what `check` says about what is left."""
    folder.mkdir()
    ack = folder / "acknowledged"
    with Disk.blank(folder / "disk.img") as disk:
        command = [str(EXAMPLE), "write", str(disk.mount_point / "store"), "--ack", str(ack), *options]
        with (folder / "write.log").open("wb") as log:
            writer = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for_acknowledgements(writer, ack, folder / "write.log")
            time.sleep(generator.uniform(0.05, 1.5))
            pause(writer.pid)
            left = disk.cut_power(folder / "left.img")
        finally:
            writer.kill()
            writer.wait()
    with left.mount() as disk:
        command = [str(EXAMPLE), "check", str(disk.mount_point / "store"), "--ack", str(ack)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = f"{len(ack.read_bytes().splitlines())} acknowledged; {done.stdout.strip()} {done.stderr.strip()}"
    print(said)
    (folder / "disk.img").unlink()
    (folder / "left.img").unlink()
    return done.returncode, said


def wait_for_acknowledgements(writer: subprocess.Popen, ack: Path, log: Path, count: int = 20) -> None:
    deadline = time.monotonic() + 60
    while not ack.exists() or len(ack.read_bytes().splitlines()) < count:
        assert writer.poll() is None, f"the writer ended: {log.read_text(errors='replace')}"
        assert time.monotonic() < deadline, f"the writer acknowledges nothing: {log.read_text(errors='replace')}"
        time.sleep(0.01)


@pytest.mark.timeout(600)
def test_acknowledged_writes_survive(tmp_path: Path, generator: random.Random, rounds: int) -> None:
    for number in range(rounds):
        code, said = write_and_cut(tmp_path / str(number), generator)
        assert code == ALL_THERE, said


@pytest.mark.timeout(300)
def test_control_without_fsync_loses(tmp_path: Path, generator: random.Random) -> None:
    """If this finds nothing missing, the rig is blind, and the test above proves nothing.

    A kernel that is short of memory for what others write may have written everything back by itself at the moment of a
    cut. It does not do that each time.
    """
    found = []
    for number in range(6):
        found.append(write_and_cut(tmp_path / str(number), generator, "--no-fsync"))
        if sum(code in (LOST, TORN, UNREADABLE) for code, _ in found) == 2:
            return
    raise AssertionError(f"no two of these cuts have lost anything: {[said for _, said in found]}")
