"""How the way to other servers is protected: TLS where it is offered, and what DANE (RFC 7672), MTA-STS (RFC 8461) and
REQUIRETLS (RFC 8689) demand. What is demanded and cannot be had waits; nothing is ever sent in plain text instead."""

import json
from pathlib import Path

import pytest

from harness.internet import Internet
from harness.peer import Peer, listening
from harness.sender import Sender, letter, sending
from harness.server import PASSWORD

pytestmark = pytest.mark.usefixtures("needs_root")

REQUIRES = (b"PIPELINING", b"8BITMIME", b"SIZE 60000000", b"ENHANCEDSTATUSCODES", b"REQUIRETLS", b"DSN")


def waits(sender: Sender, id: str, peer: Peer, *words: str) -> str:
    """It was tried, waits, nobody has got it, and the queue says why."""
    sender.wait(lambda: sender.tried(id), "tried")
    said = sender.explain(id)
    assert any(word.lower() in said.lower() for word in words), said
    assert not peer.mails and peer.verbs[b"MAIL"] == 0, "MAIL was said over a connection that is not safe"
    return said


def mended(sender: Sender, id: str, peer: Peer) -> None:
    """Once the other side is in order, the message gets there over TLS."""

    def arrived() -> bool:
        sender.cli("queue", "retry", id, check=False)
        return bool(peer.mails)

    sender.wait(arrived, "delivered")
    assert peer.mails[0].tls


# Nobody demands anything. ----------------------------------------------------------------------------------


