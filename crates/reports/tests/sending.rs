//! From what was seen to a message that is sent once, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use checks::{Action, Checks, Client, Options, Verdict};
use dns::Zone;
use relay::{Announced, PolicyKind, Report, TlsProblem, TlsReason, Transcript, Try};
use reports::{
    Claim, Content, Disposition, Error, Kind, Limits, Nothing, Outlet, OverrideKind, Reports, Sender,
    Sessions, TlsKind, Treatment, read, render,
};
use store::kv::{self, Chaos, ChaosRates, Engine, Kv, Memory, Transaction};
use types::{Clock, ManualClock, Timestamp};

/// Noon of 2026-11-27.
const NOON: Timestamp = Timestamp(1_795_780_800_000);
const HOUR: Duration = Duration::from_hours(1);

fn node(engine: &Arc<Memory>, limits: Limits) -> (Reports, ManualClock) {
    node_on(engine.clone(), limits)
}

fn node_on(engine: Arc<dyn Engine>, limits: Limits) -> (Reports, ManualClock) {
    let (clock, hand) = Clock::manual(NOON);
    (Reports::new(Kv::new(engine, clock.clone()), clock, limits), hand)
}

/// What the checks make of a message from an address.
async fn verdict(zone: &str, address: &str, sender: &str, author: &str) -> Verdict {
    let checks = Checks::new(Arc::new(Zone::parse(zone).unwrap()), Clock::system(), Options::new("mx.test"));
    let client = Client {
        address: address.parse().unwrap(),
        hello: "client.test".to_owned(),
        sender: Some(sender.to_owned()),
    };
    let message = format!("From: <x@{author}>\r\nSubject: x\r\n\r\nx\r\n");
    checks.check(client, Bytes::from(message)).await
}

async fn saw(reports: &Reports, zone: &str, address: &str, sender: &str, author: &str) {
    let verdict = verdict(zone, address, sender, author).await;
    reports.saw_message(&verdict.results.unwrap(), &verdict.action, Treatment::Followed);
}

const ZONE: &str = "_dmarc.a.test TXT v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@a.test
    a.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.quiet.test TXT v=DMARC1; p=reject
    _dmarc.trial.test TXT v=DMARC1; p=quarantine; t=y; rua=mailto:d@trial.test";

fn tried(host: &str, tls: bool, policy: PolicyKind) -> Try {
    let tls = tls.then(|| relay::TlsFacts {
        version: "TLSv1.3",
        cipher: "x".to_owned(),
        proof: relay::Proof::None,
    });
    Try {
        host: host.to_owned(),
        address: Some("203.0.113.5:25".parse().unwrap()),
        source: None,
        reused: false,
        tls,
        policy,
        took: Duration::ZERO,
        failure: None,
        transcript: Transcript::default(),
    }
}

fn report(tries: Vec<Try>, problems: Vec<TlsProblem>) -> Report {
    let sts = Announced {
        kind: PolicyKind::Sts,
        text: vec!["version: STSv1".to_owned(), "mode: enforce".to_owned()],
        hosts: vec!["mx.b.test".to_owned()],
    };
    Report { deliveries: Vec::new(), tries, problems, announced: vec![sts], barrier: None }
}

fn delivered(reports: &Reports, destination: &str, report: Report) {
    let Report { tries, problems, announced, .. } = &report;
    reports.saw_delivery(destination, Sessions { tries, problems, announced });
}

