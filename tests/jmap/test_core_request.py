"""RFC 8620 §3 and §4: requests, their errors, references between calls, and Core/echo."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness.jmap import CORE, MAIL, USING, Jmap, Server, letter, reference

ECHO = ["Core/echo", {"still": "here"}, "e"]
PROBLEM = "urn:ietf:params:jmap:error:"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Jmap]:
    """One account for all of these tests: they leave little behind."""
    client = Jmap(server.account())
    yield client
    client.close()


def refused(client: Jmap, body: Any, **fields: str | None) -> dict[str, Any]:
    """The problem details (RFC 7807) that a whole request is refused with."""
    answer = client.post(body, **fields)
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    return answer.json()


# §3.1 to §3.4: requests and responses. -------------------------------------------------------------------


def test_3_1_media_type_of_the_response(client: Jmap) -> None:
    assert client.post({"using": USING, "methodCalls": [ECHO]}).media_type == "application/json"


def test_3_1_media_type_of_the_request_may_have_parameters(client: Jmap) -> None:
    answer = client.post({"using": USING, "methodCalls": [ECHO]}, Content_Type="application/json; charset=utf-8")
    assert answer.status == 200


def test_3_3_unknown_properties_of_the_request_are_ignored(client: Jmap) -> None:
    answer = client.request(ECHO, somethingNew={"a": [1]}, other=None)
    assert answer["methodResponses"] == [ECHO]


def test_3_3_no_calls_no_responses(client: Jmap) -> None:
    assert client.request()["methodResponses"] == []


def test_3_3_only_what_is_used_is_there(client: Jmap) -> None:
    """A server behaves as though it did not implement what the client has not opted into."""
    ((name, said, _),) = client.request(["Email/get", {"accountId": client.account, "ids": []}, "a"], using=[CORE])[
        "methodResponses"
    ]
    assert (name, said["type"]) == ("error", "unknownMethod")


def test_3_3_calls_are_processed_in_order(client: Jmap) -> None:
    calls = [["Core/echo", {"n": n}, f"call {n % 3}"] for n in range(12)]
    assert client.request(*calls)["methodResponses"] == calls


def test_3_2_a_call_id_is_any_string(client: Jmap) -> None:
    for id in ("", "#0", "한글 🙂", "x" * 1000, 'quote"\\'):
        assert client.request(["Core/echo", {}, id])["methodResponses"][0][2] == id


def test_3_4_created_ids_only_where_asked_for(client: Jmap) -> None:
    assert "createdIds" not in client.request(ECHO)
    assert client.request(ECHO, createdIds={})["createdIds"] == {}
    assert client.request(ECHO, createdIds={"a": "X1"})["createdIds"] == {"a": "X1"}


def test_3_4_created_ids_hold_what_was_made(client: Jmap) -> None:
    answer = client.request(
        ["Mailbox/set", {"accountId": client.account, "create": {"k1": {"name": "Made"}}}, "a"],
        createdIds={"old": "X1"},
    )
    made = answer["methodResponses"][0][1]["created"]["k1"]["id"]
    assert answer["createdIds"] == {"old": "X1", "k1": made}


def test_3_3_created_ids_of_the_request_are_known(client: Jmap) -> None:
    parent = client.mailbox("Parent")
    answer = client.request(
        ["Mailbox/set", {"accountId": client.account, "create": {"c": {"name": "Child", "parentId": "#p"}}}, "a"],
        createdIds={"p": parent},
    )
    child = answer["methodResponses"][0][1]["created"]["c"]["id"]
    assert client.mailboxes()[child]["parentId"] == parent


# §3.5: what may be left out. -----------------------------------------------------------------------------


def test_3_5_null_is_the_same_as_left_out(client: Jmap) -> None:
    left_out, null = client.calls(("Mailbox/get", {}), ("Mailbox/get", {"ids": None, "properties": None}))
    assert left_out == null
    client.call("Email/query", filter=None, sort=None, anchor=None, limit=None)
    client.call("Mailbox/set", ifInState=None, create=None, update=None, destroy=None)


# §3.6.1: errors of requests. -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b'{"using":[],"methodCalls":[],}', b'{"using":[],"methodCalls":[]} more'],
    ids=["empty", "cut", "nonsense", "comma", "more"],
)
def test_3_6_1_not_json(client: Jmap, body: bytes) -> None:
    assert refused(client, body)["type"] == PROBLEM + "notJSON"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_3_6_1_another_media_type_is_not_json(client: Jmap, media_type: str | None) -> None:
    assert refused(client, {"using": USING, "methodCalls": []}, Content_Type=media_type)["type"] == PROBLEM + "notJSON"


@pytest.mark.parametrize(
    "arguments",
    [b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b'{"a":"\xed\xa0\x80"}'],
    ids=["not-utf-8", "lone-surrogate", "same-name-twice", "surrogate-octets"],
)
def test_1_5_json_that_is_no_i_json(client: Jmap, arguments: bytes) -> None:
    """RFC 7493 §2.1, §2.3: UTF-8, no surrogates without their other half, no name twice."""
    body = b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",' + arguments + b',"a"]]}'
    assert refused(client, body)["type"] == PROBLEM + "notJSON"


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        None,
        {},
        {"using": USING},
        {"methodCalls": []},
        {"using": "x", "methodCalls": []},
        {"using": [1], "methodCalls": []},
        {"using": USING, "methodCalls": {}},
        {"using": USING, "methodCalls": [["Core/echo", {}]]},
        {"using": USING, "methodCalls": [["Core/echo", {}, "a", "b"]]},
        {"using": USING, "methodCalls": [["Core/echo", [], "a"]]},
        {"using": USING, "methodCalls": [["Core/echo", {}, 1]]},
        {"using": USING, "methodCalls": [[1, {}, "a"]]},
        {"using": USING, "methodCalls": ["Core/echo"]},
        {"using": USING, "methodCalls": [], "createdIds": []},
        {"using": USING, "methodCalls": [], "createdIds": {"a": 1}},
    ],
    ids=lambda body: json.dumps(body).replace(CORE, "core").replace(MAIL, "mail"),
)
def test_3_6_1_not_a_request(client: Jmap, body: Any) -> None:
    assert refused(client, body)["type"] == PROBLEM + "notRequest"


def test_3_6_1_unknown_capability(client: Jmap) -> None:
    body = {"using": [CORE, "https://example.com/apis/foobar"], "methodCalls": []}
    assert refused(client, body)["type"] == PROBLEM + "unknownCapability"


def test_3_6_1_limit_of_calls(client: Jmap) -> None:
    most = client.session["capabilities"][CORE]["maxCallsInRequest"]
    assert len(client.request(*[ECHO] * most)["methodResponses"]) == most
    problem = refused(client, {"using": USING, "methodCalls": [ECHO] * (most + 1)})
    assert (problem["type"], problem["limit"]) == (PROBLEM + "limit", "maxCallsInRequest")


def test_3_6_1_limit_of_size(client: Jmap) -> None:
    most = client.session["capabilities"][CORE]["maxSizeRequest"]
    body = json.dumps({"using": USING, "methodCalls": [ECHO]}).encode()
    problem = refused(client, body + b" " * (most + 1 - len(body)))
    assert (problem["type"], problem["limit"]) == (PROBLEM + "limit", "maxSizeRequest")


def test_3_6_1_a_request_of_exactly_the_limit_is_taken(client: Jmap) -> None:
    most = client.session["capabilities"][CORE]["maxSizeRequest"]
    body = json.dumps({"using": USING, "methodCalls": [ECHO]}).encode()
    assert client.post(body + b" " * (most - len(body))).status == 200


def test_3_6_1_problems_are_described(client: Jmap) -> None:
    """RFC 7807 §3: a media type of its own, and the status once more."""
    answer = client.post(b"{")
    assert answer.media_type == "application/problem+json"
    assert answer.json()["status"] == answer.status == 400


# §3.6.2: errors of methods. ------------------------------------------------------------------------------


def test_3_6_2_unknown_method_and_what_follows_it(client: Jmap) -> None:
    answers = client.request(["Nothing/get", {}, "a"], ECHO)["methodResponses"]
    assert answers[0][0] == "error" and answers[0][1]["type"] == "unknownMethod" and answers[0][2] == "a"
    assert answers[1] == ECHO


@pytest.mark.parametrize("name", ["", "Email", "Email/", "/get", "email/get", "Email/GET", "Core/set"])
def test_3_6_2_names_of_methods_are_exact(client: Jmap, name: str) -> None:
    assert client.error(name) == "unknownMethod"


@pytest.mark.parametrize(
    "name", ["Email/get", "Email/query", "Email/set", "Mailbox/get", "Mailbox/changes", "Thread/get", "Email/import"]
)
def test_3_6_2_account_not_found(client: Jmap, name: str) -> None:
    needed = {"ids": [], "sinceState": "0", "emails": {}}
    takes = {"get": ["ids"], "changes": ["sinceState"], "import": ["emails"]}.get(name.split("/")[1], [])
    assert client.error(name, accountId="nobody", **{each: needed[each] for each in takes}) == "accountNotFound"


def test_3_6_2_an_account_of_somebody_else_is_not_found(client: Jmap, stranger: Jmap) -> None:
    assert client.error("Mailbox/get", accountId=stranger.account) == "accountNotFound"
    assert client.error("Email/query", accountId=stranger.account) == "accountNotFound"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Email/get", {"ids": "M1"}),
        ("Email/get", {"ids": [1]}),
        ("Email/get", {"ids": [], "properties": "id"}),
        ("Email/get", {"ids": [], "properties": ["nothing"]}),
        ("Email/get", {"ids": [], "fetchTextBodyValues": "yes"}),
        ("Email/get", {"ids": [], "maxBodyValueBytes": -1}),
        ("Email/get", {"ids": [], "maxBodyValueBytes": 1.5}),
        ("Email/changes", {}),
        ("Email/changes", {"sinceState": 1}),
        ("Email/query", {"filter": []}),
        ("Email/query", {"sort": {}}),
        ("Email/query", {"position": "0"}),
        ("Email/query", {"limit": -1}),
        ("Email/query", {"calculateTotal": 1}),
        ("Email/queryChanges", {}),
        ("Email/set", {"create": []}),
        ("Email/set", {"destroy": {}}),
        ("Email/import", {}),
        ("Email/parse", {}),
        ("Mailbox/get", {"ids": {}}),
        ("Mailbox/set", {"onDestroyRemoveEmails": "no"}),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value),
)
def test_3_9_invalid_arguments(client: Jmap, name: str, given: dict[str, Any]) -> None:
    assert client.error(name, **given) == "invalidArguments"


@pytest.mark.parametrize("name", ["Email/get", "Mailbox/query", "Thread/changes"])
def test_3_9_an_unknown_argument_is_invalid(client: Jmap, name: str) -> None:
    more = {"sinceState": "0"} if name.endswith("changes") else {}
    assert client.error(name, nothing=1, **more) == "invalidArguments"


def test_3_9_account_id_is_needed(client: Jmap) -> None:
    ((name, said, _),) = client.request(["Mailbox/get", {"ids": []}, "a"])["methodResponses"]
    assert (name, said["type"]) == ("error", "invalidArguments")


def test_3_6_2_a_refused_method_changes_nothing(client: Jmap) -> None:
    before = client.mailboxes()
    assert client.error("Mailbox/set", create={"a": {"name": "New"}}, destroy="wrong") == "invalidArguments"
    assert client.mailboxes() == before


# §3.7: references. ---------------------------------------------------------------------------------------


def resolved(client: Jmap, source: Any, path: str) -> Any:
    """What a reference into the arguments of a Core/echo resolves to; the error's type if it does not."""
    _, (name, said, _) = client.request(
        ["Core/echo", source, "c0"], ["Core/echo", {"#value": reference(0, "Core/echo", path)}, "c1"]
    )["methodResponses"]
    return said["type"] if name == "error" else said["value"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/list/0/id", "a"),
        ("/list/*/id", ["a", "b"]),
        ("/list/*/more", ["x", "y", "z"]),
        ("/list/1", {"id": "b", "more": ["z"]}),
        ("/list/*/deep/*/ids", "invalidResultReference"),
        ("/lists/*/*", [1, 2, 3]),
        ("/lists/*", [1, 2, 3]),
        ("/empty/*/id", []),
        ("/a~1b", "slash"),
        ("/m~0n", "tilde"),
        ("/", "nameless"),
        ("/*", "a star"),
        ("/none", None),
        ("/missing", "invalidResultReference"),
        ("/list/2", "invalidResultReference"),
        ("/list/01", "invalidResultReference"),
        ("/list/-", "invalidResultReference"),
        ("/list/x", "invalidResultReference"),
        ("/list/*/nothing", "invalidResultReference"),
        ("/text/0", "invalidResultReference"),
        ("list", "invalidResultReference"),
    ],
)
def test_3_7_paths(client: Jmap, path: str, value: Any) -> None:
    source = {"list": [{"id": "a", "more": ["x", "y"]}, {"id": "b", "more": ["z"]}], "lists": [[1, 2], [3]],
              "empty": [], "a/b": "slash", "m~n": "tilde", "": "nameless", "*": "a star", "none": None,
              "text": "abc"}  # fmt: skip
    assert resolved(client, source, path) == value


