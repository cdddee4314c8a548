//! The optimistic commit queue. Its leader takes everybody who waits, checks what each has read against what was
//! written meanwhile, writes the rest as one batch with one fsync, makes it visible, and wakes them all. While
//! it works the next group gathers. Snapshots are taken of the last group: only durable data is ever visible.
//!
//! The leader is a thread of the store's own. Were it one of the waiting tasks, a runtime that shuts down, or
//! whose threads are all busy waiting, could take the lead with it and leave everybody else waiting for ever.
//! docs/decisions/0001-embedded-kv.md has what the hand-over costs.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::CommitStats;
use super::base::{Base, View, WriteError};
use super::gaps::Gaps;
use super::history::{History, Verdict};
use super::lock::Lock;
use super::sequence::{self, Sequence};
use super::watches::Watches;
use crate::disk::FreeSpace;
use crate::kv::engine::{KeyRange, PageRequest, Version, Watch, Write};
use crate::kv::{Error, transaction};
use crate::meters::METERS;

/// The queue and what it guards.
pub(super) struct Queue {
    base: Base,
    waiting: Mutex<Waiting>,
    /// Somebody waits, or the store is closed.
    called: Condvar,
    published: Mutex<Arc<Published>>,
    gaps: Arc<Gaps>,
    watches: Mutex<Watches>,
    poisoned: Mutex<Option<String>>,
    free_space: FreeSpace,
    groups: AtomicU64,
    transactions: AtomicU64,
    /// Behind the tree, so that it is let go of after the tree is closed.
    _lock: Lock,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    closed: bool,
}

struct Request {
    snapshot: Version,
    reads: Vec<KeyRange>,
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<Version, Error>>,
}

/// What only the leader needs.
pub(super) struct Leader {
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
    pub(super) fn new(base: Base, sequence: Sequence, free_space: FreeSpace, lock: Lock) -> (Self, Leader) {
        let version = sequence.last();
        let published = Arc::new(Published { version, view: base.view() });
        let leader = Leader { history: History::new(version), sequence };
        let queue = Self {
            base,
            waiting: Mutex::default(),
            called: Condvar::new(),
            published: Mutex::new(published),
            gaps: Arc::new(Gaps::new(version)),
            watches: Mutex::new(Watches::new(version)),
            poisoned: Mutex::default(),
            free_space,
            groups: AtomicU64::default(),
            transactions: AtomicU64::default(),
            _lock: lock,
        };
        (queue, leader)
    }

    pub(super) fn published(&self) -> Arc<Published> {
        self.published.lock().clone()
    }

    pub(super) fn gaps(&self) -> Arc<Gaps> {
        self.gaps.clone()
    }

    pub(super) fn stats(&self) -> CommitStats {
        CommitStats { groups: self.groups.load(Relaxed), transactions: self.transactions.load(Relaxed) }
    }

