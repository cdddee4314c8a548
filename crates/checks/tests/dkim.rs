//! DKIM: what mail-auth signs, we verify.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use aws_lc_rs::rsa::KeySize;
use checks::{DkimCheck, DkimResult};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use world::{Zone, check, check_with, ed25519, key_record, letter, options, rsa, sign};

async fn dkim(zone: &Zone, message: &str) -> Vec<DkimCheck> {
    check(zone, "bob@x.test", message).await.results.unwrap().dkim
}

async fn only(zone: &Zone, message: &str) -> (DkimResult, Option<&'static str>) {
    let checks = dkim(zone, message).await;
    assert_eq!(checks.len(), 1, "{checks:?}");
    (checks[0].result, checks[0].reason)
}

#[tokio::test]
async fn good_signatures() {
    let zone = Zone::new(&key_record("x.test"));
    for form in [Canonicalization::Simple, Canonicalization::Relaxed] {
        let message = sign(&letter("bob@x.test"), "x.test", form);
        assert_eq!(only(&zone, &message).await, (DkimResult::Pass, None), "{form:?}");
    }
}

#[tokio::test]
async fn the_report_says_whose_signature_it_is() {
    let zone = Zone::new(&key_record("x.test"));
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let verdict = check(&zone, "bob@x.test", &message).await;
    let found = &verdict.results.unwrap().dkim[0];
    assert_eq!(found.start.len(), 8);
    let b = &found.start;
    let wanted = "dkim=pass header.d=x.test header.s=sel header.a=rsa-sha256 header.b=";
    assert!(verdict.fields.contains(wanted) && verdict.fields.contains(b.as_str()), "{}", verdict.fields);
}

#[tokio::test]
async fn what_relaxed_forgives_and_simple_does_not() {
    let zone = Zone::new(&key_record("x.test"));
    for (form, result) in
        [(Canonicalization::Relaxed, DkimResult::Pass), (Canonicalization::Simple, DkimResult::Fail)]
    {
        let message = sign(&letter("bob@x.test"), "x.test", form);
        let changed = message
            .replace("Subject: A  letter", "subject:A\r\n\tletter ")
            .replace("Dear  Alice,\t", "Dear Alice,");
        assert_eq!(only(&zone, &changed).await.0, result, "{form:?}");
    }
}

#[tokio::test]
async fn changed_messages() {
    let zone = Zone::new(&key_record("x.test"));
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let body = message.replace("this is a letter", "this is a bill");
    assert_eq!(only(&zone, &body).await, (DkimResult::Fail, Some("the body was changed")));
    let header = message.replace("Subject: A", "Subject: B");
    assert_eq!(only(&zone, &header).await, (DkimResult::Fail, Some("the signature does not fit")));
    // A field added below the signed ones is the one that is taken for them.
    let added = message.replace("Date: ", "Subject: C\r\nDate: ");
    assert_eq!(only(&zone, &added).await.0, DkimResult::Fail);
}

#[tokio::test]
async fn ed25519_and_rsa_side_by_side() {
    let (key, record) = ed25519();
    let zone = Zone::new(&key_record("x.test")).with(&format!("ed._domainkey.x.test TXT {record}"));
    let inner = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let signer = DkimSigner::from_key(key).domain("x.test").selector("ed").headers(["From", "Subject"]);
    let message = format!("{}{inner}", signer.sign(inner.as_bytes()).unwrap().to_header());
    let results: Vec<_> = dkim(&zone, &message).await.into_iter().map(|c| (c.algorithm, c.result)).collect();
    let pass = DkimResult::Pass;
    assert_eq!(results, [(Some("ed25519-sha256"), pass), (Some("rsa-sha256"), pass)]);
}

#[tokio::test]
async fn keys_that_are_not_there() {
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let key = key_record("x.test");
    let table = [
        (String::new(), DkimResult::PermError, "no key"),
        ("sel._domainkey.x.test SERVFAIL".to_owned(), DkimResult::TempError, "DNS did not answer"),
        ("sel._domainkey.x.test TXT v=DKIM1; p=".to_owned(), DkimResult::PermError, "the key was revoked"),
        ("sel._domainkey.x.test TXT v=spf1 -all".to_owned(), DkimResult::PermError, "the key cannot be used"),
        (key.replace("k=rsa", "k=ed25519"), DkimResult::PermError, "the key is of another kind"),
    ];
    for (zone, result, reason) in table {
        assert_eq!(only(&Zone::new(&zone), &message).await, (result, Some(reason)), "{zone}");
    }
}

#[tokio::test]
async fn only_a_part_is_signed() {
    let zone = Zone::new(&key_record("x.test"));
    let text = format!("{}\r\n", letter("bob@x.test").trim_end());
    let signature = DkimSigner::from_key(rsa(KeySize::Rsa2048).signing())
        .domain("x.test")
        .selector("sel")
        .headers(["From"])
        .body_canonicalization(Canonicalization::Simple)
        .body_length(true)
        .sign(text.as_bytes())
        .unwrap();
    assert_eq!(only(&zone, &format!("{}{text}", signature.to_header())).await.0, DkimResult::Pass);
    let message = format!("{}{text}click here\r\n", signature.to_header());
    assert_eq!(only(&zone, &message).await.0, DkimResult::Policy);
}

