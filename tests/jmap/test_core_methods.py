"""RFC 8620 §5.1 to §5.4: what /get, /changes, /set and /copy do for every type, with mailboxes and emails."""

from typing import Any

import pytest

from harness.jmap import CORE, Jmap, letter

NOBODY = "nobody-has-this-id"


# §5.1: /get. ---------------------------------------------------------------------------------------------


def test_5_1_all(client: Jmap) -> None:
    made = client.mailbox("Made")
    answer = client.call("Mailbox/get", ids=None)
    assert made in [each["id"] for each in answer["list"]] and answer["notFound"] == []
    assert answer["accountId"] == client.account and isinstance(answer["state"], str)


def test_5_1_none(client: Jmap) -> None:
    for kind in ("Mailbox", "Email", "Thread"):
        answer = client.call(f"{kind}/get", ids=[])
        assert answer["list"] == [] and answer["notFound"] == []


def test_5_1_not_found(client: Jmap) -> None:
    (email,) = client.store(letter())
    for kind, id in (("Email", email), ("Mailbox", client.inbox)):
        answer = client.call(f"{kind}/get", ids=[NOBODY, id], properties=["id"])
        assert answer["list"] == [{"id": id}] and answer["notFound"] == [NOBODY]


def test_5_1_the_id_of_another_type_is_not_found(client: Jmap) -> None:
    (email,) = client.store(letter())
    inbox = client.inbox
    assert client.call("Email/get", ids=[inbox])["notFound"] == [inbox]
    assert client.call("Mailbox/get", ids=[email])["notFound"] == [email]
    assert client.call("Thread/get", ids=[email])["notFound"] == [email]


def test_5_1_an_id_of_another_account_is_not_found(client: Jmap, stranger: Jmap) -> None:
    (email,) = stranger.store(letter("Secret"))
    thread = stranger.email(email)["threadId"]
    mine = client.store(letter("Mine"))
    for kind, id in (("Email", email), ("Thread", thread)):
        answer = client.call(f"{kind}/get", ids=[id])
        assert answer["notFound"] == [id] or "Secret" not in str(answer["list"])
    assert client.email(*mine)["subject"] == "Mine"


def test_5_1_the_same_id_twice_is_answered_once(client: Jmap) -> None:
    (email,) = client.store(letter())
    answer = client.call("Email/get", ids=[email, NOBODY, email, NOBODY], properties=[])
    assert answer["list"] == [{"id": email}] and answer["notFound"] == [NOBODY]


def test_5_1_only_the_properties_asked_for_and_the_id(client: Jmap) -> None:
    (email,) = client.store(letter("Only this"))
    inbox = client.inbox
    assert client.email(email, "subject") == {"id": email, "subject": "Only this"}
    (mailbox,) = client.call("Mailbox/get", ids=[inbox], properties=["role"])["list"]
    assert mailbox == {"id": inbox, "role": "inbox"}
    (mailbox,) = client.call("Mailbox/get", ids=[inbox], properties=[])["list"]
    assert mailbox == {"id": inbox}


@pytest.mark.parametrize("kind", ["Mailbox", "Thread", "Email"])
def test_5_1_an_invalid_property(client: Jmap, kind: str) -> None:
    assert client.error(f"{kind}/get", ids=[], properties=["id", "unheardOf"]) == "invalidArguments"


def test_5_1_too_many(client: Jmap) -> None:
    most = client.session["capabilities"][CORE]["maxObjectsInGet"]
    ids = [f"x{number}" for number in range(most + 1)]
    assert client.error("Email/get", ids=ids, properties=["id"]) == "requestTooLarge"
    assert len(client.call("Email/get", ids=ids[:-1], properties=["id"])["notFound"]) == most


def test_5_1_the_state_changes_with_the_data_and_only_then(client: Jmap) -> None:
    (email,) = client.store(letter())
    for kind in ("Mailbox", "Email", "Thread"):
        assert client.state(kind) == client.state(kind)
    before = client.state()
    client.update("Email", email, **{"keywords/$seen": True})
    assert client.state() != before
    before = client.state("Mailbox")
    client.mailbox("Made")
    assert client.state("Mailbox") != before


