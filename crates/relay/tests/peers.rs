//! A message and servers of all kinds, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod peer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use peer::{Manner, World, attempt, relay, relay_under, standings};
use relay::{Attempt, Barrier, PolicyKind, Proof, Protection, TlsReason};
use tokio::time::{Instant, sleep};

const TWO: &str = "x.test MX 10 a.test\nx.test MX 20 b.test\na.test A 192.0.2.1\nb.test A 192.0.2.2";
const ONE: &str = "x.test MX 10 mx.x.test\nmx.x.test A 192.0.2.1";

/// The first server behaves badly, the second well: what becomes of the message, by whom, and after how many seconds.
async fn second_best(manner: Manner) -> (String, Option<String>, u64) {
    let world = Arc::new(World::new(&[("192.0.2.1", manner), ("192.0.2.2", Manner::Good)]));
    let begun = Instant::now();
    let report = relay(&world, TWO, None).deliver(&attempt(&["b@x.test"])).await;
    (standings(&report), report.deliveries[0].host.clone(), begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_used_is_passed_over() {
    let table = [
        (Manner::Good, "a.test", 0..=0),
        (Manner::Silent, "b.test", 300..=300),
        (Manner::Nonsense, "b.test", 0..=0),
        (Manner::ClosesAfter(1), "b.test", 0..=0),
        (Manner::ClosesAfter(2), "b.test", 0..=0),
        (Manner::ClosesAfter(3), "b.test", 0..=0),
        (Manner::ClosesAfter(4), "b.test", 0..=0),
        (Manner::Endless, "b.test", 0..=0),
        (Manner::Answers("connect", "421 too many connections"), "b.test", 0..=0),
        (Manner::Answers("connect", "554 go away"), "b.test", 0..=0),
        (Manner::Answers("MAIL", "421 4.3.2 going down"), "b.test", 0..=0),
        (Manner::BreaksTls, "a.test", 0..=0),
    ];
    for (manner, host, seconds) in table {
        let (standing, by, took) = second_best(manner.clone()).await;
        if manner == Manner::BreaksTls {
            // Plain text is as good as what was not offered; this server just does not survive the attempt.
            assert!(standing.starts_with("delivered"), "{manner:?}: {standing}");
            continue;
        }
        assert_eq!((standing.as_str(), by.as_deref()), ("delivered 2.0.0", Some(host)), "{manner:?}");
        assert!(seconds.contains(&took), "{manner:?} took {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_host_says_about_the_message_counts() {
    let table = [
        (Manner::Answers("MAIL", "550 5.7.1 no"), "permanent 5.7.1"),
        (Manner::Answers("RCPT", "450 4.7.1 greylisted"), "temporary 4.7.1"),
        (Manner::Answers("DATA", "554 5.6.0 no"), "permanent 5.6.0"),
    ];
    for (manner, wanted) in table {
        let (standing, by, _) = second_best(manner).await;
        assert_eq!((standing.as_str(), by.as_deref()), (wanted, Some("a.test")));
    }
}

#[tokio::test(start_paused = true)]
async fn fault_63_an_answer_without_end_is_cut_off() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Endless)]));
    let report = relay(&world, ONE, None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!(standings(&report), "temporary 4.5.0");
    assert!(report.deliveries[0].outcome.text.contains("no end"), "{:?}", report.deliveries[0]);
    let sent = world.sent.load(Ordering::SeqCst);
    assert!(sent < 1 << 20, "{sent} octets were taken");
}