/// Counts how often it happened.
#[derive(Default)]
struct Sent(&'static str);

impl Outlet for Sent {
    async fn join(&self, tx: &Transaction) -> Result<(), Error> {
        Ok(tx.add(format!("sent {}", self.0), 1)?)
    }
}

async fn times_sent(engine: &Arc<Memory>) -> i64 {
    let tx = Kv::new(engine.clone(), Clock::system()).read().await.unwrap();
    tx.get("sent x").await.unwrap().map_or(0, |value| kv::counter(&value))
}

/// Waits until everything is due, and takes it.
async fn claimed(reports: &Reports, hand: &ManualClock) -> Vec<Claim> {
    hand.advance(18 * HOUR);
    reports.claim(100).await.unwrap()
}

fn sender() -> Sender {
    Sender {
        address: "postmaster@mx.test".to_owned(),
        organization: "Example <Mail> & Sons".to_owned(),
        contact: "postmaster@mx.test".to_owned(),
    }
}

/// The report in a message, as its reader finds it.
fn attached(message: &[u8]) -> reports::Received {
    let parsed = mail_parser::MessageParser::default().parse(message).unwrap();
    let part = parsed.parts.iter().find(|part| {
        use mail_parser::MimeHeaders;
        part.attachment_name().is_some()
    });
    read(part.unwrap().contents()).unwrap()
}

#[tokio::test]
async fn what_became_of_mail_is_told_once_a_day() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits::default());
    for _ in 0..3 {
        saw(&reports, ZONE, "192.0.2.1", "x@a.test", "a.test").await;
    }
    saw(&reports, ZONE, "198.51.100.9", "x@elsewhere.test", "sub.a.test").await;
    saw(&reports, ZONE, "198.51.100.9", "x@elsewhere.test", "trial.test").await;
    saw(&reports, ZONE, "198.51.100.9", "x@elsewhere.test", "quiet.test").await;
    assert_eq!(reports.flush().await.unwrap().domains, 2, "nobody asks for reports on quiet.test");
    saw(&reports, ZONE, "192.0.2.1", "x@a.test", "a.test").await;
    reports.flush().await.unwrap();
    assert!(reports.claim(100).await.unwrap().is_empty(), "the day is not over");

    let mut claims = claimed(&reports, &hand).await;
    claims.sort_by(|one, other| one.domain.cmp(&other.domain));
    let found: Vec<_> = claims.iter().map(|claim| (claim.kind, claim.domain.as_str())).collect();
    assert_eq!(found, [(Kind::Dmarc, "a.test"), (Kind::Dmarc, "trial.test")]);
    let Some(Content::Dmarc { policy, rows }) = reports.content(&claims[0]).await.unwrap() else { panic!() };
    assert_eq!((policy.policy.as_str(), policy.subdomains.as_str()), ("reject", "quarantine"));
    let found: Vec<_> = rows
        .iter()
        .map(|(row, count)| {
            (row.source.as_str(), row.header_from.as_str(), row.disposition, row.spf_aligned, *count)
        })
        .collect();
    let wanted = [
        ("192.0.2.1", "a.test", Disposition::None, true, 4),
        ("198.51.100.9", "sub.a.test", Disposition::Quarantine, false, 1),
    ];
    assert_eq!(found, wanted);
    let Some(Content::Dmarc { rows, .. }) = reports.content(&claims[1]).await.unwrap() else { panic!() };
    assert_eq!(rows[0].0.overrides[0].kind, OverrideKind::TestMode);
}

#[tokio::test]
async fn a_report_on_mail_is_read_as_it_was_meant() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits::default());
    saw(&reports, ZONE, "192.0.2.1", "x@a.test", "a.test").await;
    saw(&reports, ZONE, "198.51.100.9", "x@elsewhere.test", "a.test").await;
    reports.flush().await.unwrap();
    let claims = claimed(&reports, &hand).await;
    let content = reports.content(&claims[0]).await.unwrap().unwrap();
    let rendered = render(&claims[0], &content, &sender(), &["d@a.test", "e@b.test"], NOON);
    let text = String::from_utf8(rendered.message.clone()).unwrap();
    for line in [
        "From: \"Example <Mail> & Sons\" <postmaster@mx.test>\r\n".to_owned(),
        "To: d@a.test,\r\n\te@b.test\r\n".to_owned(),
        format!(
            "Subject: Report Domain: a.test\r\n\tSubmitter: mx.test\r\n\tReport-ID: <{}@mx.test>\r\n",
            rendered.id
        ),
        format!("filename=\"mx.test!a.test!1795737600!1795823999!{}.xml.gz\"", rendered.id),
        "Content-Type: application/gzip;".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    let report = attached(&rendered.message);
    assert_eq!((report.organization.as_str(), report.domain.as_str()), ("Example <Mail> & Sons", "a.test"));
    assert_eq!((report.begin.secs(), report.end.secs()), (1_795_737_600, 1_795_823_999));
    let dmarc = report.dmarc.unwrap();
    assert_eq!((dmarc.messages, dmarc.passed, dmarc.rows.len()), (2, 1, 2));
    assert!(dmarc.rows.iter().any(|row| row.source == "198.51.100.9" && row.disposition == "reject"));
    let again = render(&claims[0], &content, &sender(), &["d@a.test", "e@b.test"], NOON);
    assert_eq!(again, rendered, "what is rendered again is the same");
}