def test_tls_where_it_is_offered(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Whoever has signed the certificate, and whatever name it is for: better than plain text."""
    peer = internet.peer(elsewhere, certificate=internet.authority.certify("another.name.test"))
    sender.send(f"carol@{elsewhere}")
    [mail] = peer.wait(1)
    assert mail.tls in ("TLSv1.2", "TLSv1.3")
    # What was said before the handshake is said again after it (RFC 3207 §4.2).
    assert peer.verbs[b"EHLO"] == 2


def test_a_handshake_that_breaks_is_no_obstacle(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, certificate=internet.authority.certify(f"mx.{elsewhere}"), tls_breaks=True)
    sender.send(f"carol@{elsewhere}")
    [mail] = peer.wait(1)
    assert mail.tls is None


@pytest.mark.parametrize("answer", [b"454 4.7.0 not now", b"501 5.5.2 syntax"])
def test_starttls_that_is_refused_is_no_obstacle(
    sender: Sender, internet: Internet, elsewhere: str, answer: bytes
) -> None:
    certificate = internet.authority.certify(f"mx.{elsewhere}")
    peer = internet.peer(elsewhere, certificate=certificate, answers={b"STARTTLS": answer})
    sender.send(f"carol@{elsewhere}")
    [mail] = peer.wait(1)
    assert mail.tls is None


# DANE. -----------------------------------------------------------------------------------------------------


@pytest.fixture
def signed(elsewhere: str) -> str:
    """A domain of which DNSSEC proves everything."""
    return elsewhere.removesuffix(".test") + ".secure"


def test_dane_names_the_key(sender: Sender, internet: Internet, signed: str) -> None:
    """Usage 3: neither the name in the certificate nor its end counts (RFC 7672 §3.1.1)."""
    certificate = internet.authority.certify("another.name.test", since=-30, until=-1)
    peer = internet.peer(signed, certificate=certificate)
    internet.dns.add(f"_25._tcp.mx.{signed}", "TLSA", certificate.tlsa())
    internet.publish()
    sender.send(f"carol@{signed}")
    [mail] = peer.wait(1)
    assert mail.tls


def test_dane_names_the_authority(sender: Sender, internet: Internet, signed: str) -> None:
    """Usage 2: the name counts. The domain of the recipient will do as well as the host's (RFC 7672 §3.2.2)."""
    for name in ("mx", "domain", "wrong"):
        host = f"mx.{name}.{signed}"
        certified = {"mx": host, "domain": f"{name}.{signed}", "wrong": "another.name.test"}[name]
        peer = internet.peer(f"{name}.{signed}", certificate=internet.authority.certify(certified))
        internet.dns.add(f"_25._tcp.{host}", "TLSA", internet.authority.tlsa())
        internet.publish()
        id = sender.send(f"carol@{name}.{signed}")
        if name == "wrong":
            waits(sender, id, peer, "certificate")
            sender.cli("queue", "drop", id, "--yes")
        else:
            assert peer.wait(1)[0].tls


def test_72_a_certificate_that_dane_does_not_name(sender: Sender, internet: Internet, signed: str) -> None:
    peer = internet.peer(signed, certificate=internet.authority.certify(f"mx.{signed}"))
    other = internet.authority.certify(f"mx.{signed}")
    internet.dns.add(f"_25._tcp.mx.{signed}", "TLSA", other.tlsa())
    internet.publish()
    id = sender.send(f"carol@{signed}")
    waits(sender, id, peer, "TLSA", "DANE")
    peer.change(tls=other.context())
    mended(sender, id, peer)


def test_72_starttls_stripped_under_dane(sender: Sender, internet: Internet, signed: str) -> None:
    certificate = internet.authority.certify(f"mx.{signed}")
    peer = internet.peer(signed)
    internet.dns.add(f"_25._tcp.mx.{signed}", "TLSA", certificate.tlsa())
    internet.publish()
    id = sender.send(f"carol@{signed}")
    waits(sender, id, peer, "TLS")
    peer.change(tls=certificate.context())
    mended(sender, id, peer)


def test_70_tlsa_records_that_are_forged_or_out_of_reach(sender: Sender, internet: Internet, signed: str) -> None:
    """RFC 7672 §2.1.2: a host whose TLSA records cannot be known now is no host for now."""
    # The domain's zone is in order; that of its host has wrong signatures.
    host = "mx." + signed.removesuffix(".secure") + ".bogus"
    with listening(tls=internet.authority.certify(host).context()) as peer:
        internet.host(host, peer.address)
        internet.dns.add(f"_25._tcp.{host}", "TLSA", internet.authority.certify(host).tlsa())
        internet.exchangers(signed, host)
        internet.publish()
        id = sender.send(f"carol@{signed}")
        waits(sender, id, peer, "DNS")
        sender.cli("queue", "drop", id, "--yes")


def test_tlsa_without_dnssec_says_nothing(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Anybody could have written it (RFC 7672 §2.2)."""
    peer = internet.peer(elsewhere, certificate=internet.authority.certify(f"mx.{elsewhere}"))
    internet.dns.add(f"_25._tcp.mx.{elsewhere}", "TLSA", "3 1 1 " + "00" * 32)
    internet.publish()
    sender.send(f"carol@{elsewhere}")
    peer.wait(1)


def test_tlsa_that_nobody_can_use_demands_tls(sender: Sender, internet: Internet, signed: str) -> None:
    """RFC 7672 §2.2: records that all are unusable still say that there is TLS."""
    certificate = internet.authority.certify("another.name.test")
    peer = internet.peer(signed)
    internet.dns.add(f"_25._tcp.mx.{signed}", "TLSA", "1 1 1 " + "00" * 32)
    internet.publish()
    id = sender.send(f"carol@{signed}")
    waits(sender, id, peer, "TLS")
    peer.change(tls=certificate.context())
    mended(sender, id, peer)


# MTA-STS. --------------------------------------------------------------------------------------------------


def test_sts_enforced_and_kept(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, certificate=internet.authority.certify(f"mx.{elsewhere}"))
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    for number in range(3):
        sender.send(f"user{number}@{elsewhere}")
    assert all(mail.tls for mail in peer.wait(3))
    # Fetched once, and known since.
    assert internet.web.asked.count(elsewhere) == 1


@pytest.mark.parametrize("wrong", ["name", "authority", "expired", "stripped", "broken"])
def test_72_sts_enforced_and_not_kept(
    sender: Sender, internet: Internet, elsewhere: str, tmp_path: Path, wrong: str
) -> None:
    from harness.authority import Authority

    host = f"mx.{elsewhere}"
    certificate = {
        "name": lambda: internet.authority.certify(f"other.{elsewhere}"),
        "authority": lambda: Authority(tmp_path, "another").certify(host),
        "expired": lambda: internet.authority.certify(host, since=-30, until=-1),
        "stripped": lambda: None,
        "broken": lambda: internet.authority.certify(host),
    }[wrong]()
    peer = internet.peer(elsewhere, certificate=certificate, tls_breaks=wrong == "broken")
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    id = sender.send(f"carol@{elsewhere}")
    waits(sender, id, peer, "TLS", "certificate")
    peer.change(tls=internet.authority.certify(host).context(), tls_breaks=False)
    mended(sender, id, peer)


def test_72_a_host_that_the_policy_does_not_name(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """It may have the best certificate. One label is what an asterisk stands for (RFC 8461 §4.1)."""
    peer = internet.peer(elsewhere, host=f"a.b.{elsewhere}", certificate=internet.authority.certify(f"a.b.{elsewhere}"))
    internet.policy(elsewhere, "enforce", f"*.{elsewhere}", "mx.other.test")
    id = sender.send(f"carol@{elsewhere}")
    waits(sender, id, peer, "policy", "MTA-STS")
    assert peer.connections == 0
    sender.cli("queue", "drop", id, "--yes")


def test_a_host_that_an_asterisk_names(sender: Sender, internet: Internet, elsewhere: str) -> None:
    peer = internet.peer(elsewhere, certificate=internet.authority.certify(f"mx.{elsewhere}"))
    internet.policy(elsewhere, "enforce", f"*.{elsewhere}")
    sender.send(f"carol@{elsewhere}")
    assert peer.wait(1)[0].tls


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_that_demands_nothing(sender: Sender, internet: Internet, elsewhere: str, mode: str) -> None:
    peer = internet.peer(elsewhere)
    internet.policy(elsewhere, mode, f"mx.{elsewhere}")
    sender.send(f"carol@{elsewhere}")
    assert peer.wait(1)[0].tls is None


def test_71_a_known_policy_rules_when_it_is_gone(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Web server, policy and record gone at once, and STARTTLS with them: whoever could do that gets nothing."""
    certificate = internet.authority.certify(f"mx.{elsewhere}")
    peer = internet.peer(elsewhere, certificate=certificate)
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    sender.send(f"carol@{elsewhere}")
    assert peer.wait(1)[0].tls
    peer.mails.clear()
    peer.verbs.clear()
    peer.change(tls=None)
    peer.hang_up()
    del internet.web.policies[elsewhere]
    internet.dns.remove(f"_mta-sts.{elsewhere}", "TXT")
    internet.dns.remove(f"mta-sts.{elsewhere}", "A")
    internet.publish()
    id = sender.send(f"dave@{elsewhere}")
    waits(sender, id, peer, "TLS")
    peer.change(tls=certificate.context())
    mended(sender, id, peer)


def test_71_a_known_policy_survives_a_restart(internet: Internet, elsewhere: str, tmp_path: Path) -> None:
    """RFC 8461 §3.3: for as long as it said. A crash is no reason to believe less."""
    peer = internet.peer(elsewhere, certificate=internet.authority.certify(f"mx.{elsewhere}"))
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    with sending(tmp_path, internet, users=["alice"]) as site:
        site.send(f"carol@{elsewhere}")
        assert peer.wait(1)[0].tls
        site.kill()
        peer.mails.clear()
        peer.verbs.clear()
        peer.change(tls=None)
        del internet.web.policies[elsewhere]
        internet.dns.remove(f"_mta-sts.{elsewhere}", "TXT")
        internet.publish()
        site.start()
        id = site.send(f"dave@{elsewhere}")
        waits(site, id, peer, "TLS")


@pytest.mark.parametrize("how", ["missing", "redirected", "oversized", "html"])
def test_71_what_is_no_policy_demands_nothing(sender: Sender, internet: Internet, elsewhere: str, how: str) -> None:
    """A first policy that cannot be had is none (RFC 8461 §3.3): nothing is followed, and no more is read than a policy has."""
    peer = internet.peer(elsewhere)
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    internet.policy(f"target.{elsewhere}", "enforce", f"mx.{elsewhere}")
    text = internet.web.policies[elsewhere]
    internet.web.policies[elsewhere] = {
        "missing": (404, {}, text),
        "redirected": (301, {"Location": f"https://mta-sts.target.{elsewhere}/.well-known/mta-sts.txt"}, ""),
        "oversized": (200, {}, text + "x: " + "y" * 1_000_000 + "\r\n"),
        "html": (200, {"Content-Type": "text/html"}, text),
    }[how]
    sender.send(f"carol@{elsewhere}")
    assert peer.wait(1)[0].tls is None
    assert f"target.{elsewhere}" not in internet.web.asked


# REQUIRETLS. -----------------------------------------------------------------------------------------------


def test_requiretls_goes_all_the_way(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """The server is proved, promises the same, and is told (RFC 8689 §4.2.1)."""
    certificate = internet.authority.certify(f"mx.{elsewhere}")
    peer = internet.peer(elsewhere, certificate=certificate, extensions=REQUIRES)
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    sender.send(f"carol@{elsewhere}", mail=["REQUIRETLS"])
    [mail] = peer.wait(1)
    assert mail.tls and b"REQUIRETLS" in mail.sender.upper()


def test_72_requiretls_and_a_server_that_does_not_promise_it(
    sender: Sender, internet: Internet, elsewhere: str
) -> None:
    """It is not sent. Another host or another day may be better; RFC 8689 §5 has the codes."""
    certificate = internet.authority.certify(f"mx.{elsewhere}")
    peer = internet.peer(elsewhere, certificate=certificate)
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    id = sender.send(f"carol@{elsewhere}", mail=["REQUIRETLS"])
    refused(sender, id, peer, f"carol@{elsewhere}", "5.7.30")


def test_72_requiretls_and_nobody_who_proves_the_host(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """Neither DANE nor MTA-STS says that this host is the domain's (RFC 8689 §4.2.1)."""
    certificate = internet.authority.certify(f"mx.{elsewhere}")
    peer = internet.peer(elsewhere, certificate=certificate, extensions=REQUIRES)
    id = sender.send(f"carol@{elsewhere}", mail=["REQUIRETLS"])
    refused(sender, id, peer, f"carol@{elsewhere}", "5.7.10", "5.7.30")


def refused(sender: Sender, id: str, peer: Peer, recipient: str, *codes: str) -> None:
    """It waits, or comes back with a code of RFC 8689 §5; the server has heard nothing of it."""

    def decided() -> bool:
        return bool(sender.tried(id)) or any(recipient in report.about for report in sender.reports())

    sender.wait(decided, "decided")
    reports = [report for report in sender.reports() if recipient in report.about]
    if reports:
        fate = reports[0].on(recipient)
        assert fate["action"] == "failed" and fate["status"] in codes, fate
    else:
        assert "REQUIRETLS" in sender.explain(id), sender.explain(id)
        sender.cli("queue", "drop", id, "--yes")
    assert not peer.mails and peer.verbs[b"RCPT"] == 0


def test_tls_required_no(sender: Sender, internet: Internet, elsewhere: str) -> None:
    """RFC 8689 §3: the sender would rather have it delivered, whatever the domain's policy says."""
    peer = internet.peer(elsewhere)
    internet.policy(elsewhere, "enforce", f"mx.{elsewhere}")
    sender.send(f"carol@{elsewhere}", message=letter(head="TLS-Required: No\r\n"))
    [mail] = peer.wait(1)
    assert mail.tls is None and b"\r\nTLS-Required: No\r\n" in mail.data


def test_requiretls_only_over_tls(sender: Sender) -> None:
    """RFC 8689 §2: it is offered, and may be asked for, only over a connection that is protected itself."""
    with sender.smtp("submission") as client:
        client.ehlo()
        assert not client.has_extn("requiretls")
        client.login("alice@example.test", PASSWORD)
        assert client.mail("alice@example.test", ["REQUIRETLS"])[0] in (530, 554, 555, 501, 504)
    with sender.submit() as client:
        client.ehlo()
        assert client.has_extn("requiretls"), json.dumps(client.esmtp_features)
