//! SPF through the public names: what the field says about sender and HELO.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use checks::{Checks, Client, SpfResult};
use types::Clock;
use world::{NOW, Zone, check, client, letter, name, options};

async fn spf(zone: &str, address: &str) -> SpfResult {
    let (clock, _hand) = Clock::manual(NOW);
    let checks = Checks::new(Arc::new(Zone::new(zone)), clock, options());
    let verdict = checks.check(client(address, "bob@x.test"), Bytes::from(letter("bob@x.test"))).await;
    verdict.results.unwrap().spf_sender.unwrap().1
}

#[tokio::test]
async fn mechanisms() {
    use SpfResult as R;
    let table: [(&str, &str, SpfResult); 26] = [
        ("x.test A 192.0.2.9", "192.0.2.1", R::None),
        ("", "192.0.2.1", R::None),
        ("x.test TXT v=spf1", "192.0.2.1", R::Neutral),
        ("x.test TXT v=spf1 -all", "192.0.2.1", R::Fail),
        ("x.test TXT v=spf1 ~all", "192.0.2.1", R::SoftFail),
        ("x.test TXT v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 ip4:192.0.2.0/24 -all", "192.0.3.1", R::Fail),
        ("x.test TXT v=spf1 ip4:192.0.2.0/24 -all", "::ffff:192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 ip6:2001:db8::/32 -all", "2001:db8::1", R::Pass),
        ("x.test TXT v=spf1 a -all\nx.test A 192.0.2.1", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 a/24 -all\nx.test A 192.0.2.77", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 a//64 -all\nx.test AAAA 2001:db8::77", "2001:db8::1", R::Pass),
        ("x.test TXT v=spf1 a:y.test -all\ny.test A 192.0.2.1", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 mx -all\nx.test MX 10 m.test\nm.test A 192.0.2.1", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 ptr -all\n192.0.2.1 PTR h.x.test\nh.x.test A 192.0.2.1", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 ptr -all\n192.0.2.1 PTR h.x.test\nh.x.test A 192.0.2.2", "192.0.2.1", R::Fail),
        ("x.test TXT v=spf1 exists:%{ir}.y.test -all\n1.2.0.192.y.test A 127.0.0.2", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 exists:y.test -all\ny.test AAAA ::1", "2001:db8::1", R::Fail),
        ("x.test TXT v=spf1 include:y.test -all\ny.test TXT v=spf1 ip4:192.0.2.1 -all", "192.0.2.1", R::Pass),
        ("x.test TXT v=spf1 include:y.test ~all\ny.test TXT v=spf1 -all", "192.0.2.1", R::SoftFail),
        ("x.test TXT v=spf1 include:y.test ~all\ny.test A 192.0.2.1", "192.0.2.1", R::PermError),
        ("x.test TXT v=spf1 redirect=y.test\ny.test TXT v=spf1 -all", "192.0.2.1", R::Fail),
        ("x.test TXT v=spf1 redirect=y.test", "192.0.2.1", R::PermError),
        ("x.test TXT v=spf1 redirect=y.test ?all\ny.test TXT v=spf1 -all", "192.0.2.1", R::Neutral),
        ("x.test TXT v=spf1 -all\nx.test TXT v=spf1 +all", "192.0.2.1", R::PermError),
        ("x.test TXT v=spf1 +all junk", "192.0.2.1", R::PermError),
    ];
    for (zone, address, result) in table {
        assert_eq!(spf(zone, address).await, result, "{zone} from {address}");
    }
}

#[tokio::test]
async fn where_dns_fails() {
    use SpfResult as R;
    assert_eq!(spf("x.test SERVFAIL", "192.0.2.1").await, R::TempError);
    assert_eq!(spf("x.test TXT v=spf1 a:y.test -all\ny.test SERVFAIL", "192.0.2.1").await, R::TempError);
    assert_eq!(spf("x.test TXT v=spf1 include:y.test\ny.test SERVFAIL", "192.0.2.1").await, R::TempError);
    let earlier = "x.test TXT v=spf1 ip4:192.0.2.1 a:y.test -all\ny.test SERVFAIL";
    assert_eq!(spf(earlier, "192.0.2.1").await, R::Pass, "what matches before needs no DNS");
}

/// Fault 21: what the RFC calls a permanent error, and not one question more.
#[tokio::test]
async fn fault_21_loops_and_voids_end_within_the_budget() {
    let terms: String = (0..12).map(|n| format!(" a:a{n}.test")).collect();
    let hosts: String =
        (0..12).map(|n| format!("x.test MX 10 m{n}.test\nm{n}.test A 192.0.2.99\n")).collect();
    let targets: String = (0..12).map(|n| format!("a{n}.test A 192.0.2.99\n")).collect();
    let table = [
        ("itself", "x.test TXT v=spf1 include:x.test -all".to_owned(), 12),
        ("redirect", "x.test TXT v=spf1 redirect=x.test".to_owned(), 12),
        ("circle", "x.test TXT v=spf1 include:y.test\ny.test TXT v=spf1 include:x.test".to_owned(), 12),
        ("terms", format!("x.test TXT v=spf1{terms} -all\n{targets}"), 12),
        ("voids", "x.test TXT v=spf1 a:n1.test a:n2.test a:n3.test a:n4.test -all".to_owned(), 5),
        ("hosts", format!("x.test TXT v=spf1 mx -all\n{hosts}"), 4),
    ];
    for (what, zone, most) in table {
        let zone = Zone::new(&zone);
        let verdict = check(&zone, "bob@x.test", "Subject: no author\r\n\r\n").await;
        assert_eq!(verdict.results.unwrap().spf_sender.unwrap().1, SpfResult::PermError, "{what}");
        // HELO's TXT and the PTR are asked as well.
        assert!(zone.questions() <= most + 2, "{what}: {:?}", zone.asked());
    }
}

#[tokio::test]
async fn two_voids_are_forgiven() {
    let zone = "x.test TXT v=spf1 a:n1.test a:n2.test ip4:192.0.2.1 -all";
    assert_eq!(spf(zone, "192.0.2.1").await, SpfResult::Pass);
}

#[tokio::test]
async fn hello_and_sender_are_two_identities() {
    let zone = Zone::new("client.example.test TXT v=spf1 -all\nx.test TXT v=spf1 +all");
    let verdict = check(&zone, "bob@x.test", &letter("bob@x.test")).await;
    let results = verdict.results.unwrap();
    assert_eq!(results.spf_hello, Some((name("client.example.test"), SpfResult::Fail)));
    assert_eq!(results.spf_sender, Some((name("x.test"), SpfResult::Pass)));
    assert!(
        verdict
            .fields
            .contains(";\r\n\tspf=fail smtp.helo=client.example.test;\r\n\tspf=pass smtp.mailfrom=x.test;")
    );

    let bounce = check(&zone, "", &letter("bob@x.test")).await.results.unwrap();
    assert_eq!((bounce.spf_hello.unwrap().1, bounce.spf_sender), (SpfResult::Fail, None));
}

#[tokio::test]
async fn a_hello_that_is_no_domain_is_not_asked_about() {
    for hello in ["[192.0.2.1]", "192.0.2.1", "localhost", "[IPv6:2001:db8::1]"] {
        let (clock, _hand) = Clock::manual(NOW);
        let checks = Checks::new(Arc::new(Zone::default()), clock, options());
        let client = Client { hello: hello.to_owned(), ..client("192.0.2.1", "bob@x.test") };
        let verdict = checks.check(client, Bytes::from(letter("bob@x.test"))).await;
        assert_eq!(verdict.results.unwrap().spf_hello, None, "{hello}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_servers_cost_the_time_that_is_allowed_and_no_more() {
    let began = tokio::time::Instant::now();
    let zone = "x.test TXT v=spf1 a:y.test a:z.test -all\ny.test SILENT\nz.test SILENT";
    assert_eq!(spf(zone, "192.0.2.1").await, SpfResult::TempError);
    assert!(began.elapsed() <= Duration::from_secs(21), "{:?}", began.elapsed());
}
