"""Turns what was measured into figures, a file and a table."""

import json
import os
import statistics
import time
from pathlib import Path

from rows import (
    BACKLOG_AIM,
    BACKLOG_TITLE,
    FIGURES,
    IDLE_AIM,
    IDLE_SESSIONS,
    IDLE_TITLE,
    MAGPIE,
    PUSH,
    PUSH_TITLE,
    ROWS,
    Aim,
)


def summary(rounds: list[dict]) -> dict:
    """One server's rounds as one set of figures: the median round's rate, and the operations of all rounds."""
    latencies = sorted(latency for taken in rounds for latency in taken["latencies_us"])
    operations = len(latencies)
    rates = [len(taken["latencies_us"]) / taken["seconds"] for taken in rounds]
    speeds = [taken["octets"] / 1e6 / taken["seconds"] for taken in rounds]
    return {
        "operations": operations,
        "rate": statistics.median(rates),
        "rates": rates,
        "mb_s": statistics.median(speeds),
        "p50_ms": at(latencies, 0.5),
        "p99_ms": at(latencies, 0.99),
        "cpu_ms": 1000 * sum(taken["cpu"] for taken in rounds) / max(operations, 1),
        "memory": max(taken["memory"] for taken in rounds),
    }


def at(sorted_micros: list[int], share: float) -> float:
    """A percentile in milliseconds."""
    if not sorted_micros:
        return 0.0
    return sorted_micros[min(int(share * len(sorted_micros)), len(sorted_micros) - 1)] / 1000


class Results:
    """What was measured so far: written to the file after every row, together with what was there from other runs."""

    def __init__(self, path: Path, rounds: int, seconds: float):
        self.path = path
        self.run = {"rounds": rounds, "seconds": seconds}
        self.rows: dict[str, dict] = {}

    def add(self, key: str, figures: dict[str, dict]) -> None:
        self.rows[key] = {"at": time.strftime("%F %T"), "load": os.getloadavg()[0], "servers": figures}
        kept = json.loads(self.path.read_text())["rows"] if self.path.exists() else {}
        whole = {"run": self.run, "processors": os.cpu_count(), "rows": kept | self.rows}
        self.path.write_text(json.dumps(whole, indent=1))

    def table(self) -> str:
        lines = [*FIGURE_HEAD]
        verdicts = [*AIM_HEAD]
        for row in ROWS:
            if taken := self.rows.get(row.key):
                lines += figure_lines(row.title, row.shows, taken["servers"])
                verdicts += [aim_line(row.title, aim, taken["servers"]) for aim in row.aims]
        for sessions in IDLE_SESSIONS:
            if taken := self.rows.get(f"idle-{sessions}"):
                title = IDLE_TITLE.format(sessions)
                verdicts.append(aim_line(title, IDLE_AIM, taken["servers"]))
                for name, figures in taken["servers"].items():
                    lines.append(f"| {title} | {name} | {figures['memory_kib']:.1f} KiB | | | | | {memory(figures)} |")
                    title = ""
        if taken := self.rows.get("backlog"):
            title = BACKLOG_TITLE.format(next(iter(taken["servers"].values()))["messages"])
            verdicts.append(aim_line(title, BACKLOG_AIM, taken["servers"]))
            for name, figures in taken["servers"].items():
                lines.append(backlog_line(title, name, figures))
                title = ""
        pushed = [
            push_line(PUSH_TITLE.format(figures["clients"], way), name, figures)
            for number in ("one", "many")
            for key, way in PUSH.items()
            for name, figures in self.rows.get(f"push-{key}-{number}", {}).get("servers", {}).items()
        ]
        return "\n".join([*lines, "", *((*PUSH_HEAD, *pushed, "") if pushed else ()), *verdicts]) + "\n"


FIGURE_HEAD = (
    "| work | server | rate | p50 | p99 | CPU each | syncs each | memory |",
    "|---|---|---|---|---|---|---|---|",
)
PUSH_HEAD = (
    "| from the 250 until the last client of the account is told | server | p50 | p99 | CPU each | memory of a connection |",
    "|---|---|---|---|---|---|",
)
AIM_HEAD = ("| work | aim | came to | | CPU, of the peer's |", "|---|---|---|---|---|")


def figure_lines(title: str, shows: tuple[str, ...], servers: dict[str, dict]) -> list[str]:
    lines = []
    for name, figures in servers.items():
        rate = f"{figures['mb_s']:.0f} MB/s" if "mb_s" in shows else ""
        rate = f"{number(figures['rate'])}/s" if "rate" in shows else rate
        p99 = f"{number(figures['p99_ms'])} ms" if "p99_ms" in shows else ""
        syncs = f"{figures['syncs']:.2f}" if "syncs" in figures else ""
        lines.append(
            f"| {title} | {name} | {rate} | {number(figures['p50_ms'])} ms | {p99} "
            f"| {number(figures['cpu_ms'])} ms | {syncs} | {memory(figures)} |"
        )
        title = ""
        if each := figures.get("operations_each"):
            lines.append(
                f"| | of it, each | {', '.join(f'{number(value)} {what}' for what, value in each.items())} | | | | | |"
            )
    return lines


def push_line(title: str, name: str, figures: dict) -> str:
    memory_kib = f"{figures['memory_kib']:.1f} KiB" if "memory_kib" in figures else ""
    p50, p99, cpu = (number(figures[key]) for key in ("p50_ms", "p99_ms", "cpu_ms"))
    return f"| {title} | {name} | {p50} ms | {p99} ms | {cpu} ms | {memory_kib} |"


def backlog_line(title: str, name: str, figures: dict) -> str:
    """What waiting mail takes, and what is left of the rate for others."""
    added = f"{figures['added'] / 2**20:+,.0f} MB"
    shares = f"{number(figures['kept_at_once'])} at once, {number(figures['kept_rested'])} after a rest"
    rates = f"{number(figures['beside'])}/s, {number(figures['alone'])}/s without ({shares})"
    return f"| {title} | {name} | {rates} | | | | | {memory(figures)} ({added}) |"


def aim_line(title: str, aim: Aim, servers: dict[str, dict]) -> str:
    verdict = aim.verdict(servers)
    if verdict is None:
        return f"| {title} | {aim} | not measured | | |"
    came_to, reached = verdict
    unit = " times" if aim.of else f" {FIGURES[aim.figure][1]}".rstrip()
    return f"| {title} | {aim} | {number(came_to)}{unit} | {'reached' if reached else '**missed**'} | {cpu_share(servers)} |"


def cpu_share(servers: dict[str, dict]) -> str:
    """Magpie's processor time for an operation, of that of the row's last server: what a busy machine changes least."""
    own, peer = (servers[name].get("cpu_ms") for name in (MAGPIE, list(servers)[-1]))
    return number(own / peer) if own and peer else ""


def number(value: float) -> str:
    """Three digits are what such figures are worth."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def memory(figures: dict) -> str:
    return f"{figures['memory'] / 2**20:,.0f} MB"


def main() -> None:
    """Prints the table of the results that are kept: `report.py results.json`."""
    import sys

    path = Path(sys.argv[1])
    results = Results(path, 0, 0)
    results.rows = json.loads(path.read_text())["rows"]
    print(results.table())


if __name__ == "__main__":
    main()
