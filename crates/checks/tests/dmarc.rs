//! DMARC: who stands behind a message, and what is done where nobody does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use checks::{Action, DmarcResult, Enforcement, Options, WhenUnavailable};
use mail_auth::dkim::Canonicalization;
use world::{Zone, check, check_with, key_record, letter, name, options, sign};

async fn result(zone: &str, from: &str, sender: &str) -> (DmarcResult, Option<&'static str>) {
    let verdict = check(&Zone::new(zone), sender, &letter(from)).await;
    let found = &verdict.results.unwrap().dmarc[0];
    (found.result, found.policy.map(checks::Policy::as_str))
}

#[tokio::test]
async fn spf_speaks_for_the_author() {
    use DmarcResult as R;
    const SPF: &str = "x.test TXT v=spf1 ip4:192.0.2.1 -all\nsub.x.test TXT v=spf1 ip4:192.0.2.1 -all\n\
        y.test TXT v=spf1 ip4:192.0.2.1 -all\n";
    let table = [
        ("", "bob@x.test", "bob@x.test", R::None, None),
        ("_dmarc.x.test TXT v=DMARC1; p=reject", "bob@x.test", "bob@x.test", R::Pass, Some("reject")),
        ("_dmarc.x.test TXT v=DMARC1; p=reject", "bob@x.test", "bob@y.test", R::Fail, Some("reject")),
        ("_dmarc.x.test TXT v=DMARC1; p=reject", "bob@x.test", "bob@sub.x.test", R::Pass, Some("reject")),
        (
            "_dmarc.x.test TXT v=DMARC1; p=reject; aspf=s",
            "bob@x.test",
            "bob@sub.x.test",
            R::Fail,
            Some("reject"),
        ),
        (
            "_dmarc.x.test TXT v=DMARC1; p=reject; sp=none",
            "bob@sub.x.test",
            "bob@x.test",
            R::Pass,
            Some("none"),
        ),
        (
            "_dmarc.x.test TXT v=DMARC1; p=reject; sp=quarantine",
            "a@sub.x.test",
            "a@y.test",
            R::Fail,
            Some("quarantine"),
        ),
        ("_dmarc.x.test TXT v=DMARC1; p=none; np=reject", "a@no.x.test", "a@y.test", R::Fail, Some("reject")),
        ("_dmarc.x.test TXT v=DMARC1; p=none; np=reject", "a@sub.x.test", "a@y.test", R::Fail, Some("none")),
        ("_dmarc.x.test TXT v=DMARC1; p=reject; t=y", "a@x.test", "a@y.test", R::Fail, Some("quarantine")),
        ("_dmarc.x.test TXT v=DMARC1; p=quarantine; pct=0", "a@x.test", "a@y.test", R::Fail, Some("none")),
        (
            "_dmarc.x.test TXT v=DMARC1; p=reject\n_dmarc.x.test TXT v=DMARC1; p=none",
            "a@x.test",
            "a@y.test",
            R::None,
            None,
        ),
        (
            "_dmarc.x.test TXT v=DMARC1; p=reject\n_dmarc.x.test TXT something else",
            "a@x.test",
            "a@y.test",
            R::Fail,
            Some("reject"),
        ),
        ("_dmarc.x.test SERVFAIL", "a@x.test", "a@x.test", R::TempError, None),
        ("_dmarc.x.test TXT v=DMARC1; p=reject", "a@localhost", "a@y.test", R::None, None),
    ];
    for (record, from, sender, wanted, policy) in table {
        assert_eq!(
            result(&format!("{SPF}{record}"), from, sender).await,
            (wanted, policy),
            "{record} {from} {sender}"
        );
    }
}

/// RFC 9989 §4.10: organizations below a public suffix are strangers to each other, if the suffix says so.
#[tokio::test]
async fn the_tree_tells_who_belongs_together() {
    use DmarcResult as R;
    const SPF: &str =
        "a.bank.test TXT v=spf1 ip4:192.0.2.1 -all\nother.bank.test TXT v=spf1 ip4:192.0.2.1 -all\n";
    let suffix = "_dmarc.bank.test TXT v=DMARC1; p=reject; psd=y";
    let zone = format!("{SPF}{suffix}");
    assert_eq!(result(&zone, "x@a.bank.test", "x@a.bank.test").await, (R::Pass, Some("reject")));
    assert_eq!(result(&zone, "x@a.bank.test", "x@other.bank.test").await, (R::Fail, Some("reject")));
    let one = format!("{SPF}_dmarc.bank.test TXT v=DMARC1; p=reject");
    assert_eq!(result(&one, "x@a.bank.test", "x@other.bank.test").await, (R::Pass, Some("reject")));
    let own = format!("{one}\n_dmarc.a.bank.test TXT v=DMARC1; p=none; psd=n");
    assert_eq!(result(&own, "x@a.bank.test", "x@other.bank.test").await, (R::Fail, Some("none")));
}

#[tokio::test]
async fn a_deep_name_costs_eight_questions() {
    let labels = vec!["a"; 60].join(".");
    let zone = Zone::new("_dmarc.x.test TXT v=DMARC1; p=reject");
    let verdict = check(&zone, "", &letter(&format!("bob@{labels}.x.test"))).await;
    assert_eq!(verdict.results.unwrap().dmarc[0].result, DmarcResult::Fail);
    let asked = zone.asked().iter().filter(|q| format!("{q:?}").contains("_dmarc")).count();
    assert_eq!(asked, 8);
}

