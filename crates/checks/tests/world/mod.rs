//! DNS as a table of records, keys that sign, and a server that checks.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use checks::{Checks, Client, Options, Verdict};
use dns::{Answer, DnsError, Name, Question, Resolver};
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner};
use rustls::pki_types::PrivatePkcs8KeyDer;
use types::{Clock, Timestamp};

pub const NOW: Timestamp = Timestamp(1_795_359_480_000);

/// DNS as a table of records; see [`dns::Zone::parse`].
#[derive(Clone, Default)]
pub struct Zone(pub Arc<dns::Zone>);

impl Zone {
    pub fn new(text: &str) -> Self {
        Self::default().with(text)
    }

    pub fn with(mut self, text: &str) -> Self {
        Arc::make_mut(&mut self.0).add(text).unwrap();
        self
    }

    pub fn asked(&self) -> Vec<Question> {
        self.0.asked()
    }

    pub fn questions(&self) -> usize {
        self.0.asked().len()
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn ask(&self, question: &Question) -> Result<Answer, DnsError> {
        self.0.ask(question).await
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|| panic!("{text}"))
}

/// A server that checks everybody.
pub fn options() -> Options {
    Options { exempt: Vec::new(), ..Options::new("mx.here.test") }
}

pub fn client(address: &str, sender: &str) -> Client {
    let sender = Some(sender.to_owned()).filter(|sender| !sender.is_empty());
    Client { address: address.parse::<IpAddr>().unwrap(), hello: "client.example.test".to_owned(), sender }
}

/// Checks a message that came from 192.0.2.1.
pub async fn check_with(zone: &Zone, options: Options, sender: &str, message: &str) -> Verdict {
    let (clock, _hand) = Clock::manual(NOW);
    let checks = Checks::new(Arc::new(zone.clone()), clock, options);
    checks.check(client("192.0.2.1", sender), Bytes::from(message.to_owned())).await
}

pub async fn check(zone: &Zone, sender: &str, message: &str) -> Verdict {
    check_with(zone, options(), sender, message).await
}

/// A key pair of RSA, made once for all tests of a process.
pub struct Rsa {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

pub fn rsa(size: KeySize) -> &'static Rsa {
    static SMALL: OnceLock<Rsa> = OnceLock::new();
    static LARGE: OnceLock<Rsa> = OnceLock::new();
    let place = if size == KeySize::Rsa2048 { &SMALL } else { &LARGE };
    place.get_or_init(|| {
        let pair = KeyPair::generate(size).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
        Rsa { pkcs8: pkcs8.as_ref().to_vec(), public: public.as_ref().to_vec() }
    })
}

impl Rsa {
    pub fn signing(&self) -> RsaKey<Sha256> {
        RsaKey::from_key_der(PrivatePkcs8KeyDer::from(self.pkcs8.clone()).into()).unwrap()
    }

    pub fn record(&self) -> String {
        format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(&self.public))
    }
}

pub fn ed25519() -> (Ed25519Key, String) {
    let pkcs8 = Ed25519Key::generate_pkcs8().unwrap();
    let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&pkcs8).unwrap();
    let record = format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key()));
    (key, record)
}

/// The message with a signature by `domain` on top; its key is `sel._domainkey`, of 2,048 bits.
pub fn sign(message: &str, domain: &str, form: Canonicalization) -> String {
    let signature = DkimSigner::from_key(rsa(KeySize::Rsa2048).signing())
        .domain(domain)
        .selector("sel")
        .headers(["From", "To", "Subject", "Date"])
        .header_canonicalization(form)
        .body_canonicalization(form)
        .sign(message.as_bytes())
        .unwrap();
    format!("{}{message}", signature.to_header())
}

/// The record of the key that [`sign`] uses.
pub fn key_record(domain: &str) -> String {
    format!("sel._domainkey.{domain} TXT {}\n", rsa(KeySize::Rsa2048).record())
}

pub fn letter(from: &str) -> String {
    format!(
        "From: {from}\r\nTo: alice@here.test\r\nSubject: A  letter\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n\
         Dear  Alice,\t\r\n\r\nthis is a letter. \r\n\r\n\r\n"
    )
}