#[tokio::test]
async fn a_report_on_tls_is_read_as_it_was_meant() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits::default());
    let problem = TlsProblem {
        kind: PolicyKind::Sts,
        host: "mx2.b.test".to_owned(),
        reason: TlsReason::CertificateExpired,
        detail: "the certificate has expired".to_owned(),
    };
    delivered(&reports, "B.test", report(vec![tried("mx.b.test", true, PolicyKind::Sts)], Vec::new()));
    let tries = vec![tried("mx2.b.test", false, PolicyKind::Sts), tried("mx.b.test", true, PolicyKind::Sts)];
    delivered(&reports, "b.test", report(tries, vec![problem]));
    let mut reused = tried("mx.b.test", true, PolicyKind::Sts);
    reused.reused = true;
    delivered(
        &reports,
        "b.test",
        report(vec![reused, tried("relay.test", true, PolicyKind::Route)], Vec::new()),
    );
    delivered(&reports, "[192.0.2.1]", report(vec![tried("192.0.2.1", true, PolicyKind::None)], Vec::new()));
    delivered(
        &reports,
        "plain.test",
        report(vec![tried("mx.plain.test", false, PolicyKind::None)], Vec::new()),
    );
    assert_eq!(reports.flush().await.unwrap().domains, 2);

    let mut claims = claimed(&reports, &hand).await;
    claims.sort_by(|one, other| one.domain.cmp(&other.domain));
    let content = reports.content(&claims[0]).await.unwrap().unwrap();
    let rendered = render(&claims[0], &content, &sender(), &["t@b.test"], NOON);
    let text = String::from_utf8(rendered.message.clone()).unwrap();
    for line in [
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n",
        "TLS-Report-Domain: b.test\r\nTLS-Report-Submitter: mx.test\r\n",
        "TLS-Required: No\r\n",
        "Content-Type: application/tlsrpt+gzip;",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let report = attached(&rendered.message);
    assert_eq!((report.kind, report.domain.as_str(), report.tls.len()), (Kind::Tls, "b.test", 1));
    let tally = &report.tls[0];
    assert_eq!((tally.policy.as_str(), tally.successes, tally.failed), ("sts", 2, 1));
    assert_eq!(tally.text, ["version: STSv1", "mode: enforce"]);
    let failure = &tally.failures[0];
    assert_eq!((failure.reason.as_str(), failure.host.as_str()), ("certificate-expired", "mx2.b.test"));
    assert_eq!((failure.address.as_str(), failure.count), ("203.0.113.5", 1));

    let Some(Content::Tls(day)) = reports.content(&claims[1]).await.unwrap() else { panic!() };
    assert_eq!(day.policies[0].policy.kind, TlsKind::NotFound);
    assert_eq!(day.policies[0].failures[0].0.reason, "starttls-not-supported");
}

#[tokio::test]
async fn a_host_that_a_policy_on_trial_does_not_name_is_a_failure() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits::default());
    let problem = TlsProblem {
        kind: PolicyKind::Sts,
        host: "mx9.b.test".to_owned(),
        reason: TlsReason::StsWebPkiInvalid,
        detail: "the MTA-STS policy of the domain does not name mx9.b.test".to_owned(),
    };
    // Its certificate was good, and more mail went over the same connection.
    let mut reused = tried("mx9.b.test", true, PolicyKind::Sts);
    reused.reused = true;
    delivered(&reports, "b.test", report(vec![tried("mx9.b.test", true, PolicyKind::Sts)], vec![problem]));
    delivered(&reports, "b.test", report(vec![reused], Vec::new()));
    reports.flush().await.unwrap();
    let claims = claimed(&reports, &hand).await;
    let Some(Content::Tls(day)) = reports.content(&claims[0]).await.unwrap() else { panic!() };
    let tally = &day.policies[0];
    assert_eq!((day.policies.len(), tally.successes, tally.failed()), (1, 0, 1));
    assert_eq!(tally.failures[0].0.reason, "sts-webpki-invalid");
}

