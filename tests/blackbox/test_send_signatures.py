"""What leaves is signed: dkimpy verifies both kinds of keys, authres reads the verdicts that servers write about it."""

import authres
import dkim
import pytest

from harness.internet import Internet
from harness.peer import Mail
from harness.sender import Sender, letter

pytestmark = pytest.mark.usefixtures("needs_root")


@pytest.fixture(scope="module")
def keys(running_sender: Sender, internet: Internet) -> dict[str, str]:
    """An RSA and an Ed25519 key of example.test, made and published and in use: algorithms by selector."""
    made = running_sender.cli_json("dkim", "create", "example.test")
    for key in made:
        internet.dns.add_text(key["name"], key["record"])
    internet.publish()
    for key in made:
        running_sender.cli("dkim", "activate", "example.test", key["selector"])
    return {key["selector"]: key["algorithm"] for key in made}


@pytest.fixture
def lookup(internet: Internet):
    """DNS as dkimpy asks for it."""
    import dns.resolver

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [internet.dns.address]

    def txt(name: bytes, timeout: float = 5) -> bytes | None:
        answer = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        return b"".join(answer[0].strings)

    return txt


def signatures(mail: Mail) -> list[dict[bytes, bytes]]:
    head = mail.data.partition(b"\r\n\r\n")[0] + b"\r\n"
    import re

    found = re.findall(rb"(?im)^DKIM-Signature:(.*?\r\n)(?![ \t])", head + b"x", re.DOTALL)
    return [dkim.util.parse_tag_value(value) for value in found]


def verify(mail: Mail, lookup) -> int:
    """How many signatures there are; every one of them must verify."""
    count = len(signatures(mail))
    for number in range(count):
        assert dkim.DKIM(mail.data).verify(idx=number, dnsfunc=lookup), f"signature {number} of {mail.data!r}"
    return count


def test_both_keys_sign(sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], lookup) -> None:
    peer = internet.peer(elsewhere)
    message = letter("서명", body="trailing spaces  \r\n\r\n\r\n.dot\r\n", head="X-Folded: a\r\n  b\r\n")
    sender.send(f"carol@{elsewhere}", message=message)
    [mail] = peer.wait(1)
    assert verify(mail, lookup) == 2
    found = signatures(mail)
    assert {tags[b"s"].decode() for tags in found} == set(keys)
    assert {tags[b"a"] for tags in found} == {b"rsa-sha256", b"ed25519-sha256"}
    for tags in found:
        assert tags[b"d"] == b"example.test" and b"l" not in tags
        signed = tags[b"h"].lower().replace(b" ", b"").split(b":")
        # RFC 6376 §5.4, and once more than there is, so that nobody adds a second one (§8.15).
        assert signed.count(b"from") == 2 and {b"to", b"subject", b"date", b"message-id"} <= set(signed)


def test_what_is_completed_and_cut_is_signed_as_it_leaves(
    sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], lookup
) -> None:
    """Bcc is out and Message-ID is in before anything is signed."""
    peer = internet.peer(elsewhere)
    bare = f"From: alice@example.test\r\nTo: carol@{elsewhere}\r\nBcc: x@{elsewhere}\r\nSubject: bare\r\n\r\nHello.\r\n"
    sender.send(f"carol@{elsewhere}", message=bare.encode())
    assert verify(peer.wait(1)[0], lookup) == 2


def test_a_change_on_the_way_is_noticed(
    sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], lookup
) -> None:
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}", message=letter("true", body="Pay 10."))
    [mail] = peer.wait(1)
    for forged in (mail.data.replace(b"Pay 10.", b"Pay 99."), mail.data.replace(b"Subject: true", b"Subject: fake"),
                   b"From: ceo@bank.test\r\n" + mail.data):  # fmt: skip
        assert not dkim.verify(forged, dnsfunc=lookup)


def test_reports_are_signed_too(
    sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], lookup
) -> None:
    """Mail of our own to other servers: if our own name has a key, or our domain has."""
    home = internet.peer(f"home.{elsewhere}")
    internet.peer(f"away.{elsewhere}", answers={b"RCPT": b"550 5.1.1 no"})
    name = f"signed-{elsewhere.partition('.')[0]}@example.test"
    sender.cli("alias", "create", name, f"gone@away.{elsewhere}")
    with sender.smtp() as client:
        client.sendmail(f"writer@home.{elsewhere}", [name], letter(sender=f"writer@home.{elsewhere}"))
    [mail] = home.wait(1)
    assert verify(mail, lookup) == 2


def test_74_a_rotated_key_leaves_no_gap(
    sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], lookup
) -> None:
    """The new key signs from its activation on; what the old one has signed verifies as long as its record is there."""
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}", subject="before")
    peer.wait(1)
    made = sender.cli_json("dkim", "create", "example.test", "--algorithm", "rsa")
    for key in made:
        internet.dns.add_text(key["name"], key["record"])
    internet.publish()
    # Published only: it signs nothing yet.
    sender.send(f"carol@{elsewhere}", subject="between")
    peer.wait(2)
    assert {tags[b"s"].decode() for tags in signatures(peer.mails[1])} == set(keys)
    sender.cli("dkim", "activate", "example.test", made[0]["selector"])
    sender.send(f"carol@{elsewhere}", subject="after")
    peer.wait(3)
    ed25519 = next(selector for selector, algorithm in keys.items() if algorithm == "ed25519")
    assert {tags[b"s"].decode() for tags in signatures(peer.mails[2])} == {made[0]["selector"], ed25519}
    assert all(verify(mail, lookup) == 2 for mail in peer.mails)


def test_our_own_checks_agree(
    sender: Sender, internet: Internet, elsewhere: str, keys: dict[str, str], tmp_path_factory
) -> None:
    """Another Magpie writes dkim=pass for both, and DMARC's alignment with it; authres reads it."""
    from harness import mailbox
    from harness.sender import sending

    internet.dns.add_text("_dmarc.example.test", "v=DMARC1; p=reject")
    peer = internet.peer(elsewhere)
    sender.send(f"carol@{elsewhere}", subject="checked by another")
    [mail] = peer.wait(1)
    with sending(tmp_path_factory.mktemp("checker"), internet, users=["alice"]) as other:
        other.cli("domain", "create", elsewhere)
        other.cli("account", "create", f"carol@{elsewhere}", "--password", "correct-horse-battery")
        # From an address whose mail is checked: loopback is exempt unless the configuration says otherwise.
        with other.smtp() as client:
            client.sendmail("alice@example.test", [f"carol@{elsewhere}"], mail.data)
        with other.imap(f"carol@{elsewhere}") as client:
            stored = mailbox.newest(client)
    line = next(
        part
        for part in stored.replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ").split(b"\r\n")
        if part.startswith(b"Authentication-Results:")
    )
    verdict = authres.AuthenticationResultsHeader.parse(line.decode())
    results = {(one.method, one.result) for one in verdict.results}
    assert ("dkim", "pass") in results and ("dmarc", "pass") in results, line
    assert [one.result for one in verdict.results if one.method == "dkim"] == ["pass", "pass"], line
