"""A certification authority that only the tests know, and the certificates that it signs."""

import datetime
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A server's certificate with the authority's behind it, and its key: PEM files."""

    chain: Path
    key: Path
    source: x509.Certificate

    def tlsa(self, usage: int = 3) -> str:
        """The TLSA record that names its public key (RFC 6698 §2.1): `usage`, selector 1, SHA-256."""
        return f"{usage} 1 1 {hashlib.sha256(public_key(self.source)).hexdigest()}"

    def context(self) -> ssl.SSLContext:
        """What a Python server shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class Authority:
    """Signs whatever it is asked to; `path` is its own certificate, as PEM."""

    def __init__(self, folder: Path, name: str = "Authority of the tests"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / "authority.crt"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            self._builder(self.name, self.key, 0, 3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.path.write_bytes(pem(self.certificate))
        self.issued = 0

    def tlsa(self) -> str:
        """The TLSA record of usage 2 that names this authority."""
        return f"2 1 1 {hashlib.sha256(public_key(self.certificate)).hexdigest()}"

    def certify(self, *names: str, since: int = 0, until: int = 90, old: bool = False) -> Certificate:
        """A certificate for host names or addresses, valid from and until so many days from now. `old` is RSA, for
        programs that know nothing else."""
        key = rsa.generate_private_key(65_537, 2048) if old else ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:60])])
        alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
        certificate = (
            self._builder(subject, key, since, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(alternatives, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.issued += 1
        chain, private = (self.folder / f"{self.issued}-{names[0]}.{end}" for end in ("crt", "key"))
        chain.write_bytes(pem(certificate) + pem(self.certificate))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Certificate(chain, private, certificate)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, since: int, until: int):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since * DAY - DAY)
            .not_valid_after(now + until * DAY)
        )


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
