//! Seals a message as two servers in a row would, so that software of others can verify what we seal.
//!
//! `seal < message` writes a line `domain record` for each of the two, an empty line, and the message with its seals.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use checks::{Checks, Client, KeyKind, Options, Signer, SigningKey};
use types::Clock;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let mut out = std::io::stdout().lock();
    let mut zone = dns::Zone::default();
    let mut signers = Vec::new();
    for domain in ["one.test", "two.test"] {
        let key = SigningKey::generate(KeyKind::Rsa)?;
        let record = KeyKind::Rsa.record(&key.public()?);
        writeln!(out, "{domain} {record}")?;
        zone.add(&format!("s._domainkey.{domain} TXT {record}"))?;
        signers.push((domain, Signer::new(domain, "s", key)?));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (zone, clock) = (Arc::new(zone), Clock::system());
    for (domain, signer) in &signers {
        let options = Options { exempt: Vec::new(), ..Options::new(*domain) };
        let checks = Checks::new(zone.clone(), clock.clone(), options);
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let client = Client { address, hello: "client.test".to_owned(), sender: None };
        let verdict = runtime.block_on(checks.check(client, Bytes::from(message.clone())));
        let results = verdict.results.ok_or("the message was not checked")?;
        let fields = checks.seal(&results, &message, signer, clock.now())?.unwrap_or_default();
        message = [fields.as_bytes(), &message].concat();
    }
    out.write_all(b"\n")?;
    out.write_all(&message)?;
    Ok(())
}
