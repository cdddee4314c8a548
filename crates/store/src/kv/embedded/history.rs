//! Which keys were written lately, and when: what a commit's reads are checked against.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::kv::engine::{KeyRange, Version};
use crate::kv::limits;

/// The writes of the last seconds. Snapshots older than its floor cannot be checked any more.
pub(super) struct History {
    last_write: BTreeMap<Bytes, Version>,
    cleared: VecDeque<(Version, KeyRange)>,
    groups: VecDeque<Group>,
    floor: Version,
    keys: usize,
}

struct Group {
    version: Version,
    at: Instant,
    keys: Vec<Bytes>,
}

/// What a check says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Clean,
    Conflict,
    TooOld,
}

impl History {
    const WINDOW: Duration = limits::AGE.saturating_add(Duration::from_secs(1));
    /// Some 200 MB at worst; past it, the oldest snapshots become too old earlier than by age.
    const MOST_KEYS: usize = 1_000_000;

    pub(super) fn new(floor: Version) -> Self {
        Self {
            last_write: BTreeMap::new(),
            cleared: VecDeque::new(),
            groups: VecDeque::new(),
            floor,
            keys: 0,
        }
    }

    /// Whether anything in `reads` was written after `snapshot`.
    pub(super) fn check(&self, snapshot: Version, reads: &[KeyRange]) -> Verdict {
        if snapshot < self.floor {
            return Verdict::TooOld;
        }
        let newest = self.groups.back().map_or(self.floor, |group| group.version);
        if newest <= snapshot {
            return Verdict::Clean;
        }
        if reads.iter().any(|range| self.written_after(snapshot, range)) {
            Verdict::Conflict
        } else {
            Verdict::Clean
        }
    }

    fn written_after(&self, version: Version, range: &KeyRange) -> bool {
        if range.is_empty() {
            return false;
        }
        let overlaps = |r: &KeyRange| r.begin < range.end && range.begin < r.end;
        self.key_written_after(version, range)
            || self.cleared.iter().rev().take_while(|(at, _)| *at > version).any(|(_, r)| overlaps(r))
    }

    /// Looks through the keys of the range, or through those written since, whichever are fewer: a wide range
    /// holds many keys of the last seconds, and a fresh snapshot has little behind it.
    fn key_written_after(&self, version: Version, range: &KeyRange) -> bool {
        let newer = || self.groups.iter().rev().take_while(|group| group.version > version);
        let most: usize = newer().map(|group| group.keys.len()).sum();
        let inside = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        let mut in_range = self.last_write.range::<[u8], _>(inside);
        in_range.by_ref().take(most).any(|(_, at)| *at > version)
            || in_range.next().is_some()
                && newer().flat_map(|group| &group.keys).any(|key| range.contains(key))
    }

    /// Records the writes of one transaction of the group `version`, the newest.
    pub(super) fn record(&mut self, version: Version, keys: Vec<Bytes>, cleared: Vec<KeyRange>) {
        self.keys += keys.len();
        for key in &keys {
            self.last_write.insert(key.clone(), version);
        }
        self.cleared.extend(cleared.into_iter().map(|range| (version, range)));
        match self.groups.back_mut() {
            Some(group) if group.version == version => group.keys.extend(keys),
            _ => self.groups.push_back(Group { version, at: Instant::now(), keys }),
        }
    }

    /// Drops what no living transaction can conflict with.
    pub(super) fn prune(&mut self) {
        while let Some(oldest) = self.groups.front() {
            if oldest.at.elapsed() < Self::WINDOW && self.keys <= Self::MOST_KEYS {
                break;
            }
            let version = oldest.version;
            for key in self.groups.pop_front().into_iter().flat_map(|group| group.keys) {
                self.keys -= 1;
                if self.last_write.get(&key) == Some(&version) {
                    self.last_write.remove(&key);
                }
            }
            while self.cleared.front().is_some_and(|(at, _)| *at <= version) {
                self.cleared.pop_front();
            }
            self.floor = version;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_points_phantoms_and_cleared_ranges() {
        let mut history = History::new(10);
        history.record(11, vec!["b".into()], vec![]);
        history.record(12, vec![], vec![KeyRange { begin: "x".into(), end: "y".into() }]);
        let range = |b: &'static str, e: &'static str| KeyRange { begin: b.into(), end: e.into() };
        assert_eq!(history.check(10, &[range("a", "c")]), Verdict::Conflict);
        assert_eq!(history.check(11, &[range("a", "c")]), Verdict::Clean);
        assert_eq!(history.check(10, &[range("c", "d")]), Verdict::Clean);
        assert_eq!(history.check(11, &[range("xx", "z")]), Verdict::Conflict);
        assert_eq!(history.check(9, &[]), Verdict::TooOld);
        assert_eq!(history.check(10, &[range("z", "a")]), Verdict::Clean);
    }

    #[test]
    fn wide_and_narrow_ranges_agree() {
        let mut history = History::new(0);
        for version in 1..=40 {
            history.record(version, vec![format!("k{version:02}").into(), "always".into()], vec![]);
        }
        let wide = |begin: &str| KeyRange { begin: begin.to_owned().into(), end: "z".into() };
        for snapshot in 0..40 {
            assert_eq!(history.check(snapshot, &[wide("k")]), Verdict::Conflict, "since {snapshot}");
            let before = KeyRange { begin: "k".into(), end: format!("k{:02}", snapshot + 1).into() };
            assert_eq!(history.check(snapshot, &[before]), Verdict::Clean, "since {snapshot}");
        }
        assert_eq!(history.check(39, &[wide("k41")]), Verdict::Clean);
        assert_eq!(history.check(39, &[KeyRange::key(b"always")]), Verdict::Conflict);
    }

    #[test]
    fn forgets_the_oldest_groups_when_there_is_too_much() {
        let mut history = History::new(0);
        let keys = |n: usize| (0..n).map(|k| Bytes::from(k.to_string())).collect::<Vec<_>>();
        history.record(1, keys(10), vec![]);
        history.record(2, keys(History::MOST_KEYS), vec![KeyRange::prefix(b"x")]);
        history.prune();
        assert_eq!(history.check(0, &[]), Verdict::TooOld);
        assert_eq!(history.check(1, &[KeyRange::key(b"5")]), Verdict::Conflict);
        history.record(3, keys(1), vec![]);
        history.prune();
        assert_eq!(history.check(1, &[]), Verdict::TooOld);
        assert_eq!(history.check(2, &[KeyRange::key(b"5"), KeyRange::prefix(b"x")]), Verdict::Clean);
        assert_eq!(history.check(2, &[KeyRange::key(b"0")]), Verdict::Conflict);
        assert_eq!((history.last_write.len(), history.cleared.len()), (1, 0));
    }
}
