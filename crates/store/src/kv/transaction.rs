//! One transaction: a snapshot, what it read, and what it wants to write. Reads see the transaction's own
//! writes. The limits of FoundationDB are checked here, for every engine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::engine::{Commit, KeyRange, Page, PageRequest, Snapshot, Watch, Write, after_key};
use super::range::{Range, Rows};
use super::{Engine, Error, limits};
use crate::meters::METERS;

/// Keys that begin with this belong to the engines.
const RESERVED: u8 = 0xff;

/// A transaction in progress. Cheap to clone; all clones are the same transaction. Several reads may be under
/// way at once.
///
/// Reads are serialisable unless they are of the `snapshot_` kind: if what they saw has changed when the
/// transaction commits, it is run again.
#[derive(Clone)]
pub struct Transaction(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    snapshot: Arc<dyn Snapshot>,
    begun: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reads: Vec<KeyRange>,
    cleared: Vec<KeyRange>,
    writes: BTreeMap<Bytes, Pending>,
    size: usize,
    failed: Option<Error>,
}

/// What the transaction does to one key.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Pending {
    Set(Bytes),
    Clear,
    Add(i64),
}

impl Transaction {
    pub(super) async fn begin(engine: Arc<dyn Engine>) -> Result<Self, Error> {
        let snapshot = engine.snapshot().await?;
        let begun = Instant::now();
        Ok(Self(Arc::new(Inner { engine, snapshot, begun, state: Mutex::default() })))
    }

