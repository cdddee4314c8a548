//! The optimistic commit queue: whoever finds no leader leads. The leader takes everybody who waits, checks
//! what each has read against what was written meanwhile, writes the rest as one batch with one fsync, makes
//! it visible, and wakes them all. While it works the next group gathers.
//!
//! There is no committer thread that must first be woken: at one writer that hand-over would cost more than
//! the fsync. Only durable data is ever visible: snapshots are taken of the last acknowledged group.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::base::{Base, View};
use super::disk::FreeSpace;
use super::history::{History, Verdict};
use super::sequence::Sequence;
use super::watches::Watches;
use crate::kv::engine::{KeyRange, PageRequest, Version, Watch, Write};
use crate::kv::{Error, transaction};

/// The queue and what it guards.
pub(super) struct Queue {
    base: Base,
    waiting: Mutex<Waiting>,
    leader: Mutex<Leader>,
    published: Mutex<Arc<Published>>,
    watches: Mutex<Watches>,
    poisoned: Mutex<Option<String>>,
    free_space: FreeSpace,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    led: bool,
}

struct Request {
    snapshot: Version,
    reads: Vec<KeyRange>,
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<Version, Error>>,
}

struct Leader {
    history: History,
    sequence: Sequence,
}

/// The newest durable state.
pub(super) struct Published {
    pub(super) version: Version,
    pub(super) view: View,
}

/// A group while it is put together.
struct Group {
    version: Version,
    changes: BTreeMap<Bytes, Option<Bytes>>,
    accepted: Vec<oneshot::Sender<Result<Version, Error>>>,
}

impl Queue {
    pub(super) fn new(base: Base, sequence: Sequence, free_space: FreeSpace) -> Self {
        let version = sequence.last();
        let published = Arc::new(Published { version, view: base.view() });
        let leader = Leader { history: History::new(version), sequence };
        Self {
            base,
            waiting: Mutex::default(),
            leader: Mutex::new(leader),
            published: Mutex::new(published),
            watches: Mutex::new(Watches::new(version)),
            poisoned: Mutex::default(),
            free_space,
        }
    }

    pub(super) fn published(&self) -> Arc<Published> {
        self.published.lock().clone()
    }

    /// Commits, in a group with whoever else is waiting.
    pub(super) async fn commit(
        self: &Arc<Self>,
        snapshot: Version,
        reads: Vec<KeyRange>,
        writes: Vec<Write>,
    ) -> Result<Version, Error> {
        let (answer, answered) = oneshot::channel();
        let lead = {
            let mut waiting = self.waiting.lock();
            waiting.requests.push(Request { snapshot, reads, writes, answer });
            !std::mem::replace(&mut waiting.led, true)
        };
        if lead {
            let queue = self.clone();
            tokio::task::spawn_blocking(move || queue.lead());
        }
        answered.await.unwrap_or_else(|_| Err(Error::Unavailable("the store is shutting down".into())))
    }

    pub(super) fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.watches.lock().register(key, seen)
    }

    pub(super) fn health(&self) -> Result<(), Error> {
        match &*self.poisoned.lock() {
            Some(why) => Err(Error::Unavailable(why.clone())),
            None => self.free_space.check(),
        }
    }

    fn lead(&self) {
        let mut leader = self.leader.lock();
        loop {
            let requests = {
                let mut waiting = self.waiting.lock();
                if waiting.requests.is_empty() {
                    waiting.led = false;
                    return;
                }
                std::mem::take(&mut waiting.requests)
            };
            self.commit_group(&mut leader, requests);
        }
    }

    fn commit_group(&self, leader: &mut Leader, requests: Vec<Request>) {
        if let Err(error) = self.health() {
            for request in requests {
                let _gone = request.answer.send(Err(error.clone()));
            }
            return;
        }
        let view = self.published().view.clone();
        let version = leader.sequence.last() + 1;
        let mut group = Group { version, changes: BTreeMap::new(), accepted: Vec::new() };
        for request in requests {
            let verdict = match leader.history.check(request.snapshot, &request.reads) {
                Verdict::Conflict => Err(Error::Conflict { attempts: 1 }),
                Verdict::TooOld => Err(Error::TooOld),
                Verdict::Clean => group.accept(&view, &mut leader.history, request.writes),
            };
            match verdict {
                Ok(()) => group.accepted.push(request.answer),
                Err(error) => {
                    let _gone = request.answer.send(Err(error));
                }
            }
        }
        if !group.accepted.is_empty() {
            self.write_group(leader, group);
        }
        leader.history.prune();
    }

    fn write_group(&self, leader: &mut Leader, mut group: Group) {
        let written: Vec<Bytes> = group.changes.keys().cloned().collect();
        let (number, checksum, rows) = leader.sequence.next(content_checksum(&group.changes));
        group.changes.extend(rows);
        if let Err(error) = self.base.write(group.changes) {
            let why = format!(
                "writing commit {number} failed ({error}); what is on disk is unknown, so no more writes are taken: \
                 check the disk and restart"
            );
            tracing::error!(commit = number, %error, "the store is poisoned: a write or fsync failed");
            *self.poisoned.lock() = Some(why);
            for answer in group.accepted {
                let _gone = answer.send(Err(Error::CommitUnknown));
            }
            return;
        }
        if let Err(error) = leader.sequence.acknowledged(number, checksum) {
            tracing::warn!(%error, "cannot note the commit number beside the store: a later gap may go unnoticed");
        }
        self.publish(number, written);
        for answer in group.accepted {
            let _gone = answer.send(Ok(number));
        }
    }

    fn publish(&self, version: Version, written: Vec<Bytes>) {
        let mut watches = self.watches.lock();
        *self.published.lock() = Arc::new(Published { version, view: self.base.view() });
        watches.publish(version, written);
    }
}

impl Group {
    fn accept(&mut self, view: &View, history: &mut History, writes: Vec<Write>) -> Result<(), Error> {
        let mut keys = Vec::with_capacity(writes.len());
        let mut cleared = Vec::new();
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                Write::Set(key, value) => changes.push((key, Some(value))),
                Write::Clear(key) => changes.push((key, None)),
                Write::Add(key, amount) => {
                    let before = match self.changes.get(&key) {
                        Some(pending) => pending.clone(),
                        None => view.get(&key)?,
                    };
                    changes.push((key, Some(transaction::added(before.as_deref(), amount))));
                }
                Write::ClearRange(range) => {
                    changes.extend(self.keys_in(view, &range)?.into_iter().map(|key| (key, None)));
                    cleared.push(range);
                }
            }
        }
        for (key, change) in changes {
            keys.push(key.clone());
            self.changes.insert(key, change);
        }
        history.record(self.version, keys, cleared);
        Ok(())
    }

    /// Which keys a range clear removes: those stored, and those written earlier in the group.
    fn keys_in(&self, view: &View, range: &KeyRange) -> Result<Vec<Bytes>, Error> {
        let request = PageRequest { rows: usize::MAX, bytes: usize::MAX, reverse: false };
        let mut keys: Vec<Bytes> = view.page(range, request)?.rows.into_iter().map(|(key, _)| key).collect();
        if !range.is_empty() {
            let inside = (Bound::Included(range.begin.clone()), Bound::Excluded(range.end.clone()));
            keys.extend(self.changes.range(inside).map(|(key, _)| key.clone()));
        }
        Ok(keys)
    }
}

fn content_checksum(changes: &BTreeMap<Bytes, Option<Bytes>>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for (key, value) in changes {
        hasher.update(key);
        hasher.update(value.as_deref().unwrap_or(b"\0"));
    }
    hasher.finalize()
}
