"""RFC 8621 §3: threads."""

from harness.jmap import Jmap, letter, reply


def test_3_emails_of_a_thread_from_old_to_new(client: Jmap) -> None:
    ids = [client.store(reply(n), receivedAt=f"2026-01-{30 - n:02}T00:00:00Z")[0] for n in range(4)]
    thread = client.email(ids[0], "threadId")["threadId"]
    assert {client.email(id, "threadId")["threadId"] for id in ids} == {thread}
    answer = client.call("Thread/get", ids=[thread])
    assert answer["list"] == [{"id": thread, "emailIds": ids[::-1]}]


def test_3_every_email_has_a_thread(client: Jmap) -> None:
    (email,) = client.store(letter("Alone"))
    thread = client.email(email, "threadId")["threadId"]
    assert client.call("Thread/get", ids=[thread])["list"] == [{"id": thread, "emailIds": [email]}]


def test_3_another_subject_or_no_reference_is_another_thread(client: Jmap) -> None:
    """§3: the recommended rule asks for a common id and the same base subject."""
    first, other, unrelated = client.store(reply(1), letter("Something else", References="<root@example.com>"),
                                           letter("root"))  # fmt: skip
    threads = {client.email(id, "threadId")["threadId"] for id in (first, other, unrelated)}
    assert len(threads) == 3


def test_3_across_mailboxes(client: Jmap) -> None:
    here, there = client.mailbox("Here"), client.mailbox("There")
    (first,) = client.store(reply(1), into=here)
    (second,) = client.store(reply(2), into=there)
    assert client.email(first, "threadId")["threadId"] == client.email(second, "threadId")["threadId"]


def test_3_1_not_found(client: Jmap) -> None:
    assert client.call("Thread/get", ids=["nobody"])["notFound"] == ["nobody"]


def test_3_1_a_thread_goes_with_its_last_email(client: Jmap) -> None:
    first, second = client.store(reply(1), reply(2))
    thread = client.email(first, "threadId")["threadId"]
    client.destroy("Email", first)
    assert client.call("Thread/get", ids=[thread])["list"][0]["emailIds"] == [second]
    client.destroy("Email", second)
    assert client.call("Thread/get", ids=[thread])["notFound"] == [thread]


def test_3_2_changes(client: Jmap) -> None:
    (first,) = client.store(reply(1))
    thread = client.email(first, "threadId")["threadId"]
    since = client.state("Thread")
    (second,) = client.store(reply(2))
    (alone,) = client.store(letter("Alone"))
    changes = client.call("Thread/changes", sinceState=since)
    assert changes["updated"] == [thread] and changes["created"] == [client.email(alone, "threadId")["threadId"]]
    since = client.state("Thread")
    client.destroy("Email", first, second)
    changes = client.call("Thread/changes", sinceState=since)
    assert changes["destroyed"] == [thread] and changes["created"] == []


def test_3_2_keywords_do_not_change_a_thread(client: Jmap) -> None:
    (email,) = client.store(reply(1))
    since = client.state("Thread")
    client.update("Email", email, **{"keywords/$seen": True})
    assert client.call("Thread/changes", sinceState=since)["created"] == []


def test_3_a_thread_of_real_replies(client: Jmap) -> None:
    """Prefixes of several languages and lists, as `Re: Re[2]: AW: Fwd:`, are no part of the base subject."""
    subjects = ["Offer", "Re: Offer", "RE: Re: Offer", "[list] Re: Offer", "Fwd: Offer", "Re[2]: Offer"]
    ids = [client.store(letter(subject, Message_ID=f"<o{n}@x.example>", References="<o0@x.example>"))[0]
           for n, subject in enumerate(subjects)]  # fmt: skip
    assert len({client.email(id, "threadId")["threadId"] for id in ids[:5]}) == 1
