"""A disk that can lose its power: ext4 in a file, mounted through a loop device.

kill -9 cannot see a missing fsync, because what a process wrote is safe in the kernel's page cache. A power cut can.
So the writer is stopped, and the *block image* is copied: it holds what reached the disk, and nothing of the page
cache. The copy is then mounted, as a machine would after the power came back.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
SIZE = 512 << 20
# A journal commit every ten minutes instead of every five seconds: nothing is written that nobody asked for.
OPTIONS = "loop,noatime,commit=600"
ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Disk:
    """An image file with ext4 on it, mounted below the folder that it lies in."""

    def __init__(self, image: Path):
        self.image = image
        self.mount_point = image.with_suffix(".mounted")
        self.loop: str | None = None

    @classmethod
    def blank(cls, image: Path) -> "Disk":
        """A new, empty disk, mounted."""
        with image.open("wb") as file:
            file.truncate(SIZE)
        owner = f"root_owner={os.getuid()}:{os.getgid()}"
        run("mkfs.ext4", "-q", "-F", "-E", f"{owner},lazy_itable_init=0,lazy_journal_init=0", str(image))
        return cls(image).mount()

    def mount(self) -> "Disk":
        self.mount_point.mkdir(exist_ok=True)
        run(*AS_ROOT, "mount", "-o", OPTIONS, str(self.image), str(self.mount_point))
        source = run("findmnt", "--noheadings", "--output", "SOURCE", str(self.mount_point)).strip()
        self.loop = Path(source).name
        return self

    def unmount(self) -> None:
        if self.loop:
            run(*AS_ROOT, "umount", str(self.mount_point))
            self.loop = None

    def __enter__(self) -> "Disk":
        return self

    def __exit__(self, *_) -> None:
        self.unmount()

    def cut_power(self, image: Path) -> "Disk":
        """What would be on the disk if the power went now: a copy of the blocks, not yet mounted.

        Whoever writes to the disk has to be stopped. The kernel may still write on its own; a copy during which it
        did is thrown away, because it shows no single moment.
        """
        for _ in range(50):
            before = self._writes()
            subprocess.run(["cp", "--sparse=always", str(self.image), str(image)], check=True)
            if before == self._writes():
                return Disk(image)
            time.sleep(0.1)
        raise AssertionError("the disk is never quiet: somebody still writes to it")

    def _writes(self) -> tuple[str, str]:
        """How many writes the block device has completed, and 0 if none is under way."""
        fields = Path(f"/sys/block/{self.loop}/stat").read_text().split()
        return (fields[4], fields[8])


def why_not() -> str | None:
    """Why disks cannot be mounted here, in words; None where they can."""
    for program in ("mkfs.ext4", "mount", "findmnt"):
        if not shutil.which(program, path=ENVIRONMENT["PATH"]):
            return f"{program} is not installed"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with Disk.blank(Path(scratch) / "probe.img") as disk:
                (disk.mount_point / "probe").write_bytes(b"x")
                disk._writes()
        except (subprocess.CalledProcessError, OSError) as error:
            said = getattr(error, "stderr", "") or str(error)
            return f"loop devices cannot be mounted here ({said.strip()})"
    return None


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
