#!/usr/bin/env python3
"""Runs every check and test of Magpie in stages, and counts.

The last line of the output is `N passed, N failed`, summed over all stages; the exit code is 0 only when
nothing failed. A stage that fails does not stop the ones after it, so that one run shows the whole picture;
only what needs the binary is counted as failed when the binary could not be built.

    scripts/test.py                            everything
    scripts/test.py --stage blackbox           one stage (or several, separated by commas)
    scripts/test.py --stage blackbox -- -k idle    what follows `--` goes to pytest or nextest
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
LOGS = CACHE / "test"
TOOLS = CACHE / "tools" / "bin"
PYTHON = CACHE / "venv" / "bin" / "python"
RUFF = CACHE / "venv" / "bin" / "ruff"
TERMINAL = sys.stdout.isatty()


@dataclass
class Outcome:
    """What one stage counted, and what a reader should know about it besides."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.notes + other.notes,
        )


class Runner:
    """Starts the commands of one stage: output goes to the terminal as it comes, and to a log file."""

    def __init__(self, stage: str, extra: list[str]):
        self.stage = stage
        self.extra = extra
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{stage}.log"
        self.log.write_bytes(b"")

    def run(self, *command: str, quiet: bool = False) -> tuple[int, str]:
        """Runs one command from the root of the repository; returns its exit code and all its output."""
        if not quiet:
            say(dim("$ " + " ".join(command)))
        lines = []
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            assert process.stdout
            for line in process.stdout:
                log.write(line)
                lines.append(line.decode("utf-8", "replace"))
                if not quiet:
                    sys.stdout.write(lines[-1])
                    sys.stdout.flush()
            return process.wait(), "".join(lines)

    def check(self, *command: str) -> Outcome:
        """Runs one command that either passes or fails, and counts it as one."""
        code, _ = self.run(*command)
        return Outcome(passed=1) if code == 0 else Outcome(failed=1)

    def pytest(self, folder: str, *options: str) -> Outcome:
        """Runs the Python tests of a folder under tests/."""
        report = LOGS / f"{self.stage}.xml"
        report.unlink(missing_ok=True)
        colour = ["--color=yes"] if TERMINAL else []
        code, _ = self.run(
            str(PYTHON), "-m", "pytest", "-c", "tests/pytest.ini", "-v", *colour,
            f"--junitxml={report}", f"tests/{folder}", *options, *self.extra,
        )  # fmt: skip
        return read_report(report, code)


# The stages, in the order in which they run. -----------------------------------------------------------


def fmt(run: Runner) -> Outcome:
    """the Rust and Python code is formatted"""
    total = run.check("cargo", "fmt", "--all", "--check")
    total += run.check(str(RUFF), "format", "--check", "--quiet", "scripts", "tests", "bench")
    total += run.check(str(RUFF), "check", "--quiet", "scripts", "tests", "bench")
    return total


def house(run: Runner) -> Outcome:
    """the rules of the house hold: arrows between crates, file sizes, documents"""
    code, output = run.run(sys.executable, "scripts/house.py")
    return count_line(output, code)


def deny(run: Runner) -> Outcome:
    """licences, banned crates, sources and security advisories of the dependencies"""
    command = ["cargo", "deny", "--log-level", "error", "check", "--hide-inclusion-graph"]
    total = Outcome()
    for what in ("licenses", "bans", "sources"):
        total += run.check(*command, what)
    code, output = run.run(*command, "advisories", quiet=True)
    if code == 0:
        say("advisories ok")
        return total + Outcome(passed=1)
    if "failed to fetch advisory database" in output or "unable to access" in output:
        sentence = "advisories: skipped, their database cannot be reached from here"
        say(sentence)
        return total + Outcome(skipped=1, notes=[sentence])
    say(output)
    return total + Outcome(failed=1)


