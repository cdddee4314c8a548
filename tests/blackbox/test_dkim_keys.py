"""`magpie dkim` and `magpie domain dns`: keys from their creation to their end, and records that DNS software reads.

Signatures are made by `crates/checks/examples/sign.rs` with the code that signs in the server; dkimpy verifies them.
"""

import json
import subprocess
from pathlib import Path

import dkim
import dns.rdatatype
import dns.zone
import pytest

from harness import corpus
from harness.server import ROOT, Magpie
from harness.site import Site, certificate, certificate_settings

SIGN = ROOT / "target" / "debug" / "examples" / "sign"
NOT_THERE, THERE_ALREADY, FAILED = 5, 6, 1


def zone(text: str, domain: str) -> dns.zone.Zone:
    """A zone file as dnspython reads it, with the records that every zone has."""
    frame = "@ 3600 IN SOA ns hostmaster 1 1 1 1 1\n@ 3600 IN NS ns\nns 3600 IN A 192.0.2.1\n"
    return dns.zone.from_text(text + f"$ORIGIN {domain}.\n" + frame, origin=domain + ".")


def texts(parsed: dns.zone.Zone, name: str) -> list[bytes]:
    return [b"".join(record.strings) for record in parsed.get_rdataset(name, dns.rdatatype.TXT) or []]


def states(server: Magpie, domain: str) -> dict[str, str]:
    return {key["selector"]: key["state"] for key in server.cli_json("dkim", "list", domain)}


def test_a_key_from_its_creation_to_its_end(anyhow: Magpie, domain: str) -> None:
    made = anyhow.cli_json("dkim", "create", domain)
    rsa, ed25519 = sorted(made, key=lambda key: key["algorithm"], reverse=True)
    assert (rsa["algorithm"], ed25519["algorithm"]) == ("rsa", "ed25519")
    assert states(anyhow, domain) == {rsa["selector"]: "published", ed25519["selector"]: "published"}
    anyhow.cli("dkim", "activate", domain, rsa["selector"])
    anyhow.cli("dkim", "create", domain, "--selector", "next", "--algorithm", "rsa")
    assert (
        anyhow.cli("dkim", "create", domain, "--selector", "next", "--algorithm", "rsa", check=False).returncode
        == THERE_ALREADY
    )
    anyhow.cli("dkim", "activate", domain, "next")
    assert states(anyhow, domain) == {rsa["selector"]: "retired", ed25519["selector"]: "published", "next": "active"}
    assert anyhow.cli("dkim", "activate", domain, rsa["selector"], check=False).returncode == FAILED
    assert anyhow.cli("dkim", "remove", domain, "next", check=False).returncode == FAILED
    anyhow.cli("dkim", "retire", domain, "next")
    anyhow.cli("dkim", "remove", domain, "next")
    assert anyhow.cli("dkim", "retire", domain, "next", check=False).returncode == NOT_THERE
    assert "retired" in anyhow.cli("dkim", "list", domain).stdout


def test_private_keys_are_never_shown(anyhow: Magpie, domain: str) -> None:
    made = anyhow.cli("dkim", "create", domain, "--json")
    assert set(json.loads(made.stdout)[0]) == {
        "domain", "selector", "algorithm", "state", "created", "activated", "retired", "name", "record"
    }  # fmt: skip
    for command in (["list", domain], ["list", domain, "--json"], ["dns", domain]):
        assert "PRIVATE" not in anyhow.cli("dkim", *command).stdout.upper()


def test_records_of_keys(anyhow: Magpie, domain: str) -> None:
    made = anyhow.cli_json("dkim", "create", domain)
    parsed = zone(anyhow.cli("dkim", "dns", domain).stdout, domain)
    for key in made:
        assert texts(parsed, f"{key['selector']}._domainkey") == [key["record"].encode()]
        read = dkim.load_pk_from_dns(b"x", dnsfunc=lambda *_, key=key, **__: key["record"].encode(), timeout=5)
        assert read[2].decode() == key["algorithm"]


