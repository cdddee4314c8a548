//! A blob store on a temporary directory with a clock that tests move.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::blob::{
    Blobs, BlobsOptions, CompactLimits, Content, Engine, Finding, Hash, LinkError, Memory, Metered,
    OpenError, Prepared, Segments, SegmentsOptions, SweepLimits,
};
use store::kv::{self, Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use types::{Clock, ManualClock, Timestamp};

pub const GRACE: Duration = Duration::from_secs(3600);

/// Which engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Memory,
    Segments,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Memory, Self::Segments];
}

/// What is between the store and its engines.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub kv: Option<(kv::ChaosRates, u64)>,
    pub blob: Option<(store::blob::ChaosRates, u64)>,
}

pub struct Store {
    pub kv: Kv,
    pub blobs: Blobs,
    pub meter: Arc<Metered>,
    pub kv_meter: Arc<kv::Metered>,
    pub kv_plain: Arc<dyn kv::Engine>,
    pub clock: Clock,
    pub hand: ManualClock,
    pub engine: Arc<dyn Engine>,
    pub segments: Option<Arc<Segments>>,
    pub directory: Arc<TempDir>,
}

impl Store {
    pub fn new(kind: Kind) -> Self {
        Self::with_faults(kind, Faults::default())
    }

    pub fn with_faults(kind: Kind, faults: Faults) -> Self {
        let (clock, hand) = Clock::manual(Timestamp(1_700_000_000_000));
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let kv_plain: Arc<dyn kv::Engine> =
            Arc::new(Embedded::open(&directory.path().join("kv"), EmbeddedOptions::default()).unwrap());
        let mut kv_engine = kv_plain.clone();
        if let Some((rates, seed)) = faults.kv {
            kv_engine = Arc::new(kv::Chaos::new(kv_engine, rates, seed));
        }
        let kv_meter = Arc::new(kv::Metered::new(kv_engine));
        let kv = Kv::new(kv_meter.clone(), clock.clone());
        let segments = (kind == Kind::Segments).then(|| Arc::new(open_segments(&directory, &clock)));
        let engine: Arc<dyn Engine> = match &segments {
            Some(segments) => segments.clone(),
            None => Arc::new(Memory::new(clock.clone())),
        };
        let mut faulty = engine.clone();
        if let Some((rates, seed)) = faults.blob {
            faulty = Arc::new(store::blob::Chaos::new(faulty, rates, seed));
        }
        let meter = Arc::new(Metered::new(faulty));
        let options = BlobsOptions { grace: GRACE, spool: directory.path().to_owned() };
        let blobs = Blobs::new(kv.clone(), meter.clone(), clock.clone(), options);
        Self { kv, blobs, meter, kv_meter, kv_plain, clock, hand, engine, segments, directory }
    }

    /// The same store, with nothing between it and its engines that fails.
    pub fn calm(&self) -> Self {
        let meter = Arc::new(Metered::new(self.engine.clone()));
        let options = BlobsOptions { grace: GRACE, spool: self.directory.path().to_owned() };
        let kv = Kv::new(self.kv_plain.clone(), self.clock.clone());
        let blobs = Blobs::new(kv.clone(), meter.clone(), self.clock.clone(), options);
        Self {
            kv,
            blobs,
            meter,
            kv_meter: self.kv_meter.clone(),
            kv_plain: self.kv_plain.clone(),
            clock: self.clock.clone(),
            hand: self.hand.clone(),
            engine: self.engine.clone(),
            segments: self.segments.clone(),
            directory: self.directory.clone(),
        }
    }

    /// What is there after the process was ended and started again. The memory engine lives on.
    pub fn restart(self) -> Self {
        let Self { kv, kv_meter, kv_plain, clock, hand, engine, segments, directory, blobs, meter } = self;
        drop((blobs, meter));
        let packs = segments.is_some();
        drop(segments);
        let (engine, segments): (Arc<dyn Engine>, _) = if packs {
            drop(engine);
            let segments = Arc::new(open_segments(&directory, &clock));
            (segments.clone(), Some(segments))
        } else {
            (engine, None)
        };
        let meter = Arc::new(Metered::new(engine.clone()));
        let options = BlobsOptions { grace: GRACE, spool: directory.path().to_owned() };
        let blobs = Blobs::new(kv.clone(), meter.clone(), clock.clone(), options);
        Self { kv, blobs, meter, kv_meter, kv_plain, clock, hand, engine, segments, directory }
    }

