"""RFC 8621 §2: mailboxes."""

from typing import Any

import pytest

from harness.jmap import MAIL, Jmap, letter, reply

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
RIGHTS = {"mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords", "mayCreateChild",
          "mayRename", "mayDelete", "maySubmit"}  # fmt: skip
NOBODY = "nobody-has-this-id"


def counts(client: Jmap, mailbox: str) -> tuple[int, ...]:
    found = client.look(mailbox)
    return tuple(found[name] for name in COUNTS)


# Properties. ---------------------------------------------------------------------------------------------


def test_2_properties(client: Jmap) -> None:
    for mailbox in client.mailboxes().values():
        assert {"id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed"} <= set(mailbox)
        assert mailbox["name"] and isinstance(mailbox["isSubscribed"], bool)
        assert 0 <= mailbox["sortOrder"] < 2**31
        assert set(mailbox["myRights"]) >= RIGHTS and all(type(v) is bool for v in mailbox["myRights"].values())
        assert all(type(mailbox[name]) is int for name in COUNTS)


def test_2_roles_are_lower_case_and_each_there_once(client: Jmap) -> None:
    roles = [each["role"] for each in client.mailboxes().values() if each["role"]]
    assert "inbox" in roles and len(roles) == len(set(roles))
    assert all(role == role.lower() for role in roles)


def test_2_what_is_new_is_subscribed_and_has_no_role(client: Jmap) -> None:
    mailbox = client.look(client.mailbox("New"))
    assert (mailbox["name"], mailbox["parentId"], mailbox["role"], mailbox["sortOrder"]) == ("New", None, None, 0)
    assert [mailbox[name] for name in COUNTS] == [0, 0, 0, 0]
    assert all(mailbox["myRights"][right] for right in RIGHTS)


def test_2_a_new_mailbox_is_subscribed(client: Jmap) -> None:
    assert client.look(client.mailbox("New"))["isSubscribed"] is True


# Counts. -------------------------------------------------------------------------------------------------


def test_2_counts_of_emails_and_threads(client: Jmap) -> None:
    box = client.mailbox("Box")
    first, second = client.store(reply(1), reply(2), into=box)
    client.store(reply(1, "another"), into=box)
    assert counts(client, box) == (3, 3, 2, 2)
    client.update("Email", first, **{"keywords/$seen": True})
    assert counts(client, box) == (3, 2, 2, 2)
    client.update("Email", second, **{"keywords/$draft": True})
    assert counts(client, box) == (3, 1, 2, 1)
    client.destroy("Email", first, second)
    assert counts(client, box) == (1, 1, 1, 1)


def test_2_an_unread_email_elsewhere_makes_a_thread_unread(client: Jmap) -> None:
    """A quality implementation counts what the user would see who opens the thread."""
    here, there = client.mailbox("Here"), client.mailbox("There")
    client.store(reply(1), into=here, keywords={"$seen": True})
    client.store(reply(2), into=there)
    assert counts(client, here) == (1, 0, 1, 1)
    assert counts(client, there) == (1, 1, 1, 1)


def test_2_trash_is_a_thread_of_its_own_for_what_is_unread(client: Jmap) -> None:
    """The example of §2: one thread, read in the inbox and unread in the trash."""
    inbox, trash = client.inbox, client.role("trash")
    client.store(reply(1), into=inbox, keywords={"$seen": True})
    client.store(reply(2), into=trash)
    assert counts(client, inbox) == (1, 0, 1, 0)
    assert counts(client, trash) == (1, 1, 1, 1)


def test_2_unread_elsewhere_does_not_make_trash_unread(client: Jmap) -> None:
    inbox, trash = client.inbox, client.role("trash")
    client.store(reply(1), into=inbox)
    client.store(reply(2), into=trash, keywords={"$seen": True})
    assert counts(client, trash)[3] == 0 and counts(client, inbox)[3] == 1


def test_2_unread_in_trash_and_elsewhere_counts_for_both(client: Jmap) -> None:
    inbox, trash = client.inbox, client.role("trash")
    client.store(reply(1), into=[inbox, trash])
    assert counts(client, trash) == counts(client, inbox) == (1, 1, 1, 1)


def test_2_an_email_in_two_mailboxes(client: Jmap) -> None:
    a, b = client.mailbox("A"), client.mailbox("B")
    (email,) = client.store(letter(), into=[a, b])
    assert counts(client, a) == counts(client, b) == (1, 1, 1, 1)
    client.update("Email", email, **{f"mailboxIds/{a}": None})
    assert counts(client, a) == (0, 0, 0, 0) and counts(client, b) == (1, 1, 1, 1)


# §2.2: Mailbox/changes. ----------------------------------------------------------------------------------


