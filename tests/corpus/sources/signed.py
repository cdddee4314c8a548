"""Signed and encrypted mail, made with real keys by openssl and gpg: one changed byte breaks the signature.

The keys are thrown away, so these mails cannot be made again byte for byte. They are made once, with
`generate.py --signed`, and kept; the S/MIME ones carry their certificate, so that the tests can verify them.
"""

import subprocess
import tempfile
from pathlib import Path

from .letter import CRLF, Mail, base64_lines, head, multipart, noise, part, text
from .structure import POST


def outer(subject: str, number: int) -> bytes:
    """The headers around what the tools make; they bring their own Content-Type."""
    return head(
        ("From", "Alice <alice@example.test>"),
        ("To", "Bob <bob@example.test>"),
        ("Subject", subject),
        ("Date", f"Wed, {number} Oct 2026 13:00:00 +0200"),
        ("Message-ID", f"<signed-{number}@example.test>"),
    )


def signed_part() -> bytes:
    """The entity that is signed: a letter with trailing spaces and a picture, in canonical CRLF form."""
    return part(
        "multipart/mixed; boundary=inner",
        multipart(
            "inner",
            part("text/plain; charset=utf-8", text("Signed, with trailing spaces:   \n\t\n" + POST, "utf-8")),
            part("image/jpeg; name=plan.jpg", base64_lines(b"\xff\xd8\xff\xe0" + noise(11, 20_000)),
                 ("Content-Transfer-Encoding", "base64"), ("Content-Disposition", "attachment; filename=plan.jpg")),
        ),
    )  # fmt: skip


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    return subprocess.run([str(each) for each in command], input=stdin, check=True, capture_output=True).stdout


def crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def smime(folder: Path) -> dict[str, Mail]:
    """RFC 8551: detached signature, opaque signature, encrypted."""
    key, certificate, entity = folder / "key.pem", folder / "cert.pem", folder / "entity"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj",
        "/CN=Alice/emailAddress=alice@example.test", "-keyout", key, "-out", certificate)  # fmt: skip
    entity.write_bytes(signed_part())
    sign = ["openssl", "smime", "-sign", "-signer", certificate, "-inkey", key, "-in", entity, "-binary", "-crlfeol"]
    detached = run(*sign)
    opaque = run(*sign, "-nodetach")
    encrypted = run("openssl", "smime", "-encrypt", "-aes256", "-binary", "-crlfeol", "-in", entity, certificate)
    return {
        "smime-signed": Mail(
            outer("Plan, signed with S/MIME", 7) + crlf(detached), "Plan, signed with S/MIME", ["apples"]
        ),
        "smime-opaque": Mail(outer("Plan, opaque signature", 8) + crlf(opaque), "Plan, opaque signature"),
        "smime-encrypted": Mail(
            outer("Plan, encrypted with S/MIME", 9) + crlf(encrypted), "Plan, encrypted with S/MIME"
        ),
    }


def pgp(folder: Path) -> dict[str, Mail]:
    """RFC 3156: multipart/signed, multipart/encrypted; and the older clear-signed text."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--quiet",
        "--armor",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]
    run(*gpg, "--quick-generate-key", "Alice <alice@example.test>", "ed25519", "sign", "0")
    (print_line,) = [
        line for line in run(*gpg, "--list-keys", "--with-colons").decode().splitlines() if line[:3] == "fpr"
    ]
    run(*gpg, "--quick-add-key", print_line.split(":")[9], "cv25519", "encr", "0")
    entity = signed_part()
    key = run(*gpg, "--export", "alice@example.test")
    signature = run(*gpg, "--detach-sign", "--digest-algo", "SHA256", stdin=entity)
    signed = head(
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/signed; micalg="pgp-sha256";\r\n protocol="application/pgp-signature"; boundary="pgp-sig"'),
    ) + CRLF + multipart(
        "pgp-sig",
        entity,
        part('application/pgp-signature; name="signature.asc"', crlf(signature), ("Content-Description", "OpenPGP digital signature")),
        preamble=b"This is an OpenPGP/MIME signed message (RFC 3156)" + CRLF,
    )  # fmt: skip
    box = run(*gpg, "--encrypt", "--trust-model", "always", "-r", "alice@example.test", stdin=entity)
    encrypted = head(
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/encrypted; protocol="application/pgp-encrypted"; boundary="pgp-enc"'),
        ("Autocrypt", "addr=alice@example.test; keydata=\r\n " + "\r\n ".join(key.decode().split("\n\n")[1].splitlines()[:-2])),
    ) + CRLF + multipart(
        "pgp-enc",
        part("application/pgp-encrypted", b"Version: 1\r\n", ("Content-Description", "PGP/MIME version identification")),
        part('application/octet-stream; name="encrypted.asc"', crlf(box), ("Content-Disposition", 'inline; filename="encrypted.asc"')),
    )  # fmt: skip
    clear = run(*gpg, "--clear-sign", stdin=("- a line that begins with a dash\n\n" + POST).encode())
    plain = head(("Content-Type", "text/plain; charset=utf-8; x-action=pgp-signed")) + CRLF + crlf(clear)
    return {
        "pgp-signed": Mail(outer("Plan, signed with OpenPGP", 10) + signed, "Plan, signed with OpenPGP", ["apples"]),
        "pgp-encrypted": Mail(outer("Plan, encrypted with OpenPGP", 11) + encrypted, "Plan, encrypted with OpenPGP"),
        "pgp-clear-signed": Mail(outer("Plan, clear-signed", 12) + plain, "Plan, clear-signed", ["apples"]),
    }


def make() -> dict[str, Mail]:
    with tempfile.TemporaryDirectory() as scratch:
        return smime(Path(scratch)) | pgp(Path(scratch))
