//! The UIDs of a mailbox, in pieces that lists share: a thousand sessions that have told their clients of the same
//! messages hold one list, and one that is a few messages behind shares all pieces but those.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use types::Uid;

use super::CHUNK;

/// Ascending UIDs. Cheap to clone.
#[derive(Clone, Default)]
pub struct UidList {
    pieces: Arc<[Piece]>,
}

#[derive(Clone)]
struct Piece {
    /// How many UIDs there are up to its end.
    end: usize,
    first: Uid,
    last: Uid,
    uids: Arc<[Uid]>,
}

impl UidList {
    /// UIDs that ascend.
    pub fn new(uids: &[Uid]) -> Self {
        Self::of(uids.chunks(CHUNK).map(Arc::from))
    }

    pub(super) fn of(pieces: impl Iterator<Item = Arc<[Uid]>>) -> Self {
        let mut end = 0;
        let piece = |uids: Arc<[Uid]>| {
            let (first, last) = (*uids.first()?, *uids.last()?);
            end += uids.len();
            Some(Piece { end, first, last, uids })
        };
        Self { pieces: pieces.filter_map(piece).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The highest.
    pub fn last(&self) -> Option<Uid> {
        self.pieces.last().map(|piece| piece.last)
    }

    /// The UID at an index.
    pub fn get(&self, index: usize) -> Option<Uid> {
        let piece = self.pieces.get(self.pieces.partition_point(|piece| piece.end <= index))?;
        piece.uids.get(index - piece.begin()).copied()
    }

    /// How many UIDs are below this one.
    pub fn below(&self, uid: Uid) -> usize {
        match self.pieces.get(self.pieces.partition_point(|piece| piece.last < uid)) {
            Some(piece) => piece.begin() + piece.uids.partition_point(|u| *u < uid),
            None => self.len(),
        }
    }

    /// Where a UID is.
    pub fn index(&self, uid: Uid) -> Option<usize> {
        let piece = self.pieces.get(self.pieces.partition_point(|piece| piece.last < uid))?;
        piece.uids.binary_search(&uid).ok().map(|at| piece.begin() + at)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Uid> {
        self.pieces.iter().flat_map(|piece| piece.uids.iter().copied())
    }

    /// Those at some indexes.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = Uid> {
        let from = self.pieces.partition_point(|piece| piece.end <= range.start);
        let skip = range.start - from.checked_sub(1).and_then(|i| self.pieces.get(i)).map_or(0, |p| p.end);
        let pieces = self.pieces.get(from..).unwrap_or_default();
        pieces.iter().flat_map(|piece| piece.uids.iter().copied()).skip(skip).take(range.len())
    }

    /// Whether both are one list in memory, so that there is nothing to compare.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pieces, &other.pieces)
    }

    /// The UIDs that `other` does not have. Pieces that both share cost nothing.
    pub fn minus(&self, other: &Self) -> Vec<Uid> {
        let mut missing = Vec::new();
        let mut theirs = other.pieces.iter().peekable();
        for piece in self.pieces.iter().filter(|_| !self.is(other)) {
            while theirs.next_if(|their| their.last < piece.first).is_some() {}
            if theirs.peek().is_some_and(|their| Arc::ptr_eq(&their.uids, &piece.uids)) {
                continue;
            }
            missing.extend(piece.uids.iter().filter(|uid| other.index(**uid).is_none()));
        }
        missing
    }

    /// Without some of them.
    #[must_use]
    pub fn without(&self, removed: &BTreeSet<Uid>) -> Self {
        let pieces = self.pieces.iter().map(|piece| {
            if removed.range(piece.first..=piece.last).next().is_none() {
                return piece.uids.clone();
            }
            piece.uids.iter().filter(|uid| !removed.contains(uid)).copied().collect()
        });
        Self::of(pieces)
    }

    /// With higher ones behind.
    #[must_use]
    pub fn followed_by(&self, more: &[Uid]) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        let (whole, open) = match self.pieces.split_last() {
            Some((last, whole)) if last.uids.len() < CHUNK => (whole, &last.uids[..]),
            _ => (&self.pieces[..], &[][..]),
        };
        let tail = [open, more].concat();
        let pieces = whole.iter().map(|piece| piece.uids.clone());
        Self::of(pieces.chain(tail.chunks(CHUNK).map(Arc::from)))
    }
}

impl Piece {
    fn begin(&self) -> usize {
        self.end - self.uids.len()
    }
}

impl FromIterator<Uid> for UidList {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self::new(&uids.into_iter().collect::<Vec<_>>())
    }
}

impl std::fmt::Debug for UidList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for UidList {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.iter().eq(other.iter())
    }
}

impl Eq for UidList {}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(uids: impl IntoIterator<Item = u32>) -> UidList {
        uids.into_iter().map(Uid).collect()
    }

    #[test]
    fn what_a_plain_list_says() {
        for count in [0, 1, 511, 512, 513, 2000_u32] {
            let plain: Vec<Uid> = (0..count).map(|n| Uid(n * 3 + 5)).collect();
            let uids = UidList::new(&plain);
            assert_eq!(
                (uids.len(), uids.is_empty(), uids.last()),
                (plain.len(), count == 0, plain.last().copied())
            );
            for index in [0, 1, 510, 511, 512, 513, 1999, 2000] {
                assert_eq!(uids.get(index), plain.get(index).copied());
            }
            for uid in [0, 4, 5, 6, 7, 8, 1538, 1541, 6002, 6005, u32::MAX].map(Uid) {
                assert_eq!(uids.index(uid), plain.binary_search(&uid).ok());
                assert_eq!(uids.below(uid), plain.partition_point(|u| *u < uid));
            }
            for range in [0..0, 0..1, 500..520, 511..513, 1024..1024, 600..5000, 5000..6000] {
                let end = range.end.min(plain.len());
                let wanted = plain.get(range.start.min(end)..end).unwrap();
                assert!(uids.range(range.clone()).eq(wanted.iter().copied()), "{range:?} of {count}");
            }
        }
    }

    #[test]
    fn lists_that_follow_each_other_share_their_pieces() {
        let before = list(1..=2000);
        let removed: BTreeSet<Uid> = [Uid(3), Uid(1999)].into();
        let after = before.without(&removed).followed_by(&[Uid(2001), Uid(2002)]);
        assert_eq!(after, list((1..=2002).filter(|n| ![3, 1999].contains(n))));
        assert_eq!(before.minus(&after), [Uid(3), Uid(1999)]);
        assert_eq!(after.minus(&before), [Uid(2001), Uid(2002)]);
        let shared = before.pieces.iter().zip(after.pieces.iter());
        assert_eq!(shared.filter(|(one, two)| Arc::ptr_eq(&one.uids, &two.uids)).count(), 2);
        assert!(before.minus(&before.clone()).is_empty());
        assert_eq!(list([]).followed_by(&[Uid(7)]), list([7]));
        assert_eq!(before.without(&before.iter().collect()), list([]));
    }
}
