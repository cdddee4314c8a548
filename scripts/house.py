#!/usr/bin/env python3
"""Checks the rules of the house that no compiler knows. Ends with `N passed, N failed`.

Each rule is one function below: it yields a sentence for everything that breaks it.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 800
PROTOCOLS = {"smtp", "imap", "pop3", "managesieve", "jmap", "http"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}


def arrows_point_one_way() -> Iterator[str]:
    """types ← store ← directory, mail ← protocols ← server; a protocol knows no engine and no other protocol"""
    for crate, wants in dependencies().items():
        if crate == "types":
            forbidden = wants
        elif crate == "store":
            forbidden = wants - {"types"}
        elif crate in PROTOCOLS:
            forbidden = wants & (PROTOCOLS | {"store", "server"})
        elif crate in ("server", "fuzz"):
            forbidden = set()
        else:
            forbidden = wants & (PROTOCOLS | {"server"})
        for name in sorted(forbidden):
            yield f"crates/{crate} must not depend on crates/{name}"


def files_are_short() -> Iterator[str]:
    """no source file is longer than 800 lines"""
    for path in tracked("*.rs", "*.py", "*.sh"):
        lines = len((ROOT / path).read_bytes().splitlines())
        if lines > LONGEST_FILE:
            yield f"{path} has {lines} lines; split it by noun"


def modules_have_names() -> Iterator[str]:
    """modules are nouns of the domain, not drawers for what fits nowhere else"""
    for path in tracked("crates/*.rs"):
        if VAGUE_NAMES & {path.stem, path.parent.name}:
            yield f"{path}: name it after what it holds"


def crates_share_the_lints() -> Iterator[str]:
    """every crate takes its lints, its licence, that it is not published, and all its versions from the workspace"""
    for path in sorted((ROOT / "crates").glob("*/Cargo.toml")):
        manifest = tomllib.loads(path.read_text())
        where = path.relative_to(ROOT)
        if manifest.get("lints", {}).get("workspace") is not True:
            yield f"{where}: lints.workspace = true is missing"
        for field in ("license", "publish"):
            if manifest["package"].get(field) != {"workspace": True}:
                yield f"{where}: {field}.workspace = true is missing"
        for section in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in manifest.get(section, {}).items():
                if not (isinstance(wanted, dict) and wanted.get("workspace")):
                    yield f"{where}: {name} must take its version from the root Cargo.toml"


def crates_say_what_they_are_for() -> Iterator[str]:
    """the root file of every crate opens with what it is for"""
    for folder in sorted((ROOT / "crates").iterdir()):
        for name in ("src/lib.rs", "src/main.rs"):
            root = folder / name
            if root.exists() and not root.read_text().startswith("//!"):
                yield f"{root.relative_to(ROOT)} must open with a //! comment"


def dependencies_are_explained() -> Iterator[str]:
    """docs/dependencies.md says why each dependency is there, and each one is used"""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    page = (ROOT / "docs/dependencies.md").read_text()
    used = set()
    for path in [ROOT / path for path in tracked("Cargo.toml")]:
        crate = tomllib.loads(path.read_text())
        for section in ("dependencies", "dev-dependencies", "build-dependencies"):
            used |= set(crate.get(section, {}))
    for name, wanted in manifest["workspace"]["dependencies"].items():
        if isinstance(wanted, dict) and "path" in wanted:
            continue
        if f"`{name}`" not in page:
            yield f"docs/dependencies.md does not say why `{name}` is there"
        if name not in used:
            yield f"`{name}` in the root Cargo.toml is used by no crate"
    # What a row of a table begins with is a crate; it has to be there.
    for name in re.findall(r"^\| `([a-z0-9_-]+)` \|", page, re.MULTILINE):
        if name not in manifest["workspace"]["dependencies"]:
            yield f"docs/dependencies.md explains `{name}`, which is no dependency"


def links_lead_somewhere() -> Iterator[str]:
    """every relative link in a document leads to a file that exists"""
    for path in tracked("*.md"):
        text = re.sub(r"```.*?```", "", (ROOT / path).read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target) and not (ROOT / path.parent / target).exists():
                yield f"{path}: the link to {target} leads nowhere"


def claims_have_proofs() -> Iterator[str]:
    """every test and type that docs/threats.md and docs/faults.md name exists"""
    sources = tracked("*.rs", "*.py")
    names = {path.name for path in all_files()}
    words = set()
    for path in sources:
        words |= set(re.findall(r"\w+", (ROOT / path).read_text()))
    for page in ("docs/threats.md", "docs/faults.md"):
        for row in (ROOT / page).read_text().splitlines():
            if row.startswith("|") and row.count("|") == 4:
                for proof in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1]):
                    if proof not in words and proof not in names:
                        yield f"{page} names {proof}, which does not exist"


def faults_have_tests() -> Iterator[str]:
    """every fault that has a row in docs/faults.md names its test, and every test of a fault has its row"""
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", (ROOT / "docs/faults.md").read_text(), re.MULTILINE)
    for number, proofs in rows:
        if "`" not in proofs:
            yield f"docs/faults.md names no test for fault {number}"
    numbers = {int(number) for number, _ in rows}
    tests = {path.name: path for path in tracked("*.txt")}
    for name in tests:
        if (found := re.match(r"(?:\d+-)?fault-(\d+)-", name)) and int(found[1]) not in numbers:
            yield f"docs/faults.md has no row for fault {int(found[1])}, which {name} is about"


RULES = [
    arrows_point_one_way,
    files_are_short,
    modules_have_names,
    crates_share_the_lints,
    crates_say_what_they_are_for,
    dependencies_are_explained,
    links_lead_somewhere,
    claims_have_proofs,
    faults_have_tests,
]


def dependencies() -> dict[str, set[str]]:
    """What each of our crates links, of our crates; what only its tests use does not count."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    folder = {package["name"]: Path(package["manifest_path"]).parent.name for package in packages}
    return {
        folder[package["name"]]: {
            folder[wanted["name"]]
            for wanted in package["dependencies"]
            if wanted["name"] in folder and wanted["kind"] is None
        }
        for package in packages
    }


@cache
def all_files() -> list[Path]:
    """What git tracks, and what it would track: files not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted({Path(name) for name in names if (ROOT / name).is_file()})


def tracked(*patterns: str) -> list[Path]:
    """The files of the repository whose name ends as one of the patterns says, below the folder it says."""
    found = []
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        found += [path for path in all_files() if path.match(name) and str(path).startswith(folder)]
    return found


def main() -> int:
    passed = failed = 0
    for rule in RULES:
        broken = list(rule())
        print(f"{'FAILED' if broken else 'ok':6} {rule.__doc__}")
        for sentence in broken:
            print(f"       {sentence}")
        passed += not broken
        failed += bool(broken)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
