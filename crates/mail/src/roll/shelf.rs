//! Where rolls are kept between commands: as many as fit a number of octets, those that were used last.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use types::{AccountId, MailboxId};

use super::Roll;

/// Whose mailbox.
pub(crate) type Key = (AccountId, MailboxId);

/// The shelf.
pub(crate) struct Shelf {
    budget: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: HashMap<Key, Held>,
    /// By when it was used.
    order: BTreeMap<u64, Key>,
    used: u64,
    bytes: usize,
    /// Who reads a mailbox's rows, so that nobody else does meanwhile.
    gates: HashMap<Key, Weak<tokio::sync::Mutex<()>>>,
}

struct Held {
    /// `None`: it was too large.
    roll: Option<Arc<Roll>>,
    members: usize,
    bytes: usize,
    used: u64,
}

impl Shelf {
    /// Octets of a member without keywords of its own.
    const MEMBER: usize = 44;
    /// Octets of an entry on the shelf, besides its roll.
    const ENTRY: usize = 300;

    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// A mailbox may take half of all.
    const fn share(&self) -> usize {
        self.budget / 2
    }

    /// Whether a mailbox of so many members can be kept, as far as anybody knows.
    pub(super) fn fits(&self, key: Key, members: u64) -> bool {
        let members = usize::try_from(members).unwrap_or(usize::MAX);
        if members.saturating_mul(Self::MEMBER).saturating_add(Self::ENTRY) > self.share() {
            return false;
        }
        let state = self.state.lock();
        let refused = state.held.get(&key).filter(|held| held.roll.is_none());
        refused.is_none_or(|held| members < held.members / 2)
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<Roll>> {
        let state = &mut *self.state.lock();
        let held = state.held.get_mut(&key)?;
        state.order.remove(&held.used);
        state.used += 1;
        held.used = state.used;
        state.order.insert(held.used, key);
        held.roll.clone()
    }

    /// Keeps a roll, unless it turns out to be too large: then that is remembered.
    pub(super) fn put(&self, key: Key, roll: &Arc<Roll>) {
        let entry = self.entry(roll);
        // What goes is given back when nobody has to wait for it any more.
        let _gone = self.state.lock().put(key, entry, self.budget);
    }

    /// Keeps what follows from a roll, if that is still the one that is kept.
    pub(super) fn replace(&self, key: Key, before: &Arc<Roll>, roll: &Arc<Roll>) {
        let entry = self.entry(roll);
        let mut state = self.state.lock();
        let kept = state.held.get(&key).and_then(|held| held.roll.as_ref());
        if kept.is_some_and(|kept| Arc::ptr_eq(kept, before)) {
            let _gone = state.put(key, entry, self.budget);
            drop(state);
        }
    }

    fn entry(&self, roll: &Arc<Roll>) -> Held {
        let bytes = roll.bytes() + Self::ENTRY;
        let fits = bytes <= self.share();
        let kept = fits.then(|| roll.clone());
        Held { roll: kept, members: roll.len(), bytes: if fits { bytes } else { Self::ENTRY }, used: 0 }
    }

    pub(super) fn remove(&self, key: Key) {
        let _gone = self.state.lock().remove(key);
    }

    /// Whoever has this locked reads the mailbox.
    pub(super) fn gate(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let gates = &mut self.state.lock().gates;
        if let Some(gate) = gates.get(&key).and_then(Weak::upgrade) {
            return gate;
        }
        if gates.len() >= 1024 {
            gates.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::default();
        gates.insert(key, Arc::downgrade(&gate));
        gate
    }
}

impl State {
    fn put(&mut self, key: Key, held: Held, budget: usize) -> Vec<Held> {
        let mut gone: Vec<Held> = self.remove(key).into_iter().collect();
        self.used += 1;
        let used = self.used;
        self.order.insert(used, key);
        self.bytes += held.bytes;
        self.held.insert(key, Held { used, ..held });
        while self.bytes > budget
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = *oldest;
            gone.extend(self.remove(oldest));
        }
        gone
    }

    fn remove(&mut self, key: Key) -> Option<Held> {
        let held = self.held.remove(&key)?;
        self.order.remove(&held.used);
        self.bytes -= held.bytes;
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use types::{EmailId, Keywords, ModSeq, ThreadId, Timestamp, Uid};

    use super::*;
    use crate::view::Member;

    fn roll(members: u32) -> Arc<Roll> {
        let member = |uid| Member {
            uid: Uid(uid),
            email: EmailId(1),
            thread: ThreadId(1),
            modseq: ModSeq(1),
            keywords: Keywords::new(),
            deleted: false,
            size: 1,
            received: Timestamp(1),
            saved: Timestamp(1),
            content: EmailId(1),
            first_thread: ThreadId(1),
        };
        Arc::new(Roll::of((1..=members).map(member).collect()))
    }

    fn key(mailbox: u32) -> Key {
        (AccountId(1), MailboxId(mailbox))
    }

    #[test]
    fn what_was_used_last_stays() {
        let shelf = Shelf::new(200_000);
        for mailbox in 1..=4 {
            shelf.put(key(mailbox), &roll(1000));
        }
        assert!(shelf.get(key(1)).is_some());
        shelf.put(key(5), &roll(1000));
        assert!(shelf.get(key(2)).is_none(), "nobody has used it for longest");
        for mailbox in [1, 3, 4, 5] {
            assert!(shelf.get(key(mailbox)).is_some(), "{mailbox}");
        }
        shelf.put(key(5), &roll(10));
        shelf.remove(key(1));
        shelf.remove(key(1));
        let state = shelf.state.lock();
        assert_eq!(state.held.len(), 3);
        assert_eq!(state.bytes, state.held.values().map(|held| held.bytes).sum::<usize>());
        assert_eq!(state.order.len(), 3);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let shelf = Shelf::new(100_000);
        assert!(shelf.fits(key(1), 1000) && !shelf.fits(key(1), 2000) && !shelf.fits(key(1), u64::MAX));
        shelf.put(key(1), &roll(2000));
        assert!(shelf.get(key(1)).is_none());
        assert!(!shelf.fits(key(1), 1000), "it was too large with twice as many");
        assert!(shelf.fits(key(1), 999) && shelf.fits(key(2), 1000));
        assert!(!Shelf::new(0).fits(key(1), 0));
        let one = roll(1);
        shelf.put(key(3), &one);
        shelf.replace(key(3), &roll(1), &roll(2));
        assert_eq!(shelf.get(key(3)).unwrap().len(), 1);
        shelf.replace(key(3), &one, &roll(2));
        assert_eq!(shelf.get(key(3)).unwrap().len(), 2);
    }
}
