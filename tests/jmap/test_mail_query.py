"""RFC 8621 §4.4 and §5: what Email/query finds, in which order, and what SearchSnippet/get shows of it."""

import re
from typing import Any

import pytest

from harness.corpus import expectations
from harness.jmap import Jmap, Library, Server, letter, reply

OLDEST_FIRST = [{"property": "receivedAt"}]


class Shelf:
    """A few emails that differ in everything that can be asked for, by a letter each."""

    def __init__(self, client: Jmap):
        self.client = client
        self.box, self.other = client.mailbox("Box"), client.mailbox("Other")
        self.ids: dict[str, str] = {}
        self.put("a", letter("Apples", "Red fruit.\r\n", From="Anna Apfel <anna@orchard.example>", To="zoe@x.example"),
                 keywords={"$seen": True})  # fmt: skip
        self.put(
            "b", reply(1, "Thread", To="yves@x.example", Cc="Clara <clara@x.example>"), keywords={"$flagged": True}
        )
        self.put("c", reply(2, "Thread", Bcc="hidden@x.example", X_Label="Blue Green"), into=self.other)
        self.put("d", letter("Re: bananas", "x" * 20_000 + "\r\n", From="dora@x.example", To="adam@x.example"),
                 into=[self.box, self.other], keywords={"$seen": True, "$flagged": True})  # fmt: skip
        self.put("e", letter("Attached", '--e\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--e\r\n'
                             'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\n'
                             'x\r\n--e--\r\n', Content_Type='multipart/mixed; boundary="e"', From="emil@x.example",
                             To="xaver@x.example", Date="Mon, 19 Oct 2020 10:00:00 +0200"))  # fmt: skip
        self.put("f", letter("Markup", "<html><head><title>Entitled</title><style>.hidestyle{}</style></head><body>"
                             "<p class=hideclass>Visible words &amp; more</p><script>hidescript</script>"
                             '<img alt="Alternative"></body></html>\r\n', From="=?utf-8?B?7ZWc6riA?= <f@x.example>",
                             To="uwe@x.example", Content_Type="text/html; charset=utf-8"))  # fmt: skip
        client.login.settle()

    def put(self, name: str, mail: bytes, into: Any = None, **more: Any) -> None:
        day = len(self.ids) + 1
        (self.ids[name],) = self.client.store(
            mail, into=into or self.box, receivedAt=f"2026-04-{day:02}T12:00:00Z", **more
        )

    def found(self, filter: Any, sort: Any = OLDEST_FIRST, **more: Any) -> str:
        """The letters of what a query finds."""
        letters = {id: name for name, id in self.ids.items()}
        return "".join(letters[id] for id in self.client.call("Email/query", filter=filter, sort=sort, **more)["ids"])


@pytest.fixture(scope="module")
def shelf(server: Server) -> Shelf:
    return Shelf(Jmap(server.account()))


# §4.4.1: filters. ----------------------------------------------------------------------------------------


def test_4_4_1_mailboxes(shelf: Shelf) -> None:
    box, other = shelf.box, shelf.other
    assert shelf.found({"inMailbox": box}) == "abdef"
    assert shelf.found({"inMailbox": other}) == "cd"
    assert shelf.found({"inMailboxOtherThan": [box]}) == "cd"
    assert shelf.found({"inMailboxOtherThan": [other]}) == "abdef"
    assert shelf.found({"inMailboxOtherThan": [box, other]}) == ""
    assert shelf.found({"inMailboxOtherThan": []}) == "abcdef"
    assert shelf.found({"inMailbox": shelf.client.inbox}) == ""


