//! A mailbox's members in memory, shared by all sessions of a node that look at it.
//!
//! ```text
//!   SELECT  FETCH flags  SEARCH   every command asks how the mailbox is now: one read round of three rows
//!       \       |       /
//!        Mail::current ── the roll is as new as that ──────────────> Arc<Roll>
//!             | else, one at a time: what the change log names is read anew, and nothing else
//!             └── no roll, or the log does not reach back: all rows are read, once for all who wait
//! ```
//!
//! A roll never changes. What follows from a change is a new roll, which shares all chunks that the change did not
//! touch, and the lists of UIDs of those where only flags changed. Nothing here is believed because it was announced:
//! a roll counts for a reader if the store says, at that moment, that the mailbox has not changed since.

mod chunk;
mod current;
mod shelf;
mod uids;

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{Keyword, ModSeq, Uid, UidValidity};

use self::chunk::{Builder, Chunk};
use crate::view::Member;

pub use chunk::Entry;
pub use current::Current;
pub(crate) use current::Step;
pub(crate) use shelf::Shelf;
pub use uids::UidList;

/// Members of a full chunk: what a change of one flag copies.
const CHUNK: usize = 512;

/// The members of a mailbox at one moment.
pub struct Roll {
    moment: Moment,
    uids: UidList,
    slots: Vec<Slot>,
}

/// Which moment that is.
#[derive(Clone, Copy, Default)]
struct Moment {
    uidvalidity: UidValidity,
    /// The account's modseq.
    modseq: ModSeq,
    /// The mailbox's own: that of the last change in it.
    latest: ModSeq,
}

/// Where a chunk is, and what is asked of it most, so that it need not be looked at.
struct Slot {
    /// How many members there are before it.
    begin: usize,
    first: Uid,
    last: Uid,
    newest: ModSeq,
    unseen: usize,
    chunk: Arc<Chunk>,
}

/// Finds members; quickly, if they are asked for in their order.
pub struct Finder<'r> {
    roll: &'r Roll,
    slot: usize,
    at: usize,
}

impl Roll {
    /// Some members, in ascending UIDs, that are not kept.
    pub fn of(members: Vec<Member>) -> Self {
        let mut builder = Builder::default();
        members.into_iter().for_each(|member| builder.push(member));
        Self::made(Moment::default(), builder, None)
    }

    fn made(moment: Moment, builder: Builder, before: Option<&Self>) -> Self {
        let mut begin = 0;
        let slot = |chunk: Arc<Chunk>| {
            let (first, last) = (*chunk.uids.first()?, *chunk.uids.last()?);
            let slot = Slot { begin, first, last, newest: chunk.newest, unseen: chunk.unseen, chunk };
            begin += slot.chunk.uids.len();
            Some(slot)
        };
        let slots: Vec<Slot> = builder.done().into_iter().filter_map(slot).collect();
        let same = |before: &&Self| {
            let pairs = before.slots.iter().zip(&slots);
            before.slots.len() == slots.len()
                && pairs.into_iter().all(|(one, two)| Arc::ptr_eq(&one.chunk.uids, &two.chunk.uids))
        };
        let uids = match before.filter(same) {
            Some(before) => before.uids.clone(),
            None => UidList::of(slots.iter().map(|slot| slot.chunk.uids.clone())),
        };
        Self { moment, uids, slots }
    }

    /// The roll after a change: members that are new or changed, and `None` for those that are gone.
    fn with(&self, moment: Moment, edits: BTreeMap<Uid, Option<Member>>) -> Self {
        let mut builder = Builder::default();
        let mut edits = edits.into_iter().peekable();
        let end = self.slots.last().map(|slot| slot.last);
        for slot in &self.slots {
            // What is new comes behind the last chunk, and fills it up.
            let is_last = Some(slot.last) == end;
            if edits.peek().is_none_or(|(uid, _)| *uid > slot.last && !is_last) {
                builder.keep(slot.chunk.clone());
                continue;
            }
            builder.replace(&slot.chunk);
            for entry in slot.chunk.entries() {
                while let Some((_, member)) = edits.next_if(|(uid, _)| *uid < entry.uid()) {
                    member.into_iter().for_each(|member| builder.push(member));
                }
                match edits.next_if(|(uid, _)| *uid == entry.uid()) {
                    Some((_, member)) => member.into_iter().for_each(|member| builder.push(member)),
                    None => builder.push_entry(&entry),
                }
            }
        }
        edits.filter_map(|(_, member)| member).for_each(|member| builder.push(member));
        Self::made(moment, builder, Some(self)).compact()
    }