def test_records_of_a_domain(anyhow: Magpie, domain: str) -> None:
    for key in anyhow.cli_json("dkim", "create", domain):
        anyhow.cli("dkim", "activate", domain, key["selector"])
    host = f"mail.{domain}"
    text = anyhow.cli("domain", "dns", domain, "--host", host).stdout
    parsed = zone(text, domain)
    mx = parsed.get_rdataset("@", dns.rdatatype.MX)
    assert [(record.preference, str(record.exchange.derelativize(parsed.origin))) for record in mx] == [
        (10, host + ".")
    ]
    assert texts(parsed, "@") == [b"v=spf1 mx -all"]
    assert texts(parsed, "mail") == [b"v=spf1 a -all"]
    assert texts(parsed, "_dmarc")[0].startswith(b"v=DMARC1; p=none; rua=mailto:postmaster+reports@")
    assert texts(parsed, "_smtp._tls")[0].startswith(b"v=TLSRPTv1; rua=")
    services = {
        name: [(record.priority, record.port, str(record.target.derelativize(parsed.origin))) for record in found]
        for name in ("_imaps._tcp", "_imap._tcp", "_pop3s._tcp", "_submissions._tcp", "_submission._tcp")
        if (found := parsed.get_rdataset(name, dns.rdatatype.SRV))
    }
    assert services["_imaps._tcp"] == [(0, 993, host + ".")]
    assert services["_imap._tcp"] == [(10, 143, host + ".")]
    assert services["_submissions._tcp"] == [(0, 465, host + ".")]
    assert services["_submission._tcp"] == [(10, 587, host + ".")]
    assert len([name for name in parsed.nodes if "_domainkey" in str(name)]) == 2
    records = anyhow.cli_json("domain", "dns", domain, "--host", host)["records"]
    assert {"MX", "TXT", "SRV"} <= {record["type"] for record in records if record["wanted"]}
    # What the server does not answer is no record yet.
    assert "_mta-sts" not in {str(name) for name in parsed.nodes}
    assert any(record["name"].startswith("_mta-sts.") and not record["wanted"] for record in records)


def test_a_domain_that_is_not_there(anyhow: Magpie) -> None:
    for command in (["domain", "dns", "nowhere.example", "--host", "x.example"], ["dkim", "create", "nowhere.example"]):
        assert anyhow.cli(*command, check=False).returncode == NOT_THERE


def test_a_server_without_a_configuration_has_no_name(stopped: Magpie) -> None:
    stopped.cli("domain", "create", "nameless.example")
    refused = stopped.cli("domain", "dns", "nameless.example", check=False)
    assert refused.returncode == FAILED and "--host" in refused.stderr


def test_the_key_of_the_certificate(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "mail", "mail.example.test")
    site = Site(tmp_path, certificate_settings((chain, key))).start()
    try:
        site.cli("domain", "create", "example.test")
        parsed = zone(site.cli("domain", "dns", "example.test").stdout, "example.test")
    finally:
        site.stop()
    public = subprocess.run(
        ["openssl", "x509", "-in", chain, "-pubkey", "-noout"], capture_output=True, check=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, capture_output=True, check=True
    ).stdout
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary"], input=der, capture_output=True, check=True
    ).stdout
    [record] = parsed.get_rdataset("_25._tcp.mail", dns.rdatatype.TLSA)
    assert (record.usage, record.selector, record.mtype, record.cert) == (3, 1, 1, digest)


def signed(message: bytes) -> tuple[dict[str, str], bytes]:
    """The records of two new keys, and the message with two signatures."""
    if not SIGN.exists():
        pytest.skip("the example is not built: cargo build -p magpie-checks --examples")
    out = subprocess.run([str(SIGN), "x.test"], input=message, capture_output=True, check=True).stdout
    records, message = out.split(b"\n\n", 1)
    return dict(line.decode().split(" ", 1) for line in records.splitlines()), message


def verified(records: dict[str, str], message: bytes) -> list[bool]:
    def lookup(name: bytes, timeout: int = 5) -> bytes:
        selector = name.decode().split(".")[0]
        return records[selector].encode()

    def verify(number: int) -> bool:
        try:
            return dkim.DKIM(message).verify(idx=number, dnsfunc=lookup)
        except dkim.ValidationError:
            return False

    return [verify(number) for number in range(2)]


@pytest.mark.parametrize("sample", corpus.written("korean", "japanese", "structure", "signed"), ids=repr)
def test_signatures_are_verified_by_others(sample: corpus.Sample) -> None:
    message = corpus.crlf(sample.source)
    if b"\nDKIM-Signature:" in b"\n" + message:
        pytest.skip("signed by somebody already")
    records, message = signed(message)
    assert verified(records, message) == [True, True]


def test_a_changed_message_is_noticed_by_others() -> None:
    records, message = signed(b"From: a@x.test\r\nSubject: s\r\n\r\nbody  \r\n\r\n\r\n")
    assert verified(records, message) == [True, True]
    assert verified(records, message + b"more\r\n") == [False, False]
    assert verified(records, b"Reply-To: thief@y.test\r\n" + message) == [False, False]