/// A host with TLSA records that cannot be used, in a domain whose MTA-STS policy is on trial: each policy has its own tally.
#[tokio::test]
async fn what_one_policy_misses_is_no_failure_of_the_other() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits::default());
    let problem = TlsProblem {
        kind: PolicyKind::Sts,
        host: "mx.b.test".to_owned(),
        reason: TlsReason::StsWebPkiInvalid,
        detail: "the MTA-STS policy of the domain does not name mx.b.test".to_owned(),
    };
    let dane = tried("mx.b.test", true, PolicyKind::Dane);
    delivered(&reports, "b.test", report(vec![dane], vec![problem]));
    reports.flush().await.unwrap();
    let claims = claimed(&reports, &hand).await;
    let Some(Content::Tls(day)) = reports.content(&claims[0]).await.unwrap() else { panic!() };
    let mut tallies: Vec<_> = day.policies.iter().map(|one| (one.successes, one.failed())).collect();
    tallies.sort_unstable();
    assert_eq!(tallies, [(0, 1), (1, 0)]);
}

#[tokio::test]
async fn of_two_nodes_one_sends() {
    let engine = Arc::new(Memory::default());
    let (one, hand_of_one) = node(&engine, Limits::default());
    let (other, hand_of_other) = node(&engine, Limits::default());
    for reports in [&one, &other] {
        delivered(reports, "b.test", report(vec![tried("mx.b.test", true, PolicyKind::Sts)], Vec::new()));
        reports.flush().await.unwrap();
    }
    hand_of_one.advance(18 * HOUR);
    hand_of_other.advance(18 * HOUR);
    let claim = one.claim(100).await.unwrap().remove(0);
    assert!(other.claim(100).await.unwrap().is_empty(), "the first has it");
    let Some(Content::Tls(day)) = one.content(&claim).await.unwrap() else { panic!() };
    assert_eq!(day.policies[0].successes, 2, "both have seen something");

    // The first is not heard of any more; when it is, the second has sent the report.
    hand_of_other.advance(HOUR);
    let taken = other.claim(100).await.unwrap().remove(0);
    assert_eq!(taken.tries, 2);
    other.settle(&taken, "sent", &Sent("x")).await.unwrap();
    assert!(matches!(one.settle(&claim, "sent", &Sent("x")).await, Err(Error::ClaimLost { .. })));
    assert_eq!(times_sent(&engine).await, 1);

    // What is written down too late makes no second report.
    let (late, hand) = node(&engine, Limits::default());
    delivered(&late, "b.test", report(vec![tried("mx.b.test", true, PolicyKind::Sts)], Vec::new()));
    late.flush().await.unwrap();
    assert!(claimed(&late, &hand).await.is_empty());
}

#[tokio::test]
async fn whatever_the_store_does_each_report_is_sent_once() {
    for seed in 0..20 {
        let engine = Arc::new(Memory::default());
        let rates = ChaosRates {
            conflict: 0.2,
            unknown_applied: 0.1,
            unknown_dropped: 0.1,
            too_old: 0.02,
            delay: 0.0,
        };
        let rough = || node_on(Arc::new(Chaos::new(engine.clone(), rates, seed)), Limits::default());
        let nodes = [rough(), rough()];
        let seen = AtomicU64::new(0);
        for _ in 0..5 {
            for (reports, _) in &nodes {
                delivered(
                    reports,
                    "b.test",
                    report(vec![tried("mx.b.test", true, PolicyKind::Sts)], Vec::new()),
                );
                seen.fetch_add(1, Ordering::Relaxed);
                reports.flush().await.unwrap();
            }
        }
        for (reports, hand) in &nodes {
            hand.advance(18 * HOUR);
            for claim in reports.claim(100).await.unwrap() {
                let Some(Content::Tls(day)) = reports.content(&claim).await.unwrap() else { panic!() };
                assert_eq!(day.policies[0].successes, seen.load(Ordering::Relaxed), "seed {seed}");
                reports.settle(&claim, "sent", &Sent("x")).await.unwrap();
            }
        }
        assert_eq!(times_sent(&engine).await, 1, "seed {seed}");
    }
}

