//! The engine that lives inside the process: a log-structured tree on the local disk behind our own optimistic
//! commit queue. Durable means one fsync for all transactions that wait at the moment.

mod base;
mod disk;
mod history;
mod open;
mod queue;
mod sequence;
mod watches;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::queue::{Published, Queue};
use super::Error;
use super::engine::{self, Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch};

pub use self::open::OpenError;

/// How an embedded store is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmbeddedOptions {
    /// Memory for blocks read from disk, in bytes.
    pub cache_bytes: u64,
    /// Disk space kept free, in bytes: below it the store refuses writes. At most a twentieth of the disk.
    pub reserve_bytes: u64,
    /// Whether commits are made durable. `false` is for one test only: the power-loss test's negative control.
    pub sync: bool,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, reserve_bytes: 256 << 20, sync: true }
    }
}

/// The embedded engine.
pub struct Embedded {
    queue: Arc<Queue>,
}

impl Embedded {
    /// Opens or creates the store in `directory`. Refuses a directory that another process has open, that is
    /// damaged, or that has lost acknowledged commits.
    pub fn open(directory: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| OpenError::Io { path: directory.to_owned(), error })?;
        let base = base::Base::open(&directory.join("rows"), options.cache_bytes, options.sync)?;
        let sequence = sequence::Sequence::open(directory, &base.view())?;
        let free_space = disk::FreeSpace::new(directory, options.reserve_bytes);
        Ok(Self { queue: Arc::new(Queue::new(base, sequence, free_space)) })
    }
}

struct EmbeddedSnapshot(Arc<Published>);

#[async_trait]
impl Snapshot for EmbeddedSnapshot {
    fn version(&self) -> Version {
        self.0.version
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        keys.iter().map(|key| self.0.view.get(key)).collect()
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        let behind_all = Bytes::from_static(&[sequence::RESERVED]);
        let range = KeyRange { begin: range.begin.clone(), end: range.end.clone().min(behind_all) };
        self.0.view.page(&range, request)
    }
}

#[async_trait]
impl Engine for Embedded {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(EmbeddedSnapshot(self.queue.published())))
    }

    async fn commit(&self, commit: Commit) -> Result<Version, Error> {
        let snapshot = engine::downcast::<EmbeddedSnapshot>(commit.snapshot)?;
        let version = snapshot.version();
        drop(snapshot);
        self.queue.commit(version, commit.reads, commit.writes).await
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.queue.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        false
    }

    fn health(&self) -> Result<(), Error> {
        self.queue.health()
    }
}
