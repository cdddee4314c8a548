//! Seals of ours: we verify them and mail-auth does, link by link; and what breaks them is told once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use checks::{ArcCheck, ArcResult, KeyKind, Signer, SigningError, SigningKey, Verdict};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, DkimResult, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache, Txt,
};
use world::{NOW, Zone, check, name};

/// Servers that seal, each with a key of its own, made once.
const SEALERS: [&str; 3] = ["one.test", "two.test", "three.test"];

struct Keys {
    pkcs8: Vec<Vec<u8>>,
    records: Vec<String>,
    zone: Zone,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let made = SEALERS.map(|_| SigningKey::generate(KeyKind::Rsa).unwrap());
        let records: Vec<_> = made.iter().map(|key| KeyKind::Rsa.record(&key.public().unwrap())).collect();
        let lines =
            SEALERS.iter().zip(&records).map(|(at, record)| format!("s._domainkey.{at} TXT {record}\n"));
        let zone = Zone::new(&lines.collect::<String>());
        Keys { pkcs8: made.iter().map(|key| key.pkcs8().unwrap()).collect(), records, zone }
    })
}

fn signer(number: usize) -> Signer {
    let key = SigningKey::from_pkcs8(KeyKind::Rsa, &keys().pkcs8[number]).unwrap();
    Signer::new(SEALERS[number], "s", key).unwrap()
}

async fn verdict(message: &str) -> Verdict {
    check(&keys().zone, "list@list.test", message).await
}

async fn arc(message: &str) -> ArcCheck {
    verdict(message).await.results.unwrap().arc
}

/// The message as a server sends it on that has checked it: with a field of its own and a seal, if it gets one.
async fn sent_on(message: &str, number: usize) -> String {
    let results = verdict(message).await.results.unwrap();
    let message = format!("Received: from x by {}\r\n{message}", SEALERS[number]);
    let seal = results.seal("mx.here.test", message.as_bytes(), &signer(number), NOW).unwrap();
    format!("{}{message}", seal.unwrap_or_default())
}

/// mail-auth's DNS: the records of our keys, and nothing else.
struct Records(Mutex<HashMap<Box<str>, Txt>>);

/// For what it does not ask.
struct Nothing;

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
    {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
    {
        None
    }

    fn insert(&self, name: Box<str>, value: Txt, _: Instant) {
        self.0.lock().unwrap().insert(name, value);
    }
}

impl<K, V> ResolverCache<K, V> for Nothing {
    fn get<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        None
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

/// What mail-auth says of a chain.
async fn theirs(message: &str) -> DkimResult {
    let records = Records(Mutex::default());
    for (at, record) in SEALERS.iter().zip(&keys().records) {
        let key = DomainKey::parse(record.as_bytes()).unwrap();
        let name = format!("s._domainkey.{at}.").into_boxed_str();
        records.insert(name, Txt::DomainKey(Arc::new(key)), Instant::now());
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let params: Parameters<'_, _, Records, Nothing, Nothing, Nothing, Nothing> = Parameters {
        params: &parsed,
        cache_txt: Some(&records),
        cache_mx: None::<&Nothing>,
        cache_ptr: None::<&Nothing>,
        cache_ipv4: None::<&Nothing>,
        cache_ipv6: None::<&Nothing>,
    };
    authenticator.verify_arc(params).await.result().clone()
}

/// The types of what is not asked.
const _: fn() = || {
    fn is<K, V, C: ResolverCache<K, V>>() {}
    is::<Box<str>, RecordSet<MX>, Nothing>();
    is::<Box<str>, RecordSet<Ipv4Addr>, Nothing>();
    is::<Box<str>, RecordSet<Ipv6Addr>, Nothing>();
    is::<IpAddr, RecordSet<Box<str>>, Nothing>();
};

#[tokio::test]
async fn a_chain_grows_link_by_link() {
    for letter in [
        world::letter("bob@x.test"),
        "From: bob@x.test\r\n\r\n".to_owned(),
        "From: bob@x.test\r\nDKIM-Signature: v=1; rubbish\r\nList-Id: x\r\n\r\n한국어 \r\n\r\n".to_owned(),
    ] {
        let mut message = letter;
        for number in 0..SEALERS.len() {
            message = sent_on(&message, number).await;
            let found = arc(&message).await;
            assert_eq!((found.result, found.reason), (ArcResult::Pass, None), "{message}");
            assert_eq!(found.sealers, SEALERS[..=number].iter().map(|at| name(at)).collect::<Vec<_>>());
            assert_eq!(theirs(&message).await, DkimResult::Pass, "{message}");
        }
        assert!(
            message.contains("i=3; a=rsa-sha256;\r\n") || message.contains("i=3; a=rsa-sha256; cv=pass;")
        );
        assert!(message.lines().all(|line| line.len() <= 120), "{message}");
    }
}

#[tokio::test]
async fn what_the_first_saw_is_told() {
    let message = sent_on(&world::letter("bob@x.test"), 0).await;
    let at = message.find("ARC-Authentication-Results: i=1; mx.here.test;\r\n").unwrap();
    let results = &message[at..];
    assert!(
        results[..results.find("Received:").unwrap()].contains("dmarc=none header.from=x.test"),
        "{results}"
    );
}

#[tokio::test]
async fn a_broken_chain_is_sealed_once() {
    let whole = sent_on(&sent_on(&world::letter("bob@x.test"), 0).await, 1).await;
    let broken = whole.replace("this is a letter", "this is a bill");
    assert_eq!(arc(&broken).await.result, ArcResult::Fail);
    let told = sent_on(&broken, 2).await;
    assert!(told.contains("ARC-Seal: i=3; a=rsa-sha256; cv=fail;"), "{told}");
    assert_eq!(arc(&told).await.result, ArcResult::Fail);
    assert_ne!(theirs(&told).await, DkimResult::Pass);
    let again = sent_on(&told, 0).await;
    assert_eq!(again, format!("Received: from x by one.test\r\n{told}"));
    // It covers its own fields and no others.
    let cut = told.replace("i=1;", "i=9;");
    assert_eq!(told.matches("i=3;").count(), cut.matches("i=3;").count());
}

#[tokio::test]
async fn what_dns_does_not_say_is_left_alone() {
    let whole = sent_on(&world::letter("bob@x.test"), 0).await;
    let silent = Zone::new("s._domainkey.one.test SERVFAIL");
    let results = check(&silent, "list@list.test", &whole).await.results.unwrap();
    assert_eq!(results.arc.result, ArcResult::TempError);
    assert_eq!(results.seal("mx.here.test", whole.as_bytes(), &signer(1), NOW), Ok(None));
}

#[tokio::test]
async fn fifty_are_enough() {
    let mut message = world::letter("bob@x.test");
    for number in 0..52 {
        message = sent_on(&message, number % SEALERS.len()).await;
    }
    assert_eq!(message.matches("ARC-Seal: i=").count(), 50);
    assert_eq!(arc(&message).await.result, ArcResult::Pass);
}

#[tokio::test]
async fn seals_are_made_with_rsa() {
    let message = world::letter("bob@x.test");
    let results = verdict(&message).await.results.unwrap();
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let signer = Signer::new("x.test", "s", key).unwrap();
    let refused = results.seal("mx.here.test", message.as_bytes(), &signer, NOW);
    assert_eq!(refused, Err(SigningError::SealingKey));
}