#[tokio::test]
async fn dkim_speaks_for_the_author() {
    let zone = key_record("x.test") + &key_record("sub.x.test") + &key_record("y.test");
    let table = [
        ("p=reject", "x.test", DmarcResult::Pass),
        ("p=reject", "sub.x.test", DmarcResult::Pass),
        ("p=reject; adkim=s", "sub.x.test", DmarcResult::Fail),
        ("p=reject", "y.test", DmarcResult::Fail),
    ];
    for (record, signer, wanted) in table {
        let zone = Zone::new(&format!("{zone}_dmarc.x.test TXT v=DMARC1; {record}"));
        let message = sign(&letter("bob@x.test"), signer, Canonicalization::Relaxed);
        let verdict = check(&zone, "bounce@elsewhere.test", &message).await;
        assert_eq!(verdict.results.unwrap().dmarc[0].result, wanted, "{record} {signer}");
        assert_eq!(verdict.action == Action::Accept, wanted == DmarcResult::Pass);
    }
}

/// What a report says: which record was applied, and each kind of proof by itself.
#[tokio::test]
async fn the_record_and_what_was_aligned() {
    let zone = key_record("x.test")
        + "x.test TXT v=spf1 ip4:192.0.2.1 -all\nsub.x.test TXT v=spf1 ip4:192.0.2.1 -all\n";
    let table = [
        ("p=reject; rua=mailto:d@x.test", "bob@x.test", "bob@x.test", (true, true)),
        ("p=reject; rua=mailto:d@x.test", "bob@x.test", "bob@sub.x.test", (true, true)),
        ("p=reject; aspf=s; rua=mailto:d@x.test", "bob@x.test", "bob@sub.x.test", (true, false)),
        ("p=reject; rua=mailto:d@x.test", "bob@x.test", "bob@y.test", (true, false)),
    ];
    for (record, from, sender, aligned) in table {
        let zone = Zone::new(&format!("{zone}_dmarc.x.test TXT v=DMARC1; {record}"));
        let message = sign(&letter(from), "x.test", Canonicalization::Relaxed);
        let verdict = check(&zone, sender, &message).await;
        let applied = verdict.results.unwrap().dmarc[0].applied.clone().unwrap();
        assert_eq!((applied.dkim_aligned, applied.spf_aligned), aligned, "{record} {sender}");
        assert_eq!((applied.place, applied.reports), (name("x.test"), true));
    }
    // Nobody wants a report: what settles it is enough.
    let zone = Zone::new(&format!("{zone}_dmarc.x.test TXT v=DMARC1; p=reject; sp=none"));
    let verdict = check(&zone, "bob@sub.x.test", &letter("bob@sub.x.test")).await;
    let applied = verdict.results.unwrap().dmarc[0].applied.clone().unwrap();
    assert_eq!((applied.place, applied.asked.as_str(), applied.reports), (name("x.test"), "none", false));
}

#[tokio::test]
async fn what_is_done() {
    let quarantine = Zone::new("_dmarc.x.test TXT v=DMARC1; p=quarantine");
    assert_eq!(check(&quarantine, "", &letter("bob@x.test")).await.action, Action::Quarantine);

    let reject = Zone::new("_dmarc.x.test TXT v=DMARC1; p=reject");
    let Action::Reject(refused) = check(&reject, "", &letter("bob@x.test")).await.action else { panic!() };
    assert_eq!((refused.code, refused.status), (550, (7, 26)));
    assert!(refused.text.contains("x.test"));

    let observe = Options { dmarc_overrides: vec![(name("x.test"), Enforcement::Observe)], ..options() };
    assert_eq!(check_with(&reject, observe, "", &letter("bob@sub.x.test")).await.action, Action::Accept);
}

/// A signature whose key cannot be had now might have been good: no refusal for good, and no open door either.
#[tokio::test]
async fn dns_that_fails_refuses_nothing_for_good() {
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let zone = Zone::new("_dmarc.x.test TXT v=DMARC1; p=reject\nsel._domainkey.x.test SERVFAIL");
    let Action::Defer(refused) = check(&zone, "", &message).await.action else { panic!() };
    assert_eq!((refused.code, refused.status), (451, (4, 3)));

    let unknown = Zone::new("_dmarc.x.test SERVFAIL");
    let verdict = check(&unknown, "", &letter("bob@x.test")).await;
    assert_eq!(verdict.action, Action::Accept);
    assert!(verdict.fields.contains("dmarc=temperror header.from=x.test"));
    let defer = Options { unavailable: WhenUnavailable::Defer, ..options() };
    assert!(matches!(check_with(&unknown, defer, "", &letter("bob@x.test")).await.action, Action::Defer(_)));
}

#[tokio::test]
async fn everybody_who_is_named_as_an_author_is_asked() {
    let zone = Zone::new("_dmarc.bank.test TXT v=DMARC1; p=reject");
    for from in ["a@x.test, ceo@bank.test", "<a@x.test> <ceo@bank.test>", "ceo@bank.test,a@x.test"] {
        let action = check(&zone, "a@x.test", &letter(from)).await.action;
        assert!(matches!(action, Action::Reject(_)), "{from}: {action:?}");
    }
    let crowd: Vec<String> = (0..50).map(|n| format!("a@x{n}.test")).collect();
    let verdict = check(&zone, "a@x.test", &letter(&crowd.join(","))).await;
    assert_eq!((verdict.action, verdict.results.unwrap().dmarc.len()), (Action::Quarantine, 5));
}