    /// The value of a key.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Error> {
        let mut values = self.get_many(vec![key.into()]).await?;
        Ok(values.pop().flatten())
    }

    /// The values of several keys, in the order asked: one round trip.
    pub async fn get_many(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, Error> {
        keys.iter().try_for_each(|key| check_key(key))?;
        {
            let mut state = self.0.state.lock();
            for key in &keys {
                if state.own(key).is_none() {
                    state.conflict_on(KeyRange::key(key))?;
                }
            }
        }
        self.read_many(keys).await
    }

    /// Like [`Self::get`], but a later change of the key by others is no conflict.
    pub async fn snapshot_get(&self, key: impl Into<Bytes>) -> Result<Option<Bytes>, Error> {
        let mut values = self.read_many(vec![key.into()]).await?;
        Ok(values.pop().flatten())
    }

    /// Like [`Self::get_many`], but later changes by others are no conflict.
    pub async fn snapshot_get_many(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, Error> {
        self.read_many(keys).await
    }

    /// The rows of a range, streamed in pages. What was read of it is a conflict range, unless the range says
    /// snapshot; rows that others add to that part later (phantoms) conflict too.
    pub fn range(&self, range: Range) -> Rows {
        Rows::new(self.clone(), range)
    }

    /// Sets a key.
    pub fn set(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Result<(), Error> {
        let (key, value) = (key.into(), value.into());
        check("a value", value.len(), limits::VALUE)?;
        self.write(key, Pending::Set(value))
    }

    /// Removes a key, there or not.
    pub fn clear(&self, key: impl Into<Bytes>) -> Result<(), Error> {
        self.write(key.into(), Pending::Clear)
    }

    /// Removes every key of a range. Reserved keys stay, even if the range reaches behind 0xff.
    pub fn clear_range(&self, mut range: KeyRange) -> Result<(), Error> {
        range.end = range.end.min(Bytes::from_static(&[RESERVED]));
        if range.is_empty() {
            return Ok(());
        }
        let mut state = self.0.state.lock();
        state.grow(range.begin.len() + range.end.len())?;
        let inside = (Bound::Included(range.begin.clone()), Bound::Excluded(range.end.clone()));
        let overwritten: Vec<Bytes> = state.writes.range(inside).map(|(key, _)| key.clone()).collect();
        for key in overwritten {
            state.writes.remove(&key);
        }
        state.cleared.push(range);
        Ok(())
    }

    /// Adds to a counter (little-endian i64, missing counts as zero) without reading it: additions by several
    /// transactions do not conflict.
    pub fn add(&self, key: impl Into<Bytes>, amount: i64) -> Result<(), Error> {
        self.write(key.into(), Pending::Add(amount))
    }

    /// Makes the commit conflict if others change `range` meanwhile, as if it had been read.
    pub fn conflict_on(&self, range: KeyRange) -> Result<(), Error> {
        self.0.state.lock().conflict_on(range)
    }

    /// Watches a key for changes by others after this transaction's snapshot.
    pub fn watch(&self, key: &[u8]) -> Watch {
        self.0.engine.watch(key, self.0.snapshot.version())
    }

    /// The version of the snapshot that this transaction reads.
    pub fn version(&self) -> super::Version {
        self.0.snapshot.version()
    }

    /// Bytes of keys and values that the commit will carry so far: long work cuts itself by this.
    pub fn size(&self) -> usize {
        self.0.state.lock().size
    }

    /// Whether there is nothing to commit.
    pub fn is_read_only(&self) -> bool {
        let state = self.0.state.lock();
        state.writes.is_empty() && state.cleared.is_empty()
    }

    /// The error of the engine that made an attempt fail, whatever the closure turned it into.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.state.lock().failed.clone()
    }

    /// Applies the writes. A read-only transaction saw one consistent snapshot and has nothing to prove.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.check_age()?;
        let commit = {
            let mut state = self.0.state.lock();
            if state.writes.is_empty() && state.cleared.is_empty() {
                return Ok(());
            }
            let cleared = std::mem::take(&mut state.cleared).into_iter().map(Write::ClearRange);
            let pending = std::mem::take(&mut state.writes).into_iter().map(|(key, pending)| match pending {
                Pending::Set(value) => Write::Set(key, value),
                Pending::Clear => Write::Clear(key),
                Pending::Add(amount) => Write::Add(key, amount),
            });
            let writes = cleared.chain(pending).collect();
            Commit { snapshot: self.0.snapshot.clone(), reads: std::mem::take(&mut state.reads), writes }
        };
        let began = Instant::now();
        let committed = self.0.engine.commit(commit).await;
        METERS.commit_time.record(began.elapsed());
        METERS.committed(&committed);
        committed.map(|_version| ())
    }

    /// A page of the engine's rows with the transaction's own writes laid over it, and the part of the range
    /// that the page speaks for: up to its last row if there is more, else all of it.
    pub(super) async fn page(
        &self,
        range: &KeyRange,
        request: PageRequest,
    ) -> Result<(Page, KeyRange), Error> {
        self.check_age()?;
        let page = self.note(self.0.snapshot.page(range, request).await)?;
        METERS.read(page.rows.len());
        let spoken_for = match page.rows.last() {
            Some((last, _)) if page.more && request.reverse => {
                KeyRange { begin: last.clone(), end: range.end.clone() }
            }
            Some((last, _)) if page.more => KeyRange { begin: range.begin.clone(), end: after_key(last) },
            _ => range.clone(),
        };
        let state = self.0.state.lock();
        if state.writes.is_empty() && state.cleared.is_empty() {
            return Ok((page, spoken_for));
        }
        Ok((state.overlay(&spoken_for, request.reverse, page), spoken_for))
    }

    async fn read_many(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, Error> {
        self.check_age()?;
        keys.iter().try_for_each(|key| check_key(key))?;
        let mut known: Vec<Option<Option<Bytes>>> = Vec::with_capacity(keys.len());
        let mut asked = Vec::new();
        {
            let state = self.0.state.lock();
            for key in &keys {
                let own = state.own(key);
                if own.is_none() {
                    asked.push(key.clone());
                }
                known.push(own);
            }
        }
        let mut stored =
            if asked.is_empty() { Vec::new() } else { self.note(self.0.snapshot.get(&asked).await)? }
                .into_iter();
        if !asked.is_empty() {
            METERS.read(asked.len());
        }
        let state = self.0.state.lock();
        let values = keys.iter().zip(known).map(|(key, known)| match known {
            Some(value) => value,
            None => {
                let value = stored.next().flatten();
                match state.writes.get(key) {
                    Some(Pending::Add(amount)) => Some(added(value.as_deref(), *amount)),
                    _ => value,
                }
            }
        });
        Ok(values.collect())
    }

    fn write(&self, key: Bytes, pending: Pending) -> Result<(), Error> {
        check_key(&key)?;
        let mut state = self.0.state.lock();
        let size = match &pending {
            Pending::Set(value) => value.len(),
            Pending::Clear => 0,
            Pending::Add(_) => 8,
        };
        state.grow(key.len() + size)?;
        let pending = match pending {
            Pending::Add(amount) => match state.own(&key) {
                Some(value) => Pending::Set(added(value.as_deref(), amount)),
                None => match state.writes.get(&key) {
                    Some(Pending::Add(before)) => Pending::Add(before.wrapping_add(amount)),
                    _ => Pending::Add(amount),
                },
            },
            other => other,
        };
        state.writes.insert(key, pending);
        Ok(())
    }

    fn check_age(&self) -> Result<(), Error> {
        let aged = if self.0.begun.elapsed() > limits::AGE { Err(Error::TooOld) } else { Ok(()) };
        self.note(aged)
    }

    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.0.state.lock().failed = Some(error.clone());
        }
        result
    }
}

