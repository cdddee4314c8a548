//! What an engine must provide. Everything else (read-your-writes, limits, retries, conflict ranges) is done
//! once, above it, in [`super::Transaction`] and [`super::Kv`].

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Error;

/// Orders commits. Zero is before the first.
pub type Version = u64;

/// The keys from `begin` (inclusive) to `end` (exclusive).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRange {
    /// The first key.
    pub begin: Bytes,
    /// The key after the last.
    pub end: Bytes,
}

impl KeyRange {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { begin: Bytes::copy_from_slice(prefix), end: after_prefix(prefix) }
    }

    /// The one key `key`.
    pub fn key(key: &[u8]) -> Self {
        Self { begin: Bytes::copy_from_slice(key), end: after_key(key) }
    }

    /// Whether `key` is inside.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.begin <= *key && *key < *self.end
    }

    /// Whether no key can be inside.
    pub fn is_empty(&self) -> bool {
        self.begin >= self.end
    }
}

/// The smallest key greater than `key`.
pub fn after_key(key: &[u8]) -> Bytes {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after.into()
}

/// The smallest key greater than every key with this prefix; a prefix of only 0xff bytes has no such key, and
/// gets one longer than any key may be.
fn after_prefix(prefix: &[u8]) -> Bytes {
    match prefix.iter().rposition(|b| *b != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => vec![0xff; super::limits::KEY + 1].into(),
    }
}

/// One change that a commit makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Sets a key.
    Set(Bytes, Bytes),
    /// Removes a key.
    Clear(Bytes),
    /// Removes all keys in a range. Applied before the other writes of the same commit.
    ClearRange(KeyRange),
    /// Adds to a little-endian i64; a missing key counts as zero. Wraps on overflow.
    Add(Bytes, i64),
}

/// What a transaction asks an engine to apply, all or nothing.
pub struct Commit {
    /// The snapshot that the transaction read from.
    pub snapshot: Arc<dyn Snapshot>,
    /// What it read: if any of it changed since the snapshot, the commit fails with a conflict.
    pub reads: Vec<KeyRange>,
    /// What it writes, range clears first; each key occurs in at most one of the other kinds.
    pub writes: Vec<Write>,
}

/// A page of rows in key order (or its reverse).
#[derive(Default, Debug)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Bytes, Bytes)>,
    /// Whether the range holds more rows behind the last one.
    pub more: bool,
}

/// How much of a range to read at once, and from which end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// At most this many rows.
    pub rows: usize,
    /// Stop after the row that brings the page to this many bytes.
    pub bytes: usize,
    /// From the end towards the beginning.
    pub reverse: bool,
    /// Rows are taken away from the beginning of this range again and again: an engine that has to step over what was
    /// removed may remember where the first one is.
    pub drained: bool,
}

/// A consistent view of the whole store at one version.
#[async_trait]
pub trait Snapshot: Any + Send + Sync {
    /// The version of the last commit in the view.
    fn version(&self) -> Version;

    /// Reads several keys in one round, in the order asked.
    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error>;

    /// Reads a page of a range in one round.
    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error>;
}

/// Resolves when a watched key has changed, or may have. A spurious wake-up is allowed, a missed change is not.
pub struct Watch(pub(super) oneshot::Receiver<()>);

impl Watch {
    /// Waits for the change. Also returns when the engine goes away: look again, and see.
    pub async fn changed(self) {
        let _gone_counts_as_changed = self.0.await;
    }
}

/// A storage engine. `store/tests/contract` is run against every implementation.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// A view that holds every commit that was acknowledged before the call, and only durable ones.
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error>;

    /// Applies a commit if nothing that it read has changed. When this returns `Ok` the writes are durable and
    /// every later snapshot holds them.
    async fn commit(&self, commit: Commit) -> Result<Version, Error>;

    /// Watches `key` for commits after `seen`.
    fn watch(&self, key: &[u8], seen: Version) -> Watch;

    /// Whether a commit may fail without anyone knowing if it was applied, other than by poisoning the store.
    fn loses_commit_answers(&self) -> bool;

    /// `Err` with the reason if the store refuses writes: readiness is red.
    fn health(&self) -> Result<(), Error>;
}

/// The engine's own kind of snapshot, given back to it in a commit.
pub(super) fn downcast<T: Any + Send + Sync>(snapshot: Arc<dyn Snapshot>) -> Result<Arc<T>, Error> {
    let any: Arc<dyn Any + Send + Sync> = snapshot;
    any.downcast()
        .map_err(|_| Error::Unavailable("the snapshot is of another engine (a bug in Magpie)".into()))
}
