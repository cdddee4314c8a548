//! Reports that others send: kept once, for a while, and found again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use reports::{Filter, Kept, Kind, Limits, Received, ReceivedDmarc, ReceivedRow, Reports, read};
use store::kv::{Kv, Memory};
use types::{Clock, ManualClock, Timestamp};

/// Noon of 2026-11-28, the day after the samples.
const NOON: Timestamp = Timestamp(1_795_867_200_000);
const DAY: Duration = Duration::from_hours(24);

fn reports(limits: Limits) -> (Reports, ManualClock) {
    let (clock, hand) = Clock::manual(NOON);
    (Reports::new(Kv::new(Arc::new(Memory::default()), clock.clone()), clock, limits), hand)
}

fn sample(name: &str) -> Received {
    read(&std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()).unwrap()
}

#[tokio::test]
async fn a_report_is_kept_once_and_for_a_while() {
    let (reports, hand) = reports(Limits::default());
    let (mail, tls) = (sample("rfc9990.xml"), sample("tls-webmail.json"));
    let Kept::New(id) = reports.keep(mail.clone()).await.unwrap() else { panic!() };
    assert_eq!(reports.keep(mail.clone()).await.unwrap(), Kept::Known(id));
    assert!(matches!(reports.keep(tls).await.unwrap(), Kept::New(_)));
    let shown = reports.show(id.to_string().parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(shown, Received { received: NOON, ..mail });

    let all = reports.list(&Filter::default(), 100).await.unwrap();
    assert_eq!(all.len(), 2);
    let only_tls = Filter { kind: Some(Kind::Tls), ..Filter::default() };
    assert_eq!(reports.list(&only_tls, 100).await.unwrap().len(), 1);
    let of_others = Filter { domain: Some("example.net".to_owned()), ..Filter::default() };
    assert!(reports.list(&of_others, 100).await.unwrap().is_empty());

    hand.advance(80 * DAY);
    reports.trim().await.unwrap();
    assert_eq!(reports.list(&Filter::default(), 100).await.unwrap().len(), 2);
    assert!(reports.list(&Filter { days: Some(7), ..Filter::default() }, 100).await.unwrap().is_empty());
    hand.advance(20 * DAY);
    reports.trim().await.unwrap();
    assert!(reports.list(&Filter::default(), 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn reports_on_other_times_and_floods_of_them_are_not_kept() {
    let (reports, _) = reports(Limits { received: 3, ..Limits::default() });
    let at = |end: Timestamp, id: usize| Received { end, report_id: id.to_string(), ..sample("rfc9990.xml") };
    for wrong in [NOON.plus(2 * DAY), NOON.minus(100 * DAY), Timestamp(1)] {
        assert_eq!(reports.keep(at(wrong, 0)).await.unwrap(), Kept::OutOfTime);
    }
    for id in 0..3 {
        assert!(matches!(reports.keep(at(NOON, id)).await.unwrap(), Kept::New(_)));
    }
    assert_eq!(reports.keep(at(NOON, 3)).await.unwrap(), Kept::Full);
}

#[tokio::test]
async fn the_largest_report_fits_into_a_row() {
    let (reports, _) = reports(Limits::default());
    let long = || "x".repeat(255);
    let row = ReceivedRow {
        source: long(),
        header_from: long(),
        envelope_from: long(),
        disposition: long(),
        reasons: vec![long(); 8],
        results: vec![long(); 8],
        ..ReceivedRow::default()
    };
    let dmarc = ReceivedDmarc { rows: vec![row; 250], ..ReceivedDmarc::default() };
    let report = Received { dmarc: Some(dmarc), end: NOON, ..Received::default() };
    let Kept::New(id) = reports.keep(report).await.unwrap() else { panic!() };
    let kept = reports.show(id).await.unwrap().unwrap();
    let rows = kept.dmarc.unwrap().rows.len() as u64;
    assert!(rows > 0 && rows + kept.left_out == 250, "{rows}");
}
