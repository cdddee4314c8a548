"""SPF, DKIM, DMARC and ARC on the way in: mail that dkimpy signs, and a DNS server with what the test needs.

All clients are on loopback, so 127.0.0.1 is the address that SPF records name.
"""

import base64
import smtplib
from collections.abc import Iterator
from pathlib import Path

import authres
import dkim
import nacl.encoding
import nacl.signing
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from harness import mailbox
from harness.dns import Dns, serving
from harness.server import Magpie, running

HOSTNAME = "mail.example.test"
SENDER = "bob@sender.test"


class World:
    """A server that checks, its DNS, and keys to sign with."""

    def __init__(self, magpie: Magpie, dns: Dns):
        self.magpie = magpie
        self.dns = dns
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ed25519 = nacl.signing.SigningKey.generate()
        self.users = iter(range(1, 100))

    def user(self) -> str:
        return f"user{next(self.users)}"

    def publish(self, domain: str, selector: str = "sel", kind: str = "rsa") -> None:
        """The public key in DNS."""
        if kind == "rsa":
            public = self.rsa.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        else:
            public = self.ed25519.verify_key.encode()
        text = f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"
        self.dns.add_text(f"{selector}._domainkey.{domain}", text)

    def private(self, kind: str = "rsa") -> bytes:
        if kind != "rsa":
            return self.ed25519.encode(nacl.encoding.Base64Encoder)
        return self.rsa.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )

    def sign(
        self, message: bytes, domain: str, selector: str = "sel", kind: str = "rsa", form=(b"relaxed", b"relaxed")
    ):
        algorithm = b"rsa-sha256" if kind == "rsa" else b"ed25519-sha256"
        return dkim.sign(
            message, selector.encode(), domain.encode(), self.private(kind), canonicalize=form,
            signature_algorithm=algorithm, include_headers=[b"from", b"to", b"subject"],
        ) + message  # fmt: skip

    def send(self, user: str, message: bytes, sender: str = SENDER, protocol: str = "smtp") -> None:
        with self.magpie.smtp(protocol) as client:
            assert client.sendmail(sender, [f"{user}@example.test"], message) == {}

    def refused(self, user: str, message: bytes, sender: str = SENDER) -> tuple[int, bytes]:
        with self.magpie.smtp() as client, pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail(sender, [f"{user}@example.test"], message)
        return refusal.value.smtp_code, refusal.value.smtp_error

    def stored(self, user: str, folder: str = "INBOX") -> bytes:
        with self.magpie.imap(user) as client:
            return mailbox.newest(client, folder)

    def results(self, user: str, folder: str = "INBOX") -> dict[str, list]:
        """What our field says, by method, as another program reads it."""
        head = self.stored(user, folder).split(b"\r\n\r\n", 1)[0].decode()
        unfolded = head.replace("\r\n\t", " ").splitlines()
        ours = [line for line in unfolded if line.startswith(f"Authentication-Results: {HOSTNAME};")]
        assert len(ours) == 1, head
        found: dict[str, list] = {}
        for result in authres.AuthenticationResultsHeader.parse(ours[0]).results:
            found.setdefault(result.method, []).append(result)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data: Path = tmp_path_factory.mktemp("checks") / "data"
    with serving() as dns, running(data, users=40, options=("--dns", dns.address)) as magpie:
        yield World(magpie, dns)


def letter(sender: str = SENDER, subject: str = "checked") -> bytes:
    return (
        f"From: {sender}\r\nTo: alice@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@sender.test>\r\n\r\n"
        "Dear  Alice,\r\n\r\nthis is a letter. \r\n\r\n"
    ).encode()


