"""Which servers mail is brought to: MX records, addresses, and what is nobody's mail server (RFC 5321 §5.1, RFC 7505)."""

from pathlib import Path

import pytest

from harness import loopback
from harness.internet import Internet
from harness.peer import Peer, listening
from harness.sender import Sender, sending

pytestmark = pytest.mark.usefixtures("needs_root")

# Addresses at which no mail server of anybody's is (RFC 6890); loopback is allowed where these tests do not say otherwise.
NOBODYS = (
    "10.1.2.3",
    "169.254.169.254",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "fd00::1",
    "fe80::1",
)


def test_the_preferred_host_takes_it(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening() as first, listening() as second:
        internet.host(f"a.{elsewhere}", first.address)
        internet.host(f"b.{elsewhere}", second.address)
        # The numbers count, not the order of the records.
        internet.exchangers(elsewhere, f"b.{elsewhere}", f"a.{elsewhere}", preferences=(20, 10))
        internet.publish()
        sender.send(f"carol@{elsewhere}", f"dave@{elsewhere}")
        [mail] = first.wait(1)
        assert sorted(mail.addresses) == [f"carol@{elsewhere}", f"dave@{elsewhere}"]
        assert second.connections == 0


def test_dead_hosts_are_passed_over(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """One that refuses connections, one that has no address, one that says it is closed: the fourth one takes it."""
    with listening() as alive, listening(greeting=b"554 5.3.2 no mail here") as closed:
        internet.host(f"dead.{elsewhere}", loopback.address())
        internet.host(f"closed.{elsewhere}", closed.address)
        internet.host(f"alive.{elsewhere}", alive.address)
        internet.exchangers(elsewhere, *(f"{name}.{elsewhere}" for name in ("dead", "nowhere", "closed", "alive")))
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        alive.wait(1)
        assert closed.connections == 1 and not closed.mails


def test_equal_preferences_share(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening() as one, listening() as other:
        internet.host(f"a.{elsewhere}", one.address)
        internet.host(f"b.{elsewhere}", other.address)
        internet.exchangers(elsewhere, f"a.{elsewhere}", f"b.{elsewhere}", preferences=(10, 10))
        internet.publish()
        for number in range(24):
            sender.send(f"carol{number}@{elsewhere}")
        sender.wait(lambda: len(one.mails) + len(other.mails) == 24, "all there")
        # By chance alone one of them gets everything once in eight million runs.
        assert one.mails and other.mails


def test_a_domain_without_mx_stands_for_itself(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening() as peer:
        internet.host(elsewhere, peer.address)
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        peer.wait(1)


def test_a_domain_in_another_script(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """What is asked for in DNS is the A-label."""
    peer = internet.peer(f"xn--kln-sna.{elsewhere}", extensions=(b"8BITMIME", b"SMTPUTF8", b"PIPELINING"))
    sender.send(f"carol@köln.{elsewhere}", mail=["SMTPUTF8"])
    [mail] = peer.wait(1)
    assert mail.recipients[0].startswith(
        (f"<carol@köln.{elsewhere}>".encode(), f"<carol@xn--kln-sna.{elsewhere}>".encode())
    )


def test_69_a_null_mx_takes_no_mail(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 7505 §4.1: at once, and with its own code. The host's address is no way around it."""
    with listening() as peer:
        internet.host(elsewhere, peer.address)
        internet.dns.add(elsewhere, "MX", "0 .")
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        report = sender.report(about=f"carol@{elsewhere}")
        [fate] = report.recipients
        assert fate["action"] == "failed" and fate["status"] == "5.1.10"
        assert peer.connections == 0


def test_a_domain_that_does_not_exist(sender: Sender, elsewhere: str) -> None:
    """RFC 3463 §3.2: 5.1.2."""
    sender.send(f"carol@nowhere.{elsewhere}")
    [fate] = sender.report(about=f"carol@nowhere.{elsewhere}").recipients
    assert (fate["action"], fate["status"]) == ("failed", "5.1.2")


@pytest.mark.parametrize("address", NOBODYS)
def test_69_addresses_that_are_nobodys_mail_server(
    sender: Sender, internet: Internet, elsewhere: str, address: str
) -> None:
    internet.host(f"mx.{elsewhere}", address)
    internet.exchangers(elsewhere, f"mx.{elsewhere}")
    internet.publish()
    sender.send(f"carol@{elsewhere}")
    [fate] = sender.report(about=f"carol@{elsewhere}").recipients
    assert fate["action"] == "failed" and fate["status"].startswith("5."), fate


def test_69_loopback_is_refused_unless_allowed(internet: Internet, elsewhere: str, tmp_path: Path) -> None:
    """By name, by literal, and by an IPv4 address inside IPv6."""
    peer = internet.peer(elsewhere)
    internet.host(f"mapped.{elsewhere}", "::ffff:127.0.0.1")
    internet.publish()
    with sending(tmp_path, internet, users=["alice"], allow=()) as site:
        targets = [elsewhere, f"[{peer.address}]", f"mapped.{elsewhere}"]
        for target in targets:
            site.send(f"carol@{target}")
        for target in targets:
            [fate] = site.report(about=f"carol@{target}").recipients
            assert fate["action"] == "failed" and fate["status"].startswith("5."), fate
        site.wait_until_empty()
    assert peer.connections == 0


def test_69_no_loop_to_ourselves(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Of an MX list with our own name only those count that are preferred to us (RFC 5321 §5.1)."""
    with listening() as worse:
        internet.host("mail.example.test", "127.0.0.1")
        internet.host(f"worse.{elsewhere}", worse.address)
        internet.exchangers(elsewhere, "mail.example.test", f"worse.{elsewhere}")
        internet.publish()
        sender.send(f"carol@{elsewhere}")
        [fate] = sender.report(about=f"carol@{elsewhere}").recipients
        assert fate["action"] == "failed" and fate["status"].startswith("5.4.6"), fate
        assert worse.connections == 0


@pytest.mark.parametrize("zone", ["broken", "bogus"])
def test_70_dns_that_fails_or_is_forged_defers(sender: Sender, internet: Internet, elsewhere: str, zone: str) -> None:
    """Not a bounce: what cannot be known now may be known later."""
    name = f"{elsewhere.removesuffix('.test')}.{zone}"
    with listening() as peer:
        internet.host(name, peer.address)
        internet.exchangers(name, name)
        internet.publish()
        id = sender.send(f"carol@{name}")
        [entry] = sender.wait(lambda: sender.tried(id), "tried")
        assert sender.recipients(entry) == {f"carol@{name}": "in_line"}, entry
        assert "DNS" in sender.explain(id), sender.explain(id)
        assert not [one for one in sender.reports() if f"carol@{name}" in one.about]
        assert peer.connections == 0
        sender.cli("queue", "drop", id, "--yes")


def test_an_address_literal(sender: Sender) -> None:
    with listening() as peer:
        sender.send(f"carol@[{peer.address}]")
        [mail] = peer.wait(1)
        assert mail.addresses == [f"carol@[{peer.address}]"]


needs_ipv6 = pytest.mark.skipif(not loopback.is_free("::1", 25), reason="[::1]:25 is not free on this machine")


@needs_ipv6
def test_ipv6(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening("::1") as peer:
        internet.host(elsewhere, "::1")
        internet.publish()
        sender.send(f"carol@{elsewhere}", "dave@[IPv6:::1]")
        peer.wait(2)
        assert set(peer.addresses()) == {f"carol@{elsewhere}", "dave@[IPv6:::1]"}


@needs_ipv6
def test_whichever_family_is_dead_the_other_one_works(sender: Sender, internet: Internet, elsewhere: str) -> None:
    with listening() as four:
        internet.host(f"four.{elsewhere}", "::1", four.address)
        internet.publish()
        sender.send(f"carol@four.{elsewhere}")
        four.wait(1)
    with listening("::1") as six:
        internet.host(f"six.{elsewhere}", "::1", loopback.address())
        internet.publish()
        sender.send(f"carol@six.{elsewhere}")
        six.wait(1)


def test_what_dns_says_later_counts(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """A server that has moved is found at its new address when the message is tried again."""
    old: Peer
    with listening(answers={b"RCPT": b"450 4.2.0 moving"}) as old, listening() as new:
        internet.host(f"mx.{elsewhere}", old.address)
        internet.exchangers(elsewhere, f"mx.{elsewhere}")
        internet.publish()
        id = sender.send(f"carol@{elsewhere}")
        sender.wait(lambda: sender.tried(id), "tried")
        internet.dns.remove(f"mx.{elsewhere}", "A")
        internet.host(f"mx.{elsewhere}", new.address)
        internet.publish()

        def arrived() -> bool:
            # The old address may be remembered for as long as DNS has said: a second.
            sender.cli("queue", "retry", id, check=False)
            return bool(new.mails)

        sender.wait(arrived, "at the new address")