    /// Chunks from which most members were removed are put together.
    fn compact(self) -> Self {
        const FEW: usize = 8;
        if self.slots.len() <= self.len() / CHUNK * 2 + FEW {
            return self;
        }
        let mut builder = Builder::default();
        self.iter().for_each(|entry| builder.push_entry(&entry));
        Self::made(self.moment, builder, None)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.uids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// The account's modseq at that moment.
    pub const fn modseq(&self) -> ModSeq {
        self.moment.modseq
    }

    /// The UIDs of all members.
    pub const fn uids(&self) -> &UidList {
        &self.uids
    }

    /// All members, in ascending UIDs.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.slots.iter().flat_map(|slot| slot.chunk.entries())
    }

    /// Finds members by their UIDs.
    pub const fn finder(&self) -> Finder<'_> {
        Finder { roll: self, slot: 0, at: 0 }
    }

    /// The UIDs of members that are new or have changed since a modseq. Chunks without any cost next to nothing.
    pub fn changed_since(&self, modseq: ModSeq) -> Vec<Uid> {
        let slots = self.slots.iter().filter(|slot| slot.newest > modseq);
        let changed = slots.flat_map(|slot| slot.chunk.entries()).filter(|entry| entry.modseq() > modseq);
        changed.map(|entry| entry.uid()).collect()
    }

    /// How many members there are before the first that is not `\Seen`; `None` if all are.
    pub fn first_unseen(&self) -> Option<usize> {
        let slot = self.slots.iter().find(|slot| slot.unseen > 0)?;
        let at = slot.chunk.entries().position(|entry| !entry.keywords().contains(Keyword::SEEN))?;
        Some(slot.begin + at)
    }

    /// Octets of memory, about.
    pub fn bytes(&self) -> usize {
        let list = self.slots.len() * 40;
        size_of::<Self>()
            + list
            + self.slots.iter().map(|s| size_of::<Slot>() + s.chunk.bytes()).sum::<usize>()
    }
}

impl<'r> Finder<'r> {
    /// The member with a UID.
    pub fn find(&mut self, uid: Uid) -> Option<Entry<'r>> {
        let slots = &self.roll.slots;
        if slots.get(self.slot).is_none_or(|slot| uid < slot.first || uid > slot.last) {
            self.slot = slots.partition_point(|slot| slot.last < uid);
            self.at = 0;
        }
        let chunk = &slots.get(self.slot)?.chunk;
        if chunk.uids.get(self.at) != Some(&uid) {
            self.at = chunk.uids.binary_search(&uid).ok()?;
        }
        let entry = chunk.entry(self.at);
        self.at += 1;
        entry
    }
}

#[cfg(test)]
mod tests {
    use types::{EmailId, Keywords, ThreadId, Timestamp};

    use super::*;

    fn member(uid: u32, modseq: u64, keywords: &[&str]) -> Member {
        let keywords: Keywords = keywords.iter().filter_map(|k| Keyword::new(k).ok()).collect();
        Member {
            uid: Uid(uid),
            email: EmailId(u64::from(uid) + 7),
            thread: ThreadId(9),
            modseq: ModSeq(modseq),
            keywords,
            deleted: uid.is_multiple_of(3),
            size: 1000,
            received: Timestamp(1_700_000_000_000),
            saved: Timestamp(1_700_000_000_001),
            content: EmailId(u64::from(uid) + 7),
            first_thread: ThreadId(9),
        }
    }

    /// A copy whose rows need all that there is.
    fn odd(uid: u32) -> Member {
        Member {
            content: EmailId(1),
            first_thread: ThreadId(2),
            size: u64::MAX,
            ..member(uid, 5, &["x", "$seen"])
        }
    }

