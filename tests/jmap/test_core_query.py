"""RFC 8620 §5.5 and §5.6: windows, anchors, totals, operators, and the changes of a query."""

import random
from typing import Any

import pytest

from harness.jmap import Jmap, Server, letter

OLDEST_FIRST = [{"property": "receivedAt", "isAscending": True}]
NEWEST_FIRST = [{"property": "receivedAt", "isAscending": False}]


class Ten:
    """Ten emails, one for each day, oldest first."""

    def __init__(self, client: Jmap):
        self.client = client
        self.ids = [
            client.store(letter(f"Number {n}"), receivedAt=f"2026-01-{n + 1:02}T10:00:00Z",
                         keywords={f"k{n % 2}": True, f"n{n}": True})[0]
            for n in range(10)
        ]  # fmt: skip
        client.login.settle()

    def query(self, **given: Any) -> dict[str, Any]:
        return self.client.call("Email/query", sort=OLDEST_FIRST, **given)


@pytest.fixture(scope="module")
def ten(server: Server) -> Ten:
    return Ten(Jmap(server.account()))


# §5.5: windows. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "first", "last"),
    [
        ({}, 0, 10),
        ({"position": 0, "limit": 3}, 0, 3),
        ({"position": 4, "limit": 3}, 4, 7),
        ({"position": 8, "limit": 5}, 8, 10),
        ({"position": 10}, 10, 10),
        ({"position": 1000, "limit": 5}, 1000, 1000),
        ({"position": -1}, 9, 10),
        ({"position": -3, "limit": 2}, 7, 9),
        ({"position": -10}, 0, 10),
        ({"position": -1000, "limit": 2}, 0, 2),
        ({"limit": 0}, 0, 0),
    ],
    ids=str,
)
def test_5_5_position_and_limit(ten: Ten, window: dict[str, int], first: int, last: int) -> None:
    answer = ten.query(**window)
    assert answer["ids"] == ten.ids[first:last]
    if answer["ids"]:
        assert answer["position"] == first


@pytest.mark.parametrize(
    ("at", "offset", "limit", "first", "last"),
    [
        (5, 0, 2, 5, 7),
        (5, -2, 4, 3, 7),
        (5, 2, 2, 7, 9),
        (0, -5, 3, 0, 3),
        (3, -100, 2, 0, 2),
        (9, 0, 5, 9, 10),
        (5, 100, 5, 105, 105),
        (9, None, None, 9, 10),
    ],
)
def test_5_5_anchors(ten: Ten, at: int, offset: int | None, limit: int | None, first: int, last: int) -> None:
    more = {} if offset is None else {"anchorOffset": offset}
    # A position beside an anchor is ignored.
    answer = ten.query(anchor=ten.ids[at], limit=limit, position=1, **more)
    assert answer["ids"] == ten.ids[first:last]
    if answer["ids"]:
        assert answer["position"] == first


def test_5_5_an_offset_without_an_anchor_is_ignored(ten: Ten) -> None:
    assert ten.query(position=2, anchorOffset=4, limit=1)["ids"] == ten.ids[2:3]


def test_5_5_an_anchor_that_is_not_there(ten: Ten) -> None:
    for anchor, filter in (("nobody", None), (ten.ids[0], {"hasKeyword": "k1"})):
        error = ten.client.error("Email/query", anchor=anchor, filter=filter, sort=OLDEST_FIRST)
        assert error == "anchorNotFound"


@pytest.mark.parametrize(
    "window", [{}, {"position": 8}, {"position": 1000}, {"limit": 0}, {"position": -2, "limit": 1}]
)
def test_5_5_totals_only_where_asked_for(ten: Ten, window: dict[str, int]) -> None:
    assert "total" not in ten.query(**window)
    assert "total" not in ten.query(calculateTotal=False, **window)
    assert ten.query(calculateTotal=True, **window)["total"] == 10
    assert ten.query(calculateTotal=True, filter={"hasKeyword": "k0"}, **window)["total"] == 5


def test_5_5_the_limit_is_told_only_where_it_is_another(ten: Ten) -> None:
    assert ten.query(limit=3).get("limit") in (None, 3)
    huge = ten.query(limit=2**53 - 1)
    assert huge["ids"] == ten.ids
    assert "limit" not in huge or huge["limit"] < 2**53 - 1


