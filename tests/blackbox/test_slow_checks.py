"""Checks that take too long: the message is accepted, and checked as strictly before it gets into a mailbox."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import mailbox
from harness.dns import Dns, serving
from harness.server import PASSWORD
from harness.site import Site

HOSTNAME = "mail.example.test"
USERS = [f"user{number}" for number in range(1, 10)]
# How long a sender waits, and how late DNS answers so that it takes longer.
MARK, LATE = 1.0, 4.0


def settings(dns: Dns) -> str:
    checks = f'[checks]\ndns = ["{dns.address}"]\nexempt = []\ntime = "8s"\n'
    return f'[inbound]\nslow_checks = "{int(MARK * 1000)}ms"\n{checks}[login]\nplaintext = true\n'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Dns]]:
    with serving() as dns:
        site = Site(tmp_path_factory.mktemp("slow"), settings(dns)).start()
        try:
            site.add(*USERS, password=PASSWORD)
            yield site, dns
            site.stop()
        finally:
            site.kill()


def letter(sender: str, subject: str, extra: bytes = b"") -> bytes:
    head = f"From: {sender}\r\nTo: someone@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n"
    return extra + head.encode() + b"\r\nDear  Alice,\r\n\r\nthis is a letter. \r\n\r\n"


def send(site: Site, user: str, message: bytes, sender: str) -> float:
    """Sends, and says how long the answer took."""
    with site.smtp() as client:
        began = time.monotonic()
        assert client.sendmail(sender, [f"{user}@example.test"], message) == {}
        return time.monotonic() - began


def stored(site: Site, user: str, folder: str, timeout: float = 60) -> bytes:
    """The mail in a mailbox, once it is there."""
    deadline = time.monotonic() + timeout
    while True:
        with site.imap(user) as client:
            if client.select(folder, readonly=True)[0] == "OK" and (mails := mailbox.fetch_all(client, folder)):
                assert len(mails) == 1
                return next(iter(mails.values()))
        assert time.monotonic() < deadline, f"{user} gets nothing in {folder}\n{site.log_tail()}"
        time.sleep(0.05)


def count(site: Site, user: str, folder: str) -> int:
    with site.imap(user) as client:
        return mailbox.count(client, folder) if client.select(folder, readonly=True)[0] == "OK" else 0


def waiting(site: Site) -> list[dict]:
    return site.cli_json("queue", "inbound", "list")


def test_what_passes_is_delivered_with_its_results(world: tuple[Site, Dns]) -> None:
    site, dns = world
    dns.add_text("good.test", "v=spf1 ip4:127.0.0.1 -all")
    dns.add_text("_dmarc.good.test", "v=DMARC1; p=reject")
    dns.silence("_dmarc.good.test", LATE)
    forged = b"Authentication-Results: mail.example.test; dmarc=pass header.from=bank.test\r\n"
    sent = letter("bob@good.test", "good")
    took = send(site, "user1", forged + sent, "bob@good.test")
    assert took >= MARK, took
    mail = stored(site, "user1", "INBOX")
    names = [line.split(b":")[0] for line in mail.split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] not in b" \t"]
    assert names[:3] == [b"Return-Path", b"Authentication-Results", b"Received"]
    assert b"dmarc=pass" in mail and b"spf=pass smtp.mailfrom=good.test" in mail
    assert mail.endswith(sent) and b"bank.test" not in mail
    assert names.count(b"Authentication-Results") == 1


def test_what_would_have_been_refused_goes_to_junk(world: tuple[Site, Dns]) -> None:
    """And nobody is notified: the sender is whoever was forged."""
    site, dns = world
    dns.add_text("_dmarc.strict.test", "v=DMARC1; p=reject")
    dns.silence("_dmarc.strict.test", LATE)
    send(site, "user2", letter("ceo@strict.test", "forged"), "user3@example.test")
    mail = stored(site, "user2", "Junk")
    assert b"dmarc=fail (p=reject) header.from=strict.test" in mail
    assert count(site, "user2", "INBOX") == 0 and count(site, "user3", "INBOX") == 0
    assert waiting(site) == []
    # In time, the same is refused.
    with site.smtp() as client, pytest.raises(Exception, match=r"5\.7\.26"):
        client.sendmail("bob@sender.test", ["user2@example.test"], letter("ceo@strict.test", "forged-again"))


def test_what_would_have_been_deferred_is_tried_again(world: tuple[Site, Dns]) -> None:
    site, dns = world
    dns.add_text("_dmarc.flaky.test", "v=DMARC1; p=reject")
    dns.add_text("flaky.test", "v=spf1 ip4:127.0.0.1 -all")
    dns.fail("flaky.test")
    dns.silence("_dmarc.flaky.test", LATE)
    send(site, "user4", letter("bob@flaky.test", "flaky"), "bob@flaky.test")
    deadline = time.monotonic() + 60
    while not (found := waiting(site)) or not found[0]["parts"][0]["recipients"][0]["said"]:
        assert time.monotonic() < deadline, site.log_tail()
        time.sleep(0.05)
    said = site.cli("queue", "inbound", "show", found[0]["id"]).stdout
    assert "its checks took longer than 1000 ms" in said and "Cannot find out now whether flaky.test" in said, said
    assert count(site, "user4", "INBOX") == 0
    dns.mend("flaky.test")
    site.cli("queue", "inbound", "retry", found[0]["id"])
    assert b"dmarc=pass" in stored(site, "user4", "INBOX")


def test_it_is_checked_once_more_after_a_crash(world: tuple[Site, Dns]) -> None:
    """SIGKILL while a worker waits for DNS: what was acknowledged is delivered once, and not unchecked."""
    site, dns = world
    for user in ("user5", "user6"):
        domain = f"{user}.test"
        dns.add_text(f"_dmarc.{domain}", "v=DMARC1; p=quarantine")
        dns.silence(f"_dmarc.{domain}", 60)
        send(site, user, letter(f"bob@{domain}", f"crash-{user}"), f"bob@{domain}")
        assert len(waiting(site)) == 1 and count(site, user, "Junk") == 0
        site.kill()
        dns.silence(f"_dmarc.{domain}", 0)
        site.start()
    for user in ("user5", "user6"):
        assert b"dmarc=fail (p=quarantine)" in stored(site, user, "Junk")
        assert count(site, user, "INBOX") == 0
    assert waiting(site) == []
    site.cli("verify")


def test_what_comes_in_time_is_not_queued(world: tuple[Site, Dns]) -> None:
    site, dns = world
    dns.add_text("_dmarc.quick.test", "v=DMARC1; p=none")
    send(site, "user7", letter("bob@quick.test", "quick"), "bob@quick.test")
    assert count(site, "user7", "INBOX") == 1


def test_it_is_counted(world: tuple[Site, Dns]) -> None:
    site, _ = world
    reasons: dict[str, float] = {}
    for family in text_string_to_metric_families(site.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == "magpie_check_verdicts_total":
                reasons[sample.labels["action"]] = sample.value
    assert reasons.get("quarantine", 0) >= 1 and reasons.get("accept", 0) >= 1


def test_policies_of_single_domains(tmp_path: Path) -> None:
    """`dmarc_overrides`: mail of some domains is let in, or goes to Junk, where their policy would have it refused."""
    with serving() as dns:
        for name in ("lists.test", "partner.test", "strict.test"):
            dns.add_text(f"_dmarc.{name}", "v=DMARC1; p=reject")
        overrides = 'dmarc_overrides = { "lists.test" = "observe", "partner.test" = "quarantine" }\n'
        site = Site(tmp_path, settings(dns).replace("[checks]\n", "[checks]\n" + overrides)).start()
        try:
            site.add("user1", password=PASSWORD)
            send(site, "user1", letter("bob@lists.test", "observed"), "bob@sender.test")
            assert b"dmarc=fail" in stored(site, "user1", "INBOX")
            send(site, "user1", letter("bob@sub.partner.test", "quarantined"), "bob@sender.test")
            assert b"dmarc=fail" in stored(site, "user1", "Junk")
            with site.smtp() as client, pytest.raises(Exception, match=r"5\.7\.26"):
                client.sendmail("bob@sender.test", ["user1@example.test"], letter("bob@strict.test", "refused"))
            site.stop()
        finally:
            site.kill()


def test_the_queue_says_that_it_is_unchecked(world: tuple[Site, Dns]) -> None:
    """The answer to a slow message names the id by which an operator finds it."""
    site, dns = world
    dns.add_text("_dmarc.named.test", "v=DMARC1; p=none")
    dns.silence("_dmarc.named.test", LATE)
    send(site, "user8", letter("bob@named.test", "named"), "bob@named.test")
    [found] = waiting(site)
    assert "its checks took longer" in site.cli("queue", "inbound", "show", found["id"]).stdout
    assert b"dmarc=fail (p=none)" in stored(site, "user8", "INBOX")
