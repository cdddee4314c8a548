"""Fault 32: Korean and Japanese mail, however it is written, is found by two syllables of it."""

import imaplib
from collections.abc import Iterator

import pytest

from harness import corpus
from harness.mailbox import ok
from harness.server import PASSWORD, Magpie

EXPECTED = {name: entry for name, entry in corpus.expectations().items() if entry["subject"] or entry["finds"]}


@pytest.fixture(scope="module")
def library(shared: Magpie) -> Iterator[tuple[imaplib.IMAP4, list[str]]]:
    """An account that holds every mail of which we know what it says; their names in order."""
    client = shared.imap()
    client.login("carol", PASSWORD)
    ok(client.create("library"))
    for name in EXPECTED:
        ok(client.append("library", "", None, (corpus.WRITTEN / f"{name}.eml").read_bytes()))
    ok(client.select("library", readonly=True))
    yield client, list(EXPECTED)
    client.logout()


def found(library: tuple[imaplib.IMAP4, list[str]], key: str, word: str) -> list[str]:
    client, names = library
    client.literal = word.encode()
    numbers = ok(client.search("UTF-8", key))[0].split()
    return [names[int(number) - 1] for number in numbers]


@pytest.mark.parametrize("name", [name for name, entry in EXPECTED.items() if entry["subject"]])
def test_subject(library: tuple[imaplib.IMAP4, list[str]], name: str) -> None:
    assert name in found(library, "SUBJECT", EXPECTED[name]["subject"])


@pytest.mark.parametrize(
    ("name", "word"), [(name, word) for name, entry in EXPECTED.items() for word in entry["finds"]]
)
def test_text(library: tuple[imaplib.IMAP4, list[str]], name: str, word: str) -> None:
    assert name in found(library, "TEXT", word)


def test_a_word_that_is_nowhere(library: tuple[imaplib.IMAP4, list[str]]) -> None:
    assert found(library, "TEXT", "존재하지않는낱말") == []