def test_5_5_what_else_is_answered(ten: Ten) -> None:
    answer = ten.query()
    assert answer["accountId"] == ten.client.account
    assert isinstance(answer["queryState"], str) and isinstance(answer["canCalculateChanges"], bool)
    assert ten.query()["queryState"] == answer["queryState"]


# §5.5: filters. ------------------------------------------------------------------------------------------


def keyword(name: str) -> dict[str, str]:
    return {"hasKeyword": name}


def operator(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"operator": name, "conditions": list(conditions)}


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        (None, range(10)),
        ({}, range(10)),
        (keyword("k0"), range(0, 10, 2)),
        (operator("AND", keyword("k0"), keyword("n4")), [4]),
        (operator("AND", keyword("k0"), keyword("n5")), []),
        (operator("OR", keyword("n1"), keyword("n7"), keyword("nobody")), [1, 7]),
        (operator("NOT", keyword("k0")), range(1, 10, 2)),
        (operator("NOT", keyword("k0"), keyword("n1")), [3, 5, 7, 9]),
        (operator("NOT", operator("NOT", keyword("k0"))), range(0, 10, 2)),
        (operator("AND", operator("OR", keyword("n1"), keyword("n2"), keyword("n3")), operator("NOT", keyword("n2"))), [1, 3]),
        (operator("OR", operator("AND", keyword("k0"), keyword("n0")), {"after": "2026-01-09T00:00:00Z"}), [0, 8, 9]),
        (operator("AND", {}), range(10)),
        (operator("NOT", {}), []),
        ({"hasKeyword": "k0", "after": "2026-01-05T10:00:00Z"}, [4, 6, 8]),
    ],
    ids=str,
)  # fmt: skip
def test_5_5_operators(ten: Ten, filter: dict[str, Any] | None, numbers: Any) -> None:
    assert ten.query(filter=filter)["ids"] == [ten.ids[n] for n in numbers]


@pytest.mark.parametrize(
    "filter",
    [
        {"operator": "XOR", "conditions": []},
        {"operator": "and", "conditions": []},
        {"operator": "AND"},
        {"operator": "AND", "conditions": {}},
        {"operator": "AND", "conditions": ["x"]},
        {"hasKeyword": 1},
        {"inMailbox": None},
        {"before": "yesterday"},
        {"minSize": -1},
        {"header": []},
        {"header": ["a", "b", "c"]},
    ],
    ids=str,
)
def test_5_5_filters_out_of_order(ten: Ten, filter: dict[str, Any]) -> None:
    assert ten.client.error("Email/query", filter=filter) in ("invalidArguments", "unsupportedFilter")


def test_5_5_an_unknown_condition(ten: Ten) -> None:
    assert ten.client.error("Email/query", filter={"unheardOf": 1}) in ("unsupportedFilter", "invalidArguments")


# §5.5: sorts. --------------------------------------------------------------------------------------------


def test_5_5_ascending_is_the_default(ten: Ten) -> None:
    assert ten.client.call("Email/query", sort=[{"property": "receivedAt"}])["ids"] == ten.ids
    assert ten.client.call("Email/query", sort=NEWEST_FIRST)["ids"] == ten.ids[::-1]


def test_5_5_the_next_comparator_decides_where_the_first_does_not(ten: Ten) -> None:
    sort = [{"property": "hasKeyword", "keyword": "k1", "isAscending": False}, *NEWEST_FIRST]
    assert ten.client.call("Email/query", sort=sort)["ids"] == ten.ids[::-1][::2] + ten.ids[::-1][1::2]


def test_5_5_a_comparator_may_have_further_properties(ten: Ten) -> None:
    """jmapc puts arguments of the query there as well."""
    sort = [{"property": "receivedAt", "isAscending": True, "position": 0, "calculateTotal": False}]
    assert ten.client.call("Email/query", sort=sort)["ids"] == ten.ids


