//! Counts what crosses the contract, so that tests can assert what a hot path costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;

use super::engine::{Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch, Write};
use super::{Error, transaction};

/// An engine that counts and passes on.
pub struct Metered {
    inner: Arc<dyn Engine>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    snapshots: AtomicU64,
    read_rounds: AtomicU64,
    rows_read: AtomicU64,
    commits: AtomicU64,
    rows_written: AtomicU64,
    bytes_written: AtomicU64,
}

/// What has been done since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Snapshots taken: transactions begun.
    pub snapshots: u64,
    /// Round trips that read: one per get of any number of keys, one per page of a range.
    pub read_rounds: u64,
    /// Rows asked for by key or found in ranges.
    pub rows_read: u64,
    /// Commits tried.
    pub commits: u64,
    /// Writes in these commits.
    pub rows_written: u64,
    /// Bytes of keys and values in these commits.
    pub bytes_written: u64,
}

impl Metered {
    /// Counts on top of `inner`.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner, counters: Arc::default() }
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Counts {
        let c = &self.counters;
        Counts {
            snapshots: c.snapshots.swap(0, Relaxed),
            read_rounds: c.read_rounds.swap(0, Relaxed),
            rows_read: c.rows_read.swap(0, Relaxed),
            commits: c.commits.swap(0, Relaxed),
            rows_written: c.rows_written.swap(0, Relaxed),
            bytes_written: c.bytes_written.swap(0, Relaxed),
        }
    }
}

struct MeteredSnapshot {
    inner: Arc<dyn Snapshot>,
    counters: Arc<Counters>,
}

impl MeteredSnapshot {
    fn count(&self, rows: usize) {
        self.counters.read_rounds.fetch_add(1, Relaxed);
        self.counters.rows_read.fetch_add(rows as u64, Relaxed);
    }
}

#[async_trait]
impl Snapshot for MeteredSnapshot {
    fn version(&self) -> Version {
        self.inner.version()
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        self.count(keys.len());
        self.inner.get(keys).await
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        let page = self.inner.page(range, request).await?;
        self.count(page.rows.len());
        Ok(page)
    }
}

#[async_trait]
impl Engine for Metered {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.counters.snapshots.fetch_add(1, Relaxed);
        let inner = self.inner.snapshot().await?;
        Ok(Arc::new(MeteredSnapshot { inner, counters: self.counters.clone() }))
    }

    async fn commit(&self, mut commit: Commit) -> Result<Version, Error> {
        let snapshot = super::engine::downcast::<MeteredSnapshot>(commit.snapshot)?;
        commit.snapshot = snapshot.inner.clone();
        self.counters.commits.fetch_add(1, Relaxed);
        self.counters.rows_written.fetch_add(commit.writes.len() as u64, Relaxed);
        let bytes: usize = commit.writes.iter().map(size).sum();
        self.counters.bytes_written.fetch_add(bytes as u64, Relaxed);
        self.inner.commit(commit).await
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.inner.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        self.inner.loses_commit_answers()
    }

    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }
}

fn size(write: &Write) -> usize {
    match write {
        Write::Set(key, value) => key.len() + value.len(),
        Write::Clear(key) => key.len(),
        Write::ClearRange(range) => range.begin.len() + range.end.len(),
        Write::Add(key, amount) => key.len() + transaction::added(None, *amount).len(),
    }
}
