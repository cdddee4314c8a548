//! DKIM signatures of ours: what we sign, we and mail-auth verify; and what is added afterwards breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use base64::Engine;
use checks::{DkimResult, KeyKind, Signer, Signing, SigningKey};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use types::Timestamp;
use world::{NOW, Zone, check};

/// The keys of one domain and the zone that publishes them, made once: RSA takes its time.
struct Keys {
    pkcs8: Vec<(KeyKind, Vec<u8>)>,
    zone: Zone,
}

fn keys() -> &'static Keys {
    static KEYS: std::sync::OnceLock<Keys> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        let mut zone = Zone::default();
        let pkcs8 = [KeyKind::Rsa, KeyKind::Ed25519].map(|kind| {
            let key = SigningKey::generate(kind).unwrap();
            let record = kind.record(&key.public().unwrap());
            zone =
                std::mem::take(&mut zone).with(&format!("{}._domainkey.x.test TXT {record}", kind.as_str()));
            (kind, key.pkcs8().unwrap())
        });
        Keys { pkcs8: pkcs8.to_vec(), zone }
    })
}

fn signers() -> Vec<Signer> {
    let keys = keys().pkcs8.iter();
    keys.map(|(kind, der)| {
        let key = SigningKey::from_pkcs8(*kind, der).unwrap();
        Signer::new("x.test", kind.as_str(), key).unwrap()
    })
    .collect()
}

/// The message with two signatures on top; its body comes in pieces of `step`.
fn signed(message: &str, step: usize) -> String {
    let body = message.find("\r\n\r\n").map_or(message.len(), |at| at + 4);
    let mut signing = Signing::default();
    message.as_bytes()[body..].chunks(step).for_each(|piece| signing.body(piece));
    let fields = signing.sign(&message.as_bytes()[..body], &signers(), NOW).unwrap();
    format!("{fields}{message}")
}

async fn results(message: &str) -> Vec<DkimResult> {
    let verdict = check(&keys().zone, "bob@x.test", message).await;
    verdict.results.unwrap().dkim.into_iter().map(|check| check.result).collect()
}

const PASS: [DkimResult; 2] = [DkimResult::Pass; 2];
const FAIL: [DkimResult; 2] = [DkimResult::Fail; 2];

#[tokio::test]
async fn both_kinds_of_signature_are_good() {
    let letter = world::letter("bob@x.test");
    for step in [1, 7, usize::MAX] {
        assert_eq!(results(&signed(&letter, step)).await, PASS, "{step}");
    }
    for odd in [
        "From: bob@x.test\r\n\r\n",
        "From: bob@x.test\r\n",
        "From: bob@x.test\r\nTo: a\r\nTo: b\r\nSender: c\r\nList-Id: d\r\nSubject:\r\n\r\n \r\n\r\n",
        "From: bob@x.test\r\nSubject: =?utf-8?q?x?=\r\n 한국어\r\n\r\n한국어 \r\n",
    ] {
        assert_eq!(results(&signed(odd, usize::MAX)).await, PASS, "{odd}");
    }
}

#[tokio::test]
async fn the_other_library_reads_them_and_hashes_the_same_body() {
    let message = signed(&world::letter("bob@x.test"), 100);
    let parsed = mail_auth::AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    assert_eq!(parsed.dkim_headers.len(), 2);
    for signature in &parsed.dkim_headers {
        let same = |bh: &[u8]| bh == signature.header.bh;
        assert!(parsed.body_hashes.iter().any(|(_, _, _, bh)| same(bh)), "{:?}", signature.header);
    }
}

#[tokio::test]
async fn whatever_a_reader_sees_cannot_be_added() {
    let message = signed(&world::letter("bob@x.test"), usize::MAX);
    for added in [
        "Subject: another",
        "From: ceo@x.test",
        "Reply-To: thief@y.test",
        "Cc: c@y.test",
        "Content-Type: text/html",
    ] {
        let changed = format!("{added}\r\n{message}");
        let found = results(&changed).await;
        assert!(found == FAIL || added.starts_with("From"), "{added}: {found:?}");
        assert_ne!(found, PASS, "{added}");
    }
    assert_eq!(results(&format!("{message}appended\r\n")).await, FAIL);
    for harmless in ["Received: from y", "List-Id: <l.y.test>", "Sender: l@y.test", "X-Spam: no"] {
        assert_eq!(results(&format!("{harmless}\r\n{message}")).await, PASS, "{harmless}");
    }
}

#[test]
fn a_signature_is_the_same_at_the_same_time() {
    let ours = signers();
    let field = |at| Signing::default().sign(b"From: a@x.test\r\n\r\n", &ours, at).unwrap();
    assert_eq!(field(Timestamp(7)), field(Timestamp(7)));
    assert_ne!(field(Timestamp(7)), field(Timestamp(8_000)));
}

#[test]
fn records_hold_the_public_key() {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let public = key.public().unwrap();
    assert_eq!(public.len(), 32);
    let p = base64::engine::general_purpose::STANDARD.encode(&public);
    assert_eq!(KeyKind::Ed25519.record(&public), format!("v=DKIM1; k=ed25519; p={p}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_signed_verifies(
        fields in prop::collection::vec(("(Subject|To|X-Y|Sender|Date|References)", "[ -~\t]{0,30}(\r\n[ \t][ -~]{0,20}){0,2}"), 0..6),
        body in "([ -~\t]{0,10}(\r\n|\r|\n| ){0,3}){0,12}",
        step in any::<proptest::sample::Index>(),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let message = format!("From: bob@x.test\r\n{fields}\r\n{body}");
        let message = signed(&message, step.index(20) + 1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        assert_eq!(runtime.block_on(results(&message)), PASS, "{message:?}");
    }
}