def test_5_5_without_a_sort_the_order_is_stable(ten: Ten) -> None:
    first = ten.client.call("Email/query", sort=[])["ids"]
    assert ten.client.call("Email/query", sort=None)["ids"] == first and sorted(first) == sorted(ten.ids)
    assert ten.client.call("Email/query", position=3, limit=4)["ids"] == first[3:7]


@pytest.mark.parametrize(
    "sort",
    [[{"property": "unheardOf"}], [{"property": "subject", "collation": "i;no-such-collation"}]],
    ids=["property", "collation"],
)
def test_5_5_unsupported_sorts(ten: Ten, sort: list[dict[str, Any]]) -> None:
    assert ten.client.error("Email/query", sort=sort) == "unsupportedSort"


@pytest.mark.parametrize(
    "sort", [[{}], ["receivedAt"], [{"property": 1}], [{"property": "receivedAt", "isAscending": 1}]]
)
def test_5_5_sorts_out_of_order(ten: Ten, sort: list[Any]) -> None:
    assert ten.client.error("Email/query", sort=sort) == "invalidArguments"


# §5.6: /queryChanges. ------------------------------------------------------------------------------------

QUERIES: dict[str, dict[str, Any]] = {
    "everything": {"sort": NEWEST_FIRST},
    "a mailbox, newest first": {"filter": "inbox", "sort": NEWEST_FIRST},
    "a mailbox, oldest first": {"filter": "inbox", "sort": OLDEST_FIRST},
    "a mailbox, collapsed": {"filter": "inbox", "sort": NEWEST_FIRST, "collapseThreads": True},
    "a keyword": {"filter": {"hasKeyword": "$flagged"}, "sort": NEWEST_FIRST},
    "not a keyword, collapsed": {"filter": {"notKeyword": "$seen"}, "sort": NEWEST_FIRST, "collapseThreads": True},
    "by keyword": {"sort": [{"property": "hasKeyword", "keyword": "$flagged", "isAscending": False}, *NEWEST_FIRST]},
    "a thread's keyword": {"filter": {"someInThreadHaveKeyword": "$flagged"}, "sort": NEWEST_FIRST},
}


def spliced(cached: list[str], answer: dict[str, Any]) -> list[str]:
    """The client's side of §5.6: splice out what was removed, splice in what was added."""
    removed = set(answer["removed"])
    assert [each["index"] for each in answer["added"]] == sorted(each["index"] for each in answer["added"])
    ids = [id for id in cached if id not in removed]
    for each in answer["added"]:
        ids.insert(each["index"], each["id"])
    return ids


class Walk:
    """Random changes to an account with a few threads and mailboxes."""

    def __init__(self, client: Jmap, seed: int):
        self.client, self.random = client, random.Random(seed)
        self.inbox, self.other = client.inbox, client.mailbox("Other")
        self.number = 0
        self.emails: list[str] = []
        for _ in range(12):
            self.arrive()

    def arrive(self) -> None:
        self.number += 1
        thread = self.random.randrange(5)
        received = f"2026-02-{self.random.randrange(1, 28):02}T{self.number % 24:02}:00:{self.number % 60:02}Z"
        mail = letter(f"Re: Thread {thread}", f"{self.number}\r\n", Message_ID=f"<n{self.number}@example.com>",
                      References=f"<thread{thread}@example.com>")  # fmt: skip
        self.emails += self.client.store(mail, into=self.random.choice([self.inbox, self.other]), receivedAt=received)

    def step(self) -> None:
        choice, email = self.random.random(), self.random.choice(self.emails)
        if choice < 0.3:
            self.arrive()
        elif choice < 0.4 and len(self.emails) > 5:
            self.emails.remove(email)
            self.client.destroy("Email", email)
        elif choice < 0.6:
            where = self.random.choice([{self.inbox: True}, {self.other: True}, {self.inbox: True, self.other: True}])
            self.client.update("Email", email, mailboxIds=where)
        else:
            keyword = self.random.choice(["$flagged", "$seen"])
            self.client.update("Email", email, **{f"keywords/{keyword}": self.random.choice([True, None])})