def build(run: Runner) -> Outcome:
    """the binary and all tests compile, and clippy finds nothing in any target"""
    code, output = run.run("cargo", "build", "--locked", "--workspace", "--all-targets")
    warned = [
        line for line in output.splitlines() if re.search(r"warning.*: `[^`]+` \(.*\) generated \d+ warning", line)
    ]
    return at_least_one_failure(
        Outcome(passed=int(code == 0) + int(not warned), failed=int(bool(warned)), notes=warned), code
    )


def unit(run: Runner) -> Outcome:
    """unit, contract, model and integration tests of the crates"""
    if shutil.which("cargo-nextest", path=environment()["PATH"]):
        code, output = run.run("cargo", "nextest", "run", "--locked", "--workspace", *run.extra)
        total = read_nextest(output, code)
    else:
        targets = ["--lib", "--bins", "--tests", "--examples"]
        code, output = run.run("cargo", "test", "--locked", "--workspace", "--no-fail-fast", *targets, *run.extra)
        total = read_cargo_test(output, code)
    if not run.extra:
        code, output = run.run("cargo", "test", "--locked", "--workspace", "--doc", "--no-fail-fast")
        total += read_cargo_test(output, code)
    return total


def corpus(run: Runner) -> Outcome:
    """the mails that the next stages deliver are here"""
    return run.check(sys.executable, "scripts/corpus.py")


def blackbox(run: Runner) -> Outcome:
    """the real binary, driven by smtplib, swaks, imaplib, curl, neomutt and bare sockets"""
    return run.pytest("blackbox")


def jmap(run: Runner) -> Outcome:
    """what the RFCs of JMAP demand, section by section, of Magpie and of Debian's Cyrus"""
    return run.pytest("jmap")


def dovecot(run: Runner) -> Outcome:
    """what IMAP says of thousands of real mails is what Debian's Dovecot says"""
    return run.pytest("dovecot")


def crash(run: Runner) -> Outcome:
    """SIGKILL at random moments loses nothing that was acknowledged"""
    # Two at a time: each waits for its server to die, to start and to sync more than it computes.
    return run.pytest("crash", "-n", "2", "--dist", "worksteal")


def powerloss(run: Runner) -> Outcome:
    """a power cut at random moments loses nothing that was acknowledged"""
    return run.pytest("powerloss")


STAGES = {stage.__name__: stage for stage in (
    fmt, house, deny, build, unit, corpus, blackbox, jmap, dovecot, crash, powerloss,
)}  # fmt: skip

# Without the stage on the right, the one on the left cannot run.
NEEDS = {"blackbox": "build", "jmap": "build", "dovecot": "build", "crash": "build", "powerloss": "build"}


# Reading what the tools counted. -----------------------------------------------------------------------


