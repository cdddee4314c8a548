"""Notifications on what became of a message: asked for by RFC 3461, written as RFC 3464 says, read by Python's own parser."""

import re

import pytest

from harness import mailbox
from harness.internet import Internet
from harness.peer import Peer
from harness.report import Report
from harness.sender import Sender, letter

pytestmark = pytest.mark.usefixtures("needs_root")

DSN = (b"PIPELINING", b"8BITMIME", b"ENHANCEDSTATUSCODES", b"DSN")


def refusing(internet: Internet, domain: str, answer: bytes = b"550 5.1.1 no such user here", **manners) -> Peer:
    return internet.peer(domain, answers={b"RCPT": answer}, **manners)


def test_a_failure(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Without asking for anything: who, why, what the other side said, and the header of what was sent."""
    refusing(internet, elsewhere)
    message = letter("will fail", body="the body\r\n" * 10)
    sender.send(f"carol@{elsewhere}", message=message)
    report = sender.report(about=f"carol@{elsewhere}")
    assert report.whole["reporting-mta"] == "dns; mail.example.test"
    assert "original-envelope-id" not in report.whole
    [fate] = report.recipients
    assert fate["final-recipient"].lower() == f"rfc822; carol@{elsewhere}"
    assert (fate["action"], fate["status"]) == ("failed", "5.1.1")
    assert fate["remote-mta"] == f"dns; mx.{elsewhere}"
    assert fate["diagnostic-code"].startswith("smtp; 550 5.1.1 no such user here")
    assert "original-recipient" not in fate
    # A person reads the first part: who and why must stand in it.
    assert f"carol@{elsewhere}" in report.text and "no such user here" in report.text
    # To whom, from whom, and in answer to what.
    assert report.message["To"].addresses[0].addr_spec == "alice@example.test"
    assert re.search(rb"(?i)^return-path: *<>\r$", report.source, re.MULTILINE)
    sent = re.search(rb"Message-ID: (\S+)", message)[1].decode()
    assert report.message["In-Reply-To"] is None or sent in report.message["In-Reply-To"]
    assert b"Subject: will fail" in report.returned_source
    assert report.message["From"].addresses[0].username.lower() in ("mailer-daemon", "postmaster")


def test_only_the_header_comes_back(sender: Sender, internet: Internet, elsewhere: str) -> None:
    refusing(internet, elsewhere)
    message = letter("only its header", body="a secret of the body")
    sender.send(f"carol@{elsewhere}", message=message, mail=["RET=HDRS"])
    report = sender.report(about=f"carol@{elsewhere}")
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert b"Subject: only its header" in report.returned_source
    assert b"a secret of the body" not in report.source


def test_all_of_it_comes_back(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 3461 §6.1: RET=FULL is for failures."""
    refusing(internet, elsewhere)
    message = letter("all of it", body="every\r\n.line\r\nof the body")
    sender.send(f"carol@{elsewhere}", message=message, mail=["RET=FULL"])
    report = sender.report(about=f"carol@{elsewhere}")
    assert report.returned.get_content_type() == "message/rfc822"
    assert report.returned_source.rstrip(b"\r\n").endswith(b"every\r\n.line\r\nof the body")


def test_names_of_envelope_and_recipient_come_back(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """ENVID and ORCPT, decoded from xtext (RFC 3461 §4), and not mixed up between recipients."""
    refusing(internet, elsewhere)
    with sender.submit() as client:
        assert client.mail("alice@example.test", ["ENVID=QQ314159+2Bx+3Dy"])[0] == 250
        assert client.rcpt(f"carol@{elsewhere}", ["ORCPT=rfc822;Carol+2Blists@first.test"])[0] == 250
        assert client.rcpt(f"dave@{elsewhere}")[0] == 250
        assert client.data(letter())[0] == 250

    def both() -> list[Report]:
        found = [one for one in sender.reports() if one.about and one.about[0].endswith(elsewhere)]
        return found if sum(len(one.recipients) for one in found) == 2 else []

    reports = sender.wait(both, "reports on both")
    for report in reports:
        assert report.whole["original-envelope-id"] == "QQ314159+x=y"
        for fate in report.recipients:
            wanted = "rfc822; Carol+lists@first.test" if "carol" in fate["final-recipient"] else None
            assert fate.get("original-recipient") == wanted, fate


def test_never_means_never(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Neither a report on it alone nor a line in one on others (RFC 3461 §4.1)."""
    refusing(internet, elsewhere)
    with sender.submit() as client:
        assert client.mail("alice@example.test")[0] == 250
        assert client.rcpt(f"silent@{elsewhere}", ["NOTIFY=NEVER"])[0] == 250
        assert client.rcpt(f"carol@{elsewhere}", ["NOTIFY=FAILURE"])[0] == 250
        assert client.data(letter())[0] == 250
    report = sender.report(about=f"carol@{elsewhere}")
    assert report.about == [f"carol@{elsewhere}"] and f"silent@{elsewhere}".encode() not in report.source
    sender.wait_until_empty_of_destination(elsewhere)
    assert not [one for one in sender.reports() if f"silent@{elsewhere}" in one.about]


def test_success_where_the_other_side_reports_nothing(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """We are the last that knows of it: relayed (RFC 3461 §5.2.2), with the header and no more."""
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}", message=letter(body="not this"), mail=["RET=FULL"], rcpt=["NOTIFY=SUCCESS"])
    report = sender.report(about=f"carol@{elsewhere}")
    [fate] = report.recipients
    assert fate["action"] == "relayed" and fate["status"].startswith("2.")
    assert b"not this" not in report.source
    assert b"NOTIFY" not in peer.mails[0].recipients[0]


def test_success_where_the_other_side_reports_itself(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """It is told what was asked for, and we keep silent (RFC 3461 §5.2.1)."""
    peer = internet.peer(elsewhere, extensions=DSN)
    sender.send(
        f"carol@{elsewhere}", mail=["RET=HDRS", "ENVID=abc"], rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;x@y.test"]
    )
    [mail] = peer.wait(1)
    words = mail.sender.upper().split()
    assert b"RET=HDRS" in words and b"ENVID=ABC" in words
    words = mail.recipients[0].split()
    assert {b"NOTIFY=SUCCESS,FAILURE", b"ORCPT=rfc822;x@y.test"} <= set(words), words
    sender.wait_until_empty_of_destination(elsewhere)
    assert not [one for one in sender.reports() if f"carol@{elsewhere}" in one.about]


def test_success_at_home(sender: Sender) -> None:
    """A recipient of ours has it: delivered."""
    sender.send("bob@example.test", rcpt=["NOTIFY=SUCCESS"])
    [fate] = sender.report(about="bob@example.test").recipients
    assert fate["action"] == "delivered" and fate["status"].startswith("2.")


def test_what_is_asked_only_for_success_tells_no_failure(sender: Sender, internet: Internet, elsewhere: str) -> None:
    refusing(internet, elsewhere)
    id = sender.send(f"carol@{elsewhere}", rcpt=["NOTIFY=SUCCESS"])
    sender.wait_until_empty_of(id)
    assert not [one for one in sender.reports() if f"carol@{elsewhere}" in one.about]


def test_late_and_then_given_up(internet: Internet, elsewhere: str, tmp_path) -> None:
    """The warning comes once, says until when it is tried, and is no failure; the failure follows when time is up."""
    from harness.sender import sending

    internet.peer(elsewhere, answers={b"RCPT": b"450 4.2.1 mailbox busy"})
    outbound = 'first_retry = "1s"\nlongest_retry = "1s"\nwarn_after = "2s"\ngive_up_after = "6s"\n'
    with sending(tmp_path, internet, users=["alice"], outbound=outbound) as site:
        site.send(f"carol@{elsewhere}", f"mute@{elsewhere}", rcpt=[])
        with site.submit() as client:
            assert client.mail("alice@example.test")[0] == 250
            assert client.rcpt(f"only-failure@{elsewhere}", ["NOTIFY=FAILURE"])[0] == 250
            assert client.data(letter())[0] == 250
        site.wait_until_empty(timeout=120)
        reports = site.wait(lambda: len(found := site.reports()) >= 3 and found, "all reports", timeout=30)
    fates = [(one["action"], address) for report in reports for one, address in zip(report.recipients, report.about)]
    for name in ("carol", "mute"):
        mine = [action for action, address in fates if address == f"{name}@{elsewhere}"]
        assert mine == ["delayed", "failed"], fates
    assert [action for action, address in fates if address.startswith("only-failure@")] == ["failed"], fates
    late = next(one for report in reports for one in report.recipients if one["action"] == "delayed")
    assert late["status"] == "4.2.1" and "will-retry-until" in late
    failed = [one for report in reports for one in report.recipients if one["action"] == "failed"]
    # RFC 3463: it was the last answer, or that the time is over.
    assert {one["status"] for one in failed} <= {"4.2.1", "5.2.1", "4.4.7", "5.4.7"}, failed
    assert "mailbox busy" in failed[0]["diagnostic-code"]


def test_17_no_report_on_a_report(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """What comes from <> and cannot be delivered ends with us (RFC 5321 §6.1): in the error queue, for a person to see."""
    peer = refusing(internet, elsewhere)
    before = len(sender.reports())
    # A report to an outside sender: its mail was taken for a group of ours that leads outside, say, and failed there.
    sender.cli("alias", "create", f"away-{elsewhere.partition('.')[0]}@example.test", f"gone@{elsewhere}")
    with sender.smtp() as client:
        client.sendmail("", [f"away-{elsewhere.partition('.')[0]}@example.test"], letter(sender="mailer-daemon@x.test"))
    peer.until(lambda: peer.verbs[b"RCPT"] >= 1, what="asked")
    sender.wait(
        lambda: (
            [entry for entry in sender.queue() if "failed" in sender.recipients(entry).values()]
            or not sender.queue("--destination", elsewhere)
        ),
        "decided",
    )
    assert len(sender.reports()) == before
    assert all(mail.sender == b"<>" for mail in peer.mails)


def test_reports_are_from_nobody(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A report to a sender elsewhere goes out from <>, so that nothing can come back on it (RFC 3461 §6)."""
    home = internet.peer(f"home.{elsewhere}")
    refusing(internet, f"away.{elsewhere}")
    name = f"fwd-{elsewhere.partition('.')[0]}@example.test"
    sender.cli("alias", "create", name, f"gone@away.{elsewhere}")
    with sender.smtp() as client:
        client.sendmail(f"writer@home.{elsewhere}", [name], letter(sender=f"writer@home.{elsewhere}"))
    [mail] = home.wait(1)
    assert mail.sender.startswith(b"<>")
    assert Report(mail.data).recipients[0]["action"] == "failed"


def test_utf8_in_a_report(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 6533: an address beyond ASCII is written as utf-8."""
    refusing(internet, elsewhere, extensions=(b"SMTPUTF8", b"8BITMIME"))
    sender.send(f"캐롤@{elsewhere}", message=letter(to=f"캐롤@{elsewhere}"), mail=["SMTPUTF8", "BODY=8BITMIME"])

    def found() -> list[Report]:
        return [one for one in sender.reports() if elsewhere.encode() in one.source]

    [report] = sender.wait(found, "a report")
    assert report.recipients[0]["final-recipient"].startswith("utf-8;")


def test_what_others_say_does_no_harm_in_a_report(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Control characters, binary, and very long answers end no field and no line."""
    hostile = b"550-5.7.1 first\r\n550 5.7.1 " + b"\x00\x07\x1b[31m\xff\xfe--=_boundary Status: 2.0.0 " + b"y" * 1500
    refusing(internet, elsewhere, answer=hostile)
    sender.send(f"carol@{elsewhere}")
    report = sender.report(about=f"carol@{elsewhere}")
    assert report.recipients[0]["status"] == "5.7.1"
    assert max(len(line) for line in report.source.split(b"\r\n")) <= 998
    assert not re.search(rb"[\x00\x07\x1b]", report.source)


def test_reports_are_mail_like_any_other(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """In INBOX, unseen; each failure told once."""
    refusing(internet, elsewhere)
    sender.send(*(f"user{number}@{elsewhere}" for number in range(5)))

    def told() -> list[str]:
        about = [address for one in sender.reports() for address in one.about if address.endswith(elsewhere)]
        return about if len(about) >= 5 else []

    assert sorted(sender.wait(told, "told of all")) == [f"user{number}@{elsewhere}" for number in range(5)]
    with sender.imap_of("alice") as client:
        total = mailbox.count(client)
        assert b"\\Seen" not in mailbox.flags(client, str(total))
