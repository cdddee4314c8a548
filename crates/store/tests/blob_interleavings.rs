//! Two that race, in exactly the order in which it would hurt: the second one commits between the reads and the
//! commit of the first. Also clocks that disagree by a day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blob_store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use blob_store::{GRACE, Kind, Store, noise, text};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use store::blob::{Blobs, BlobsOptions, CompactLimits, Content, LinkError, Prepared, SweepLimits};
use store::kv::{Commit, Engine, Error, Kv, Snapshot, Version, Watch};
use types::{Clock, Timestamp};

const ALL: CompactLimits = CompactLimits { dead_percent: 0, move_bytes: u64::MAX };

/// A kv engine on which something happens before the next commit.
struct Gate {
    inner: Arc<dyn Engine>,
    first: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Engine for Gate {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.inner.snapshot().await
    }

    async fn commit(&self, commit: Commit) -> Result<Version, Error> {
        let first = self.first.lock().take();
        if let Some(first) = first {
            first.await;
        }
        self.inner.commit(commit).await
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.inner.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        false
    }

    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }
}

/// Two nodes on one store: the second one's commits can be held up, and its clock can be wrong.
struct Nodes {
    one: Arc<Store>,
    gate: Arc<Gate>,
    kv: Kv,
    blobs: Blobs,
}

impl Nodes {
    fn new(kind: Kind, second_ahead: Duration) -> Self {
        let one = Arc::new(Store::new(kind));
        let gate = Arc::new(Gate { inner: one.kv_plain.clone(), first: Mutex::default() });
        let now = Timestamp(one.clock.now().0).plus(second_ahead);
        let clock = if second_ahead.is_zero() { one.clock.clone() } else { Clock::manual(now).0 };
        let kv = Kv::new(gate.clone(), clock.clone());
        let options = BlobsOptions { grace: GRACE, spool: one.directory.path().to_owned() };
        let blobs = Blobs::new(kv.clone(), one.engine.clone(), clock, options);
        Self { one, gate, kv, blobs }
    }

    /// Lets the first node do something before the second one's next commit.
    fn before_commit<F>(&self, work: impl FnOnce(Arc<Store>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        *self.gate.first.lock() = Some(Box::pin(work(self.one.clone())));
    }

    async fn link(&self, prepared: &[Prepared], owner: &[u8]) -> Result<(), LinkError> {
        let linked = self.kv.run(|tx| async move { self.blobs.link(&tx, prepared, owner).await }).await;
        assert!(self.gate.first.lock().is_none(), "nothing came between");
        linked
    }

    async fn seal(&self) {
        if let Some(segments) = &self.one.segments {
            segments.seal().await.unwrap();
        }
    }
}

fn content() -> Content {
    Content::memory(text(50_000))
}

#[tokio::test]
async fn a_link_between_the_look_and_the_commit_of_a_sweep_keeps_the_blob() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::ZERO);
        let hash = nodes.one.keep(text(50_000), b"one").await;
        nodes.one.unlink(&hash, b"one").await;
        nodes.one.later(GRACE);
        nodes.before_commit(move |one| async move {
            let known = one.blobs.prepare(content()).await.unwrap();
            assert!(!known.is_fresh());
            one.link(&[known], b"two").await.unwrap();
        });
        assert_eq!(nodes.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 0);
        assert_eq!(nodes.one.blobs.get(&hash).await.unwrap(), text(50_000));
        nodes.one.assert_sound().await;
    }
}

#[tokio::test]
async fn a_sweep_between_the_look_and_the_commit_of_a_link_is_noticed() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::ZERO);
        let hash = nodes.one.keep(text(50_000), b"one").await;
        let known = [nodes.blobs.prepare(content()).await.unwrap()];
        nodes.one.unlink(&hash, b"one").await;
        nodes.one.later(GRACE);
        nodes.before_commit(move |one| async move {
            assert_eq!(one.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 1);
        });
        assert_eq!(nodes.link(&known, b"two").await, Err(LinkError::Vanished(hash)));
        let again = [nodes.blobs.prepare(content()).await.unwrap()];
        nodes.link(&again, b"two").await.unwrap();
        nodes.one.assert_sound().await;
    }
}

#[tokio::test]
async fn a_sweep_between_the_look_and_the_commit_of_a_share_is_noticed() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::ZERO);
        let hash = nodes.one.keep(text(50_000), b"one").await;
        nodes.one.unlink(&hash, b"one").await;
        nodes.one.later(GRACE);
        nodes.before_commit(move |one| async move {
            assert_eq!(one.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 1);
        });
        let blobs = &nodes.blobs;
        let shared = nodes.kv.run(|tx| async move { blobs.share(&tx, &[hash], b"two").await }).await;
        assert_eq!(shared, Err(LinkError::Vanished(hash)));
    }
}

