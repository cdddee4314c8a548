//! Signs a message with two new keys, so that software of others can verify what we sign.
//!
//! `sign DOMAIN < message` writes two lines `selector record`, an empty line, and the message with its signatures.

use std::io::{Read, Write};

use checks::{KeyKind, Signer, Signing, SigningKey};
use types::{Clock, Header};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let domain = std::env::args().nth(1).ok_or("usage: sign DOMAIN < message")?;
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let mut out = std::io::stdout().lock();
    let mut signers = Vec::new();
    for kind in [KeyKind::Rsa, KeyKind::Ed25519] {
        let key = SigningKey::generate(kind)?;
        writeln!(out, "{} {}", kind.as_str(), kind.record(&key.public()?))?;
        signers.push(Signer::new(&domain, kind.as_str(), key)?);
    }
    let (header, body) = message.split_at(Header::parse(&message).body);
    let mut signing = Signing::default();
    body.chunks(1_000).for_each(|piece| signing.body(piece));
    let fields = signing.sign(header, &signers, Clock::system().now())?;
    out.write_all(b"\n")?;
    out.write_all(fields.as_bytes())?;
    out.write_all(&message)?;
    Ok(())
}