# §5.2: /changes. -----------------------------------------------------------------------------------------


def all_changes(client: Jmap, kind: str, since: str, most: int | None = None) -> dict[str, set[str]]:
    """Walks from one state to the present, as a client with a cache of ids does."""
    created, updated, destroyed = set(), set(), set()
    for _ in range(1000):
        answer = client.call(f"{kind}/changes", sinceState=since, **({"maxChanges": most} if most else {}))
        assert answer["oldState"] == since
        names = [answer[list] for list in ("created", "updated", "destroyed")]
        assert not most or sum(map(len, names)) <= most, answer
        for ids in names:
            assert len(ids) == len(set(ids)), answer
        # §5.2: never created after it was named otherwise, never destroyed before.
        assert not set(answer["created"]) & destroyed, answer
        created |= set(answer["created"]) - updated
        updated |= set(answer["updated"])
        destroyed |= set(answer["destroyed"])
        if not answer["hasMoreChanges"]:
            assert answer["newState"] == client.state(kind)
            return {"created": created - destroyed, "updated": updated - created - destroyed,
                    "destroyed": destroyed - created}  # fmt: skip
        assert answer["newState"] != since
        since = answer["newState"]
    raise AssertionError("the changes never end")


@pytest.mark.parametrize("kind", ["Mailbox", "Email", "Thread"])
def test_5_2_nothing_has_changed(client: Jmap, kind: str) -> None:
    state = client.state(kind)
    answer = client.call(f"{kind}/changes", sinceState=state)
    assert (answer["created"], answer["updated"], answer["destroyed"]) == ([], [], [])
    assert (answer["oldState"], answer["newState"], answer["hasMoreChanges"]) == (state, state, False)
    assert answer["accountId"] == client.account


@pytest.mark.parametrize("most", [None, 1, 2, 5])
def test_5_2_emails_created_updated_destroyed(client: Jmap, most: int | None) -> None:
    kept, changed, lost = client.store(*(letter(f"Before {n}") for n in range(3)))
    since = client.state()
    made = client.store(*(letter(f"After {n}") for n in range(4)))
    client.update("Email", changed, **{"keywords/$flagged": True})
    client.update("Email", made[0], **{"keywords/$seen": True})
    client.destroy("Email", lost, made[1])
    changes = all_changes(client, "Email", since, most)
    assert changes["created"] == {made[0], made[2], made[3]}
    assert changes["updated"] - set(made) == {changed} and kept not in changes["updated"]
    assert changes["destroyed"] - set(made) == {lost}


@pytest.mark.parametrize("most", [None, 1])
def test_5_2_mailboxes_created_updated_destroyed(client: Jmap, most: int | None) -> None:
    changed, lost = client.mailbox("Changed"), client.mailbox("Lost")
    since = client.state("Mailbox")
    made = client.mailbox("Made")
    client.update("Mailbox", changed, name="Renamed")
    client.destroy("Mailbox", lost)
    changes = all_changes(client, "Mailbox", since, most)
    assert changes == {"created": {made}, "updated": {changed}, "destroyed": {lost}}


def test_5_2_what_came_and_went_is_left_out(client: Jmap) -> None:
    since = client.state()
    (email,) = client.store(letter())
    client.destroy("Email", email)
    answer = client.call("Email/changes", sinceState=since)
    assert email not in answer["created"] or email in answer["destroyed"]


def test_5_2_fewer_than_asked_for_never_more(client: Jmap) -> None:
    since = client.state()
    emails = client.store(*(letter(f"Number {n}") for n in range(7)))
    answer = client.call("Email/changes", sinceState=since, maxChanges=3)
    assert answer["hasMoreChanges"] and len(answer["created"]) <= 3
    assert all_changes(client, "Email", since, 3)["created"] == set(emails)