#[tokio::test]
async fn of_two_first_links_one_wins_and_the_other_takes_the_winners_place() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::ZERO);
        let own = [nodes.blobs.prepare(content()).await.unwrap()];
        nodes.before_commit(move |one| async move {
            let theirs = one.blobs.prepare(content()).await.unwrap();
            assert!(theirs.is_fresh());
            one.link(&[theirs], b"one").await.unwrap();
        });
        nodes.link(&own, b"two").await.unwrap();
        nodes.one.collect_garbage().await;
        assert_eq!(nodes.one.kept().await, 1);
        assert_eq!(nodes.one.blobs.get(&own[0].hash()).await.unwrap(), text(50_000));
        nodes.one.assert_sound().await;
    }
}

/// What a node whose clock is a day ahead takes for an orphan is somebody's blob in flight.
async fn collect_too_early(nodes: &Nodes) {
    nodes.seal().await;
    nodes.blobs.collect_orphans(None).await.unwrap();
    nodes.blobs.compact(ALL).await.unwrap();
}

#[tokio::test]
async fn what_a_wrong_clock_takes_for_an_orphan_cannot_be_linked_any_more() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::from_secs(86_400));
        let in_flight = [nodes.one.blobs.prepare(content()).await.unwrap()];
        let hash = in_flight[0].hash();
        collect_too_early(&nodes).await;
        assert_eq!(nodes.one.link(&in_flight, b"one").await, Err(LinkError::Vanished(hash)));
        let again = [nodes.one.blobs.prepare(content()).await.unwrap()];
        nodes.one.link(&again, b"one").await.unwrap();
        assert_eq!(nodes.one.blobs.get(&hash).await.unwrap(), text(50_000));
        nodes.one.assert_sound().await;
    }
}

#[tokio::test]
async fn a_link_between_the_look_and_the_commit_of_a_wrong_clocks_collection_keeps_the_blob() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::from_secs(86_400));
        let in_flight = [nodes.one.blobs.prepare(content()).await.unwrap()];
        let hash = in_flight[0].hash();
        nodes.before_commit(move |one| async move { one.link(&in_flight, b"one").await.unwrap() });
        collect_too_early(&nodes).await;
        assert!(nodes.gate.first.lock().is_none(), "nothing came between");
        assert_eq!(nodes.one.blobs.get(&hash).await.unwrap(), text(50_000));
        nodes.one.assert_sound().await;
        nodes.one.collect_garbage().await;
        assert_eq!(nodes.one.blobs.get(&hash).await.unwrap(), text(50_000));
        nodes.one.assert_sound().await;
    }
}

#[tokio::test]
async fn a_wrong_clocks_collection_between_the_look_and_the_commit_of_a_link_is_noticed() {
    for kind in Kind::ALL {
        let nodes = Nodes::new(kind, Duration::ZERO);
        let in_flight = [nodes.blobs.prepare(content()).await.unwrap()];
        let hash = in_flight[0].hash();
        nodes.before_commit(move |one| async move {
            let clock = Clock::manual(one.clock.now().plus(Duration::from_secs(86_400))).0;
            let options = BlobsOptions { grace: GRACE, spool: one.directory.path().to_owned() };
            let ahead = Blobs::new(one.kv.clone(), one.engine.clone(), clock, options);
            if let Some(segments) = &one.segments {
                segments.seal().await.unwrap();
            }
            ahead.collect_orphans(None).await.unwrap();
            ahead.compact(ALL).await.unwrap();
        });
        assert_eq!(nodes.link(&in_flight, b"one").await, Err(LinkError::Vanished(hash)));
        nodes.one.assert_sound().await;
    }
}

#[tokio::test]
async fn a_sweep_between_the_copy_and_the_commit_of_a_compaction_stands() {
    let nodes = Nodes::new(Kind::Segments, Duration::ZERO);
    let kept = nodes.one.keep(noise(10_000, 1), b"one").await;
    let swept = nodes.one.keep(text(50_000), b"one").await;
    nodes.one.unlink(&swept, b"one").await;
    nodes.seal().await;
    nodes.one.later(GRACE);
    nodes.before_commit(move |one| async move {
        assert_eq!(one.blobs.sweep(SweepLimits::default()).await.unwrap().removed, 1);
    });
    nodes.blobs.compact(ALL).await.unwrap();
    assert_eq!(nodes.one.blobs.stat(&swept).await.unwrap(), None);
    assert_eq!(nodes.one.blobs.get(&kept).await.unwrap(), noise(10_000, 1));
    nodes.one.assert_sound().await;
    nodes.one.unlink(&kept, b"one").await;
    nodes.one.collect_garbage().await;
    nodes.one.assert_empty().await;
}
