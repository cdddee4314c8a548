//! Links, unlinks, sweeps, compactions and orphan collections at once, over a few contents that everybody
//! wants, while the clock runs: what an owner needs can be read at any moment, and in the end nothing is lost
//! and nothing is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use blob_store::{Faults, GRACE, Kind, Store, noise, text};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::blob::{self, CompactLimits, Content, Error, Hash, LinkError, SweepLimits};
use store::kv;

const STEPS: usize = 120;
const OWNERS: u64 = 6;

fn contents() -> BTreeMap<Hash, Bytes> {
    let contents =
        [text(10), text(3000), text(300_000), noise(20_000, 1), noise(90_000, 2), noise(700_000, 3)];
    contents.into_iter().map(|content| (Hash::of(&content), content)).collect()
}

/// Injected faults are to be tried again; nothing else may happen.
fn passing(error: &Error) -> bool {
    match error {
        Error::Unavailable(_) => true,
        Error::Kv(error) => matches!(error, kv::Error::Conflict { .. } | kv::Error::TooOld),
        _ => false,
    }
}

/// One who links, reads and unlinks under names of its own.
async fn owner(store: Arc<Store>, name: u64, seed: u64) -> BTreeSet<(Hash, Bytes)> {
    let contents = contents();
    let mut rng = StdRng::seed_from_u64(seed * 100 + name);
    let mut own: BTreeSet<(Hash, Bytes)> = BTreeSet::new();
    for step in 0..STEPS {
        let (hash, content) = contents.iter().nth(rng.random_range(0..contents.len())).unwrap();
        let new_name = Bytes::from(format!("{name}/{step}"));
        let some = own.iter().nth(rng.random_range(0..=own.len())).cloned();
        match (rng.random_range(0..10), some) {
            (0..4, _) => {
                keep(&store, content, &new_name).await;
                own.insert((*hash, new_name));
            }
            (4, Some((hash, _))) => {
                // The reference that is there keeps the blob: sharing cannot fail.
                store.share(&[hash], &new_name).await.unwrap();
                own.insert((hash, new_name));
            }
            (5..7, Some((hash, _))) => check(&store, &hash, &contents[&hash]).await,
            (7.., Some((hash, name))) => {
                store.unlink(&hash, &name).await;
                own.remove(&(hash, name));
            }
            _ => tokio::task::yield_now().await,
        }
    }
    own
}

async fn keep(store: &Store, content: &Bytes, owner: &[u8]) {
    loop {
        let prepared = match store.blobs.prepare(Content::memory(content.clone())).await {
            Ok(prepared) => prepared,
            Err(error) if passing(&error) => continue,
            Err(error) => panic!("{error}"),
        };
        match store.link(&[prepared], owner).await {
            Ok(()) => return,
            Err(LinkError::Vanished(_) | LinkError::Kv(kv::Error::Conflict { .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn check(store: &Store, hash: &Hash, content: &Bytes) {
    loop {
        match store.blobs.get(hash).await {
            Ok(read) => return assert_eq!(read, content),
            Err(error) if passing(&error) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Collects garbage and moves the clock until all owners are done.
async fn collector(store: Arc<Store>, seed: u64, done: Arc<AtomicBool>) {
    let mut rng = StdRng::seed_from_u64(seed);
    while !done.load(SeqCst) {
        match rng.random_range(0..6) {
            0 => store.later(GRACE / rng.random_range(1..20)),
            1 => {
                if let Some(segments) = &store.segments {
                    segments.seal().await.unwrap();
                }
            }
            2 => settle(store.blobs.collect_orphans(None).await.map(drop)),
            3 => {
                let limits =
                    CompactLimits { dead_percent: rng.random_range(0..60), ..CompactLimits::default() };
                let compacted = store.blobs.compact(limits).await;
                settle(compacted.map(|report| assert_eq!(report.damaged, 0)));
            }
            _ => settle(store.blobs.sweep(SweepLimits::default()).await.map(drop)),
        }
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..3000))).await;
    }
}

fn settle(result: Result<(), Error>) {
    if let Err(error) = result {
        assert!(passing(&error), "{error}");
    }
}

async fn race(kind: Kind, faults: Faults, seed: u64) {
    let store = Arc::new(Store::with_faults(kind, faults));
    let done = Arc::new(AtomicBool::new(false));
    let collectors: Vec<_> =
        (0..2).map(|n| tokio::spawn(collector(store.clone(), seed * 10 + n, done.clone()))).collect();
    let owners: Vec<_> = (0..OWNERS).map(|name| tokio::spawn(owner(store.clone(), name, seed))).collect();
    let mut needed = BTreeSet::new();
    for owner in owners {
        needed.extend(owner.await.unwrap());
    }
    done.store(true, SeqCst);
    for collector in collectors {
        collector.await.unwrap();
    }

    let store = store.calm();
    store.assert_sound().await;
    for (hash, _) in &needed {
        check(&store, hash, &contents()[hash]).await;
    }
    store.collect_garbage().await;
    store.assert_sound().await;
    let blobs: BTreeSet<&Hash> = needed.iter().map(|(hash, _)| hash).collect();
    assert_eq!(store.kept().await, blobs.len(), "an orphan is left, or a blob is lost");
    for (hash, name) in &needed {
        store.unlink(hash, name).await;
    }
    store.collect_garbage().await;
    store.assert_empty().await;
}

fn faulty(seed: u64) -> Faults {
    Faults { kv: Some((kv::ChaosRates::default(), seed)), blob: Some((blob::ChaosRates::default(), seed)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn objects() {
    for seed in 1..4 {
        race(Kind::Memory, Faults::default(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn segments() {
    for seed in 1..4 {
        race(Kind::Segments, Faults::default(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn objects_on_a_bad_day() {
    for seed in 1..3 {
        race(Kind::Memory, faulty(seed), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn segments_on_a_bad_day() {
    for seed in 1..3 {
        race(Kind::Segments, faulty(seed), seed).await;
    }
}
