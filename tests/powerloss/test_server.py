"""The whole server under power cuts: every mail that got its 250 is there after the power came back."""

import random
import shutil
import time
from pathlib import Path

import pytest

from harness.disk import Disk
from harness.promises import Audit, Ledger, deliver
from harness.server import Magpie, MagpieError

THREADS = 8
USERS = [f"user{number}" for number in range(1, 5)]


def deliver_and_cut(folder: Path, generator: random.Random, wrapper: tuple[str, ...] = ()) -> tuple[Disk, Ledger]:
    """Delivers to a server on a new disk and cuts the power at a random moment; returns what is left, unmounted."""
    folder.mkdir()
    ledger = Ledger(generator.randrange(1_000_000))
    with Disk.blank(folder / "disk.img") as disk:
        server = Magpie(disk.mount_point / "data", users=len(USERS), wrapper=wrapper)
        server.log = folder / "before.log"
        server.start()
        try:
            threads = deliver(server, ledger, USERS, THREADS)
            assert ledger.first.wait(60), server.log_tail()
            time.sleep(generator.uniform(0.05, 1.5))
            server.pause()
            left = disk.cut_power(folder / "left.img")
        finally:
            server.kill()
        for thread in threads:
            thread.join(60)
    (folder / "disk.img").unlink()
    return left, ledger


def look(folder: Path, disk: Disk, ledger: Ledger) -> None:
    """Starts a server on what is left, and compares it with what was acknowledged."""
    with disk.mount():
        server = Magpie(disk.mount_point / "data", users=len(USERS))
        server.log = folder / "after.log"
        try:
            server.start()
            Audit(ledger, USERS).check(server)
            server.cli("verify")
            server.stop()
        finally:
            server.kill()


@pytest.mark.timeout(600)
def test_acknowledged_mail_survives(tmp_path: Path, generator: random.Random, rounds: int) -> None:
    for number in range(rounds):
        folder = tmp_path / str(number)
        left, ledger = deliver_and_cut(folder, generator)
        look(folder, left, ledger)
        print(f"round {number + 1}: {len(ledger.acknowledged)} acknowledged, all there")
        left.image.unlink()


@pytest.mark.skipif(not shutil.which("eatmydata"), reason="the control needs eatmydata, which is not installed")
@pytest.mark.timeout(300)
def test_control_without_fsync_loses(tmp_path: Path, generator: random.Random) -> None:
    """The same with fsync turned into nothing: mail must be missing, or the store must say that it is damaged."""
    left, ledger = deliver_and_cut(tmp_path / "control", generator, wrapper=("eatmydata",))
    with pytest.raises((AssertionError, MagpieError)) as found:
        look(tmp_path / "control", left, ledger)
    print(f"{len(ledger.acknowledged)} acknowledged; found: {str(found.value).splitlines()[0]}")
