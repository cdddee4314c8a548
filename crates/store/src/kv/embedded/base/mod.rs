//! fjall as the base of the embedded engine: views, and durable atomic batches. Nothing outside this directory
//! knows of fjall, so that another log-structured tree can take its place.

mod journal;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::open::OpenError;
use crate::kv::Error;
use crate::kv::engine::{KeyRange, Page, PageRequest, Version};

/// Bounds the time to reopen after a crash: what is in the journal is replayed.
const JOURNAL_BYTES: u64 = 128 << 20;
/// How large the tree's files get. Its second level has room for four of them and is written anew whenever the first
/// is merged into it, so this bounds how much that merge writes besides what is new to it. A tree keeps the size that it
/// was made with.
const FILE_BYTES: u64 = 16 << 20;
/// How many threads flush and merge. Of two, one does nothing but turn round and round while the other merges: the
/// first thread never merges, and puts every such job that it takes back into the queue it waits on.
const WORKERS: RangeInclusive<usize> = 3..=4;
const TREE: &str = "rows";
const KEYSPACE: &str = "rows";

/// The tree.
pub(super) struct Base {
    database: Database,
    rows: Keyspace,
    sync: bool,
}

/// A consistent view of the tree.
#[derive(Clone)]
pub(super) struct View {
    snapshot: fjall::Snapshot,
    rows: Keyspace,
}

/// Why a batch was not written.
pub(super) enum WriteError {
    /// The tree refused before it touched anything: an earlier write or a background job had failed.
    Refused,
    /// It may be on disk, now or after the next start.
    Unknown(String),
}

/// Whether there is a tree in `directory`.
pub(super) fn exists(directory: &Path) -> bool {
    directory.join(TREE).exists()
}

/// Makes a tree that holds `rows`, in one step: a crash leaves either none or all of it.
pub(super) fn create(directory: &Path, rows: Vec<(Bytes, Bytes)>) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: directory.to_owned(), error };
    let unfinished = directory.join("rows.unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    guarded(&unfinished, || {
        let (database, keyspace) = open_tree(&unfinished, 1 << 20)?;
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        rows.into_iter().for_each(|(key, value)| batch.insert(&keyspace, key, value));
        batch.commit()
    })?;
    fs::rename(&unfinished, directory.join(TREE)).map_err(io)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
}

impl Base {
    /// Opens the tree in `directory`; `noted` is the last commit known to be acknowledged.
    pub(super) fn open(
        directory: &Path,
        cache_bytes: u64,
        sync: bool,
        noted: Version,
    ) -> Result<Self, OpenError> {
        let path = directory.join(TREE);
        check_layout(&path)?;
        journal::check(&path, noted)?;
        let (database, rows) = guarded(&path, || open_tree(&path, cache_bytes))?;
        Ok(Self { database, rows, sync })
    }

    pub(super) fn view(&self) -> View {
        View { snapshot: self.database.snapshot(), rows: self.rows.clone() }
    }

    /// Applies all changes or none. Durable when it returns `Ok`; after an `Err` the tree takes no more writes.
    pub(super) fn write(&self, changes: BTreeMap<Bytes, Option<Bytes>>) -> Result<(), WriteError> {
        let mode = if self.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for (key, change) in changes {
            match change {
                Some(value) => batch.insert(&self.rows, key, value),
                None => batch.remove(&self.rows, key),
            }
        }
        batch.commit().map_err(|error| match error {
            fjall::Error::Poisoned => WriteError::Refused,
            other => WriteError::Unknown(other.to_string()),
        })
    }
}

impl View {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        readable(|| Ok(self.snapshot.get(&self.rows, key)?.map(Bytes::from)))
    }

    pub(super) fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        readable(|| {
            let mut iter = self.snapshot.range(&self.rows, range.begin.clone()..range.end.clone());
            let mut page = Page::default();
            let mut bytes = 0;
            loop {
                let next = if request.reverse { iter.next_back() } else { iter.next() };
                let Some(row) = next else { return Ok(page) };
                if page.rows.len() >= request.rows || bytes >= request.bytes {
                    page.more = true;
                    return Ok(page);
                }
                let (key, value) = row.into_inner()?;
                bytes += key.len() + value.len();
                page.rows.push((key.into(), value.into()));
            }
        })
    }
}

fn open_tree(path: &Path, cache_bytes: u64) -> fjall::Result<(Database, Keyspace)> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let database = Database::builder(path)
        .cache_size(cache_bytes)
        .worker_threads(processors.clamp(*WORKERS.start(), *WORKERS.end()))
        .max_journaling_size(JOURNAL_BYTES)
        .manual_journal_persist(true)
        .open()?;
    let leveled = || Arc::new(Leveled::default().with_table_target_size(FILE_BYTES));
    let rows =
        database.keyspace(KEYSPACE, || KeyspaceCreateOptions::default().compaction_strategy(leveled()))?;
    Ok((database, rows))
}

/// The tree takes a keyspace without its head for one that was never finished, and removes it with all that is
/// in it. So nothing is opened unless the heads of both, its own and ours, are there.
fn check_layout(tree: &Path) -> Result<(), OpenError> {
    for name in ["version", "keyspaces/0/current", "keyspaces/1/current"] {
        let path = tree.join(name);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() && found.len() > 0 => {}
            Ok(_) => return Err(OpenError::Damaged { path, what: "it is empty".to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Damaged { path, what: "it is missing".to_owned() });
            }
            Err(error) => return Err(OpenError::Io { path, error }),
        }
    }
    Ok(())
}

/// Opens something of the tree, which asserts on some damage instead of returning an error.
fn guarded<T>(path: &Path, open: impl FnOnce() -> fjall::Result<T>) -> Result<T, OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(fjall::Error::Locked)) => Err(OpenError::InUse(path.to_owned())),
        Ok(Err(fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)))) => {
            if is_damage(error.kind()) {
                return Err(damaged(format!("a file in it: {error}")));
            }
            Err(OpenError::Io { path: path.to_owned(), error })
        }
        Ok(Err(other)) => Err(damaged(other.to_string())),
        Err(_) => Err(damaged("the storage engine could not make sense of its files".to_owned())),
    }
}

/// Reads, with the tree's assertions on damaged files turned into errors.
fn readable<T>(read: impl FnOnce() -> fjall::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))))
            if !is_damage(error.kind()) =>
        {
            Err(Error::Unavailable(format!("reading the data directory failed: {error}")))
        }
        Ok(Err(other)) => Err(Error::Corrupt(format!("{other}; restore the data directory from a backup"))),
        Err(_) => {
            let why = "the storage engine could not make sense of its files; restore the data directory from a backup";
            Err(Error::Corrupt(why.to_owned()))
        }
    }
}

/// Whether an I/O error says that files are not what they were, rather than that the system could not read them.
const fn is_damage(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(kind, InvalidData | InvalidInput | NotFound | UnexpectedEof)
}
