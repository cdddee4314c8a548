//! Where ranges that are used up from their beginning begin.
//!
//! The tree keeps a mark for each row that was removed until it next puts its files in order, and whoever reads a
//! range steps over all of them. At the front of a queue there is nothing else: after a hundred thousand messages,
//! each look for the next one would pass some hundred thousand marks. So for the ranges whose readers say that they are
//! of that kind, it is remembered up to which key there is no row.
//!
//! ```text
//!   begin                      end
//!     |--- no row since v ------|  first row, ...       a row written inside ends the gap there
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::kv::engine::{KeyRange, Version};

/// Gaps that are known at once; with more, all are forgotten and found again.
const MOST: usize = 4096;
/// Groups whose rows are remembered: a look that took longer than these teaches nothing.
const RECENT: usize = 64;

/// What is known to be empty.
pub(super) struct Gaps(Mutex<Known>);

struct Known {
    /// By their first keys; no two overlap.
    gaps: BTreeMap<Bytes, Gap>,
    /// The keys that the last groups have set.
    recent: VecDeque<(Version, Vec<Bytes>)>,
    /// The group before these.
    floor: Version,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Gap {
    end: Bytes,
    /// The first version for which it holds.
    since: Version,
}

impl Gaps {
    /// Nothing is known of a store whose last commit was this.
    pub(super) fn new(last: Version) -> Self {
        Self(Mutex::new(Known { gaps: BTreeMap::new(), recent: VecDeque::new(), floor: last }))
    }

    /// The range without its part where nothing is for a reader at `version`.
    pub(super) fn shorten(&self, range: &KeyRange, version: Version) -> KeyRange {
        let known = self.0.lock();
        let begin = match known.around(&range.begin) {
            Some((_, gap)) if gap.since <= version => gap.end.clone().min(range.end.clone()),
            _ => range.begin.clone(),
        };
        KeyRange { begin, end: range.end.clone() }
    }

    /// A reader at `version` has found nothing between `begin` and `end`.
    pub(super) fn learn(&self, begin: &Bytes, end: &Bytes, version: Version) {
        let known = &mut *self.0.lock();
        if version < known.floor {
            return;
        }
        let mut gap = Gap { end: end.clone(), since: version };
        for (_, keys) in known.recent.iter().rev().take_while(|(at, _)| *at > version) {
            let inside = keys.iter().filter(|key| *begin <= **key && **key < gap.end);
            gap.end = inside.min().unwrap_or(&gap.end).clone();
        }
        match known.around(begin) {
            Some((other, before)) if other != begin || before.end >= gap.end => return,
            Some((_, before)) => gap.since = gap.since.max(before.since),
            None if gap.end <= *begin => return,
            None => {}
        }
        let inside = (Bound::Excluded(begin.clone()), Bound::Excluded(gap.end.clone()));
        let swallowed: Vec<Bytes> = known.gaps.range(inside).map(|(begin, _)| begin.clone()).collect();
        swallowed.iter().for_each(|begin| drop(known.gaps.remove(begin)));
        if known.gaps.len() >= MOST {
            known.gaps.clear();
        }
        known.gaps.insert(begin.clone(), gap);
    }