def count_line(output: str, code: int) -> Outcome:
    """Reads the `N passed, N failed` that our own scripts end with."""
    found = re.findall(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    if not found:
        return Outcome(failed=1, notes=["ended without counting"])
    return at_least_one_failure(Outcome(int(found[-1][0]), int(found[-1][1])), code)


def read_nextest(output: str, code: int) -> Outcome:
    """Reads nextest's summary: `Summary [  1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    found = re.findall(r"Summary \[[^\]]*\]\s+(\d+)(?:/\d+)? tests? run: (\d+) passed.*?(\d+) skipped", plain)
    if not found:
        return Outcome(failed=1, notes=["nextest printed no summary: the tests did not compile or did not start"])
    ran, passed, skipped = map(int, found[-1])
    return at_least_one_failure(Outcome(passed, ran - passed, skipped), code)


def read_cargo_test(output: str, code: int) -> Outcome:
    """Adds up the `test result:` lines of cargo test, one for each test binary."""
    total = Outcome()
    for passed, failed, ignored in re.findall(r"test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored", output):
        total += Outcome(int(passed), int(failed), int(ignored))
    return at_least_one_failure(total, code)


def read_report(report: Path, code: int) -> Outcome:
    """Reads pytest's JUnit report."""
    if not report.exists():
        return Outcome(failed=1, notes=["pytest wrote no report"])
    total = Outcome()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        number = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
        bad = number["failures"] + number["errors"]
        # What another server must fail, and has failed, has passed as a test.
        foreseen = len([skip for skip in suite.iter("skipped") if skip.get("type") == "pytest.xfail"])
        skipped = number["skipped"] - foreseen
        total += Outcome(max(number["tests"] - bad - skipped, 0), bad, skipped)
        for case in suite.iter("testcase"):
            for skip in (skip for skip in case.iter("skipped") if skip.get("type") != "pytest.xfail"):
                total.notes.append(f"{case.get('name')}: skipped, {skip.get('message')}")
    return at_least_one_failure(total, code)


def at_least_one_failure(outcome: Outcome, code: int) -> Outcome:
    """A command that failed without naming a failed test still counts as one failure."""
    if code != 0 and outcome.failed == 0:
        return outcome + Outcome(failed=1, notes=[f"ended with exit code {code}"])
    return outcome


# Putting it together. ----------------------------------------------------------------------------------


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        for name, stage in STAGES.items():
            print(f"{name:10} {stage.__doc__}")
        return 0

    results: dict[str, tuple[Outcome, float]] = {}
    begun = time.monotonic()
    for number, name in enumerate(arguments.stages, 1):
        heading(f"[{number}/{len(arguments.stages)}] {name}: {STAGES[name].__doc__}")
        needed = results.get(NEEDS.get(name, ""))
        started = time.monotonic()
        if needed and needed[0].failed:
            outcome = Outcome(failed=1, notes=[f"not run, because {NEEDS[name]} failed"])
        else:
            outcome = STAGES[name](Runner(name, arguments.extra))
        results[name] = (outcome, time.monotonic() - started)
        say(f"{name}: {outcome.passed} passed, {outcome.failed} failed, in {duration(results[name][1])}")

    total = sum((outcome for outcome, _ in results.values()), Outcome())
    summary(results, total, time.monotonic() - begun)
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", help="one stage, or several separated by commas; default: all")
    parser.add_argument("--list", action="store_true", help="list the stages and stop")
    parser.add_argument("extra", nargs="*", help="given to pytest or nextest")
    arguments = parser.parse_args()
    arguments.stages = arguments.stage.split(",") if arguments.stage else list(STAGES)
    unknown = [name for name in arguments.stages if name not in STAGES]
    if unknown:
        parser.error(f"there is no stage {', '.join(unknown)}; the stages are {', '.join(STAGES)}")
    return arguments


def environment() -> dict[str, str]:
    """The environment of every command: our own tools on the path, no surprises from the caller's settings."""
    values = dict(os.environ)
    values["PATH"] = f"{TOOLS}:{values['PATH']}:/usr/sbin:/sbin"
    values.setdefault("CARGO_TERM_PROGRESS_WHEN", "never")
    # Our own crates are compiled by clippy's driver, which is the compiler with more to say: what is tested and what is
    # checked is compiled once.
    values["RUSTC_WORKSPACE_WRAPPER"] = "clippy-driver"
    if TERMINAL:
        values.setdefault("CARGO_TERM_COLOR", "always")
    return values


def summary(results: dict[str, tuple[Outcome, float]], total: Outcome, seconds: float) -> None:
    heading("summary")
    print(f"{'stage':10} {'passed':>7} {'failed':>7} {'skipped':>8} {'time':>8}")
    for name, (outcome, spent) in results.items():
        line = f"{name:10} {outcome.passed:7} {outcome.failed:7} {outcome.skipped:8} {duration(spent):>8}"
        print(red(line) if outcome.failed else line)
    print(f"{'all':10} {total.passed:7} {total.failed:7} {total.skipped:8} {duration(seconds):>8}")
    for name, (outcome, _) in results.items():
        for note in outcome.notes:
            print(f"note: {name}: {note}")
        if outcome.failed:
            print(f"see:  {(LOGS / name).relative_to(ROOT)}.log")
    print()


def duration(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def heading(text: str) -> None:
    say(f"\n\033[1m=== {text}\033[0m" if TERMINAL else f"\n=== {text}")


def dim(text: str) -> str:
    return f"\033[2m{text}\033[0m" if TERMINAL else text


def red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if TERMINAL else text


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
