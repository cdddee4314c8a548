//! fjall as the base of the embedded engine: views, and durable atomic batches. Nothing outside this file knows
//! of fjall, so that another log-structured tree can take its place.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::open::OpenError;
use crate::kv::Error;
use crate::kv::engine::{KeyRange, Page, PageRequest};

/// Bounds the time to reopen after a crash: what is in the journal is replayed.
const JOURNAL_BYTES: u64 = 128 << 20;

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

impl Base {
    pub(super) fn open(path: &Path, cache_bytes: u64, sync: bool) -> Result<Self, OpenError> {
        let damaged = |error: fjall::Error| match error {
            fjall::Error::Locked => OpenError::InUse(path.to_owned()),
            fjall::Error::Io(error) => OpenError::Io { path: path.to_owned(), error },
            other => OpenError::Damaged { path: path.to_owned(), what: other.to_string() },
        };
        let open = || {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .max_journaling_size(JOURNAL_BYTES)
                .manual_journal_persist(true)
                .open()?;
            let rows = database.keyspace("rows", KeyspaceCreateOptions::default)?;
            Ok((database, rows))
        };
        // fjall asserts on some damage instead of returning an error.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
        let (database, rows) = match opened {
            Ok(opened) => opened.map_err(damaged)?,
            Err(_) => {
                let what = "the storage engine could not make sense of its files".to_owned();
                return Err(OpenError::Damaged { path: path.to_owned(), what });
            }
        };
        Ok(Self { database, rows, sync })
    }

    pub(super) fn view(&self) -> View {
        View { snapshot: self.database.snapshot(), rows: self.rows.clone() }
    }

    /// Applies all changes or none. Durable when it returns `Ok`; after an `Err` nothing can be said, and the
    /// tree takes no more writes.
    pub(super) fn write(&self, changes: BTreeMap<Bytes, Option<Bytes>>) -> Result<(), fjall::Error> {
        let mode = if self.sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for (key, change) in changes {
            match change {
                Some(value) => batch.insert(&self.rows, key, value),
                None => batch.remove(&self.rows, key),
            }
        }
        batch.commit()
    }
}

impl View {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.snapshot.get(&self.rows, key).map_err(unreadable)?;
        Ok(value.map(Bytes::from))
    }

    pub(super) fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        if range.is_empty() {
            return Ok(Page::default());
        }
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
            let (key, value) = row.into_inner().map_err(unreadable)?;
            bytes += key.len() + value.len();
            page.rows.push((key.into(), value.into()));
        }
    }
}

fn unreadable(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Io(error) => Error::Unavailable(format!("reading the data directory failed: {error}")),
        other => Error::Corrupt(format!("{other}; restore the data directory from a backup")),
    }
}
