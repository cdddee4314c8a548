"""What a server's processes use: processor time, memory, and how often they make the disk sync."""

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# All calls that wait for the disk. No server here opens files with O_SYNC.
SYNCS = "fsync,fdatasync,sync_file_range,msync,syncfs,sync"


class Tree:
    """The processes that descend from some roots, whatever becomes of them meanwhile."""

    def __init__(self, *roots: int):
        self.roots = roots

    def __add__(self, other: "Tree") -> "Tree":
        return Tree(*self.roots, *other.roots)

    def pids(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for pid, fields in all_processes():
            children.setdefault(int(fields[1]), []).append(pid)
        found, ahead = [], list(self.roots)
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Seconds of processor time, user and system, of all that live and of all that have ended.

        What a process has used moves to its parent when it ends and the parent takes notice of it.
        """
        members = set(self.pids())
        ticks = 0
        for pid, fields in all_processes():
            if pid in members:
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def memory(self) -> int:
        """Octets in use: each process's own, and its share of what it shares."""
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue  # it has ended since
            if found := re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE):
                total += int(found[1]) * 1024
        return total


def all_processes() -> list[tuple[int, list[str]]]:
    """All processes, and the fields of `stat` behind the name: state, parent, and so on."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            found.append((int(entry), stat.rpartition(") ")[2].split()))
    return found


class Syncs:
    """Counts the calls that sync while it is open. Everything is slower meanwhile: a pass of its own."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self.count = 0

    def __enter__(self) -> "Syncs":
        self.report = tempfile.NamedTemporaryFile("r", prefix="magpie-syncs-")
        pids = [argument for pid in self.tree.pids() for argument in ("-p", str(pid))]
        self.strace = subprocess.Popen(
            ["strace", "-f", "-c", "-e", f"trace={SYNCS}", "-o", self.report.name, *pids],
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not all(traced_by(pid) == self.strace.pid for pid in self.tree.roots):
            if self.strace.poll() is not None or time.monotonic() > deadline:
                said = self.strace.stderr.read().decode() if self.strace.poll() is not None else "nothing"
                raise RuntimeError(f"strace does not attach; it says {said}")
            time.sleep(0.01)
        # Threads are attached one by one.
        time.sleep(0.2)
        return self

    def __exit__(self, *_) -> None:
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=30)
        for line in Path(self.report.name).read_text().splitlines():
            fields = line.split()
            if len(fields) >= 5 and fields[-1] in SYNCS.split(","):
                self.count += int(fields[3])
        self.report.close()


def traced_by(pid: int) -> int:
    found = re.search(r"^TracerPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
