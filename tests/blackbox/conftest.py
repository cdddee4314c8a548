"""What every black-box test is given: a running server, and an account of its own on it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import Magpie

USERS = 330
numbers = itertools.count(1)
domains = itertools.count(1)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Magpie]:
    """One server for all tests that only need an account of their own."""
    server = Magpie(tmp_path_factory.mktemp("shared") / "data", users=USERS).start()
    yield server
    if server.process:
        server.stop()


@pytest.fixture
def magpie(shared: Magpie) -> Iterator[Magpie]:
    """The shared server; afterwards it must still run, and must not have panicked anywhere."""
    if not shared.running:
        shared.process = None
        shared.start()
    begin = shared.log.stat().st_size
    yield shared
    said = shared.log.read_bytes()[begin:]
    assert shared.running, f"the server died\n{shared.log_tail()}"
    assert b"panicked" not in said, shared.log_tail()


@pytest.fixture
def user() -> str:
    """The name of an account on the shared server that no other test uses."""
    number = next(numbers)
    assert number <= USERS, "more tests than accounts: raise USERS"
    return f"user{number}"


@pytest.fixture
def owner() -> str:
    """Another such account, whose mail is none of the first one's business."""
    return f"user{next(numbers)}"


@pytest.fixture
def address(user: str) -> str:
    return f"{user}@example.test"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A place for the data directory of a server that a test starts for itself."""
    return tmp_path / "data"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Magpie:
    """A data directory on which no server runs."""
    server = Magpie(tmp_path_factory.mktemp("stopped") / "data", users=0).start()
    server.stop()
    return server


@pytest.fixture(params=["online", "offline"])
def anyhow(request: pytest.FixtureRequest) -> Magpie:
    """For what the command line does whether a server runs or not."""
    return request.getfixturevalue("magpie" if request.param == "online" else "stopped")


@pytest.fixture
def domain(anyhow: Magpie) -> str:
    """A domain of the test's own, where `anyhow` is."""
    name = f"domain{next(domains)}.example"
    anyhow.cli("domain", "create", name)
    return name
