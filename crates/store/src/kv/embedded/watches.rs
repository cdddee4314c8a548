//! Who waits for which key, and which keys the last groups wrote: a watch taken shortly after its snapshot
//! must notice a commit that came in between.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::kv::engine::{Version, Watch};

/// The watches of one store.
pub(super) struct Watches {
    by_key: HashMap<Bytes, Vec<oneshot::Sender<()>>>,
    /// Sorted keys of the last groups, oldest first.
    groups: VecDeque<(Version, Vec<Bytes>)>,
    /// Nothing is known of commits up to here.
    floor: Version,
    registered: usize,
}

impl Watches {
    const GROUPS: usize = 256;
    const SWEEP_EVERY: usize = 4096;

    pub(super) fn new(floor: Version) -> Self {
        Self { by_key: HashMap::new(), groups: VecDeque::new(), floor, registered: 0 }
    }

    /// Watches `key` for commits after `seen`.
    pub(super) fn register(&mut self, key: &[u8], seen: Version) -> Watch {
        let (changed, watch) = oneshot::channel();
        if !self.changed_since(key, seen) {
            self.sweep_now_and_then();
            self.by_key.entry(Bytes::copy_from_slice(key)).or_default().push(changed);
        }
        Watch(watch)
    }

    /// Wakes those who watch a key of the group `version`; `written` is sorted.
    pub(super) fn publish(&mut self, version: Version, written: Vec<Bytes>) {
        if !self.by_key.is_empty() {
            for key in &written {
                self.by_key.remove(key);
            }
        }
        self.groups.push_back((version, written));
        if self.groups.len() > Self::GROUPS
            && let Some((version, _)) = self.groups.pop_front()
        {
            self.floor = version;
        }
    }

    /// Whether a commit after `seen` wrote `key`, or may have.
    fn changed_since(&self, key: &[u8], seen: Version) -> bool {
        let wrote = |keys: &[Bytes]| keys.binary_search_by(|k| (**k).cmp(key)).is_ok();
        seen < self.floor
            || self.groups.iter().rev().take_while(|(at, _)| *at > seen).any(|(_, keys)| wrote(keys))
    }

    /// Forgets watches whose owners have gone away.
    fn sweep_now_and_then(&mut self) {
        self.registered += 1;
        if self.registered.is_multiple_of(Self::SWEEP_EVERY) {
            self.by_key.retain(|_, watchers| {
                watchers.retain(|watcher| !watcher.is_closed());
                !watchers.is_empty()
            });
        }
    }
}
