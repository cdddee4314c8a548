//! What was acknowledged is there after a restart, whatever ended the process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::kv::{Embedded, EmbeddedOptions, Error, Kv, OpenError, Range};
use tokio::runtime::Runtime;
use types::Clock;

use crate::failures::start_writer;
use crate::ledger::{AckFile, Ledger};

fn open(directory: &Path) -> Kv {
    Kv::new(Arc::new(Embedded::open(directory, EmbeddedOptions::default()).unwrap()), Clock::system())
}

#[tokio::test]
async fn reopening_finds_everything_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for round in 0..6_u8 {
        let kv = open(directory.path());
        let tx = kv.read().await.unwrap();
        assert!(tx.version() >= newest, "versions went back from {newest} to {}", tx.version());
        let rows = tx.range(Range::prefix(b"row/")).all().await.unwrap();
        drop(tx);
        assert_eq!(rows.len(), usize::from(round) * 3);
        for n in 0..3 {
            kv.run::<_, Error, _, _>(|tx| async move { tx.set(format!("row/{round}/{n}"), vec![n; 5000]) })
                .await
                .unwrap();
        }
        newest = kv.read().await.unwrap().version();
    }
}

/// More commits than the trace keeps numbers of.
#[tokio::test]
async fn reopening_after_many_commits() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { sync: false, ..EmbeddedOptions::default() };
    for _ in 0..2 {
        let kv = Kv::new(Arc::new(Embedded::open(directory.path(), options).unwrap()), Clock::system());
        for _ in 0..1500 {
            kv.run::<_, Error, _, _>(|tx| async move { tx.add("n", 1) }).await.unwrap();
        }
    }
    let kv = open(directory.path());
    let count = kv.read().await.unwrap().get("n").await.unwrap().unwrap();
    assert_eq!(store::kv::counter(&count), 3000);
}

#[tokio::test]
async fn clearing_everything_leaves_the_engine_its_own_rows() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    for n in 0..10_u8 {
        kv.run::<_, Error, _, _>(|tx| async move { tx.set(vec![n * 20], "v") }).await.unwrap();
    }
    let everything = store::kv::KeyRange { begin: "".into(), end: vec![0xff; 10_001].into() };
    kv.run::<_, Error, _, _>(|tx| {
        let all = everything.clone();
        async move { tx.clear_range(all) }
    })
    .await
    .unwrap();
    drop(kv);
    let kv = open(directory.path());
    let rows = kv.run(|tx| async move { tx.range(Range::prefix(b"")).all().await }).await.unwrap();
    assert_eq!(rows, []);
}

#[tokio::test]
async fn a_store_is_opened_once() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let second = Embedded::open(directory.path(), EmbeddedOptions::default());
    assert!(matches!(second, Err(OpenError::InUse(_))), "{:?}", second.err());
    kv.run::<_, Error, _, _>(|tx| async move { tx.set("k", "v") }).await.unwrap();
    drop(kv);
    assert_eq!(open(directory.path()).read().await.unwrap().get("k").await.unwrap().unwrap(), "v");
}

#[test]
fn a_store_is_opened_by_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start_writer(directory.path());
    wait_for_acknowledgements(directory.path(), 1);
    let second = Embedded::open(&directory.path().join("store"), EmbeddedOptions::default());
    assert!(matches!(second, Err(OpenError::InUse(_))), "{:?}", second.err());
    child.kill().unwrap();
    child.wait().unwrap();
    Embedded::open(&directory.path().join("store"), EmbeddedOptions::default()).unwrap();
}

fn wait_for_acknowledgements(directory: &Path, bytes: u64) {
    let begun = Instant::now();
    while std::fs::metadata(directory.join("acks")).map_or(0, |acks| acks.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(20), "the child does not write");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn kill_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut entries = 0;
    for round in 0..12 {
        let mut child = start_writer(directory.path());
        // From before it has opened the store to well into its work.
        std::thread::sleep(Duration::from_millis(rand::random_range(5..250)));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = match AckFile::read(&directory.path().join("acks")) {
            Ok(acknowledged) => acknowledged,
            Err(_) => continue,
        };
        runtime.block_on(async {
            let ledger = Ledger::open(&directory.path().join("store"), true).unwrap();
            let audit = ledger.audit(&acknowledged).await.unwrap();
            assert!(audit.lost.is_empty() && audit.torn.is_empty(), "round {round}: {audit:?}");
            assert!(audit.entries >= entries, "round {round}: {} entries became {}", entries, audit.entries);
            // At most one unanswered commit per task and kill.
            assert!(audit.entries <= audit.acknowledged + 8 * (round + 1), "round {round}: {audit:?}");
            entries = audit.entries;
        });
    }
    assert!(entries > 0, "the children never got to write");
}