def test_everything_passes(world: World) -> None:
    """The fields stand in the order of their making, and another program can read ours."""
    world.dns.add_text("good.test", "v=spf1 ip4:127.0.0.1 -all")
    world.dns.add_text("_dmarc.good.test", "v=DMARC1; p=reject")
    world.publish("good.test")
    world.publish("good.test", "ed", "ed25519")
    user = world.user()
    sent = world.sign(letter("bob@good.test"), "good.test")
    sent = world.sign(sent, "good.test", "ed", "ed25519", (b"simple", b"simple"))
    world.send(user, sent, "bob@good.test")
    stored = world.stored(user)
    names = [line.split(b":")[0] for line in stored.split(b"\r\n\r\n")[0].split(b"\r\n") if line[:1] not in b" \t"]
    assert names[:4] == [b"Return-Path", b"Authentication-Results", b"Received", b"DKIM-Signature"]
    assert stored.endswith(sent), "what came is kept as it came"
    # The names of loopback are known without asking.
    assert b"(localhost [127.0.0.1])" in stored
    results = world.results(user)
    assert [r.result for r in results["iprev"]] == ["pass"]
    assert [r.result for r in results["spf"]][-1] == "pass"
    assert [r.result for r in results["dkim"]] == ["pass", "pass"]
    assert [r.result for r in results["dmarc"]] == ["pass"]


def test_a_policy_of_reject(world: World) -> None:
    world.dns.add_text("_dmarc.strict.test", "v=DMARC1; p=reject")
    user = world.user()
    code, text = world.refused(user, letter("ceo@strict.test"))
    assert (code, text[:6]) == (550, b"5.7.26"), text
    with world.magpie.imap(user) as client:
        assert mailbox.count(client) == 0
    world.send(user, letter(subject="after-a-refusal"))


def test_a_policy_of_quarantine(world: World) -> None:
    """Suspicious mail goes to Junk, which is made for the first one."""
    world.dns.add_text("_dmarc.careful.test", "v=DMARC1; p=quarantine")
    user = world.user()
    for number in range(2):
        world.send(user, letter("ceo@careful.test", f"suspicious-{number}"))
    with world.magpie.imap(user) as client:
        assert mailbox.count(client) == 0
        assert int(client.select("Junk", readonly=True)[1][0]) == 2
        listed = b"".join(line for line in client.list()[1] if line.endswith(b"Junk"))
        assert b"\\Junk" in listed
    assert world.results(user, "Junk")["dmarc"][0].result == "fail"


def test_dns_that_fails(world: World) -> None:
    """A key that cannot be had now refuses nothing for good; a policy that cannot be had is said to be unknown."""
    world.dns.add_text("_dmarc.flaky.test", "v=DMARC1; p=reject")
    world.dns.fail("sel._domainkey.flaky.test")
    user = world.user()
    code, text = world.refused(user, world.sign(letter("bob@flaky.test"), "flaky.test"))
    assert (code, text[:5]) == (451, b"4.4.3"), text
    world.dns.fail("_dmarc.down.test")
    world.send(user, letter("bob@down.test"))
    assert world.results(user)["dmarc"][0].result == "temperror"


def test_forged_results_are_cut_out(world: World) -> None:
    """Nobody else writes in our name; every other octet stays."""
    user = world.user()
    others = b"Authentication-Results: relay.sender.test; spf=fail\r\n"
    forged = b"Authentication-Results: MAIL.example.test; spf=pass\r\n\tsmtp.mailfrom=bank.test\r\n"
    world.send(user, b"X-First: 1\r\n" + forged + others + forged + letter(subject="forged"))
    stored = world.stored(user)
    assert b"bank.test" not in stored
    assert stored.endswith(b"X-First: 1\r\n" + others + letter(subject="forged"))
    assert world.results(user)["spf"][-1].result == "none"


def test_a_large_message_from_the_spool(world: World) -> None:
    world.publish("large.test")
    user = world.user()
    message = letter("bob@large.test", "large") + b"0123456789  abcdef \r\n" * 150_000
    world.send(user, world.sign(message, "large.test"), "bob@large.test")
    assert world.results(user)["dkim"][0].result == "pass"
    changed = world.sign(message, "large.test").replace(b"abcdef", b"abcdeg", 1)
    world.send(user, changed, "bob@large.test")
    assert world.results(user)["dkim"][0].result == "fail"