@pytest.mark.parametrize(
    "wrong",
    [
        {"resultOf": "nobody", "name": "Core/echo", "path": "/ids"},
        {"resultOf": "c0", "name": "Core/other", "path": "/ids"},
        {"resultOf": "c1", "name": "Email/get", "path": "/ids"},
        {"resultOf": "c2", "name": "Core/echo", "path": "/ids"},
    ],
    ids=["no-such-call", "another-name", "itself", "a-later-call"],
)
def test_3_7_what_does_not_resolve(client: Jmap, wrong: dict[str, str]) -> None:
    answers = client.request(["Core/echo", {"ids": []}, "c0"],
                             ["Email/get", {"accountId": client.account, "#ids": wrong}, "c1"],
                             ["Core/echo", {"ids": []}, "c2"])["methodResponses"]  # fmt: skip
    assert [answer[0] for answer in answers] == ["Core/echo", "error", "Core/echo"]
    assert answers[1][1]["type"] == "invalidResultReference"


def test_3_7_the_first_response_of_that_id_counts(client: Jmap) -> None:
    answers = client.request(["Core/echo", {"v": 1}, "x"], ["Core/echo", {"v": 2}, "x"],
                             ["Core/echo", {"#w": {"resultOf": "x", "name": "Core/echo", "path": "/v"}}, "y"])  # fmt: skip
    assert answers["methodResponses"][2][1] == {"w": 1}


