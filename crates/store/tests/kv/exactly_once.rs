//! `Kv::run` applies a transaction once, and returns the result of the attempt that was applied, though the
//! engine loses the answers of its commits.

use std::sync::Arc;
use std::time::Duration;

use store::kv::{ChaosRates, Embedded, EmbeddedOptions, Error, Kv, Range, counter};
use types::{Clock, Timestamp};

use crate::engines::{ROUGH, Way, seeds};
use crate::late::Late;

const TASKS: i64 = 4;
const EACH: i64 = 40;

/// Two of three answers are lost.
const LOSSY: ChaosRates = ChaosRates { conflict: 0.1, unknown_applied: 0.33, unknown_dropped: 0.33, ..ROUGH };

async fn read(kv: &Kv, key: &'static str) -> i64 {
    let value = kv.run(|tx| async move { tx.get(key).await }).await.unwrap();
    counter(&value.unwrap_or_default())
}

async fn count_up(kv: Kv) -> Vec<i64> {
    let mut results = Vec::new();
    for _ in 0..EACH {
        let mine = |tx: store::kv::Transaction| async move {
            let next = counter(&tx.get("read and set").await?.unwrap_or_default()) + 1;
            tx.set("read and set", next.to_le_bytes().to_vec())?;
            tx.add("added", 1)?;
            Ok::<_, Error>(next)
        };
        results.push(kv.run(mine).await.unwrap());
    }
    results
}

async fn every_increment_counts_once(kv: Kv, context: &str) {
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(count_up(kv.clone()))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.extend(task.await.unwrap());
    }
    results.sort_unstable();
    assert_eq!(results, (1..=TASKS * EACH).collect::<Vec<_>>(), "each result once, {context}");
    assert_eq!(read(&kv, "read and set").await, TASKS * EACH, "{context}");
    assert_eq!(read(&kv, "added").await, TASKS * EACH, "{context}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_chaos() {
    for seed in seeds(2) {
        let way = Way::Chaos(seed, LOSSY);
        let opened = way.open();
        every_increment_counts_once(opened.kv.clone(), &way.to_string()).await;
    }
}

fn late(directory: &std::path::Path) -> Kv {
    let engine = Arc::new(Embedded::open(directory, EmbeddedOptions::default()).unwrap());
    Kv::new(Arc::new(Late(engine)), Clock::system())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_lost_commits_come_late() {
    let directory = tempfile::tempdir().unwrap();
    every_increment_counts_once(late(directory.path()), "late").await;
}

#[derive(Debug)]
enum Outcome {
    Refused,
    Store(Error),
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A closure that writes first, then, asked again, returns an error or a result without a write: while the
/// first attempt may still come true, neither may be believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_mind_is_final() {
    let directory = tempfile::tempdir().unwrap();
    let kv = late(directory.path());
    let mut counted = 0;
    for n in 0..200 {
        let mut attempts = 0;
        let result = kv
            .run(|tx| {
                attempts += 1;
                let attempt = attempts;
                async move {
                    match (attempt, n % 2) {
                        (1, _) => tx.add("n", 1).map(|()| true).map_err(Outcome::Store),
                        (_, 0) => Err(Outcome::Refused),
                        _ => Ok(false),
                    }
                }
            })
            .await;
        match result {
            Ok(true) => counted += 1,
            Ok(false) | Err(Outcome::Refused) => {}
            Err(Outcome::Store(error)) => panic!("{error}"),
        }
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(read(&kv, "n").await, counted);
}

#[tokio::test]
async fn an_engine_that_never_finds_out_says_so() {
    let hopeless =
        ChaosRates { conflict: 0.0, unknown_applied: 0.0, unknown_dropped: 1.0, too_old: 0.0, delay: 0.0 };
    let kv = Way::Chaos(1, hopeless).open().kv;
    let result: Result<(), Error> = kv.run(|tx| async move { tx.set("k", "v") }).await;
    assert_eq!(result, Err(Error::CommitUnknown));
}

#[tokio::test]
async fn old_markers_are_forgotten() {
    let (clock, hand) = Clock::manual(Timestamp::from_secs(1_000_000_000));
    let opened = Way::Chaos(1, ROUGH).open();
    let kv = Kv::new(opened.engine.clone(), clock);
    let markers = || async {
        kv.run(|tx| async move { tx.range(Range::prefix(&[0])).all().await }).await.unwrap().len()
    };
    for n in 0..20_u8 {
        kv.run::<_, Error, _, _>(|tx| async move { tx.set("k", vec![n]) }).await.unwrap();
    }
    assert_eq!(markers().await, 20);
    hand.advance(Duration::from_secs(59 * 60));
    kv.forget_markers().await.unwrap();
    assert_eq!(markers().await, 21, "those of the last hour, and its own");
    hand.advance(Duration::from_secs(2 * 60));
    kv.forget_markers().await.unwrap();
    assert_eq!(markers().await, 2);
}

#[tokio::test]
async fn an_engine_that_loses_no_answer_has_no_markers() {
    let kv = Way::Embedded.open().kv;
    kv.run::<_, Error, _, _>(|tx| async move { tx.set("k", "v") }).await.unwrap();
    let rows = kv.run(|tx| async move { tx.range(Range::prefix(b"")).all().await }).await.unwrap();
    assert_eq!(rows.len(), 1);
}