@pytest.mark.parametrize("most", [0, -1])
def test_5_2_max_changes_is_positive(client: Jmap, most: int) -> None:
    assert client.error("Email/changes", sinceState=client.state(), maxChanges=most) == "invalidArguments"


@pytest.mark.parametrize("kind", ["Mailbox", "Email", "Thread"])
@pytest.mark.parametrize("state", ["", "nonsense", "s-1", "99999999999999999999999", "한글"])
def test_5_2_a_state_that_was_never_given(client: Jmap, kind: str, state: str) -> None:
    """RFC 8620 knows `cannotCalculateChanges` for it; a server may also take it for a wrong argument."""
    assert client.error(f"{kind}/changes", sinceState=state) in ("cannotCalculateChanges", "invalidArguments")


# §5.3: /set. ---------------------------------------------------------------------------------------------


def test_5_3_if_in_state(client: Jmap) -> None:
    old = client.state("Mailbox")
    answer = client.call("Mailbox/set", ifInState=old, create={"a": {"name": "First"}})
    assert answer["oldState"] in (old, None) and answer["newState"] == client.state("Mailbox") != old
    assert client.error("Mailbox/set", ifInState=old, create={"b": {"name": "Second"}}) == "stateMismatch"
    assert "Second" not in [each["name"] for each in client.mailboxes().values()]


def test_5_3_what_the_server_has_set_is_told(client: Jmap) -> None:
    """All that the client has not sent: what the server has set, and what it has set to a default."""
    made = client.call("Mailbox/set", create={"new": {"name": "Made"}})["created"]["new"]
    whole = client.mailboxes()[made["id"]]
    assert made == {name: value for name, value in whole.items() if name != "name"}


def test_5_3_nothing_done_is_null(client: Jmap) -> None:
    answer = client.call("Mailbox/set")
    for name in ("created", "updated", "destroyed", "notCreated", "notUpdated", "notDestroyed"):
        assert answer.get(name) is None, name


def test_5_3_each_record_for_itself(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"good": {"name": "Good"}, "bad": {}, "worse": {"name": 5}},
                         update={NOBODY: {"name": "x"}}, destroy=["nobody-either"])  # fmt: skip
    assert list(answer["created"]) == ["good"] and set(answer["notCreated"]) == {"bad", "worse"}
    assert {each["type"] for each in answer["notCreated"].values()} == {"invalidProperties"}
    assert answer["notUpdated"][NOBODY]["type"] == answer["notDestroyed"]["nobody-either"]["type"] == "notFound"


def test_5_3_invalid_properties_are_named(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "unheardOf": 1}, "b": {"name": 5, "sortOrder": -1}})
    assert answer["notCreated"]["a"]["type"] == answer["notCreated"]["b"]["type"] == "invalidProperties"
    assert answer["notCreated"]["a"]["properties"] == ["unheardOf"]
    assert sorted(answer["notCreated"]["b"]["properties"]) == ["name", "sortOrder"]


@pytest.mark.parametrize(
    "property", [{"id": "x"}, {"totalEmails": 5}, {"unreadThreads": 0}, {"myRights": {}}], ids=lambda p: next(iter(p))
)
def test_5_3_what_only_the_server_sets(client: Jmap, property: dict[str, Any]) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", **property}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


def test_5_3_a_whole_object_is_a_patch(client: Jmap) -> None:
    """What only the server sets may stand in an update as it is, and nothing else."""
    mailbox = client.mailbox("Whole")
    whole = client.look(mailbox)
    client.update("Mailbox", mailbox, **{**whole, "name": "Renamed"})
    assert client.look(mailbox) == {**whole, "name": "Renamed"}
    error = client.unchanged("Mailbox", mailbox, **{**whole, "totalEmails": 7})
    assert error["type"] == "invalidProperties"
    assert client.look(mailbox)["name"] == "Renamed"


def test_5_3_a_whole_email_is_a_patch(client: Jmap) -> None:
    (email,) = client.store(letter())
    whole = client.email(email)
    client.update("Email", email, **{**whole, "keywords": {"$seen": True}})
    assert client.email(email) == {**whole, "keywords": {"$seen": True}}


