//! The whole of it: fields, forgeries, exempt clients, and time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use checks::{Action, Checks, Network, Options};
use mail_auth::dkim::Canonicalization;
use types::Clock;
use world::{NOW, Zone, check, check_with, client, key_record, letter, options, sign};

#[tokio::test]
async fn the_field() {
    let zone = Zone::new(&key_record("x.test")).with(
        "x.test TXT v=spf1 ip4:192.0.2.1 -all\n_dmarc.x.test TXT v=DMARC1; p=reject\n\
         192.0.2.1 PTR mx.x.test\nmx.x.test A 192.0.2.1",
    );
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let verdict = check(&zone, "bob@x.test", &message).await;
    let start = verdict.results.as_ref().unwrap().dkim[0].start.clone();
    let start = if start.contains(['/']) { format!("\"{start}\"") } else { start };
    assert_eq!(
        verdict.fields,
        format!(
            "Authentication-Results: mx.here.test;\r\n\
             \tiprev=pass policy.iprev=192.0.2.1 (mx.x.test);\r\n\
             \tspf=none smtp.helo=client.example.test;\r\n\
             \tspf=pass smtp.mailfrom=x.test;\r\n\
             \tdkim=pass header.d=x.test header.s=sel header.a=rsa-sha256 header.b={start};\r\n\
             \tdmarc=pass (p=reject) header.from=x.test;\r\n\
             \tarc=none\r\n"
        )
    );
    assert_eq!(verdict.action, Action::Accept);
    assert_eq!(verdict.client_name.as_deref(), Some("mx.x.test"));
}

#[tokio::test]
async fn a_name_that_does_not_lead_back_is_none() {
    let zone = Zone::new("192.0.2.1 PTR mx.bank.test\nmx.bank.test A 198.51.100.1");
    let verdict = check(&zone, "", &letter("bob@x.test")).await;
    assert_eq!(verdict.client_name, None);
    assert!(verdict.fields.contains("iprev=fail policy.iprev=192.0.2.1;"));
}

#[tokio::test]
async fn forged_results_are_found_and_those_of_others_stay() {
    let forged = "Authentication-Results: mx.here.test; spf=pass\r\n\tsmtp.mailfrom=bank.test\r\n";
    let old = "Authentication-Results: \"old.here.test\" 1; dmarc=pass\r\n";
    let message =
        format!("{forged}Authentication-Results: relay.test; spf=fail\r\n{old}{}", letter("bob@x.test"));
    let options = Options { also_ours: vec!["old.here.test".to_owned()], ..options() };
    let verdict = check_with(&Zone::default(), options, "", &message).await;
    let cut: Vec<&str> = verdict.forged.iter().map(|range| &message[range.clone()]).collect();
    assert_eq!(cut, [forged, old]);
}

#[tokio::test]
async fn exempt_clients_are_not_asked_about() {
    let zone = Zone::new("_dmarc.x.test TXT v=DMARC1; p=reject");
    let exempt: Vec<Network> = vec!["192.0.2.0/24".parse().unwrap()];
    let forged = format!("Authentication-Results: mx.here.test; spf=pass\r\n{}", letter("bob@x.test"));
    let verdict = check_with(&zone, Options { exempt, ..options() }, "", &forged).await;
    assert_eq!((verdict.action, verdict.fields.as_str()), (Action::Accept, ""));
    assert_eq!(verdict.forged.len(), 1, "even they do not write in our name");
    assert_eq!(zone.questions(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_everywhere_costs_twice_the_time_that_is_allowed() {
    let zone = Zone::new(
        "x.test SILENT\nclient.example.test SILENT\nsel._domainkey.x.test SILENT\n_dmarc.x.test SILENT",
    );
    let message = sign(&letter("bob@x.test"), "x.test", Canonicalization::Relaxed);
    let began = tokio::time::Instant::now();
    let verdict = check(&zone, "bob@x.test", &message).await;
    assert!(began.elapsed() <= Duration::from_secs(41), "{:?}", began.elapsed());
    assert_eq!(verdict.action, Action::Accept);
    assert_eq!(verdict.fields.matches("temperror").count(), 3 + 1, "{}", verdict.fields);
}

#[tokio::test]
async fn questions_stop_when_nobody_waits_for_the_answer() {
    let zone = Zone::new("x.test SILENT");
    let (clock, _hand) = Clock::manual(NOW);
    let checks = Checks::new(Arc::new(zone.clone()), clock, options());
    let pending = checks.begin(client("192.0.2.1", "bob@x.test"));
    tokio::task::yield_now().await;
    drop(pending);
    tokio::task::yield_now().await;
    assert_eq!(
        Arc::strong_count(&zone.0),
        2,
        "the task is gone: only the test and the service hold the zone"
    );
}

#[tokio::test]
async fn messages_that_are_hardly_any() {
    for message in ["", "\r\n", "x", "From: \r\n", ":\r\n\r\n", "From: @\r\n", "From: a@\r\n\r\n"] {
        let (clock, _hand) = Clock::manual(NOW);
        let checks = Checks::new(Arc::new(Zone::default()), clock, options());
        let verdict = checks.check(client("2001:db8::1", ""), Bytes::from(message)).await;
        assert_eq!(verdict.action, Action::Accept, "{message:?}");
        assert!(verdict.fields.contains("policy.iprev=\"2001:db8::1\""));
    }
}
