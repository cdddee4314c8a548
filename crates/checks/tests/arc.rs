//! ARC: what mail-auth seals, we verify; and whose seals change anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use aws_lc_rs::rsa::KeySize;
use checks::{Action, ArcCheck, ArcResult, Options};
use mail_auth::arc::ArcSealer;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DmarcOutput, DmarcResult, MessageAuthenticator,
};
use world::{Zone, check, check_with, key_record, letter, name, options, rsa};

/// The message as a list passes it on: sealed, with what it saw. For the first seal only, for which mail-auth needs
/// no DNS.
async fn sealed(message: &str, sealer: &str, dmarc: DmarcResult) -> String {
    let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let chain = authenticator.verify_arc(&parsed).await;
    let output = DmarcOutput::default().with_domain("x.test").with_dkim_result(dmarc);
    let results = AuthenticationResults::new(sealer).with_dmarc_result(&output);
    let set = ArcSealer::from_key(rsa(KeySize::Rsa2048).signing())
        .domain(sealer)
        .selector("sel")
        .headers(["From", "To", "Subject"])
        .seal(&parsed, &results, &chain)
        .unwrap();
    format!("{}{message}", set.to_header())
}

async fn arc(zone: &Zone, message: &str) -> ArcCheck {
    check(zone, "list@list.test", message).await.results.unwrap().arc
}

#[tokio::test]
async fn a_chain_of_one() {
    let zone = Zone::new(&key_record("list.test"));
    assert_eq!(arc(&zone, &letter("bob@x.test")).await.result, ArcResult::None);
    let message = sealed(&letter("bob@x.test"), "list.test", DmarcResult::Pass).await;
    let found = arc(&zone, &message).await;
    assert_eq!((found.result, found.reason), (ArcResult::Pass, None), "{message}");
    assert_eq!(found.sealers, [name("list.test")]);
}

#[tokio::test]
async fn broken_chains() {
    let zone = Zone::new(&key_record("list.test"));
    let message = sealed(&letter("bob@x.test"), "list.test", DmarcResult::Pass).await;
    let seal = |text: &str| {
        let at = text.find("ARC-Seal:").unwrap();
        let end = text[at..].find("\r\n\t").map_or(text.len(), |_| text[at..].find("\r\nARC-").unwrap_or(0));
        text[at..at + end + 2].to_owned()
    };
    let table = [
        ("body", message.replace("this is a letter", "this is a bill")),
        ("signed header", message.replace("Subject: A", "Subject: B")),
        ("results", message.replace("dmarc=pass", "dmarc=fail")),
        ("state", message.replace("cv=none", "cv=pass")),
        ("number", message.replace("i=1;", "i=2;")),
        ("a second seal", format!("{}{message}", seal(&message))),
    ];
    for (what, changed) in table {
        assert_ne!(changed, message, "{what}");
        assert_eq!(arc(&zone, &changed).await.result, ArcResult::Fail, "{what}");
    }
    assert_eq!(arc(&Zone::default(), &message).await.result, ArcResult::Fail, "no key");
    let silent = Zone::new("sel._domainkey.list.test SERVFAIL");
    assert_eq!(arc(&silent, &message).await.result, ArcResult::TempError);
    let many: String = (1..=51).map(|i| format!("ARC-Seal: i={i}; cv=pass\r\n")).collect();
    let found = arc(&zone, &format!("{many}{message}")).await;
    assert_eq!((found.result, found.reason), (ArcResult::Fail, Some("the chain is too long")));
}

#[tokio::test]
async fn only_a_trusted_sealer_changes_anything() {
    let zone = Zone::new(&format!("{}_dmarc.x.test TXT v=DMARC1; p=reject", key_record("list.test")));
    let good = sealed(&letter("bob@x.test"), "list.test", DmarcResult::Pass).await;
    let bad = sealed(&letter("bob@x.test"), "list.test", DmarcResult::None).await;
    let trusting = || Options { trusted_sealers: vec![name("list.test")], ..options() };
    assert_eq!(check_with(&zone, trusting(), "", &good).await.action, Action::Accept);
    assert!(matches!(check_with(&zone, options(), "", &good).await.action, Action::Reject(_)));
    assert!(matches!(check_with(&zone, trusting(), "", &bad).await.action, Action::Reject(_)));
    let tampered = good.replace("this is a letter", "this is a bill");
    assert!(matches!(check_with(&zone, trusting(), "", &tampered).await.action, Action::Reject(_)));
}
