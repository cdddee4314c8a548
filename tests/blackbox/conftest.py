"""What every black-box test is given: a running server, and an account of its own on it."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.internet import Internet, connected
from harness.sender import Sender, sending
from harness.server import Magpie

USERS = 380
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


@pytest.fixture(scope="session")
def needs_root() -> None:
    """For what takes ports below 1024, or servers that change to other users."""
    if os.geteuid() != 0:
        pytest.skip("this needs root: every host of the tests' internet has port 25 of an address of its own")


@pytest.fixture(scope="session")
def internet(needs_root: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """Names, certificates, policies and hosts around the servers that send."""
    with connected(tmp_path_factory.mktemp("internet")) as found:
        yield found


@pytest.fixture(scope="session")
def running_sender(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    with sending(tmp_path_factory.mktemp("sender"), internet) as site:
        yield site


@pytest.fixture
def sender(running_sender: Sender) -> Iterator[Sender]:
    """One server that sends into the internet, for all tests that do not configure it; afterwards it must still run."""
    if not running_sender.running:
        running_sender.process = None
        running_sender.start()
    yield running_sender
    assert running_sender.running, f"the server died\n{running_sender.log_tail()}"


@pytest.fixture
def elsewhere() -> str:
    """The name of a domain of others that no other test uses; nothing is known of it yet."""
    return f"d{next(domains)}.test"
