//! What a client that was away has missed (RFC 7162 §3.2.5): from the change log where it reaches back, so that the
//! work follows the number of changes; else by comparing with the mailbox, which may tell more than is news but
//! never less.

use mail::{Mail, Missed};
use types::{ModSeq, Uid};

use super::error::Error;
use super::view::{Picked, View};
use crate::wire::{MessageSet, SequenceSet};

/// Rows of the change log that are read even where the mailbox has fewer messages.
const LOG_ROWS: u64 = 1000;

/// Inclusive ranges of UIDs, sorted and disjoint.
pub(crate) type UidRanges = Vec<(u32, u32)>;

impl View {
    /// What has changed since a modseq; `None` if only the rows of all messages can tell.
    pub(crate) async fn missed(&self, mail: &Mail, since: ModSeq) -> Result<Option<Missed>, Error> {
        if since >= self.latest() {
            return Ok(Some(Missed::default()));
        }
        let most = u64::from(self.len()) + LOG_ROWS;
        match mail.missed(self.account, self.mailbox, since, most).await {
            Ok(missed) => Ok(Some(missed)),
            Err(mail::Error::CannotCalculateChanges) => Ok(None),
            Err(mail::Error::NoSuchMailbox) => Err(Error::Deleted),
            Err(error) => Err(error.into()),
        }
    }

    /// The UIDs that a set of UIDs names, whether their messages are still there or not.
    pub(crate) fn uid_ranges(&self, set: &MessageSet) -> UidRanges {
        match set {
            MessageSet::Numbers(set) => set.resolve(self.last_uid()),
            MessageSet::Saved => SequenceSet::from_ascending(self.saved.iter().map(|uid| uid.0)).resolve(0),
        }
    }

    /// Those of `known` that are gone, other than by what this session is still going to tell.
    pub(crate) fn vanished(&self, known: &[(u32, u32)], missed: Option<&Missed>) -> UidRanges {
        match missed {
            Some(missed) => {
                let gone = |uid: &&Uid| within(known, uid.0) && self.number(**uid).is_none();
                let gone = missed.vanished.iter().filter(gone).map(|uid| uid.0);
                SequenceSet::from_ascending(gone).resolve(0)
            }
            None => self.gaps(known),
        }
    }

    /// Those of `known` that ever were and are not in the view.
    fn gaps(&self, known: &[(u32, u32)]) -> UidRanges {
        let mut gaps = Vec::new();
        for (first, last) in known {
            let last = (*last).min(self.last_uid());
            let mut next = *first;
            for uid in self.between(Uid(*first), Uid(last)) {
                if next < uid.0 {
                    gaps.push((next, uid.0 - 1));
                }
                next = uid.0.saturating_add(1);
            }
            if next <= last {
                gaps.push((next, last));
            }
        }
        gaps
    }

    /// The highest UID up to which the client knows of everything that was expunged, by the sample that it took of
    /// sequence numbers and UIDs: where a pair is still true, nothing before it has gone (RFC 7162 §3.2.5.2).
    pub(crate) fn matched(&self, numbers: &SequenceSet, uids: &SequenceSet) -> u32 {
        let mut matched = 0;
        let (numbers, uids) = (numbers.resolve(0), uids.resolve(0));
        let (mut numbers, mut uids) = (numbers.into_iter(), uids.into_iter());
        let (mut number, mut uid) = (numbers.next(), uids.next());
        while let (Some((n, n_last)), Some((u, u_last))) = (number, uid) {
            // As many pairs as both ranges still have.
            let steps = (n_last - n).min(u_last - u);
            if let Some(last) = self.last_match(n, u, steps) {
                matched = last;
            }
            let rest = |at: u32, last: u32| at.checked_add(steps + 1).filter(|at| *at <= last);
            number = rest(n, n_last).map(|at| (at, n_last)).or_else(|| numbers.next());
            uid = rest(u, u_last).map(|at| (at, u_last)).or_else(|| uids.next());
        }
        matched
    }

    /// The UID of the last true pair among `n ↔ u`, `n + 1 ↔ u + 1` and so on. UIDs grow at least as fast as
    /// numbers, so once a message's UID is above its partner all that follow are.
    fn last_match(&self, n: u32, u: u32, steps: u32) -> Option<u32> {
        let (mut low, mut high) = (0, u64::from(steps) + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let step = u32::try_from(middle).ok()?;
            let fits = self.uid_at(n.saturating_add(step)).is_some_and(|uid| uid.0 <= u.saturating_add(step));
            if fits { low = middle + 1 } else { high = middle }
        }
        let step = u32::try_from(low.checked_sub(1)?).ok()?;
        let last = u.saturating_add(step);
        self.uid_at(n.saturating_add(step)).filter(|uid| uid.0 == last).map(|uid| uid.0)
    }

    /// Those of `picked` that may have changed.
    pub(crate) fn narrow(&self, picked: &Picked, missed: &Missed) -> Picked {
        self.picked_of(missed.changed.iter().copied(), picked)
    }
}

/// Whether sorted, disjoint ranges hold a number.
pub(crate) fn within(ranges: &[(u32, u32)], number: u32) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < number);
    ranges.get(at).is_some_and(|(first, _)| *first <= number)
}

/// What of sorted, disjoint ranges lies above a number.
pub(crate) fn above(ranges: UidRanges, floor: u32) -> UidRanges {
    let cut = ranges.into_iter().filter(|(_, last)| *last > floor);
    cut.map(|(first, last)| (first.max(floor.saturating_add(1)), last)).collect()
}