def test_2_2_updated_properties_where_only_counts_have_changed(client: Jmap) -> None:
    since = client.state("Mailbox")
    client.store(letter())
    answer = client.call("Mailbox/changes", sinceState=since)
    assert client.inbox in answer["updated"]
    told = answer["updatedProperties"]
    assert told is None or set(told) <= set(COUNTS)


def test_2_2_updated_properties_are_told_by_a_good_server(client: Jmap) -> None:
    since = client.state("Mailbox")
    client.store(letter())
    assert client.call("Mailbox/changes", sinceState=since)["updatedProperties"]


def test_2_2_updated_properties_where_more_has_changed(client: Jmap) -> None:
    since = client.state("Mailbox")
    (email,) = client.store(letter())
    client.update("Mailbox", client.mailbox("New"), name="Renamed")
    client.update("Email", email, **{"keywords/$seen": True})
    renamed = client.call("Mailbox/changes", sinceState=since)
    if renamed["updatedProperties"] is not None:
        # Nothing else of those that were updated may have changed.
        assert set(renamed["updatedProperties"]) <= set(COUNTS) and renamed["updated"] == [client.inbox]
    old = client.mailbox("Old")
    since = client.state("Mailbox")
    client.update("Mailbox", old, name="Newer")
    client.store(letter("Another"))
    assert client.call("Mailbox/changes", sinceState=since)["updatedProperties"] is None


# §2.3: Mailbox/query. ------------------------------------------------------------------------------------


def tree(client: Jmap) -> dict[str, str]:
    """Some mailboxes in a tree, by their paths."""
    found = {"": None}
    for path in ("b", "b/y", "b/x", "b/x/1", "a", "a/z", "c"):
        parent, _, name = path.rpartition("/")
        found[path] = client.mailbox(name, parentId=found[parent], sortOrder=100 - len(found))
    del found[""]
    return found


def queried(client: Jmap, among: dict[str, str], **given: Any) -> list[str]:
    """The paths of the mailboxes that a query finds among those."""
    paths = {id: path for path, id in among.items()}
    return [paths[id] for id in client.call("Mailbox/query", **given)["ids"] if id in paths]


def test_2_3_filters(client: Jmap) -> None:
    made = tree(client)
    client.update("Mailbox", made["c"], isSubscribed=False)
    by_name = [{"property": "name"}]
    assert queried(client, made, filter={"parentId": made["b"]}, sort=by_name) == ["b/x", "b/y"]
    assert queried(client, made, filter={"parentId": None}, sort=by_name) == ["a", "b", "c"]
    assert queried(client, made, filter={"isSubscribed": False}) == ["c"]
    assert queried(client, made, filter={"hasAnyRole": True}) == []
    assert client.call("Mailbox/query", filter={"role": "inbox"})["ids"] == [client.inbox]
    assert set(made.values()) <= set(client.call("Mailbox/query", filter={"role": None})["ids"])
    assert client.inbox not in client.call("Mailbox/query", filter={"hasAnyRole": False})["ids"]
    not_below_b = {"operator": "NOT", "conditions": [{"parentId": made["b"]}, {"isSubscribed": False}]}
    assert queried(client, made, filter=not_below_b, sort=by_name) == ["b/x/1", "a", "b", "a/z"]


def test_2_3_a_name_contains_the_text(client: Jmap) -> None:
    made = {name: client.mailbox(name) for name in ("Receipts 2026", "Old receipts", "한글 편지함", "Other")}
    assert set(queried(client, made, filter={"name": "eceipts"})) == {"Receipts 2026", "Old receipts"}
    assert queried(client, made, filter={"name": "편지"}) == ["한글 편지함"]


def test_2_3_sorts(client: Jmap) -> None:
    made = tree(client)
    by_order = queried(client, made, sort=[{"property": "sortOrder"}])
    assert by_order == ["c", "a/z", "a", "b/x/1", "b/x", "b/y", "b"]
    by_name = queried(client, made, sort=[{"property": "name", "isAscending": False}])
    assert by_name == ["a/z", "b/y", "b/x", "c", "b", "a", "b/x/1"]


def test_2_3_sort_as_tree(client: Jmap) -> None:
    """Each mailbox stands behind its parent, siblings in the order of the sort."""
    made = tree(client)
    as_tree = queried(client, made, sort=[{"property": "name"}], sortAsTree=True)
    assert as_tree == ["a", "a/z", "b", "b/x", "b/x/1", "b/y", "c"]
    by_order = queried(client, made, sort=[{"property": "sortOrder"}], sortAsTree=True)
    assert by_order == ["c", "a", "a/z", "b", "b/x", "b/x/1", "b/y"]