@pytest.mark.parametrize(
    ("filter", "letters"),
    [
        ({"before": "2026-04-03T12:00:00Z"}, "ab"),
        ({"after": "2026-04-03T12:00:00Z"}, "cdef"),
        ({"after": "2026-04-03T12:00:01Z"}, "def"),
        ({"after": "2026-04-02T00:00:00Z", "before": "2026-04-05T00:00:00Z"}, "bcd"),
        ({"minSize": 10_000}, "d"),
        ({"maxSize": 10_000}, "abcef"),
        ({"minSize": 0}, "abcdef"),
        ({"hasKeyword": "$seen"}, "ad"),
        ({"notKeyword": "$seen"}, "bcef"),
        ({"hasKeyword": "$SEEN"}, "ad"),
        ({"allInThreadHaveKeyword": "$flagged"}, "d"),
        ({"someInThreadHaveKeyword": "$flagged"}, "bcd"),
        ({"noneInThreadHaveKeyword": "$flagged"}, "aef"),
        ({"hasAttachment": True}, "e"),
        ({"hasAttachment": False}, "abcdf"),
    ],
    ids=str,
)
def test_4_4_1_metadata(shelf: Shelf, filter: dict[str, Any], letters: str) -> None:
    assert shelf.found(filter) == letters


def test_4_4_1_sizes_are_compared_exactly(shelf: Shelf) -> None:
    size = shelf.client.email(shelf.ids["d"], "size")["size"]
    assert shelf.found({"minSize": size}) == "d" and shelf.found({"minSize": size + 1}) == ""
    assert "d" not in shelf.found({"maxSize": size}) and "d" in shelf.found({"maxSize": size + 1})


@pytest.mark.parametrize(
    ("filter", "letters"),
    [
        ({"from": "anna"}, "a"),
        ({"from": "Apfel"}, "a"),
        ({"from": "APFEL"}, "a"),
        ({"from": "anna@orchard.example"}, "a"),
        ({"from": "한글"}, "f"),
        ({"to": "yves"}, "b"),
        ({"cc": "clara"}, "b"),
        ({"bcc": "hidden"}, "c"),
        ({"subject": "apples"}, "a"),
        ({"subject": "thread"}, "bc"),
        ({"body": "fruit"}, "a"),
        ({"body": "apples"}, ""),
        ({"text": "apples"}, "a"),
        ({"text": "fruit"}, "a"),
        ({"text": "clara"}, "b"),
        ({"text": "red fruit"}, "a"),
        ({"text": "fruit red"}, "a"),
        ({"text": '"red fruit"'}, "a"),
        ({"text": '"fruit red"'}, ""),
        ({"text": "'fruit red'"}, ""),
        ({"text": "red banana"}, ""),
        ({"body": "visible"}, "f"),
        ({"text": "words more"}, "f"),
        ({"body": "hideclass"}, ""),
        ({"body": "hidestyle"}, ""),
        ({"body": "hidescript"}, ""),
        ({"from": "anna", "subject": "apples"}, "a"),
        ({"from": "anna", "subject": "thread"}, ""),
    ],
    ids=str,
)
def test_4_4_1_texts(shelf: Shelf, filter: dict[str, Any], letters: str) -> None:
    assert shelf.found(filter) == letters


def test_4_4_1_texts_for_the_reader_of_an_image(shelf: Shelf) -> None:
    assert shelf.found({"body": "alternative"}) == "f"


@pytest.mark.parametrize(
    ("header", "letters"),
    [
        (["X-Label"], "c"),
        (["x-label"], "c"),
        (["X-Label", "green"], "c"),
        (["X-Label", "red"], ""),
        (["Bcc"], "c"),
        (["X-None"], ""),
        (["Subject", "markup"], "f"),
    ],
    ids=str,
)
def test_4_4_1_header_fields(shelf: Shelf, header: list[str], letters: str) -> None:
    assert shelf.found({"header": header}) == letters


def test_4_4_1_words_of_real_mail(library: Library) -> None:
    """Korean and Japanese, in whatever charset: what a reader would look for is found, and there."""
    lost = []
    for name, each in expectations().items():
        if name not in library.ids or not each["subject"]:
            continue
        for word in each["finds"]:
            quoted = f'"{word}"'
            if library.ids[name] not in library.client.call("Email/query", filter={"text": quoted})["ids"]:
                lost.append((name, word))
    assert lost == []