def test_5_3_null_is_the_default(client: Jmap) -> None:
    mailbox = client.mailbox("Ordered", sortOrder=7)
    client.update("Mailbox", mailbox, sortOrder=None)
    assert client.look(mailbox)["sortOrder"] == 0


def test_5_3_null_for_what_is_not_there_does_nothing(client: Jmap) -> None:
    (email,) = client.store(letter())
    client.update("Email", email, **{"keywords/never": None})
    assert client.email(email, "keywords")["keywords"] == {}


@pytest.mark.parametrize(
    "patch",
    [
        {"keywords": {"a": True}, "keywords/b": True},
        {"keywords/a/b": True},
        {"nothing/a": True},
        {"mailboxIds/x/y": True, "keywords/a": True},
    ],
    ids=["a-prefix-of-another", "below-a-value", "no-such-parent", "one-of-two"],
)
def test_5_3_invalid_patches(client: Jmap, patch: dict[str, Any]) -> None:
    (email,) = client.store(letter())
    assert client.unchanged("Email", email, **patch)["type"] in ("invalidPatch", "invalidProperties")
    assert client.email(email, "keywords")["keywords"] == {}


def test_5_3_a_prefix_of_another_is_an_invalid_patch(client: Jmap) -> None:
    (email,) = client.store(letter())
    error = client.unchanged("Email", email, **{"keywords": {"a": True}, "keywords/b": True})
    assert error["type"] == "invalidPatch"


def test_5_3_pointers_are_escaped(client: Jmap) -> None:
    """RFC 6901 §3: `~1` is a slash, which a keyword may have."""
    (email,) = client.store(letter())
    client.update("Email", email, **{"keywords/a~1b": True, "keywords/c~0d": True})
    assert client.email(email, "keywords")["keywords"] == {"a/b": True, "c~d": True}


def test_5_3_a_record_is_changed_whole_or_not(client: Jmap) -> None:
    (email,) = client.store(letter())
    before = client.email(email)
    client.unchanged("Email", email, **{"keywords/good": True, "mailboxIds": {NOBODY: True}})
    client.unchanged("Email", email, **{"keywords/good": True, "subject": "Immutable"})
    assert client.email(email) == before


def test_5_3_immutable_properties(client: Jmap) -> None:
    (email,) = client.store(letter("As it is"))
    error = client.unchanged("Email", email, subject="Another", receivedAt="2020-01-01T00:00:00Z")
    assert error["type"] == "invalidProperties" and set(error["properties"]) == {"subject", "receivedAt"}


def test_5_3_creation_ids_within_a_call(client: Jmap) -> None:
    """The server orders what is made so that a parent comes before its child, however they are named."""
    made = client.call("Mailbox/set", create={"a": {"name": "C", "parentId": "#b"}, "b": {"name": "B", "parentId": "#c"},
                                              "c": {"name": "A"}})["created"]  # fmt: skip
    mailboxes = client.mailboxes()
    assert mailboxes[made["a"]["id"]]["parentId"] == made["b"]["id"]
    assert mailboxes[made["b"]["id"]]["parentId"] == made["c"]["id"]


def test_5_3_creation_ids_across_calls_and_types(client: Jmap) -> None:
    (email,) = client.store(letter())
    _, changed = client.calls(
        ("Mailbox/set", {"create": {"m": {"name": "Made"}}}),
        ("Email/set", {"update": {email: {"mailboxIds": {"#m": True}}}}),
    )
    assert email in changed["updated"]
    (where,) = client.email(email, "mailboxIds")["mailboxIds"]
    assert client.mailboxes()[where]["name"] == "Made"


def test_5_3_creation_ids_in_paths(client: Jmap) -> None:
    (email,) = client.store(letter())
    made, changed = client.calls(
        ("Mailbox/set", {"create": {"m": {"name": "Made"}}}),
        ("Email/set", {"update": {email: {"mailboxIds/#m": True}}}),
    )
    assert email in (changed["updated"] or {}), changed
    assert made["created"]["m"]["id"] in client.email(email, "mailboxIds")["mailboxIds"]


