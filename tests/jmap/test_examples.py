"""The example requests of RFC 8620 and RFC 8621, replayed with curl as they stand there; only ids and names are real ones."""

import json
import subprocess
from typing import Any

from harness.jmap import CORE, MAIL, Jmap, letter, reply


def curl(client: Jmap, methods: str, **names: str) -> list[list[Any]]:
    """Sends the calls as they are printed, with real ids for those printed; what comes back."""
    names = {"ACCOUNT": client.account, **names}
    for printed, real in names.items():
        methods = methods.replace(f'"{printed}"', json.dumps(real))
    body = f'{{"using": ["{CORE}", "{MAIL}"], "methodCalls": {methods}}}'
    url = client.login.url.rstrip("/") + "/" + client.session["apiUrl"].split("://")[-1].split("/", 1)[1]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--user",
         f"{client.login.user}:{client.login.password}", "--header", "Content-Type: application/json", "--data-binary", "@-", url],
        input=body.encode(), capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["methodResponses"]


def test_core_4_1_echo(client: Jmap) -> None:
    assert curl(client, '[[ "Core/echo", { "hello": true, "high": 5 }, "b3ff" ]]') == [
        ["Core/echo", {"hello": True, "high": 5}, "b3ff"]
    ]


def test_core_3_7_the_first_ten_threads_of_the_inbox(client: Jmap) -> None:
    for thread in range(12):
        client.store(reply(1, f"topic{thread}"), reply(2, f"topic{thread}"))
    answers = curl(client, """
        [[ "Email/query", { "accountId": "ACCOUNT", "filter": { "inMailbox": "id_of_inbox" },
             "sort": [{ "property": "receivedAt", "isAscending": false }], "collapseThreads": true, "position": 0,
             "limit": 10, "calculateTotal": true }, "t0" ],
         [ "Email/get", { "accountId": "ACCOUNT",
             "#ids": { "resultOf": "t0", "name": "Email/query", "path": "/ids" }, "properties": [ "threadId" ] }, "t1" ],
         [ "Thread/get", { "accountId": "ACCOUNT",
             "#ids": { "resultOf": "t1", "name": "Email/get", "path": "/list/*/threadId" } }, "t2" ],
         [ "Email/get", { "accountId": "ACCOUNT",
             "#ids": { "resultOf": "t2", "name": "Thread/get", "path": "/list/*/emailIds" },
             "properties": [ "from", "receivedAt", "subject" ] }, "t3" ]]""", id_of_inbox=client.inbox)  # fmt: skip
    query, threads, members, emails = (said for _, said, _ in answers)
    assert [id for _, _, id in answers] == ["t0", "t1", "t2", "t3"]
    assert query["total"] == 12 and len(query["ids"]) == 10
    assert {each["threadId"] for each in threads["list"]} == {each["id"] for each in members["list"]}
    assert all(len(each["emailIds"]) == 2 for each in members["list"])
    assert len(emails["list"]) == 20
    assert all(set(each) == {"id", "from", "receivedAt", "subject"} for each in emails["list"])


def test_mail_2_6_mailboxes_and_their_changes(client: Jmap) -> None:
    important = client.mailbox("Important mail")
    ((_, first, _),) = curl(client, '[[ "Mailbox/get", { "accountId": "ACCOUNT", "ids": null }, "0" ]]')
    assert {client.inbox, important} <= {each["id"] for each in first["list"]}
    client.store(letter())
    changes, created, updated = (said for _, said, _ in curl(client, """
        [[ "Mailbox/changes", { "accountId": "ACCOUNT", "sinceState": "STATE" }, "0" ],
         [ "Mailbox/get", { "accountId": "ACCOUNT",
             "#ids": { "resultOf": "0", "name": "Mailbox/changes", "path": "/created" } }, "1" ],
         [ "Mailbox/get", { "accountId": "ACCOUNT",
             "#ids": { "resultOf": "0", "name": "Mailbox/changes", "path": "/updated" },
             "#properties": { "resultOf": "0", "name": "Mailbox/changes", "path": "/updatedProperties" } }, "2" ]]""",
        STATE=first["state"]))  # fmt: skip
    assert changes["updated"] == [client.inbox] and created["list"] == []
    assert updated["list"][0]["totalEmails"] == 1
    ((_, answer, _),) = curl(client, """
        [[ "Mailbox/set", { "accountId": "ACCOUNT", "ifInState": "STATE",
             "update": { "IMPORTANT": { "name": "Maybe important mail" } }, "destroy": [ "INBOX" ] }, "0" ]]""",
        STATE=changes["newState"], IMPORTANT=important, INBOX=client.inbox)  # fmt: skip
    assert important in answer["updated"]
    assert answer["notDestroyed"][client.inbox]["type"] in ("forbidden", "mailboxHasEmail")
    assert client.look(important)["name"] == "Maybe important mail"


