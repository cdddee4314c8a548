"""Knot DNS as the authority for everything: a root zone of the tests' own, signed, and four domains below it.

    .         signed; `anchor` is the key that a resolver must trust
    test.     not signed
    secure.   signed
    bogus.    signed, but every signature over its data is wrong
    broken.   its server fails (SERVFAIL)

Needs Debian's knot, and root for port 53 on an address of its own.
"""

import base64
import contextlib
import datetime
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.RRSIG
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from . import loopback

CONFIG = """
server:
    rundir: "{home}/run"
    listen: {address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{home}/db"
log:
  - target: "{home}/log"
    any: notice
template:
  - id: default
    storage: "{home}/zones"
    file: "%s.zone"
    semantic-checks: off
    zonefile-load: whole
zone:
"""

SIGNED, UNSIGNED, BOGUS, BROKEN = "signed", "unsigned", "bogus", "broken"
ZONES = {".": SIGNED, "test.": UNSIGNED, "secure.": SIGNED, "bogus.": BOGUS, "broken.": BROKEN}
TTL = 1


class NameServer:
    """The zones, and the server that answers from them. `publish` makes known what was added since."""

    def __init__(self) -> None:
        self.address = loopback.address()
        # The names of its sockets must be short.
        self.home = Path(tempfile.mkdtemp(prefix="knot-", dir="/var/tmp"))
        self.records: dict[str, list[str]] = {zone: [] for zone in ZONES}
        self.keys = {zone: Key() for zone, kind in ZONES.items() if kind in (SIGNED, BOGUS)}
        self.anchor = self.home / "anchor"
        self.serial = 0
        self.process: subprocess.Popen[bytes] | None = None

    def add(self, name: str, kind: str, *values: str) -> None:
        """Records of a name, in the form that zone files have. Known after `publish`."""
        self.records[zone_of(name)] += [f"{name.rstrip('.')}. {TTL} IN {kind} {value}" for value in values]

    def add_text(self, name: str, text: str) -> None:
        """A TXT record of any length."""
        self.add(name, "TXT", " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)))

    def remove(self, name: str, kind: str) -> None:
        """Takes all records of this name and type away again."""
        zone = zone_of(name)
        head = f"{name.rstrip('.')}. {TTL} IN {kind} "
        self.records[zone] = [record for record in self.records[zone] if not record.startswith(head)]

    def publish(self) -> None:
        """Writes the zones, and waits until the server answers from them."""
        self.serial += 1
        for zone, kind in ZONES.items():
            if kind != BROKEN:
                (self.home / "zones" / f"{zone}.zone").write_text(self._zone(zone, kind))
        self._control("zone-reload")
        deadline = time.monotonic() + 30
        for zone, kind in ZONES.items():
            while kind != BROKEN and self._serial(zone) != self.serial:
                assert time.monotonic() < deadline, (self.home / "output").read_text()
                time.sleep(0.01)

    def start(self) -> "NameServer":
        for folder in ("run", "db", "zones"):
            (self.home / folder).mkdir()
        zones = "".join(f'  - domain: "{zone}"\n    file: "{zone}.zone"\n' for zone in ZONES)
        (self.home / "knot.conf").write_text(CONFIG.format(home=self.home, address=self.address) + zones)
        self.anchor.write_text(f". 3600 IN DNSKEY {self.keys['.'].record}\n")
        log = (self.home / "output").open("wb")
        self.process = subprocess.Popen(["knotd", "-c", str(self.home / "knot.conf")], stdout=log, stderr=log)
        while subprocess.run(self._command("status"), capture_output=True).returncode:
            assert self.process.poll() is None, (self.home / "output").read_text()
            time.sleep(0.02)
        self.publish()
        return self

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.home, ignore_errors=True)

    def _zone(self, zone: str, kind: str) -> str:
        lines = [
            f"{zone} {TTL} IN SOA ns.test. hostmaster.test. {self.serial} 3600 600 86400 {TTL}",
            f"{zone} {TTL} IN NS ns.test.",
            *self.records[zone],
        ]
        if zone == ".":
            for below in ZONES:
                if below != ".":
                    lines.append(f"{below} {TTL} IN NS ns.test.")
                    if below in self.keys:
                        lines.append(f"{below} {TTL} IN DS {self.keys[below].ds(below)}")
        if zone == "test.":
            lines.append(f"ns.test. {TTL} IN A {self.address}")
        text = "\n".join(lines) + "\n"
        return text if kind == UNSIGNED else self._signed(zone, text, broken=kind == BOGUS)

    def _signed(self, zone: str, text: str, broken: bool) -> str:
        parsed = dns.zone.from_text(text, origin=zone, relativize=False, check_origin=False)
        key = self.keys[zone]
        now = datetime.datetime.now(datetime.UTC)
        dns.dnssec.sign_zone(
            parsed,
            keys=[(key.private, key.record)],
            dnskey_ttl=TTL,
            inception=now - datetime.timedelta(hours=1),
            expiration=now + datetime.timedelta(days=7),
        )
        if broken:
            for node in parsed.nodes.values():
                for rdataset in [each for each in node.rdatasets if each.rdtype == dns.rdatatype.RRSIG]:
                    forged = [spoiled(record) for record in rdataset]
                    rdataset.clear()
                    for record in forged:
                        rdataset.add(record)
        return parsed.to_text(relativize=False)

    def _command(self, *arguments: str) -> list[str]:
        return ["knotc", "-c", str(self.home / "knot.conf"), *arguments]

    def _control(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), check=True, capture_output=True)

    def _serial(self, zone: str) -> int:
        answer = dns.query.udp(dns.message.make_query(zone, "SOA"), self.address, timeout=5)
        return answer.answer[0][0].serial if answer.answer else 0


class Key:
    """A zone's only key: ECDSA P-256 (RFC 6605), which signs both itself and the zone."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.record = dns.dnssec.make_dnskey(self.private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)

    def ds(self, zone: str) -> str:
        return dns.dnssec.make_ds(dns.name.from_text(zone), self.record, dns.dnssec.DSDigest.SHA256).to_text()


def spoiled(record: dns.rdtypes.ANY.RRSIG.RRSIG) -> dns.rdtypes.ANY.RRSIG.RRSIG:
    """A signature that does not fit, unless it is that of the keys: those are proved, and prove that this is not."""
    if record.type_covered == dns.rdatatype.DNSKEY:
        return record
    wrong = bytearray(record.signature)
    wrong[10] ^= 0xFF
    fields = record.to_text().rsplit(" ", 1)[0]
    text = f"{fields.split(record.signer.to_text())[0]}{record.signer.to_text()} {base64.b64encode(wrong).decode()}"
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.RRSIG, text)


def zone_of(name: str) -> str:
    last = name.rstrip(".").rpartition(".")[2] + "."
    return last if last in ZONES else "."


@contextlib.contextmanager
def serving() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server.start()
    finally:
        server.stop()
