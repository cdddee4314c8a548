//! What a leg waits for besides its next attempt: the moments at which its sender must hear of it.

use std::time::Duration;

use crate::clock::Moment;
use crate::record::{LegRecord, LegState};

/// Why a leg is in a worker's hands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Errand {
    /// To be tried.
    Attempt,
    /// Its sender is to be told that it is late; it is not its turn to be tried. Settle it without outcomes.
    Warn,
    /// Its time is over while its destination cannot be tried: it is given up. Settle it without outcomes.
    GiveUp,
}

impl LegRecord {
    /// The next moment at which the sender must hear of it.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let warn = self.warn.filter(|_| self.warned.is_none());
        warn.into_iter().chain(self.expires).min()
    }

    /// Whether its time is over.
    pub(crate) fn is_expired(&self, now: Moment) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }

    /// Whether its sender is to be told that it is late.
    pub(crate) fn is_late(&self, now: Moment) -> bool {
        self.warned.is_none() && self.warn.is_some_and(|warn| now >= warn)
    }

    /// Whether its own schedule says that it is to be tried. At the end of its time it is tried once more.
    pub(crate) fn is_tried_at(&self, now: Moment) -> bool {
        self.next.is_none_or(|next| now >= next) || self.is_expired(now)
    }

    /// Whether its time has not begun: its sender wants it to leave later (FUTURERELEASE, RFC 4865), and nobody has had it
    /// begin before.
    pub(crate) fn is_for_later(&self, now: Moment) -> bool {
        self.state == LegState::Waiting && !self.line && self.attempts == 0 && self.since > now
    }

    /// Has it wait for its next attempt, by itself; it is looked at earlier if its sender must hear of it before. A deadline
    /// that is over makes it due at once.
    pub(crate) fn wait(&mut self, next: Moment) {
        self.due = self.deadline().map_or(next, |deadline| deadline.min(next));
        self.next = (self.due < next).then_some(next);
        (self.state, self.lease, self.line) = (LegState::Waiting, None, false);
    }

    /// Has it wait in its destination's line, and be looked at only when its sender must hear of it.
    pub(crate) fn stand(&mut self) {
        // Every leg of a queue with lines has a deadline; one without would be looked at when it is far too late.
        self.due = self.deadline().unwrap_or_else(|| self.since.plus(NEVER_LATER));
        (self.state, self.lease, self.line) = (LegState::Waiting, None, true);
        (self.next, self.past) = (None, false);
    }
}

const NEVER_LATER: Duration = Duration::from_hours(365 * 24);

#[cfg(test)]
mod tests {
    use super::*;
    use types::Timestamp;

    fn leg() -> LegRecord {
        let mut leg = LegRecord::new("mx.example".into(), Vec::new(), Moment(0));
        (leg.warn, leg.expires) = (Some(Moment(40)), Some(Moment(500)));
        leg
    }

    #[test]
    fn it_is_looked_at_for_whatever_comes_first() {
        let mut leg = leg();
        for (next, due, kept) in [(10, 10, None), (40, 40, None), (60, 40, Some(60)), (900, 40, Some(900))] {
            leg.wait(Moment(next));
            assert_eq!((leg.due, leg.next), (Moment(due), kept.map(Moment)), "{next}");
        }
        leg.warned = Some(Timestamp(0));
        leg.wait(Moment(60));
        assert_eq!((leg.due, leg.next), (Moment(60), None));
        leg.wait(Moment(900));
        assert_eq!((leg.due, leg.next), (Moment(500), Some(Moment(900))));
        assert!(!leg.is_tried_at(Moment(499)) && leg.is_tried_at(Moment(500)), "once more at the end");
    }

    #[test]
    fn it_is_for_later_until_its_time_begins() {
        let mut leg = leg();
        leg.since = Moment(30);
        leg.wait(Moment(30));
        assert!(leg.is_for_later(Moment(29)) && !leg.is_for_later(Moment(30)));
        for state in [LegState::Leased, LegState::Held, LegState::Failed] {
            leg.state = state;
            assert!(!leg.is_for_later(Moment(29)), "{state:?}");
        }
        (leg.state, leg.attempts) = (LegState::Waiting, 1);
        assert!(!leg.is_for_later(Moment(29)), "it was tried");
    }

    #[test]
    fn in_line_only_deadlines_count() {
        let mut leg = leg();
        leg.stand();
        assert_eq!((leg.due, leg.next, leg.line), (Moment(40), None, true));
        assert!(!leg.is_late(Moment(39)) && leg.is_late(Moment(40)));
        leg.warned = Some(Timestamp(0));
        leg.stand();
        assert_eq!(leg.due, Moment(500));
        assert!(!leg.is_late(Moment(499)) && leg.is_expired(Moment(500)));
    }
}