def test_4_4_1_subjects_of_real_mail(library: Library) -> None:
    for name, word in (
        ("korean/utf-8-nfd", "휴가"),
        ("japanese/shift-jis-order", "ソーセージ"),
        ("structure/headers-8bit", "Feiertage"),
    ):
        assert library.client.call("Email/query", filter={"subject": word})["ids"] == [library.ids[name]]


# §4.4.2: sorts. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "letters"),
    [
        ([{"property": "receivedAt", "isAscending": False}], "fedcba"),
        ([{"property": "subject"}, *OLDEST_FIRST], "aedfbc"),
        ([{"property": "subject", "isAscending": False}, *OLDEST_FIRST], "bcfdea"),
        ([{"property": "from"}, *OLDEST_FIRST], "abcdef"),
        ([{"property": "to"}, *OLDEST_FIRST], "cdfeba"),
        ([{"property": "sentAt"}, *OLDEST_FIRST], "eabcdf"),
        ([{"property": "hasKeyword", "keyword": "$seen"}, *OLDEST_FIRST], "bcefad"),
        ([{"property": "hasKeyword", "keyword": "$seen", "isAscending": False}, *OLDEST_FIRST], "adbcef"),
        (
            [{"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False}, *OLDEST_FIRST],
            "bcdaef",
        ),
        (
            [{"property": "allInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False}, *OLDEST_FIRST],
            "dabcef",
        ),
    ],
    ids=str,
)
def test_4_4_2_sorts(shelf: Shelf, sort: list[dict[str, Any]], letters: str) -> None:
    """`to` of c is alice, of d adam: see `letter`. `from` without a name is by address; Hangul comes last."""
    got = shelf.found(None, sort)
    assert got.replace("cd", "dc") == letters.replace("cd", "dc") if sort[0]["property"] == "to" else got == letters


def test_4_4_2_by_size(shelf: Shelf) -> None:
    sizes = {name: shelf.client.email(id, "size")["size"] for name, id in shelf.ids.items()}
    got = shelf.found(None, [{"property": "size", "isAscending": False}])
    assert [sizes[name] for name in got] == sorted(sizes.values(), reverse=True)


def test_4_4_2_the_example(shelf: Shelf) -> None:
    sort = [{"property": "someInThreadHaveKeyword", "keyword": "$flagged", "isAscending": False},
            {"property": "subject", "collation": "i;ascii-casemap"}, {"property": "receivedAt", "isAscending": False}]  # fmt: skip
    assert shelf.found(None, sort) == "dcbaef"


def test_4_4_2_a_keyword_is_needed(shelf: Shelf) -> None:
    error = shelf.client.error("Email/query", sort=[{"property": "hasKeyword"}])
    assert error in ("invalidArguments", "unsupportedSort")


# §4.4.3: thread collapsing. ------------------------------------------------------------------------------


def test_4_4_3_one_of_each_thread_where_its_first_would_be(shelf: Shelf) -> None:
    assert shelf.found(None, collapseThreads=True) == "abdef"
    assert shelf.found(None, [{"property": "receivedAt", "isAscending": False}], collapseThreads=True) == "fedca"
    # What the filter leaves out does not count.
    assert shelf.found({"inMailbox": shelf.other}, collapseThreads=True) == "cd"


def test_4_4_3_windows_and_totals_are_of_the_collapsed_list(shelf: Shelf) -> None:
    def query(**window: Any) -> tuple[str, int]:
        answer = shelf.client.call(
            "Email/query", sort=OLDEST_FIRST, collapseThreads=True, calculateTotal=True, **window
        )
        letters = {id: name for name, id in shelf.ids.items()}
        return "".join(letters[id] for id in answer["ids"]), answer["total"]

    assert query(position=2, limit=2) == ("de", 5)
    assert query(position=-1) == ("f", 5)
    assert query(anchor=shelf.ids["d"], anchorOffset=-1, limit=2) == ("bd", 5)
    error = shelf.client.error("Email/query", sort=OLDEST_FIRST, collapseThreads=True, anchor=shelf.ids["c"])
    assert error == "anchorNotFound"


def test_4_4_totals_of_a_mailbox_are_those_of_the_mailbox(shelf: Shelf) -> None:
    for mailbox in (shelf.box, shelf.other):
        counts = shelf.client.look(mailbox)
        for collapse, name in ((False, "totalEmails"), (True, "totalThreads")):
            answer = shelf.client.call("Email/query", filter={"inMailbox": mailbox}, collapseThreads=collapse,
                                       calculateTotal=True, limit=1)  # fmt: skip
            assert answer["total"] == counts[name]


# §5: search snippets. ------------------------------------------------------------------------------------


def snippets(client: Jmap, filter: Any, *ids: str) -> dict[str, dict[str, Any]]:
    answer = client.call("SearchSnippet/get", filter=filter, emailIds=list(ids))
    assert answer["accountId"] == client.account and not answer.get("notFound")
    for each in answer["list"]:
        assert set(each) >= {"emailId", "subject", "preview"}
        for text in (each["subject"], each["preview"]):
            assert text is None or (len(text.encode()) <= 255 or text is each["subject"])
            # Only <mark> is markup; all else is escaped.
            assert "<" not in re.sub(r"</?mark>", "", text or "")
    return {each["emailId"]: each for each in answer["list"]}


def test_5_1_subject_and_preview(shelf: Shelf) -> None:
    a, d = shelf.ids["a"], shelf.ids["d"]
    got = snippets(shelf.client, {"text": "apples"}, a, d)
    assert set(got) == {a, d}
    assert got[a]["subject"] == "<mark>Apples</mark>"
    assert got[d]["subject"] is None and got[d]["preview"] is None
    got = snippets(shelf.client, {"body": "fruit"}, a)
    assert got[a]["subject"] is None and "<mark>fruit</mark>" in got[a]["preview"]


def test_5_1_what_is_no_markup_is_escaped(shelf: Shelf) -> None:
    f = shelf.ids["f"]
    preview = snippets(shelf.client, {"body": "visible"}, f)[f]["preview"]
    assert "<mark>Visible</mark> words &amp; more" in preview


def test_5_1_not_found(shelf: Shelf) -> None:
    answer = shelf.client.call("SearchSnippet/get", filter={"text": "apples"}, emailIds=["nobody", shelf.ids["a"]])
    assert answer["notFound"] == ["nobody"] and [each["emailId"] for each in answer["list"]] == [shelf.ids["a"]]


def test_5_1_without_anything_to_mark(shelf: Shelf) -> None:
    a = shelf.ids["a"]
    for filter in ({"hasKeyword": "$seen"}, {"from": "anna"}):
        got = snippets(shelf.client, filter, a)
        assert (got[a]["subject"], got[a]["preview"]) == (None, None)


def test_5_1_words_within_operators(shelf: Shelf) -> None:
    a = shelf.ids["a"]
    filter = {"operator": "OR", "conditions": [{"subject": "apples"}, {"body": "red"}, {"hasKeyword": "x"}]}
    got = snippets(shelf.client, filter, a)[a]
    assert got["subject"] == "<mark>Apples</mark>" and "<mark>Red</mark>" in got["preview"]


def test_5_1_in_korean_mail(library: Library) -> None:
    id = library.ids["korean/euc-kr-attachments"]
    got = snippets(library.client, {"text": "급여명세서"}, id)[id]
    assert "<mark>급여명세서</mark>" in (got["subject"] or "")


@pytest.mark.parametrize(
    "given", [{"emailIds": ["x"], "filter": {"unheardOf": 1}}, {"filter": {"text": "x"}, "emailIds": "x"}]
)
def test_5_1_out_of_order(shelf: Shelf, given: dict[str, Any]) -> None:
    assert shelf.client.error("SearchSnippet/get", **given) in ("unsupportedFilter", "invalidArguments")