    /// Stores content for an owner.
    pub async fn keep(&self, content: Bytes, owner: &[u8]) -> Hash {
        let prepared = self.blobs.prepare(Content::memory(content)).await.unwrap();
        let hash = prepared.hash();
        self.link(&[prepared], owner).await.unwrap();
        hash
    }

    pub async fn link(&self, prepared: &[Prepared], owner: &[u8]) -> Result<(), LinkError> {
        self.kv.run(|tx| async move { self.blobs.link(&tx, prepared, owner).await }).await
    }

    pub async fn share(&self, hashes: &[Hash], owner: &[u8]) -> Result<(), LinkError> {
        self.kv.run(|tx| async move { self.blobs.share(&tx, hashes, owner).await }).await
    }

    pub async fn unlink(&self, hash: &Hash, owner: &[u8]) {
        let unlinked = self.kv.run(|tx| async move { self.blobs.unlink(&tx, hash, owner) }).await;
        unlinked.unwrap();
    }

    pub fn later(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Lets all grace periods pass and collects everything that may be collected.
    pub async fn collect_garbage(&self) {
        if let Some(segments) = &self.segments {
            segments.seal().await.unwrap();
        }
        for _ in 0..4 {
            self.later(GRACE);
            self.collect_once().await;
        }
    }

    /// One round of every collection.
    pub async fn collect_once(&self) {
        self.blobs.sweep(SweepLimits::default()).await.unwrap();
        let limits = CompactLimits { dead_percent: 0, ..CompactLimits::default() };
        self.blobs.compact(limits).await.unwrap();
        let mut after = None;
        loop {
            let report = self.blobs.collect_orphans(after.as_ref()).await.unwrap();
            after = report.next;
            if after.is_none() {
                return;
            }
        }
    }

    /// How many objects the engine holds, referenced or not.
    pub async fn kept(&self) -> usize {
        let (mut kept, mut after) = (0, None);
        loop {
            let listing = self.engine.list(after.as_ref()).await.unwrap();
            kept += listing.entries.len();
            after = listing.next;
            if after.is_none() {
                return kept;
            }
        }
    }

    pub async fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.blobs.verify(true, |finding| findings.push(finding)).await.unwrap();
        findings
    }

    pub async fn assert_sound(&self) {
        assert_eq!(self.findings().await, []);
    }

    /// Nothing is kept, and no row of any table is left.
    pub async fn assert_empty(&self) {
        self.assert_sound().await;
        assert_eq!(self.kept().await, 0);
        let tx = self.kv.read().await.unwrap();
        let rows = tx.range(kv::Range::prefix(b"b")).all().await.unwrap();
        // A retired extent is remembered for as long as somebody may still want to link from it.
        let rows: Vec<_> = rows.into_iter().filter(|(key, _)| !key.starts_with(b"bt")).collect();
        assert_eq!(rows, []);
    }
}

/// Opens segments as soon as those that were dropped are closed: the thread that made their last group durable
/// may need a moment to let go of them.
pub fn open_segments(directory: &TempDir, clock: &Clock) -> Segments {
    let options = SegmentsOptions { segment_bytes: 256 << 10, open_files: 8, ..SegmentsOptions::default() };
    loop {
        match Segments::open(&directory.path().join("blobs"), clock.clone(), options) {
            Err(OpenError::InUse(_)) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Content that does not shrink.
pub fn noise(len: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

/// Content that shrinks.
pub fn text(len: usize) -> Bytes {
    let lines =
        (0..).flat_map(|n: u64| format!("line {n} of a text that says much the same\r\n").into_bytes());
    lines.take(len).collect::<Vec<u8>>().into()
}