/// Fault 20: short signatures, a hundred of them, huge keys.
#[tokio::test]
async fn fault_20_work_is_capped() {
    let zone = Zone::new(&key_record("x.test"));
    let good = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);

    let short = good.replacen("b=", "b=AAAA; zz=", 1);
    let checks = dkim(&zone, &short).await;
    assert!(checks.iter().all(|check| check.result == DkimResult::PermError), "{checks:?}");

    let (header, rest) = good.split_once("From:").unwrap();
    let many: String = (0..100).map(|n| header.replace("s=sel;", &format!("s=sel{n};"))).collect();
    let before = zone.questions();
    let checks = dkim(&zone, &format!("{many}From:{rest}")).await;
    assert_eq!(checks.len(), 11);
    assert!(checks.iter().all(|check| check.result == DkimResult::PermError));
    assert_eq!(checks[10].reason, Some("too many signatures; the others were not looked at"));
    assert!(zone.questions() - before <= 20, "{:?}", zone.questions());

    let huge = Zone::new(&format!("sel._domainkey.x.test TXT v=DKIM1; p={}", "A".repeat(60_000)));
    assert_eq!(only(&huge, &good).await, (DkimResult::PermError, Some("the key is too large")));
}

#[tokio::test]
async fn a_large_key_and_a_large_message() {
    let key = rsa(KeySize::Rsa4096);
    let zone = Zone::new(&format!("sel._domainkey.x.test TXT {}", key.record()));
    let text = format!("{}{}", letter("bob@x.test"), "0123456789 abcdef\r\n".repeat(20_000));
    let signer = DkimSigner::from_key(key.signing()).domain("x.test").selector("sel").headers(["From"]);
    let message = format!("{}{text}", signer.sign(text.as_bytes()).unwrap().to_header());
    assert_eq!(only(&zone, &message).await, (DkimResult::Pass, None));
}

#[tokio::test]
async fn expired_signatures() {
    let zone = Zone::new(&key_record("x.test"));
    let text = letter("bob@x.test");
    let signature = DkimSigner::from_key(rsa(KeySize::Rsa2048).signing())
        .domain("x.test")
        .selector("sel")
        .headers(["From"])
        .expiration(1)
        .sign(text.as_bytes())
        .unwrap();
    let message = format!("{}{text}", signature.to_header());
    let (clock, _hand) = types::Clock::manual(types::Timestamp(4_000_000_000_000));
    let checks = checks::Checks::new(std::sync::Arc::new(zone), clock, options());
    let verdict = checks.check(world::client("192.0.2.1", "bob@x.test"), message.into()).await;
    let found = &verdict.results.unwrap().dkim[0];
    assert_eq!((found.result, found.reason), (DkimResult::Fail, Some("the signature has expired")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the message: the other side's signature is good here, until an octet that counts changes.
    #[test]
    fn what_mail_auth_signs_is_good(
        subject in "[ -~]{0,60}",
        lines in prop::collection::vec("[\t -~]{0,40}", 0..12),
        relaxed in any::<bool>(),
    ) {
        let form = if relaxed { Canonicalization::Relaxed } else { Canonicalization::Simple };
        // Lines of white space at the end are none (RFC 6376 §3.4.4); mail-auth takes them for empty lines that count.
        let body: String = lines.iter().chain(["Bob".to_owned()].iter()).map(|line| format!("{line}\r\n")).collect();
        let text = format!("From: bob@x.test\r\nSubject: {subject}\r\n\r\n{body}");
        let signed = sign(&text, "x.test", form);
        let changed = signed.replace("From: bob", "From: bobby");
        let zone = Zone::new(&key_record("x.test"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (good, bad) = runtime.block_on(async { (only(&zone, &signed).await, only(&zone, &changed).await) });
        assert_eq!(good, (DkimResult::Pass, None), "{signed:?}");
        assert_eq!(bad.0, DkimResult::Fail);
    }

    /// Whatever comes: an answer.
    #[test]
    fn nothing_that_comes_does_harm(octets in prop::collection::vec(any::<u8>(), 0..400), tags in "[a-z=;: \r\n\t0-9]{0,200}") {
        let mut message = format!("DKIM-Signature: {tags}\r\nARC-Seal: {tags}\r\nFrom: <a@").into_bytes();
        message.extend(octets);
        let (clock, _hand) = types::Clock::manual(world::NOW);
        let checks = checks::Checks::new(std::sync::Arc::new(Zone::default()), clock, options());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let verdict = runtime.block_on(checks.check(world::client("192.0.2.1", ""), message.into()));
        assert!(verdict.fields.ends_with("\r\n") && verdict.fields.is_ascii());
    }
}

#[tokio::test]
async fn as_many_signatures_as_the_operator_allows() {
    let zone = Zone::new(&(key_record("x.test") + &key_record("y.test")));
    let once = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let twice = sign(&once, "y.test", Canonicalization::Relaxed);
    let one = checks::Options { signatures: 1, ..options() };
    let found = check_with(&zone, one, "bob@x.test", &twice).await.results.unwrap().dkim;
    assert_eq!(
        found.iter().map(|check| check.result).collect::<Vec<_>>(),
        [DkimResult::Pass, DkimResult::PermError]
    );
}