    fn apply(plain: &mut BTreeMap<Uid, Member>, roll: &Roll, edits: Vec<(u32, Option<Member>)>) -> Roll {
        let edits: BTreeMap<_, _> = edits.into_iter().map(|(uid, member)| (Uid(uid), member)).collect();
        for (uid, member) in &edits {
            match member {
                Some(member) => plain.insert(*uid, member.clone()),
                None => plain.remove(uid),
            };
        }
        let next = roll.with(roll.moment, edits);
        let members: Vec<Member> = next.iter().map(|entry| entry.member()).collect();
        assert!(members.iter().eq(plain.values()));
        assert!(next.uids().iter().eq(plain.keys().copied()));
        assert_eq!(next.len(), plain.len());
        let unseen = plain.values().position(|member| !member.keywords.contains(Keyword::SEEN));
        assert_eq!(next.first_unseen(), unseen);
        for since in [0, 1, 4, 5, 9] {
            let changed = plain.values().filter(|member| member.modseq.0 > since).map(|member| member.uid);
            assert!(next.changed_since(ModSeq(since)).into_iter().eq(changed));
        }
        next
    }

    #[test]
    fn a_roll_follows_changes_and_shares_what_did_not_change() {
        let members: Vec<Member> = (1..=2000).map(|uid| member(uid, 1, &["$seen"])).collect();
        let mut plain: BTreeMap<Uid, Member> = members.iter().map(|m| (m.uid, m.clone())).collect();
        let first = apply(&mut plain, &Roll::of(members), vec![]);
        let shared = |one: &Roll, two: &Roll| {
            two.slots.iter().filter(|s| one.slots.iter().any(|o| Arc::ptr_eq(&o.chunk, &s.chunk))).count()
        };
        let flagged = vec![(600, Some(member(600, 2, &["$flagged"]))), (700, Some(odd(700)))];
        let second = apply(&mut plain, &first, flagged);
        assert!(second.uids().is(first.uids()), "no UID has changed");
        assert_eq!(shared(&first, &second), 3);
        let third = apply(&mut plain, &second, vec![(5, None), (2001, Some(odd(2001))), (9000, None)]);
        assert_eq!(shared(&second, &third), 2);
        let more = (2002..3500).map(|uid| (uid, Some(member(uid, 6, &["a", "b"])))).collect();
        let fourth = apply(&mut plain, &third, more);
        assert_eq!(fourth.slots.len(), 7);
        let most = (1..=3400).filter(|uid| uid % 100 != 0).map(|uid| (uid, None)).collect();
        let fifth = apply(&mut plain, &fourth, most);
        let rest = fifth.len();
        let sixth = apply(&mut plain, &fifth, (3000..3490).map(|uid| (uid, None)).collect());
        assert!(sixth.len() < rest);
        let none = apply(&mut plain, &sixth, (1..4000).map(|uid| (uid, None)).collect());
        assert!(none.is_empty() && none.slots.is_empty());
        apply(&mut plain, &none, vec![(4000, Some(member(4000, 9, &[])))]);
    }

    #[test]
    fn members_are_found_in_any_order() {
        let members: Vec<Member> = (1..=3000).map(|n| member(n * 2, 1, &["$seen"])).collect();
        let roll = Roll::of(members.clone());
        let mut finder = roll.finder();
        for uid in (0..=6001).chain([6000, 1, 2, 1024, 1026, 4, 6002, 2, 0]) {
            let wanted = members.iter().find(|member| member.uid.0 == uid);
            assert_eq!(finder.find(Uid(uid)).map(|entry| entry.member()).as_ref(), wanted, "{uid}");
        }
        assert!(Roll::of(Vec::new()).finder().find(Uid(1)).is_none());
    }

    #[test]
    fn a_member_takes_little_memory() {
        let members: Vec<Member> = (1..=100_000).map(|uid| member(uid, 1, &["$seen"])).collect();
        let bytes = Roll::of(members).bytes();
        assert!(bytes / 100_000 < 44, "{bytes} octets for 100,000 members");
    }
}
