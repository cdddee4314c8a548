"""RFC 8620 §1 and §2, RFC 8621 §1.3: the Session object, and how it is found."""

import re
from collections.abc import Iterator

import pytest

from harness.jmap import CORE, MAIL, Jmap, Server

ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
MAX = 2**53 - 1


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Jmap]:
    """One account for all of these tests: they leave little behind."""
    client = Jmap(server.account())
    yield client
    client.close()


def test_2_properties(client: Jmap) -> None:
    session = client.session
    for name in ("username", "apiUrl", "downloadUrl", "uploadUrl", "eventSourceUrl", "state"):
        assert isinstance(session[name], str) and session[name], name
    for name in ("capabilities", "accounts", "primaryAccounts"):
        assert isinstance(session[name], dict), name
    assert session["username"] in (client.login.user, f"{client.login.user}@example.test")


def test_2_core_capability(client: Jmap) -> None:
    core = client.session["capabilities"][CORE]
    for name in ("maxSizeUpload", "maxConcurrentUpload", "maxSizeRequest", "maxConcurrentRequests", "maxCallsInRequest",
                 "maxObjectsInGet", "maxObjectsInSet"):  # fmt: skip
        assert type(core[name]) is int and 0 < core[name] <= MAX, name
    assert all(isinstance(each, str) for each in core["collationAlgorithms"])


def test_2_suggested_minima(client: Jmap) -> None:
    core = client.session["capabilities"][CORE]
    minima = {"maxSizeUpload": 50_000_000, "maxConcurrentUpload": 4, "maxSizeRequest": 10_000_000,
              "maxConcurrentRequests": 4, "maxCallsInRequest": 16, "maxObjectsInGet": 500,
              "maxObjectsInSet": 500}  # fmt: skip
    assert {name: core[name] for name, least in minima.items() if core[name] < least} == {}


def test_2_accounts(client: Jmap) -> None:
    for id, account in client.session["accounts"].items():
        assert ID.fullmatch(id)
        assert isinstance(account["name"], str)
        assert isinstance(account["isPersonal"], bool) and isinstance(account["isReadOnly"], bool)
        # What an account can is a part of what the server can.
        assert set(account["accountCapabilities"]) <= set(client.session["capabilities"])
    assert client.session["accounts"][client.account]["isPersonal"]


def test_2_primary_accounts_exist(client: Jmap) -> None:
    assert set(client.session["primaryAccounts"].values()) <= set(client.session["accounts"])


def test_2_primary_accounts_have_the_capability(client: Jmap) -> None:
    session = client.session
    for capability, account in session["primaryAccounts"].items():
        assert capability in session["accounts"][account]["accountCapabilities"]


def test_2_urls_have_their_variables(client: Jmap) -> None:
    variables = {"downloadUrl": {"accountId", "blobId", "type", "name"}, "uploadUrl": {"accountId"},
                 "eventSourceUrl": {"types", "closeafter", "ping"}}  # fmt: skip
    for name, wanted in variables.items():
        assert set(re.findall(r"\{(\w+)\}", client.session[name])) == wanted, name
    assert "{" not in client.session["apiUrl"]


def test_2_is_not_cached(client: Jmap) -> None:
    directives = client.discover().headers["Cache-Control"].replace(" ", "").split(",")
    assert "no-store" in directives or "no-cache" in directives


def test_2_media_type(client: Jmap) -> None:
    assert client.discover().media_type == "application/json"


def test_2_state_is_that_of_each_response(client: Jmap) -> None:
    assert client.request(["Core/echo", {}, "a"])["sessionState"] == client.discover().json()["state"]


def test_2_2_well_known_leads_to_it(client: Jmap) -> None:
    answer = client.open("/.well-known/jmap")
    assert answer.status in (200, 301, 302, 307, 308)
    if answer.status == 200:
        assert answer.json()["apiUrl"] == client.session["apiUrl"]


def test_8_2_needs_a_login(client: Jmap) -> None:
    """RFC 8620 §1.7, §8.2; and RFC 9110 §11.6.1: a challenge says how."""
    for url, body in ((client.session_url, None), (client.session["apiUrl"], b'{"using":[],"methodCalls":[]}')):
        answer = client.open(url, body, Authorization=None)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"]


def test_8_2_a_wrong_scheme_is_no_login(client: Jmap) -> None:
    for wrong in ("Basic", "Basic !!!", "Nonsense abc", ""):
        assert client.open(client.session_url, Authorization=wrong).status in (400, 401), wrong


def test_mail_1_3_1_capability(client: Jmap) -> None:
    assert client.session["capabilities"][MAIL] == {}
    mail = client.session["accounts"][client.account]["accountCapabilities"][MAIL]
    assert mail["maxMailboxesPerEmail"] is None or mail["maxMailboxesPerEmail"] >= 1
    assert type(mail["maxSizeAttachmentsPerEmail"]) is int
    assert isinstance(mail["mayCreateTopLevelMailbox"], bool)


def test_mail_1_3_1_limits_of_mailboxes(client: Jmap) -> None:
    mail = client.session["accounts"][client.account]["accountCapabilities"][MAIL]
    assert mail["maxMailboxDepth"] is None or type(mail["maxMailboxDepth"]) is int
    assert mail["maxSizeMailboxName"] >= 100


def test_mail_1_3_1_sorts_that_are_announced_work(client: Jmap) -> None:
    mail = client.session["accounts"][client.account]["accountCapabilities"][MAIL]
    assert "receivedAt" in mail["emailQuerySortOptions"]
    for name in mail["emailQuerySortOptions"]:
        keyword = {"keyword": "$seen"} if name.endswith("Keyword") else {}
        client.call("Email/query", sort=[{"property": name, **keyword}])