def test_mail_4_2_1_one_email(client: Jmap) -> None:
    html = "<html><body><p>Hello " + "again " * 100 + "</p></body></html>\r\n"
    mail = letter("Dinner on Thursday?", "--e\r\nContent-Type: text/html\r\n\r\n" + html + "\r\n--e\r\nContent-Type: text/plain\r\n"
                  "\r\n-- Sent by your friendly mailing list ...\r\n--e--\r\n", From="Joe Bloggs <joe@example.com>",
                  Content_Type='multipart/mixed; boundary="e"', List_POST="<mailto:partytime@lists.example.com>")  # fmt: skip
    (id,) = client.store(mail, receivedAt="2013-10-13T14:12:00Z")
    ((_, answer, _),) = curl(client, """
        [[ "Email/get", { "accountId": "ACCOUNT", "ids": [ "f123u456", "f123u457" ],
             "properties": [ "threadId", "mailboxIds", "from", "subject", "receivedAt", "header:List-POST:asURLs", "htmlBody",
                             "bodyValues" ],
             "bodyProperties": [ "partId", "blobId", "size", "type" ],
             "fetchHTMLBodyValues": true, "maxBodyValueBytes": 256 }, "#1" ]]""", f123u457=id)  # fmt: skip
    (email,) = answer["list"]
    assert answer["notFound"] == ["f123u456"]
    assert (
        email["from"] == [{"name": "Joe Bloggs", "email": "joe@example.com"}]
        and email["subject"] == "Dinner on Thursday?"
    )
    assert email["receivedAt"] == "2013-10-13T14:12:00Z"
    assert email["header:List-POST:asURLs"] == ["mailto:partytime@lists.example.com"]
    first, second = email["htmlBody"]
    assert (first["type"], second["type"]) == ("text/html", "text/plain") and set(first) == {
        "partId",
        "blobId",
        "size",
        "type",
    }
    one, two = (email["bodyValues"][part["partId"]] for part in email["htmlBody"])
    assert one["isTruncated"] and one["value"].startswith("<html><body><p>Hello") and len(one["value"]) <= 256
    assert not two.get("isTruncated") and two["value"] == "-- Sent by your friendly mailing list ..."


def test_mail_4_10_a_login_a_change_and_what_is_synchronised(client: Jmap) -> None:
    for thread in range(3):
        for number in (1, 2):
            client.store(reply(number, f"topic{thread}"), receivedAt=f"2018-06-27T0{thread}:0{number}:35Z")
    query = """
        "accountId": "ACCOUNT", "filter": { "inMailbox": "fb666a55" },
        "sort": [{ "isAscending": false, "property": "receivedAt" }], "collapseThreads": true"""
    first, _, _, emails = (said for _, said, _ in curl(client, f"""
        [[ "Email/query",{{ {query}, "position": 0, "limit": 30, "calculateTotal": true }}, "0" ],
         [ "Email/get", {{ "accountId": "ACCOUNT", "#ids": {{ "resultOf": "0", "name": "Email/query", "path": "/ids" }},
             "properties": [ "threadId" ] }}, "1" ],
         [ "Thread/get", {{ "accountId": "ACCOUNT", "#ids": {{ "resultOf": "1", "name": "Email/get",
             "path": "/list/*/threadId" }} }}, "2" ],
         [ "Email/get", {{ "accountId": "ACCOUNT", "#ids": {{ "resultOf": "2", "name": "Thread/get",
             "path": "/list/*/emailIds" }},
             "properties": [ "threadId", "mailboxIds", "keywords", "hasAttachment", "from", "subject", "receivedAt", "size",
                             "preview" ] }}, "3" ]]""", fb666a55=client.inbox))  # fmt: skip
    assert first["total"] == 3 and len(emails["list"]) == 6
    unread, gone, *_ = first["ids"]
    client.update("Email", unread, **{"keywords/$seen": True})
    state = client.state()
    ((_, answer, _),) = curl(client, """
        [[ "Email/set", { "accountId": "ACCOUNT", "update": { "Ma783": { "keywords/$seen": null } } }, "0" ]]""", Ma783=unread)  # fmt: skip
    assert unread in answer["updated"]
    client.destroy("Email", gone)
    (new,) = client.store(letter("New"))
    changes, moved = (said for _, said, _ in curl(client, f"""
        [[ "Email/changes", {{ "accountId": "ACCOUNT", "sinceState": "STATE", "maxChanges": 50 }}, "3" ],
         [ "Email/queryChanges", {{ {query}, "sinceQueryState": "QUERY", "upToId": "LAST", "maxChanges": 25,
             "calculateTotal": true }}, "11" ]]""",
        fb666a55=client.inbox, STATE=state, QUERY=first["queryState"], LAST=first["ids"][-1]))  # fmt: skip
    assert (changes["created"], changes["destroyed"]) == ([new], [gone]) and unread in changes["updated"]
    assert gone in moved["removed"] and {"id": new, "index": 0} in moved["added"] and moved["total"] == 4


