//! An engine that keeps rows in memory and loses them with the process: for tests and fuzzing of those who use a
//! store, thousands of times a second. It keeps the contract but for durability, and gets a whole store ready by
//! [`Memory::fork`] in no time.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::engine::{self, Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch, Write};
use super::{Error, transaction};

type Rows = BTreeMap<Bytes, Bytes>;

/// The engine.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    version: Version,
    rows: Arc<Rows>,
    /// What the last commits wrote, oldest first.
    history: VecDeque<(Version, Vec<KeyRange>)>,
    /// Nothing is known of commits up to here.
    floor: Version,
    watches: Vec<(Bytes, oneshot::Sender<()>)>,
}

impl Memory {
    /// How many commits a transaction may be behind.
    const HISTORY: usize = 10_000;

    /// A store without a row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store that begins with the rows of this one. They are shared until one of the two writes.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.0.lock();
        let (version, rows) = (state.version, state.rows.clone());
        Self(Mutex::new(State { version, rows, floor: version, ..State::default() }))
    }
}

struct View {
    version: Version,
    rows: Arc<Rows>,
}

#[async_trait]
impl Snapshot for View {
    fn version(&self) -> Version {
        self.version
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        Ok(keys.iter().map(|key| self.rows.get(key).cloned()).collect())
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        let rows = self.rows.range(bounds(range));
        Ok(if request.reverse { page(rows.rev(), request) } else { page(rows, request) })
    }
}

fn page<'a>(rows: impl Iterator<Item = (&'a Bytes, &'a Bytes)>, request: PageRequest) -> Page {
    let (mut page, mut bytes) = (Page::default(), 0);
    for (key, value) in rows {
        if page.rows.len() == request.rows || bytes >= request.bytes {
            page.more = true;
            break;
        }
        bytes += key.len() + value.len();
        page.rows.push((key.clone(), value.clone()));
    }
    page
}

fn bounds(range: &KeyRange) -> (Bound<Bytes>, Bound<Bytes>) {
    (Bound::Included(range.begin.clone()), Bound::Excluded(range.end.clone()))
}

#[async_trait]
impl Engine for Memory {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        let state = self.0.lock();
        Ok(Arc::new(View { version: state.version, rows: state.rows.clone() }))
    }

    async fn commit(&self, commit: Commit) -> Result<Version, Error> {
        let view = engine::downcast::<View>(commit.snapshot)?;
        let seen = view.version;
        // Where nobody else looks at the rows, they are changed in place.
        drop(view);
        let mut state = self.0.lock();
        state.check(seen, &commit.reads)?;
        Ok(state.apply(commit.writes))
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        let (changed, watch) = oneshot::channel();
        let mut state = self.0.lock();
        if !state.changed_since(seen, &KeyRange::key(key)) {
            state.watches.retain(|(_, watch)| !watch.is_closed());
            state.watches.push((Bytes::copy_from_slice(key), changed));
        }
        Watch(watch)
    }

    fn loses_commit_answers(&self) -> bool {
        false
    }

    fn health(&self) -> Result<(), Error> {
        Ok(())
    }
}

impl State {
    /// Whether all that was read at `seen` is still so.
    fn check(&self, seen: Version, reads: &[KeyRange]) -> Result<(), Error> {
        if seen < self.floor && !reads.is_empty() {
            return Err(Error::TooOld);
        }
        match reads.iter().any(|read| self.changed_since(seen, read)) {
            true => Err(Error::Conflict { attempts: 1 }),
            false => Ok(()),
        }
    }

    /// Whether a commit after `seen` wrote to `keys`, or may have.
    fn changed_since(&self, seen: Version, keys: &KeyRange) -> bool {
        let fresh = self.history.iter().rev().take_while(|(version, _)| *version > seen);
        let overlaps = |written: &KeyRange| written.begin < keys.end && keys.begin < written.end;
        seen < self.floor || fresh.flat_map(|(_, written)| written).any(overlaps)
    }

    fn apply(&mut self, writes: Vec<Write>) -> Version {
        self.version += 1;
        let rows = Arc::make_mut(&mut self.rows);
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                Write::Set(key, value) => {
                    written.push(KeyRange::key(&key));
                    rows.insert(key, value);
                }
                Write::Clear(key) => {
                    written.push(KeyRange::key(&key));
                    rows.remove(&key);
                }
                Write::Add(key, amount) => {
                    written.push(KeyRange::key(&key));
                    let sum = transaction::added(rows.get(&key).map(AsRef::as_ref), amount);
                    rows.insert(key, sum);
                }
                Write::ClearRange(range) if range.is_empty() => {}
                Write::ClearRange(range) => {
                    rows.extract_if(bounds(&range), |_, _| true).for_each(drop);
                    written.push(range);
                }
            }
        }
        self.watches.retain(|(key, _)| !written.iter().any(|range| range.contains(key)));
        self.history.push_back((self.version, written));
        if self.history.len() > Memory::HISTORY
            && let Some((version, _)) = self.history.pop_front()
        {
            self.floor = version;
        }
        self.version
    }
}