    /// Takes the keys that a group has set, before anybody can see it.
    pub(super) fn publish(&self, version: Version, set: Vec<Bytes>) {
        let known = &mut *self.0.lock();
        for key in &set {
            let Some((begin, _)) = known.around(key) else { continue };
            let begin = begin.clone();
            if begin == *key {
                known.gaps.remove(&begin);
            } else if let Some(gap) = known.gaps.get_mut(&begin) {
                gap.end = key.clone();
            }
        }
        known.recent.push_back((version, set));
        if known.recent.len() > RECENT
            && let Some((oldest, _)) = known.recent.pop_front()
        {
            known.floor = oldest;
        }
    }
}

impl Known {
    /// The gap that a key is in.
    fn around(&self, key: &Bytes) -> Option<(&Bytes, &Gap)> {
        let (begin, gap) = self.gaps.range(..=key.clone()).next_back()?;
        (*key < gap.end).then_some((begin, gap))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Bytes {
        vec![number].into()
    }

    fn range(begin: u8, end: u8) -> KeyRange {
        KeyRange { begin: key(begin), end: key(end) }
    }

    #[test]
    fn what_was_found_empty_is_passed_over_until_something_comes() {
        let gaps = Gaps::new(7);
        gaps.learn(&key(10), &key(50), 7);
        assert_eq!(gaps.shorten(&range(10, 90), 7), range(50, 90));
        assert_eq!(gaps.shorten(&range(20, 40), 9), range(40, 40));
        assert_eq!(gaps.shorten(&range(10, 90), 6), range(10, 90), "older than what is known");
        assert_eq!(gaps.shorten(&range(5, 90), 7), range(5, 90));
        gaps.publish(8, vec![key(30), key(60)]);
        assert_eq!(gaps.shorten(&range(10, 90), 8), range(30, 90));
        gaps.publish(9, vec![key(10)]);
        assert_eq!(gaps.shorten(&range(10, 90), 9), range(10, 90));
    }

    #[test]
    fn what_came_while_somebody_looked_is_not_passed_over() {
        let gaps = Gaps::new(7);
        gaps.publish(8, vec![key(30)]);
        gaps.learn(&key(10), &key(50), 7);
        assert_eq!(gaps.shorten(&range(10, 90), 8), range(30, 90));
        for version in 9..9 + RECENT as u64 {
            gaps.publish(version, Vec::new());
        }
        gaps.learn(&key(60), &key(80), 7);
        assert_eq!(gaps.shorten(&range(60, 90), 80), range(60, 90), "nobody knows what came since");
    }

    #[test]
    fn they_do_not_become_many() {
        let gaps = Gaps::new(0);
        let number = |n: usize| Bytes::from((n as u32).to_be_bytes().to_vec());
        for n in 0..MOST + 10 {
            gaps.learn(&number(2 * n), &number(2 * n + 1), 0);
        }
        assert!(gaps.0.lock().gaps.len() <= MOST);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>),
        Clear(u8),
        /// From, to, and how many versions ago.
        Look(u8, u8, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            prop::collection::vec(0..60_u8, 0..4).prop_map(Step::Set),
            (0..60_u8).prop_map(Step::Clear),
            (0..60_u8, 0..60_u8, 0..4_usize).prop_map(|(a, b, ago)| Step::Look(a.min(b), a.max(b), ago)),
        ]
    }

    proptest! {
        /// Whoever looks from where a gap ends finds what there is, at whatever version, and teaches what is true.
        #[test]
        fn nothing_that_is_there_is_passed_over(steps in prop::collection::vec(step(), 1..120)) {
            let gaps = Gaps::new(0);
            let mut versions = vec![std::collections::BTreeSet::new()];
            for step in steps {
                let mut rows = versions.last().cloned().unwrap_or_default();
                match step {
                    Step::Set(keys) => {
                        rows.extend(keys.iter().copied());
                        gaps.publish(versions.len() as u64, keys.into_iter().map(key).collect());
                        versions.push(rows);
                    }
                    Step::Clear(gone) => {
                        rows.remove(&gone);
                        gaps.publish(versions.len() as u64, Vec::new());
                        versions.push(rows);
                    }
                    Step::Look(from, to, ago) => {
                        let version = (versions.len() - 1).saturating_sub(ago);
                        let first = versions[version].range(from..to).next().copied();
                        let shortened = gaps.shorten(&range(from, to), version as u64);
                        let begin = shortened.begin[0];
                        prop_assert!(first.is_none_or(|first| begin <= first), "{first:?} {shortened:?}");
                        gaps.learn(&key(from), &key(first.unwrap_or(to)), version as u64);
                    }
                }
            }
        }
    }
}