def test_a_chain_of_seals(world: World) -> None:
    """What dkimpy seals is a good chain here, until the message changes."""
    world.publish("list.test")
    user = world.user()
    incoming = b"Authentication-Results: list.test; dmarc=pass header.from=sender.test\r\n" + letter(subject="list")
    seals = dkim.arc_sign(
        incoming, b"sel", b"list.test", world.private(), b"list.test", include_headers=[b"from", b"subject"]
    )
    sealed = b"".join(seals) + letter(subject="list")
    world.send(user, sealed)
    assert b"arc=pass (i=1 sealed by list.test)" in world.stored(user)
    world.send(user, sealed.replace(b"this is a letter", b"this is a bill"))
    assert b"arc=fail" in world.stored(user)


def test_who_hands_over_by_lmtp_has_checked(world: World) -> None:
    world.dns.add_text("_dmarc.strict-lmtp.test", "v=DMARC1; p=reject")
    user = world.user()
    before = b"Authentication-Results: mail.example.test; dmarc=pass\r\n"
    with smtplib.LMTP("127.0.0.1", world.magpie.port("lmtp")) as client:
        client.sendmail(SENDER, [f"{user}@example.test"], before + letter("ceo@strict-lmtp.test"))
    stored = world.stored(user)
    assert stored.endswith(before + letter("ceo@strict-lmtp.test"))
    assert stored.count(b"Authentication-Results") == 1


def test_19_two_authors_and_two_from_fields(world: World) -> None:
    world.dns.add_text("_dmarc.bank.test", "v=DMARC1; p=reject")
    user = world.user()
    code, text = world.refused(user, b"From: ceo@bank.test\r\n" + letter())
    assert (code, text[:5]) == (550, b"5.7.1"), text
    code, text = world.refused(user, letter("bob@sender.test, ceo@bank.test"))
    assert (code, text[:6]) == (550, b"5.7.26"), text
    world.send(user, letter(subject="one-author"))


def test_20_signatures_that_are_too_short_too_many_or_too_large(world: World) -> None:
    world.publish("crowd.test")
    world.dns.add_text("huge._domainkey.crowd.test", "v=DKIM1; k=rsa; p=" + "A" * 1000)
    user = world.user()
    good = world.sign(letter("bob@crowd.test"), "crowd.test")
    signature = good[: good.index(b"From:")]
    many = b"".join(signature.replace(b"s=sel", b"s=sel%d" % number) for number in range(100))
    huge = signature.replace(b"s=sel", b"s=huge")
    short = b"DKIM-Signature: v=1; a=rsa-sha256; d=crowd.test; s=sel; h=from; bh=AAAA; b=AAAA\r\n"
    asked = len(world.dns.asked)
    world.send(user, short + huge + many + letter("bob@crowd.test"), "bob@crowd.test")
    results = world.results(user)["dkim"]
    assert len(results) == 11
    assert {result.result for result in results} == {"permerror"}
    assert len(world.dns.asked) - asked < 30
    world.send(user, world.sign(letter("bob@crowd.test", "after"), "crowd.test"), "bob@crowd.test")
    assert world.results(user)["dkim"][0].result == "pass"


def test_21_spf_that_never_ends(world: World) -> None:
    world.dns.add_text("loop.test", "v=spf1 include:loop2.test -all")
    world.dns.add_text("loop2.test", "v=spf1 include:loop.test -all")
    world.dns.add_text("void.test", "v=spf1 " + "".join(f"a:nothing{n}.test " for n in range(10)) + "-all")
    user = world.user()
    for domain, most in [("loop.test", 15), ("void.test", 15)]:
        asked = len(world.dns.asked)
        world.send(user, letter(subject=domain), f"bob@{domain}")
        assert world.results(user)["spf"][-1].result == "permerror", domain
        assert len(world.dns.asked) - asked <= most
