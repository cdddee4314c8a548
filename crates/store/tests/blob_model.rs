//! Random sequences of calls against a model of a few lines, with restarts between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::collections::BTreeSet;
use std::time::Duration;

use blob_store::{GRACE, Kind, Store, noise, text};
use bytes::Bytes;
use proptest::prelude::*;
use store::blob::{CompactLimits, Content, Error, Hash, SweepLimits};

#[derive(Clone, Debug)]
enum Call {
    Keep(u8, u8),
    Prepare(u8),
    Share(u8, u8),
    Unlink(u8, u8),
    Wait(u32),
    Sweep,
    Compact(u8),
    Orphans,
    Seal,
    Restart,
}

fn call() -> impl Strategy<Value = Call> {
    let (blob, owner) = (0..5_u8, 0..3_u8);
    prop_oneof![
        4 => (blob.clone(), owner.clone()).prop_map(|(b, o)| Call::Keep(b, o)),
        1 => blob.clone().prop_map(Call::Prepare),
        1 => (blob.clone(), owner.clone()).prop_map(|(b, o)| Call::Share(b, o)),
        4 => (blob, owner).prop_map(|(b, o)| Call::Unlink(b, o)),
        3 => (0..2 * GRACE.as_secs() as u32).prop_map(Call::Wait),
        2 => Just(Call::Sweep),
        2 => (0..100_u8).prop_map(Call::Compact),
        1 => Just(Call::Orphans),
        1 => Just(Call::Seal),
        1 => Just(Call::Restart),
    ]
}

fn content(blob: u8) -> Bytes {
    match blob {
        0 => Bytes::new(),
        1 => text(2000),
        2 => noise(100_000, 2),
        3 => text(600_000),
        _ => noise(5 << 20, 4),
    }
}

/// What must be there: references, blobs, and when to look at which.
#[derive(Default)]
struct Model {
    needed: BTreeSet<(u8, u8)>,
    there: BTreeSet<u8>,
    candidates: Vec<(u64, u8)>,
    now: u64,
}

impl Model {
    fn unlink(&mut self, blob: u8, owner: u8) {
        self.needed.remove(&(blob, owner));
        self.candidates.push((self.now + GRACE.as_secs(), blob));
    }

    fn sweep(&mut self) {
        let (due, later) = self.candidates.drain(..).partition(|(due, _)| *due <= self.now);
        self.candidates = later;
        for (_, blob) in due {
            if !self.needed.iter().any(|(needed, _)| *needed == blob) {
                self.there.remove(&blob);
            }
        }
    }
}

async fn play(kind: Kind, calls: Vec<Call>) {
    let mut store = Store::new(kind);
    let mut model = Model::default();
    let hashes: Vec<Hash> = (0..5).map(|blob| Hash::of(&content(blob))).collect();
    for call in calls {
        match call {
            Call::Keep(blob, owner) => {
                store.keep(content(blob), &[owner]).await;
                model.needed.insert((blob, owner));
                model.there.insert(blob);
            }
            Call::Prepare(blob) => {
                let prepared = store.blobs.prepare(Content::memory(content(blob))).await.unwrap();
                assert_eq!(prepared.is_fresh(), !model.there.contains(&blob));
            }
            Call::Share(blob, owner) => {
                let shared = store.share(&[hashes[usize::from(blob)]], &[owner]).await;
                assert_eq!(shared.is_ok(), model.there.contains(&blob));
                if shared.is_ok() {
                    model.needed.insert((blob, owner));
                }
            }
            Call::Unlink(blob, owner) => {
                store.unlink(&hashes[usize::from(blob)], &[owner]).await;
                model.unlink(blob, owner);
            }
            Call::Wait(secs) => {
                store.later(Duration::from_secs(secs.into()));
                model.now += u64::from(secs);
            }
            Call::Sweep => {
                store.blobs.sweep(SweepLimits::default()).await.unwrap();
                model.sweep();
            }
            Call::Compact(dead_percent) => {
                let limits = CompactLimits { dead_percent, ..CompactLimits::default() };
                assert_eq!(store.blobs.compact(limits).await.unwrap().damaged, 0);
            }
            Call::Orphans => drop(store.blobs.collect_orphans(None).await.unwrap()),
            Call::Seal => {
                if let Some(segments) = &store.segments {
                    segments.seal().await.unwrap();
                }
            }
            Call::Restart => store = store.restart(),
        }
        for (blob, hash) in (0..).zip(&hashes) {
            let there = store.blobs.stat(hash).await.unwrap().is_some();
            assert_eq!(there, model.there.contains(&blob), "blob {blob}");
        }
    }
    for (blob, hash) in (0..).zip(&hashes) {
        match store.blobs.get(hash).await {
            Ok(read) => assert_eq!(read, content(blob)),
            Err(error) => assert_eq!(error, Error::NotFound(*hash)),
        }
    }
    store.assert_sound().await;
    for (blob, owner) in model.needed {
        store.unlink(&hashes[usize::from(blob)], &[owner]).await;
    }
    store.collect_garbage().await;
    store.assert_empty().await;
}

/// A blob that was swept and is kept again has its own grace period, whatever is still to be deleted.
#[tokio::test]
async fn deleting_an_old_object_does_not_shorten_the_grace_of_a_new_one() {
    for kind in Kind::ALL {
        let minutes = |n: u32| Call::Wait(n * 60);
        let calls = [Call::Keep(2, 0), Call::Unlink(2, 0), minutes(60), Call::Sweep, Call::Keep(2, 0)];
        let later = [Call::Unlink(2, 0), minutes(40), Call::Sweep, minutes(20), Call::Sweep];
        play(kind, calls.into_iter().chain(later).collect()).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blobs_behave_like_the_model(calls in proptest::collection::vec(call(), 1..60), packs: bool) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(play(if packs { Kind::Segments } else { Kind::Memory }, calls));
    }
}
