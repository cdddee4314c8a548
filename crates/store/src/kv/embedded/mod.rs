//! The engine that lives inside the process: a log-structured tree on the local disk behind our own optimistic
//! commit queue. Durable means one fsync for all transactions that wait at the moment.

mod base;
mod gaps;
mod history;
mod lock;
mod open;
mod queue;
mod sequence;
mod watches;

use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use bytes::Bytes;

use self::gaps::Gaps;
use self::queue::{Leader, Published, Queue};
use super::Error;
use super::engine::{self, Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch};
use crate::disk::FreeSpace;

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
    leader: Option<JoinHandle<()>>,
}

/// How many commits shared how many fsyncs, since the store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CommitStats {
    /// Groups written: one batch and one fsync each.
    pub groups: u64,
    /// Transactions in these groups.
    pub transactions: u64,
}

impl Embedded {
    /// Opens or creates the store in `directory`. Refuses a directory that another process has open, that is
    /// damaged, or that has lost acknowledged commits. Reads files: not for a thread that must not wait.
    pub fn open(directory: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        let (queue, leader) = open(directory, options)?;
        let queue = Arc::new(queue);
        let led = queue.clone();
        let thread = Builder::new().name("kv-commit".to_owned()).spawn(move || led.lead(leader));
        let thread = thread.map_err(|error| OpenError::Io { path: directory.to_owned(), error })?;
        Ok(Self { queue, leader: Some(thread) })
    }

    /// What the commit queue has done so far.
    pub fn stats(&self) -> CommitStats {
        self.queue.stats()
    }
}

fn open(directory: &Path, options: EmbeddedOptions) -> Result<(Queue, Leader), OpenError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| OpenError::Io { path: directory.to_owned(), error })?;
    let lock = lock::Lock::take(directory)?;
    let exists = base::exists(directory);
    let note = sequence::Note::open(directory, exists)?;
    if !exists {
        note.check_new(directory)?;
        base::create(directory, sequence::Sequence::first_rows())?;
    }
    let base = base::Base::open(directory, options.cache_bytes, options.sync, note.number())?;
    let sequence = sequence::Sequence::open(directory, &base.view(), note)?;
    let free_space = FreeSpace::new(directory, options.reserve_bytes);
    Ok(Queue::new(base, sequence, free_space, lock))
}

impl Drop for Embedded {
    /// Waits for the group that is being written. Then the directory may be opened again.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(leader) = self.leader.take() {
            let _poisoned_if_it_panicked = leader.join();
        }
    }
}

struct EmbeddedSnapshot {
    published: Arc<Published>,
    gaps: Arc<Gaps>,
}

#[async_trait]
impl Snapshot for EmbeddedSnapshot {
    fn version(&self) -> Version {
        self.published.version
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        keys.iter().map(|key| self.published.view.get(key)).collect()
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        let behind_all = Bytes::from_static(&[sequence::RESERVED]);
        let range = KeyRange { begin: range.begin.clone(), end: range.end.clone().min(behind_all) };
        let Published { version, view } = &*self.published;
        if !request.drained || request.reverse {
            return view.page(&range, request);
        }
        let page = view.page(&self.gaps.shorten(&range, *version), request)?;
        match page.rows.first() {
            Some((first, _)) => self.gaps.learn(&range.begin, first, *version),
            None if !page.more => self.gaps.learn(&range.begin, &range.end, *version),
            None => {}
        }
        Ok(page)
    }
}

#[async_trait]
impl Engine for Embedded {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(EmbeddedSnapshot { published: self.queue.published(), gaps: self.queue.gaps() }))
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
