//! The commit queue: those who wait share an fsync, and nobody is left waiting.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use store::kv::{Embedded, EmbeddedOptions, Engine, Error, KeyRange, Kv, Range, Write, counter};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use types::Clock;

const SOON: Duration = Duration::from_secs(20);

struct Store {
    engine: Arc<Embedded>,
    kv: Kv,
    _directory: tempfile::TempDir,
}

fn open() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
    Store { kv: Kv::new(engine.clone(), Clock::system()), engine, _directory: directory }
}

async fn add(kv: &Kv) -> Result<(), Error> {
    kv.run(|tx| async move { tx.add("n", 1) }).await
}

async fn count(kv: &Kv) -> i64 {
    counter(&kv.run(|tx| async move { tx.get("n").await }).await.unwrap().unwrap_or_default())
}

#[tokio::test]
async fn those_who_wait_share_an_fsync() {
    let store = open();
    for _ in 0..4 {
        join_all((0..64).map(|_| add(&store.kv))).await.into_iter().for_each(Result::unwrap);
    }
    let stats = store.engine.stats();
    assert_eq!(stats.transactions, 256);
    assert!(stats.groups <= 256 / 8, "{stats:?}");
    assert_eq!(count(&store.kv).await, 256);
}

#[tokio::test]
async fn one_writer_has_a_group_of_its_own() {
    let store = open();
    for _ in 0..20 {
        add(&store.kv).await.unwrap();
    }
    let stats = store.engine.stats();
    assert_eq!((stats.groups, stats.transactions), (20, 20));
    assert_eq!(count(&store.kv).await, 20);
    assert_eq!(store.engine.stats(), stats, "reads commit nothing");
}

/// What a group's members do to the same rows happens in the order in which they queue: as the engine's
/// contract has it, range clears of a commit come before its other writes.
#[tokio::test]
async fn writes_within_a_group_follow_each_other() {
    let store = open();
    let snapshot = store.engine.snapshot().await.unwrap();
    let commit = |writes: Vec<Write>| {
        store.engine.commit(store::kv::Commit { snapshot: snapshot.clone(), reads: Vec::new(), writes })
    };
    let set = |key: &'static str| Write::Set(key.into(), Bytes::from_static(&[1]));
    let all = KeyRange { begin: "a".into(), end: "z".into() };
    let committed = join_all([
        commit(vec![set("a"), set("b"), Write::Add("n".into(), 5)]),
        commit(vec![Write::ClearRange(all.clone()), Write::Add("n".into(), 1), set("c")]),
        commit(vec![Write::Add("n".into(), 1), Write::Add("b".into(), 1)]),
        commit(vec![Write::Clear("c".into()), Write::Add("m".into(), 3)]),
        commit(vec![set("d"), Write::Add("m".into(), -1)]),
    ])
    .await;
    assert!(committed.iter().all(Result::is_ok), "{committed:?}");
    let rows = store.kv.run(|tx| async move { tx.range(Range::prefix(b"")).all().await }).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|(key, value)| (&key[..], counter(value))).collect();
    assert_eq!(rows, [(&b"b"[..], 1), (b"d", 1), (b"m", 2), (b"n", 2)]);
}

/// Of those in one group who all read a row and write it, one wins.
#[tokio::test]
async fn members_of_a_group_conflict_with_each_other() {
    let store = open();
    let snapshot = store.engine.snapshot().await.unwrap();
    let commit = || {
        let writes = vec![Write::Add("k".into(), 1)];
        store.engine.commit(store::kv::Commit {
            snapshot: snapshot.clone(),
            reads: vec![KeyRange::key(b"k")],
            writes,
        })
    };
    let committed = join_all((0..10).map(|_| commit())).await;
    assert_eq!(committed.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(committed.iter().filter_map(|r| r.as_ref().err()).all(|e| matches!(e, Error::Conflict { .. })));
    assert_eq!(count(&store.kv).await, 0);
}

/// Transactions are dropped at any point while others go on; what was begun is finished or never happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_leave_do_not_hold_up_the_others() {
    let store = open();
    let mut acknowledged = 0;
    for round in 0..100_u64 {
        let impatient = (0..8).map(|n| timeout(Duration::from_micros(round * 10 + n * 20), add(&store.kv)));
        let (impatient, patient) = futures::join!(join_all(impatient), timeout(SOON, add(&store.kv)));
        patient.expect("left waiting").unwrap();
        acknowledged += 1 + impatient.iter().filter(|result| result.is_ok()).count() as i64;
    }
    let counted = count(&store.kv).await;
    assert!((acknowledged..=900).contains(&counted), "{acknowledged} acknowledged, {counted} counted");
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_runtime_that_goes_away_takes_nobody_with_it() {
    let store = open();
    let lasting = runtime();
    for _ in 0..40 {
        let passing = runtime();
        for _ in 0..16 {
            let kv = store.kv.clone();
            passing.spawn(async move { while add(&kv).await.is_ok() {} });
        }
        lasting.block_on(async { timeout(SOON, add(&store.kv)).await }).expect("left waiting").unwrap();
        passing.shutdown_background();
        lasting.block_on(async { timeout(SOON, add(&store.kv)).await }).expect("left waiting").unwrap();
    }
}

/// All threads for blocking work wait for commits: the commit itself must not need one.
#[test]
fn commits_need_no_thread_of_the_runtime() {
    let store = open();
    let narrow =
        Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).enable_all().build().unwrap();
    narrow.block_on(async {
        let waiting = (0..4).map(|_| {
            let (kv, handle) = (store.kv.clone(), tokio::runtime::Handle::current());
            tokio::task::spawn_blocking(move || handle.block_on(async { timeout(SOON, add(&kv)).await }))
        });
        for waited in join_all(waiting).await {
            waited.unwrap().expect("left waiting").unwrap();
        }
    });
}