#[tokio::test(start_paused = true)]
async fn whoever_uses_up_the_time_for_each_answer_does_not_get_all_of_it() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Slow)]));
    let relay = relay(&world, ONE, None);
    assert_eq!(
        standings(&relay.deliver(&attempt(&["b@x.test", "c@x.test"])).await),
        "delivered 2.0.0, delivered 2.0.0"
    );
    let many: Vec<String> = (0..40).map(|number| format!("b{number}@x.test")).collect();
    let begun = Instant::now();
    let report = relay.deliver(&attempt(&many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert!(standings(&report).starts_with("temporary 4.4.2, temporary 4.4.2"), "{}", standings(&report));
    let took = begun.elapsed();
    assert!(took < Duration::from_mins(45), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn fault_63_after_the_dot_nobody_else_is_tried() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::DropsAfterTheDot), ("192.0.2.2", Manner::Good)]));
    let report = relay(&world, TWO, None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!(standings(&report), "unknown 4.4.2");
    assert!(report.deliveries[0].outcome.text.contains("may have arrived"));
    assert_eq!((world.calls.lock().len(), world.mail.lock().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_dead_family_of_addresses_does_not_matter() {
    let zone = "x.test MX 10 a.test\na.test AAAA 2a00:1450::1\na.test AAAA 2a00:1450::2\na.test A 192.0.2.1";
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Good)]));
    let report = relay(&world, zone, None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!(standings(&report), "delivered 2.0.0");
    let tried: Vec<String> = report.tries.iter().map(|one| one.address.unwrap().ip().to_string()).collect();
    assert_eq!(tried, ["2a00:1450::1", "192.0.2.1"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_forever() {
    let mut zone = "x.test MX 10 a.test\n".to_owned();
    for number in 1..50 {
        zone.push_str(&format!("a.test A 192.0.2.{number}\n"));
    }
    let world = Arc::new(World::new(&[]));
    let report = relay(&world, &zone, None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!((standings(&report).as_str(), report.tries.len()), ("temporary 4.4.2", 6));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_may_be_called_the_reason_is_told() {
    for (zone, wanted) in [
        ("x.test MX 0 .", "permanent 5.1.10"),
        ("x.test MX 10 a.test\na.test A 127.0.0.1", "permanent 5.4.4"),
        ("x.test MX 10 a.test\nx.test MX 20 b.test\na.test A 10.0.0.1\nb.test SERVFAIL", "temporary 4.4.3"),
        ("x.test MX 10 a.test\nx.test MX 20 b.test\na.test SERVFAIL\nb.test A 10.0.0.1", "temporary 4.4.3"),
    ] {
        let world = Arc::new(World::new(&[]));
        let report = relay(&world, zone, None).deliver(&attempt(&["b@x.test", "c@x.test"])).await;
        assert_eq!(standings(&report), format!("{wanted}, {wanted}"), "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_carries_many_messages_and_is_closed_when_idle() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Good)]));
    let relay = relay(&world, ONE, None);
    let sweeper = tokio::spawn({
        let relay = relay.clone();
        async move { relay.sweep().await }
    });
    for _ in 0..10 {
        assert_eq!(standings(&relay.deliver(&attempt(&["b@x.test"])).await), "delivered 2.0.0");
    }
    assert_eq!((world.calls.lock().len(), world.open.load(Ordering::SeqCst)), (1, 1));
    sleep(Duration::from_secs(16)).await;
    assert_eq!(world.open.load(Ordering::SeqCst), 0, "it was closed after 15 s");
    relay.deliver(&attempt(&["b@x.test"])).await;
    relay.close().await;
    assert_eq!((world.calls.lock().len(), world.mail.lock().len()), (2, 11));
    sweeper.abort();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_behind_our_back_costs_nothing() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::ClosesWhenIdle)]));
    let relay = relay(&world, ONE, None);
    for _ in 0..3 {
        assert_eq!(standings(&relay.deliver(&attempt(&["b@x.test"])).await), "delivered 2.0.0");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((world.calls.lock().len(), world.mail.lock().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn fault_63_a_goodbye_behind_the_answer_takes_nothing_back() {
    for (answer, wanted) in [
        ("250 2.0.0 taken", "delivered 2.0.0"),
        ("550 5.7.1 no", "permanent 5.7.1"),
        ("451 4.7.1 later", "temporary 4.7.1"),
    ] {
        let world = Arc::new(World::new(&[("192.0.2.1", Manner::LeavesWith(answer))]));
        let relay = relay(&world, ONE, None);
        assert_eq!(standings(&relay.deliver(&attempt(&["b@x.test"])).await), "delivered 2.0.0");
        let report = relay.deliver(&attempt(&["b@x.test"])).await;
        assert_eq!((standings(&report).as_str(), report.barrier), (wanted, None), "{answer}");
        assert_eq!((world.calls.lock().len(), world.mail.lock().len()), (1, 2), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_instead_of_a_message_is_a_barrier() {
    let manner = Manner::Answers("EHLO", "250 mx.x.test\r\n421 4.3.2 enough");
    let world = Arc::new(World::new(&[("192.0.2.1", manner)]));
    let report = relay(&world, ONE, None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!((standings(&report).as_str(), report.barrier), ("temporary 4.3.2", Some(Barrier::Refusal)));
}

#[tokio::test(start_paused = true)]
async fn a_policy_on_trial_hears_of_each_connection_once() {
    let txt = |domain| format!("_mta-sts.{domain} TXT v=STSv1; id=1;");
    let zone = format!("{ONE}\n{}\ny.test MX 10 mx.x.test\n{}", txt("x.test"), txt("y.test"));
    for (mx, wanted) in
        [("mx.x.test", TlsReason::StartTlsNotSupported), ("mx2.x.test", TlsReason::StsWebPkiInvalid)]
    {
        let world = Arc::new(World::new(&[("192.0.2.1", Manner::Good)]));
        let policy = format!("version: STSv1\nmode: testing\nmx: {mx}\nmax_age: 3600\n");
        let relay = relay_under(&world, &zone, &policy);
        let report = relay.deliver(&attempt(&["b@x.test"])).await;
        let told: Vec<_> = report.problems.iter().map(|one| (one.host.as_str(), one.reason)).collect();
        assert_eq!((standings(&report).as_str(), told), ("delivered 2.0.0", vec![("mx.x.test", wanted)]));
        let report = relay.deliver(&attempt(&["b@x.test"])).await;
        assert!(report.tries[0].reused && report.problems.is_empty(), "{mx}: {:?}", report.problems);
        // Another destination with the same host has a policy of its own.
        let other = Attempt { destination: "y.test".to_owned(), ..attempt(&["b@y.test"]) };
        let report = relay.deliver(&other).await;
        assert!(report.tries[0].reused && report.problems.len() == 1, "{mx}: {:?}", report.problems);
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_gets_as_many_connections_as_it_likes() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Good)]));
    let relay = Arc::new(relay(&world, ONE, None));
    assert_eq!(relay.room("x.test"), 4);
    let work = (0..200).map(|_| {
        let relay = relay.clone();
        tokio::spawn(async move { standings(&relay.deliver(&attempt(&["b@x.test"])).await) })
    });
    assert!(join_all(work).await.into_iter().all(|standing| standing.unwrap() == "delivered 2.0.0"));
    let calls = world.calls.lock().len();
    assert!((5..=20).contains(&calls), "{calls} connections");
    assert_eq!(relay.room("x.test"), 20);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_turned_away_comes_with_fewer() {
    let world =
        Arc::new(World::new(&[("192.0.2.1", Manner::Answers("connect", "421 4.7.0 too many connections"))]));
    let relay = relay(&world, ONE, None);
    for _ in 0..3 {
        assert_eq!(standings(&relay.deliver(&attempt(&["b@x.test"])).await), "temporary 4.3.2");
    }
    assert_eq!(relay.room("x.test"), 1);
    assert_eq!(relay.room("other.test"), 4, "others do not suffer");
}

#[tokio::test(start_paused = true)]
async fn hours_of_later_leave_nothing_behind() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Answers("RCPT", "451 4.7.1 later"))]));
    let relay = relay(&world, ONE, None);
    for _ in 0..100 {
        assert_eq!(standings(&relay.deliver(&attempt(&["b@x.test"])).await), "temporary 4.7.1");
        sleep(Duration::from_secs(900)).await;
    }
    relay.close().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.open.load(Ordering::SeqCst), 0);
}

fn tlsa(certificate: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let digits: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{ONE}\nx.test SIGNED\n_25._tcp.mx.x.test TLSA 3 0 1 {digits}")
}

#[tokio::test]
async fn tls_is_used_and_says_who_it_is_with() {
    let own = rcgen::generate_simple_self_signed(vec!["mx.x.test".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["mx.x.test".to_owned()]).unwrap();
    let world = || Arc::new(World::new(&[("192.0.2.1", Manner::Tls)]).with_certificate(&own));

    let report = relay(&world(), ONE, None).deliver(&attempt(&["b@x.test"])).await;
    let facts = report.tries[0].tls.clone().unwrap();
    assert_eq!(
        (standings(&report).as_str(), facts.version, facts.proof),
        ("delivered 2.0.0", "TLSv1.3", Proof::None)
    );

    let report = relay(&world(), ONE, Some(own.cert.der())).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!(report.tries[0].tls.clone().unwrap().proof, Proof::WebPki);

    let report = relay(&world(), &tlsa(own.cert.der()), None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!(report.tries[0].tls.clone().unwrap().proof, Proof::Dane);

    // Fault 72: another certificate than DNS says. Nothing is sent.
    let world = world();
    let report = relay(&world, &tlsa(other.cert.der()), None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!((standings(&report).as_str(), world.mail.lock().len()), ("temporary 4.7.5", 0));
    assert_eq!(report.problems[0].reason, TlsReason::TlsaInvalid);
    let announced = &report.announced[0];
    assert_eq!(
        (announced.kind, announced.hosts.as_slice()),
        (PolicyKind::Dane, &["mx.x.test".to_owned()][..])
    );
    assert!(announced.text[0].starts_with("3 0 1 "), "{announced:?}");
}

#[tokio::test(start_paused = true)]
async fn fault_72_no_tls_where_dane_demands_it() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Good)]));
    let report = relay(&world, &tlsa(b"x"), None).deliver(&attempt(&["b@x.test"])).await;
    assert_eq!((standings(&report).as_str(), world.mail.lock().len()), ("temporary 4.7.5", 0));
    assert_eq!(report.problems[0].reason, TlsReason::StartTlsNotSupported);
    // The sender would rather have it read than lost.
    let mut anyhow = attempt(&["b@x.test"]);
    Arc::make_mut(&mut anyhow.envelope).protection = Protection::Dispensable;
    assert_eq!(standings(&relay(&world, &tlsa(b"x"), None).deliver(&anyhow).await), "delivered 2.0.0");
}

#[tokio::test(start_paused = true)]
async fn who_demands_tls_everywhere_is_not_sent_where_nobody_promises_it() {
    let own = rcgen::generate_simple_self_signed(vec!["mx.x.test".to_owned()]).unwrap();
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Tls)]).with_certificate(&own));
    let mut strict = attempt(&["b@x.test"]);
    Arc::make_mut(&mut strict.envelope).protection = Protection::Required;
    // The host is not proved to be the domain's; then it is, but does not know REQUIRETLS.
    for zone in [ONE.to_owned(), tlsa(own.cert.der())] {
        let report = relay(&world, &zone, None).deliver(&strict).await;
        assert_eq!((standings(&report).as_str(), world.mail.lock().len()), ("permanent 5.7.30", 0), "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_transcript_is_what_was_said() {
    let world = Arc::new(World::new(&[("192.0.2.1", Manner::Answers("RCPT", "550 5.1.1 who?"))]));
    let report = relay(&world, ONE, None).deliver(&attempt(&["b@x.test"])).await;
    let lines: Vec<String> = report.tries[0].transcript.lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "S: 220 mx.x.test");
    assert!(
        lines.contains(&"C: RCPT TO:<b@x.test>".to_owned())
            && lines.contains(&"S: 550 5.1.1 who?".to_owned())
    );
    assert_eq!(report.deliveries[0].outcome.text, "the other side refused the recipient: 550 5.1.1 who?");
}
