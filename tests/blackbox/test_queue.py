"""`magpie queue`: what an operator sees and decides of mail for other servers, next to a running server and without one."""

import itertools
import json
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.server import Magpie
from harness.site import Site

NOBODYS = "0123456789abcdef"
destinations = itertools.count(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = Site(tmp_path_factory.mktemp("queue")).start()
    yield server
    if server.process:
        server.stop()


@pytest.fixture(params=["online", "offline"])
def queue(request: pytest.FixtureRequest) -> Magpie:
    """For what these commands do whether a server runs or not, where nobody else sends mail."""
    return request.getfixturevalue("site" if request.param == "online" else "stopped")


@pytest.fixture
def destination() -> str:
    """A destination that no other test is about."""
    return f"destination{next(destinations)}.example"


def known(server: Magpie, name: str) -> dict | None:
    """What `destinations` says of one; none if it is simply working and nothing waits for it."""
    found = [one for one in server.cli_json("queue", "destinations") if one["destination"] == name]
    return found[0] if found else None


def test_an_empty_queue_says_so(queue: Magpie) -> None:
    assert queue.cli_json("queue", "list") == []
    assert queue.cli("queue", "list", "--failed").stdout.startswith("Nothing of that kind waits")
    assert queue.cli_json("queue", "list", "--held", "--sender", "<>", "--destination", "example.com") == []


def test_a_destination_is_held_and_released(queue: Magpie, destination: str) -> None:
    """Also one for which nothing waits yet: what comes later waits there."""
    held = queue.cli_json("queue", "hold", "--destination", destination.upper(), "--why", "they are moving")
    assert (held["action"], held["destination"], held["waiting"]) == ("hold", destination, 0)
    line = known(queue, destination)
    assert (line["state"], line["in_line"], line["next"]) == ("held", 0, None)
    assert line["said"].startswith("by ") and line["said"].endswith(": they are moving")
    [row] = [line for line in queue.cli("queue", "destinations").stdout.splitlines() if destination in line]
    assert row.split()[1] == "held" and row.endswith(": they are moving")

    refused = queue.cli("queue", "retry", "--destination", destination, check=False)
    assert refused.returncode == 1 and f"queue release --destination {destination}" in refused.stderr
    released = queue.cli("queue", "release", "--destination", destination)
    assert released.stdout.startswith(f"{destination} is released")
    # A line that nobody stands in goes with the next look that a worker takes at it.
    assert (known(queue, destination) or {"state": "busy"})["state"] == "busy"


def test_what_is_not_held_is_not_released(queue: Magpie, destination: str) -> None:
    done = queue.cli("queue", "release", "--destination", destination, check=False)
    assert done.returncode == 1 and f"{destination} is not held" in done.stderr


def test_decisions_about_nothing_change_nothing(queue: Magpie) -> None:
    for words in [
        ("retry", "--failed"),
        ("hold", "--sender", "nobody@example.test"),
        ("release", "--sender", "<>"),
        ("drop", "--sender", "nobody@example.test"),
        ("reroute", "--destination", "nowhere.example", "--to", "relay.example"),
    ]:
        decided = queue.cli_json("queue", *words)
        assert (decided["action"], decided["messages"], decided["parts"]) == (words[0], 0, 0), words


def test_nonsense_is_refused(queue: Magpie) -> None:
    for words, code in [
        (("show", "no-id"), 1),
        (("show", NOBODYS), 5),
        (("explain", NOBODYS), 5),
        (("retry", NOBODYS), 5),
        (("hold", NOBODYS), 5),
        (("drop", NOBODYS), 5),
        (("reroute", NOBODYS, "--to", "relay.example"), 5),
        (("hold", "--destination", "x" * 256), 1),
        (("reroute", "--destination", "a.example", "--to", "A.example"), 1),
        (("retry",), 2),
        (("retry", NOBODYS, "--failed"), 2),
        (("reroute", NOBODYS), 2),
    ]:
        done = queue.cli("queue", *words, check=False)
        assert done.returncode == code, (words, done)
        told = queue.cli("queue", *words, "--json", check=False)
        assert told.returncode == code and not told.stdout, words
        if code != 2:
            assert json.loads(told.stderr)["error"]["message"] in done.stderr


def gauges(site: Site) -> dict[tuple[str, str], float]:
    """What is told of the outbound queue, by name and label."""
    code, text = site.get("/metrics")
    assert code == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        (sample.name.removeprefix("magpie_outbound_"), *sample.labels.values()): sample.value
        for sample in samples
        if sample.name.startswith(("magpie_outbound_queue_", "magpie_outbound_line_", "magpie_outbound_cause_"))
    }


def test_lines_are_told_by_cause(site: Site) -> None:
    site.cli("queue", "hold", "--destination", "held.example")
    told = gauges(site)
    assert told["cause_destinations", "held"] == 1 and told["cause_destinations", "connection"] == 0
    assert told["queue_legs", "waiting"] == 0 and told["line_legs", "other"] == 0
    # A destination for which nothing waits has no series of its own.
    assert ("line_legs", "held.example") not in told
    site.cli("queue", "release", "--destination", "held.example")
    assert gauges(site)["cause_destinations", "held"] == 0