#[tokio::test]
async fn there_is_an_end_to_what_is_kept() {
    let engine = Arc::new(Memory::default());
    let limits = Limits { rows: 5, domains: 2, pending: 8, ..Limits::default() };
    let (reports, hand) = node(&engine, limits);
    for number in 0..9 {
        saw(&reports, ZONE, &format!("198.51.100.{number}"), "x@elsewhere.test", "a.test").await;
    }
    let flushed = reports.flush().await.unwrap();
    assert_eq!(flushed.dropped, 1 + 3, "one finds no room in memory, the others none in the day");
    for domain in ["c.test", "d.test"] {
        let zone = format!("_dmarc.{domain} TXT v=DMARC1; p=none; rua=mailto:d@{domain}");
        saw(&reports, &zone, "198.51.100.1", "x@elsewhere.test", domain).await;
    }
    reports.flush().await.unwrap();
    let claims = claimed(&reports, &hand).await;
    assert_eq!(claims.len(), 2, "the third domain finds no room");

    hand.advance(8 * 24 * HOUR);
    reports.trim().await.unwrap();
    for claim in &claims {
        assert_eq!(reports.content(claim).await.unwrap(), None);
    }
}

#[tokio::test]
async fn seeing_costs_no_commit_and_a_minute_costs_few() {
    let memory = Arc::new(Memory::default());
    let metered = Arc::new(kv::Metered::new(memory));
    let (reports, _hand) = node_on(metered.clone(), Limits::default());
    for number in 0..64 {
        let tries = vec![tried("mx.b.test", true, PolicyKind::Sts)];
        for _ in 0..10 {
            delivered(&reports, &format!("b{number}.test"), report(tries.clone(), Vec::new()));
        }
    }
    assert_eq!(metered.take().commits, 0);
    reports.flush().await.unwrap();
    assert_eq!(metered.take().commits, 2, "32 domains in each");
    assert!(reports.claim(10).await.unwrap().is_empty());
    assert_eq!(metered.take().commits, 0, "nothing is due");
}

#[tokio::test]
async fn what_is_settled_otherwise_is_gone_too() {
    let engine = Arc::new(Memory::default());
    let (reports, hand) = node(&engine, Limits { tries: 2, ..Limits::default() });
    saw(&reports, ZONE, "192.0.2.1", "x@a.test", "a.test").await;
    reports.flush().await.unwrap();
    hand.advance(18 * HOUR);
    let first = reports.claim(1).await.unwrap().remove(0);
    assert!(!reports.is_last(&first));
    hand.advance(HOUR);
    let second = reports.claim(1).await.unwrap().remove(0);
    assert!(reports.is_last(&second));
    reports.settle(&second, "nobody wants it", &Nothing).await.unwrap();
    assert_eq!(reports.content(&second).await.unwrap(), None);
    assert!(matches!(reports.settle(&second, "x", &Nothing).await, Err(Error::ClaimLost { .. })));
}

#[tokio::test]
async fn a_message_that_is_to_come_again_is_not_counted() {
    let engine = Arc::new(Memory::default());
    let (reports, _) = node(&engine, Limits::default());
    let verdict = verdict(ZONE, "192.0.2.1", "x@a.test", "a.test").await;
    let refused = checks::Refused { code: 451, status: (4, 3), text: "later".to_owned() };
    reports.saw_message(verdict.results.as_ref().unwrap(), &Action::Defer(refused), Treatment::Followed);
    assert!(reports.is_idle());
}
