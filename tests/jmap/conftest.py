"""What the RFCs of JMAP demand, asked of Magpie, and of Cyrus, which others have written: so the tests are tested too.

The number in a test's name is the section: of RFC 8620 in `test_core_*.py`, of RFC 8621 in `test_mail_*.py`, of RFC 9007 in `test_mdn.py`. Where Cyrus
does something else, tests/harness/differences.py says what, and the test must fail there.
"""

import itertools
from collections.abc import Iterator

import pytest

from harness import cyrus, differences
from harness.jmap import Jmap, Library, Login, Server
from harness.server import PASSWORD, Magpie

USERS = 230


class Ours:
    """Magpie, as far as a JMAP client is concerned."""

    def __init__(self, magpie: Magpie):
        self.magpie = magpie
        self.numbers = itertools.count(1)

    def account(self) -> Login:
        number = next(self.numbers)
        assert number <= USERS, "more tests than accounts: raise USERS"
        return Login(f"http://127.0.0.1:{self.magpie.port('http')}/", f"user{number}", PASSWORD)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "[cyrus" in item.name and (reason := differences.reason(item.name)):
            # A process of theirs that reads where it must not fails now and then.
            strict = reason != "its server fails"
            item.add_marker(pytest.mark.xfail(reason=f"Cyrus: {reason}", strict=strict))


@pytest.fixture(scope="session", params=["magpie", "cyrus"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.param == "cyrus":
        with cyrus.running() as theirs:
            yield theirs
        return
    magpie = Magpie(tmp_path_factory.mktemp("jmap") / "data", users=USERS).start(timeout=300)
    yield Ours(magpie)
    assert magpie.running, f"the server died\n{magpie.log_tail()}"
    magpie.stop()
    assert b"panicked" not in magpie.log.read_bytes(), magpie.log_tail()


@pytest.fixture
def client(server: Server) -> Iterator[Jmap]:
    """A session in an account of the test's own."""
    client = Jmap(server.account())
    yield client
    client.close()


@pytest.fixture
def stranger(server: Server) -> Iterator[Jmap]:
    """Somebody else."""
    client = Jmap(server.account())
    yield client
    client.close()


@pytest.fixture(scope="session")
def library(server: Server) -> Iterator[Library]:
    library = Library(server.account())
    yield library
    library.client.close()