@pytest.mark.parametrize("seed", [1, 2])
def test_5_6_the_changes_lead_to_the_new_results(client: Jmap, seed: int) -> None:
    walk = Walk(client, seed)
    queries = {
        name: {**query, "filter": {"inMailbox": walk.inbox} if query.get("filter") == "inbox" else query.get("filter")}
        for name, query in QUERIES.items()
    }
    known = {name: client.call("Email/query", **query) for name, query in queries.items()}
    told = 0
    for _ in range(12):
        for _ in range(walk.random.randrange(1, 4)):
            walk.step()
        for name, query in queries.items():
            now = client.call("Email/query", **query, calculateTotal=True)
            if known[name]["canCalculateChanges"]:
                answer = client.call("Email/queryChanges", **query, sinceQueryState=known[name]["queryState"],
                                     calculateTotal=True)  # fmt: skip
                assert spliced(known[name]["ids"], answer) == now["ids"], (name, known[name], answer, now)
                assert answer["total"] == now["total"] == len(now["ids"]), name
                assert answer["oldQueryState"] == known[name]["queryState"]
                told += 1
            if known[name]["ids"] != now["ids"]:
                assert known[name]["queryState"] != now["queryState"], name
            known[name] = now
    assert told, "the server calculates no changes at all"


def test_5_6_nothing_has_changed(client: Jmap) -> None:
    client.store(letter())
    query = {"filter": {"inMailbox": client.inbox}, "sort": NEWEST_FIRST}
    state = client.call("Email/query", **query)["queryState"]
    answer = client.call("Email/queryChanges", **query, sinceQueryState=state)
    assert (answer["removed"], answer["added"]) == ([], [])
    assert (answer["oldQueryState"], answer["newQueryState"]) == (state, state)
    assert "total" not in answer


def test_5_6_the_new_state_is_that_of_a_new_query(client: Jmap) -> None:
    query = {"filter": {"inMailbox": client.inbox}, "sort": NEWEST_FIRST}
    state = client.call("Email/query", **query)["queryState"]
    client.store(letter())
    answer = client.call("Email/queryChanges", **query, sinceQueryState=state)
    # From there on nothing has changed.
    again = client.call("Email/queryChanges", **query, sinceQueryState=answer["newQueryState"])
    assert (again["removed"], again["added"]) == ([], [])


def test_5_6_too_many_changes(client: Jmap) -> None:
    query = {"filter": {"inMailbox": client.inbox}, "sort": NEWEST_FIRST}
    state = client.call("Email/query", **query)["queryState"]
    client.store(*(letter(f"Number {n}") for n in range(4)))
    assert client.error("Email/queryChanges", **query, sinceQueryState=state, maxChanges=3) == "tooManyChanges"
    answer = client.call("Email/queryChanges", **query, sinceQueryState=state, maxChanges=20)
    assert [each["index"] for each in answer["added"]] == [0, 1, 2, 3]


def test_5_6_changes_below_the_last_known_id_may_be_left_out(client: Jmap) -> None:
    """With `upToId` the part of the results that the client has is brought up to date exactly."""
    ids = [client.store(letter(f"{n}"), receivedAt=f"2026-03-{n + 1:02}T00:00:00Z")[0] for n in range(6)]
    query = {"sort": NEWEST_FIRST}
    before = client.call("Email/query", **query)
    client.destroy("Email", ids[0], ids[4])
    client.store(letter("new"), receivedAt="2026-03-20T00:00:00Z")
    client.store(letter("old"), receivedAt="2026-02-01T00:00:00Z")
    known = before["ids"][:3]
    answer = client.call("Email/queryChanges", **query, sinceQueryState=before["queryState"], upToId=known[-1])
    now = client.call("Email/query", **query)["ids"]
    got = spliced(known, {**answer, "added": [each for each in answer["added"] if each["index"] <= 3]})
    assert got[:3] == now[:3]


@pytest.mark.parametrize("state", ["", "nonsense", "-5", "99999999999999999"])
@pytest.mark.parametrize("kind", ["Email", "Mailbox"])
def test_5_6_a_state_that_was_never_given(client: Jmap, kind: str, state: str) -> None:
    error = client.error(f"{kind}/queryChanges", sinceQueryState=state)
    assert error in ("cannotCalculateChanges", "invalidArguments")