def test_2_3_filter_as_tree(client: Jmap) -> None:
    """A mailbox is only there if its parents are."""
    made = tree(client)
    client.update("Mailbox", made["b/x"], isSubscribed=False)
    by_name = [{"property": "name"}]
    filter = {"isSubscribed": True}
    assert "b/x/1" in queried(client, made, filter=filter, sort=by_name)
    assert queried(client, made, filter=filter, sort=by_name, sortAsTree=True, filterAsTree=True) == [
        "a", "a/z", "b", "b/y", "c",
    ]  # fmt: skip


def test_2_3_unsupported(client: Jmap) -> None:
    assert client.error("Mailbox/query", sort=[{"property": "totalEmails2"}]) == "unsupportedSort"
    assert client.error("Mailbox/query", filter={"nothing": 1}) in ("unsupportedFilter", "invalidArguments")


def test_2_4_query_changes(client: Jmap) -> None:
    made = {name: client.mailbox(name) for name in ("a", "b", "c", "d")}
    query = {"filter": {"hasAnyRole": False}, "sort": [{"property": "name"}]}
    before = client.call("Mailbox/query", **query)
    assert before["ids"] == list(made.values())
    client.update("Mailbox", made["a"], name="e")
    client.destroy("Mailbox", made["c"])
    new = client.mailbox("bb")
    answer = client.call("Mailbox/queryChanges", **query, sinceQueryState=before["queryState"], calculateTotal=True)
    ids = [id for id in before["ids"] if id not in answer["removed"]]
    for each in answer["added"]:
        ids.insert(each["index"], each["id"])
    assert ids == [made["b"], new, made["d"], made["a"]] and answer["total"] == 4


# §2.5: Mailbox/set. --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Receipts", "한글 편지함", "日本語", "a.b", "&", "Ünïcödé", "🙂", "two  spaces", "50% off", '"']
)
def test_2_5_names(client: Jmap, name: str) -> None:
    """Any Net-Unicode string (RFC 5198)."""
    assert client.look(client.mailbox(name))["name"] == name


@pytest.mark.parametrize(
    "name", ["", None, 5, "x" * 5000, "a\0b", "a\nb"], ids=["empty", "null", "number", "long", "nul", "line"]
)
def test_2_5_names_out_of_order(client: Jmap, name: Any) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": name}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"
    assert answer["notCreated"]["a"]["properties"] == ["name"]