def test_mail_4_10_a_draft(client: Jmap) -> None:
    ((_, answer, _),) = curl(client, r"""
        [[ "Email/set", { "accountId": "ACCOUNT", "create": { "k1546": {
             "mailboxIds": {"2ea1ca41b38e": true },
             "keywords": { "$seen": true, "$draft": true },
             "from": [{ "name": "Joe Bloggs", "email": "joe@example.com" }],
             "to": [{ "name": "John", "email": "john@example.com" }],
             "subject": "World domination",
             "receivedAt": "2018-07-10T01:05:08Z",
             "sentAt": "2018-07-10T11:05:08+10:00",
             "bodyStructure": { "type": "multipart/alternative", "subParts": [
               { "partId": "49db", "type": "text/html" }, { "partId": "bd48", "type": "text/plain" } ] },
             "bodyValues": {
               "bd48": { "value": "I have the most brilliant plan. Let me tell you all about it. What we do is, we",
                         "isTruncated": false },
               "49db": { "value": "<!DOCTYPE html><html><head><title></title><style type=\"text/css\">div{font-size:16px}</style></head><body><div>I have the most brilliant plan. Let me tell you all about it. What we do is, we</div></body></html>",
                         "isTruncated": false } } } } }, "0" ]]""", **{"2ea1ca41b38e": client.role("drafts")})  # fmt: skip
    made = answer["created"]["k1546"]
    email = client.email(made["id"], "from", "to", "subject", "receivedAt", "sentAt", "keywords", "bodyStructure", "bodyValues",
                         fetchAllBodyValues=True)  # fmt: skip
    assert email["sentAt"] == "2018-07-10T11:05:08+10:00" and email["receivedAt"] == "2018-07-10T01:05:08Z"
    assert email["subject"] == "World domination" and email["keywords"] == {"$seen": True, "$draft": True}
    parts = email["bodyStructure"]["subParts"]
    assert [part["type"] for part in parts] == ["text/html", "text/plain"]
    assert email["bodyValues"][parts[1]["partId"]]["value"].endswith("What we do is, we")


def test_mail_5_2_search_snippets(client: Jmap) -> None:
    (id,) = client.store(letter("The foo of it", "A bar, and more of foo.\r\n"))
    client.login.settle()
    query, snippets = (said for _, said, _ in curl(client, """
        [[ "Email/query", { "accountId": "ACCOUNT", "filter": { "text": "foo" } }, "0" ],
         [ "SearchSnippet/get", { "accountId": "ACCOUNT", "filter": { "text": "foo" },
             "#emailIds": { "resultOf": "0", "name": "Email/query", "path": "/ids" } }, "1" ]]"""))  # fmt: skip
    assert query["ids"] == [id]
    (found,) = snippets["list"]
    assert found["emailId"] == id and "<mark>foo</mark>" in found["subject"] and "<mark>foo</mark>" in found["preview"]