def test_3_7_the_result_of_an_error_is_none(client: Jmap) -> None:
    answers = client.responses(("Email/get", {"ids": 1}), ("Email/get", {"#ids": reference(0, "Email/get", "/list")}))
    assert [said["type"] for _, said, _ in answers] == ["invalidArguments", "invalidResultReference"]


def test_3_7_both_forms_of_one_argument(client: Jmap) -> None:
    answers = client.responses(("Core/echo", {"ids": []}),
                               ("Email/get", {"ids": [], "#ids": reference(0, "Core/echo", "/ids")}))  # fmt: skip
    assert answers[1][1]["type"] == "invalidArguments"


def test_3_7_a_value_of_the_wrong_type_is_an_invalid_argument(client: Jmap) -> None:
    answers = client.responses(("Core/echo", {"ids": "text"}),
                               ("Email/get", {"#ids": reference(0, "Core/echo", "/ids")}))  # fmt: skip
    assert answers[1][1]["type"] == "invalidArguments"


def test_3_7_several_arguments_at_once(client: Jmap) -> None:
    (email,) = client.store(letter("Referred"))
    _, found = client.calls(
        ("Core/echo", {"i": [email], "p": ["subject"]}),
        ("Email/get", {"#ids": reference(0, "Core/echo", "/i"), "#properties": reference(0, "Core/echo", "/p")}),
    )
    assert found["list"] == [{"id": email, "subject": "Referred"}]


# §4: Core/echo. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"hello": True, "high": 5},
        {},
        {"한글": ["🙂", "\u0000", "\u2028", "\\/\b"], "": None},
        {"numbers": [0, -1, 2**53 - 1, -(2**53) + 1, 0.5, -1e-7]},
        {"deep": [[[[[[{"a": [{}]}]]]]]]},
    ],
    ids=["example", "empty", "text", "numbers", "deep"],
)
def test_4_echo(client: Jmap, arguments: dict[str, Any]) -> None:
    assert client.request(["Core/echo", arguments, "b3ff"])["methodResponses"] == [["Core/echo", arguments, "b3ff"]]