    /// Commits, in a group with whoever else is waiting. Once asked, the commit goes on even if nobody waits
    /// for the answer any more.
    pub(super) async fn commit(
        &self,
        snapshot: Version,
        reads: Vec<KeyRange>,
        writes: Vec<Write>,
    ) -> Result<Version, Error> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().requests.push(Request { snapshot, reads, writes, answer });
        self.called.notify_one();
        answered.await.unwrap_or_else(|_dropped| {
            self.poison_by_panic();
            Err(Error::CommitUnknown)
        })
    }

    pub(super) fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.watches.lock().register(key, seen)
    }

    pub(super) fn health(&self) -> Result<(), Error> {
        match &*self.poisoned.lock() {
            Some(why) => Err(Error::Unavailable(why.clone())),
            None => self.free_space.check().map_err(Error::Full),
        }
    }

    /// Answers whoever waits, until the store is closed and nobody does.
    pub(super) fn lead(&self, mut leader: Leader) {
        self.lead_with(|requests| self.commit_group(&mut leader, requests));
    }

    fn lead_with(&self, mut commit_group: impl FnMut(Vec<Request>)) {
        loop {
            let requests = {
                let mut waiting = self.waiting.lock();
                while waiting.requests.is_empty() {
                    if waiting.closed {
                        return;
                    }
                    self.called.wait(&mut waiting);
                }
                std::mem::take(&mut waiting.requests)
            };
            if catch_unwind(AssertUnwindSafe(|| commit_group(requests))).is_err() {
                self.poison_by_panic();
            }
        }
    }

    /// Lets the leader go once nobody waits any more.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.called.notify_one();
    }

    fn poison(&self, what: &str) {
        let mut poisoned = self.poisoned.lock();
        if poisoned.is_none() {
            tracing::error!(what, "the store is poisoned and takes no more writes");
            *poisoned = Some(format!(
                "{what}; what is on disk is unknown, so no more writes are taken: check the disk and restart"
            ));
        }
    }

    /// A panic drops the requests of its group without an answer. Their owners may notice before the leader does.
    fn poison_by_panic(&self) {
        self.poison("a commit ended in a panic (a bug in Magpie)");
    }

    fn commit_group(&self, leader: &mut Leader, requests: Vec<Request>) {
        if let Err(error) = self.health() {
            for request in requests {
                let _gone = request.answer.send(Err(error.clone()));
            }
            return;
        }
        let published = self.published();
        let version = leader.sequence.last() + 1;
        let mut group = Group { version, changes: BTreeMap::new(), accepted: Vec::new() };
        for request in requests {
            let verdict = match leader.history.check(request.snapshot, &request.reads) {
                Verdict::Conflict => Err(Error::Conflict { attempts: 1 }),
                Verdict::TooOld => Err(Error::TooOld),
                Verdict::Clean => group.accept(&published.view, &mut leader.history, request.writes),
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
        let is_set = |(key, change): (&Bytes, &Option<Bytes>)| change.is_some().then(|| key.clone());
        let set: Vec<Bytes> = group.changes.iter().filter_map(is_set).collect();
        let (number, checksum, rows) = leader.sequence.next(content_checksum(&group.changes));
        group.changes.extend(rows);
        if let Err(error) = self.base.write(group.changes) {
            self.refuse(number, error, group.accepted);
            return;
        }
        if let Err(error) = leader.sequence.acknowledged(number, checksum) {
            tracing::warn!(%error, "cannot note the commit number beside the store: a later gap may go unnoticed");
        }
        self.gaps.publish(number, set);
        self.publish(number, written);
        self.groups.fetch_add(1, Relaxed);
        METERS.commit_syncs.increment(1);
        self.transactions.fetch_add(group.accepted.len() as u64, Relaxed);
        for answer in group.accepted {
            let _gone = answer.send(Ok(number));
        }
    }

    fn refuse(
        &self,
        number: Version,
        error: WriteError,
        group: Vec<oneshot::Sender<Result<Version, Error>>>,
    ) {
        let answer = match error {
            WriteError::Unknown(error) => {
                self.poison(&format!("writing commit {number} failed ({error})"));
                Error::CommitUnknown
            }
            WriteError::Refused => {
                self.poison("an earlier write or a background job of the tree failed");
                self.health().err().unwrap_or(Error::CommitUnknown)
            }
        };
        for waiting in group {
            let _gone = waiting.send(Err(answer.clone()));
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
                        _ if cleared.iter().any(|range: &KeyRange| range.contains(&key)) => None,
                        Some(pending) => pending.clone(),
                        None => view.get(&key)?,
                    };
                    changes.push((key, Some(transaction::added(before.as_deref(), amount))));
                }
                Write::ClearRange(mut range) => {
                    range.end = range.end.min(Bytes::from_static(&[sequence::RESERVED]));
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
        let request = PageRequest { rows: usize::MAX, bytes: usize::MAX, reverse: false, drained: false };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::embedded::{EmbeddedOptions, open};

    #[tokio::test]
    async fn a_panic_poisons_and_strands_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let (queue, mut leader) = open(directory.path(), EmbeddedOptions::default()).unwrap();
        let queue = Arc::new(queue);
        let led = queue.clone();
        let thread = std::thread::spawn(move || {
            let mut groups = 0;
            led.lead_with(|requests| {
                groups += 1;
                assert_ne!(groups, 2, "on purpose");
                led.commit_group(&mut leader, requests);
            });
        });
        let commit = || queue.commit(queue.published().version, Vec::new(), vec![Write::Add("k".into(), 1)]);
        assert!(commit().await.is_ok());
        assert_eq!(queue.health(), Ok(()));
        assert_eq!(commit().await, Err(Error::CommitUnknown));
        let Err(Error::Unavailable(why)) = queue.health() else { panic!("{:?}", queue.health()) };
        assert!(why.contains("panic"), "{why}");
        assert_eq!(commit().await, Err(Error::Unavailable(why)));
        queue.close();
        thread.join().unwrap();
    }
}