def test_5_3_the_latest_of_a_reused_creation_id_counts(client: Jmap) -> None:
    _, second, child = client.calls(
        ("Mailbox/set", {"create": {"m": {"name": "First"}}}),
        ("Mailbox/set", {"create": {"m": {"name": "Second"}}}),
        ("Mailbox/set", {"create": {"c": {"name": "Child", "parentId": "#m"}}}),
    )
    parent = client.mailboxes()[child["created"]["c"]["id"]]["parentId"]
    assert parent == second["created"]["m"]["id"]


def test_5_3_an_unknown_creation_id(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "parentId": "#nobody"}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"
    assert answer["notCreated"]["a"]["properties"] == ["parentId"]


def test_5_3_what_depends_on_a_failed_creation_fails(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"p": {"name": ""}, "c": {"name": "Child", "parentId": "#p"}})
    assert set(answer["notCreated"]) == {"p", "c"} and not answer["created"]


def test_5_3_two_records_change_names(client: Jmap) -> None:
    """What is invalid in between is allowed if it is valid in the end."""
    a, b = client.mailbox("A"), client.mailbox("B")
    answer = client.call("Mailbox/set", update={a: {"name": "B"}, b: {"name": "A"}})
    assert set(answer["updated"] or {}) == {a, b}, answer
    mailboxes = client.mailboxes()
    assert (mailboxes[a]["name"], mailboxes[b]["name"]) == ("B", "A")


def test_5_3_a_name_that_becomes_free(client: Jmap) -> None:
    a = client.mailbox("A")
    answer = client.call("Mailbox/set", create={"new": {"name": "A"}}, update={a: {"name": "B"}})
    names = [each["name"] for each in client.mailboxes().values()]
    # Either all of it, or that which was not possible is told.
    assert bool(answer.get("notCreated")) == (names.count("A") == 0) and names.count("A") <= 1


def test_5_3_updated_and_destroyed_at_once(client: Jmap) -> None:
    (email,) = client.store(letter())
    answer = client.call("Email/set", update={email: {"keywords/$seen": True}}, destroy=[email])
    assert answer["destroyed"] == [email]
    if answer.get("notUpdated"):
        assert answer["notUpdated"][email]["type"] == "willDestroy"


def test_5_3_too_many(client: Jmap) -> None:
    most = client.session["capabilities"][CORE]["maxObjectsInSet"]
    ids = [f"x{number}" for number in range(most + 1)]
    assert client.error("Email/set", destroy=ids) == "requestTooLarge"
    half = most // 2 + 1
    update = {id: {"keywords/$seen": True} for id in ids[:half]}
    assert client.error("Email/set", update=update, destroy=ids[half : 2 * half]) == "requestTooLarge"


def test_5_3_destroyed_twice(client: Jmap) -> None:
    (email,) = client.store(letter())
    client.destroy("Email", email)
    answer = client.call("Email/set", destroy=[email])
    assert answer["notDestroyed"][email]["type"] == "notFound"


# §5.4: /copy. --------------------------------------------------------------------------------------------


def test_5_4_between_two_accounts(client: Jmap) -> None:
    (email,) = client.store(letter())
    same = {"fromAccountId": client.account, "create": {"c": {"id": email, "mailboxIds": {client.inbox: True}}}}
    assert client.error("Email/copy", **same) == "invalidArguments"


def test_5_4_from_nowhere(client: Jmap, stranger: Jmap) -> None:
    for account in ("nobody", stranger.account):
        assert client.error("Email/copy", fromAccountId=account, create={}) == "fromAccountNotFound"


def test_5_4_to_nowhere(client: Jmap) -> None:
    assert client.error("Email/copy", fromAccountId=client.account, accountId="nobody", create={}) == "accountNotFound"


def test_6_3_blobs_from_nowhere(client: Jmap) -> None:
    assert client.error("Blob/copy", fromAccountId="nobody", blobIds=[]) == "fromAccountNotFound"