def test_2_5_siblings_have_different_names(client: Jmap) -> None:
    parent, other = client.mailbox("Parent"), client.mailbox("Other")
    client.mailbox("Name", parentId=parent)
    answer = client.call("Mailbox/set", create={"a": {"name": "Name", "parentId": parent}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"
    # Elsewhere the name is free.
    moved = client.mailbox("Name", parentId=other)
    assert client.unchanged("Mailbox", moved, parentId=parent)["type"] == "invalidProperties"


def test_2_5_the_longest_name_that_is_announced(client: Jmap) -> None:
    most = client.session["accounts"][client.account]["accountCapabilities"][MAIL]["maxSizeMailboxName"]
    client.mailbox("x" * most)
    assert client.call("Mailbox/set", create={"a": {"name": "y" * (most + 1)}})["notCreated"]["a"]


def test_2_5_moved_and_renamed(client: Jmap) -> None:
    a, b, child = client.mailbox("A"), client.mailbox("B"), None
    child = client.mailbox("Child", parentId=a)
    (email,) = client.store(letter(), into=child)
    client.update("Mailbox", child, parentId=b, name="Renamed")
    found = client.look(child)
    assert (found["name"], found["parentId"], found["totalEmails"]) == ("Renamed", b, 1)
    assert client.email(email, "mailboxIds")["mailboxIds"] == {child: True}
    client.update("Mailbox", child, parentId=None)
    assert client.look(child)["parentId"] is None


def test_2_5_a_subtree_moves_with_its_root(client: Jmap) -> None:
    made = tree(client)
    client.update("Mailbox", made["b"], parentId=made["c"])
    mailboxes = client.mailboxes()
    assert [mailboxes[made[path]]["parentId"] for path in ("b", "b/x", "b/x/1")] == [made["c"], made["b"], made["b/x"]]


def test_2_5_there_is_no_loop(client: Jmap) -> None:
    made = tree(client)
    for parent in (made["b"], made["b/x"], made["b/x/1"]):
        error = client.unchanged("Mailbox", made["b"], parentId=parent)
        assert error["type"] == "invalidProperties" and error.get("properties", ["parentId"]) == ["parentId"]
    assert client.mailboxes()[made["b"]]["parentId"] is None


def test_2_5_two_that_would_become_each_others_parent(client: Jmap) -> None:
    a, b = client.mailbox("A"), client.mailbox("B")
    answer = client.call("Mailbox/set", update={a: {"parentId": b}, b: {"parentId": a}})
    assert len(answer.get("updated") or {}) <= 1 and answer["notUpdated"]
    parents = {client.mailboxes()[id]["parentId"] for id in (a, b)}
    assert parents != {a, b}


def test_2_5_a_parent_that_is_not_there(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "parentId": NOBODY}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


@pytest.mark.parametrize("order", [-1, 2**31, 1.5, "1"])
def test_2_5_sort_order_out_of_range(client: Jmap, order: Any) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "sortOrder": order}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


def test_2_5_sort_order_and_subscription(client: Jmap) -> None:
    mailbox = client.mailbox("A", sortOrder=2**31 - 1, isSubscribed=False)
    found = client.look(mailbox)
    assert (found["sortOrder"], found["isSubscribed"]) == (2**31 - 1, False)
    client.update("Mailbox", mailbox, sortOrder=3, isSubscribed=True)
    found = client.look(mailbox)
    assert (found["sortOrder"], found["isSubscribed"]) == (3, True)


def test_2_5_a_role_is_given_once(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "role": "trash"}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


def test_2_5_a_role_outside_the_registry(client: Jmap) -> None:
    answer = client.call("Mailbox/set", create={"a": {"name": "A", "role": "nonsense"}})
    assert answer["notCreated"]["a"]["type"] == "invalidProperties"


def test_2_5_a_role_may_be_given_and_taken(client: Jmap) -> None:
    roles = {each["role"] for each in client.mailboxes().values()}
    role = next(role for role in ("important", "archive", "flagged", "all") if role not in roles)
    answer = client.call("Mailbox/set", create={"a": {"name": "With a role", "role": role}})
    if answer.get("notCreated"):
        assert answer["notCreated"]["a"]["type"] in ("forbidden", "invalidProperties")
        return
    mailbox = answer["created"]["a"]["id"]
    assert client.look(mailbox)["role"] == role


def test_2_5_a_mailbox_with_a_child_is_not_destroyed(client: Jmap) -> None:
    made = tree(client)
    answer = client.call("Mailbox/set", destroy=[made["b"]])
    assert answer["notDestroyed"][made["b"]]["type"] == "mailboxHasChild"
    answer = client.call("Mailbox/set", destroy=[made["b/y"], made["b/x/1"], made["b/x"], made["b"]])
    assert len(answer["destroyed"]) == 4


def test_2_5_parents_and_children_destroyed_in_any_order(client: Jmap) -> None:
    """The final state is valid, so it is allowed (RFC 8620 §5.3)."""
    made = tree(client)
    answer = client.call("Mailbox/set", destroy=[made["b"], made["b/x"], made["b/x/1"], made["b/y"]])
    assert len(answer["destroyed"] or []) == 4, answer


def test_2_5_a_mailbox_with_emails_is_not_destroyed(client: Jmap) -> None:
    mailbox = client.mailbox("Full")
    (email,) = client.store(letter(), into=mailbox)
    answer = client.call("Mailbox/set", destroy=[mailbox])
    assert answer["notDestroyed"][mailbox]["type"] == "mailboxHasEmail"
    assert client.email(email, "mailboxIds")["mailboxIds"] == {mailbox: True}


def test_2_5_on_destroy_remove_emails(client: Jmap) -> None:
    mailbox, other = client.mailbox("Full"), client.mailbox("Other")
    (only,) = client.store(letter("Only here"), into=mailbox)
    (both,) = client.store(letter("Here and there"), into=[mailbox, other])
    since = client.state()
    client.destroy("Mailbox", mailbox, onDestroyRemoveEmails=True)
    assert client.call("Email/get", ids=[only])["notFound"] == [only]
    assert client.email(both, "mailboxIds")["mailboxIds"] == {other: True}
    changes = client.call("Email/changes", sinceState=since)
    assert (changes["destroyed"], changes["updated"]) == ([only], [both])


def test_2_5_the_inbox_stays(client: Jmap) -> None:
    inbox = client.inbox
    if client.look(inbox)["myRights"]["mayDelete"]:
        pytest.skip("this server lets its users destroy the inbox")
    assert client.call("Mailbox/set", destroy=[inbox])["notDestroyed"][inbox]["type"] == "forbidden"


def test_2_5_rights_are_true(client: Jmap) -> None:
    """What `myRights` denies is refused as forbidden."""
    for id, mailbox in client.mailboxes().items():
        if not mailbox["myRights"]["mayRename"]:
            assert client.unchanged("Mailbox", id, name="Another name")["type"] == "forbidden"
        if not mailbox["myRights"]["mayDelete"]:
            assert client.call("Mailbox/set", destroy=[id])["notDestroyed"][id]["type"] == "forbidden"


def test_2_5_a_deep_tree(client: Jmap) -> None:
    capability = client.session["accounts"][client.account]["accountCapabilities"][MAIL]
    parent = None
    for level in range(min(capability.get("maxMailboxDepth") or 10, 10)):
        parent = client.mailbox(f"Level {level}", parentId=parent)
    assert client.look(parent)["name"].startswith("Level")