impl State {
    /// What the transaction's own writes say of a key; `None` if they need the stored value or say nothing.
    fn own(&self, key: &[u8]) -> Option<Option<Bytes>> {
        match self.writes.get(key) {
            Some(Pending::Set(value)) => Some(Some(value.clone())),
            Some(Pending::Clear) => Some(None),
            Some(Pending::Add(_)) => None,
            None if self.cleared.iter().any(|r| r.contains(key)) => Some(None),
            None => None,
        }
    }

    fn conflict_on(&mut self, range: KeyRange) -> Result<(), Error> {
        if self.reads.last() != Some(&range) && !range.is_empty() {
            self.grow(range.begin.len() + range.end.len())?;
            self.reads.push(range);
        }
        Ok(())
    }

    fn grow(&mut self, by: usize) -> Result<(), Error> {
        self.size += by;
        check("a transaction", self.size, limits::TRANSACTION)
    }

    /// Merges own writes into a page that speaks for all of `range`.
    fn overlay(&self, range: &KeyRange, reverse: bool, page: Page) -> Page {
        let kept = |key: &Bytes| !self.cleared.iter().any(|r| r.contains(key));
        let mut rows: BTreeMap<Bytes, Bytes> = page.rows.into_iter().filter(|(key, _)| kept(key)).collect();
        let inside = (Bound::Included(range.begin.clone()), Bound::Excluded(range.end.clone()));
        for (key, pending) in self.writes.range(inside) {
            match pending {
                Pending::Set(value) => rows.insert(key.clone(), value.clone()),
                Pending::Clear => rows.remove(key),
                Pending::Add(amount) => {
                    let value = added(rows.get(key).map(|v| &**v), *amount);
                    rows.insert(key.clone(), value)
                }
            };
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        if reverse {
            rows.reverse();
        }
        Page { rows, more: page.more }
    }
}

fn check_key(key: &[u8]) -> Result<(), Error> {
    if key.first() == Some(&RESERVED) {
        return Err(Error::Reserved);
    }
    check("a key", key.len(), limits::KEY)
}

fn check(what: &'static str, size: usize, limit: usize) -> Result<(), Error> {
    if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) }
}

/// A counter's value after an addition. A value of another length is cut or filled with zeros, as
/// FoundationDB's ADD does.
pub(super) fn added(value: Option<&[u8]>, amount: i64) -> Bytes {
    let before = counter(value.unwrap_or_default());
    Bytes::copy_from_slice(&before.wrapping_add(amount).to_le_bytes())
}

/// Reads a counter that [`Transaction::add`] keeps.
pub fn counter(value: &[u8]) -> i64 {
    let mut bytes = [0; 8];
    let len = value.len().min(8);
    bytes[..len].copy_from_slice(&value[..len]);
    i64::from_le_bytes(bytes)
}
