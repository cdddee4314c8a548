//! The queue as its users hold it, and what it rests on.

use std::sync::Arc;
use std::time::Duration;

use store::blob::Blobs;
use store::kv::{Kv, Transaction};
use types::{Clock, Timestamp};

use crate::clock::{Moment, QueueClock};
use crate::record::{LegRecord, LegState};
use crate::table::{DueKey, DueRow, Dues, Errors, LegKey, Legs, Mark, count_key, counted_as};
use crate::{Dice, Error, Pauses, Schedule};

/// Which queue it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Mail for mailboxes here.
    Inbound,
    /// Mail for other servers.
    Outbound,
}

impl Kind {
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::Inbound => b'i',
            Self::Outbound => b'o',
        }
    }

    pub(crate) const fn of_letter(letter: u8) -> Option<Self> {
        match letter {
            b'i' => Some(Self::Inbound),
            b'o' => Some(Self::Outbound),
            _ => None,
        }
    }
}

/// How a queue behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// When what failed is tried again, and when it is given up.
    pub schedule: Schedule,
    /// When a destination that fails as a whole is tried again: one message for all that wait for it.
    pub line: Pauses,
    /// How long messages wait for a destination that has no room on one node before any node looks whether it has.
    pub busy: Duration,
    /// How long a worker has a leg for, unless it renews its lease.
    pub lease: Duration,
    /// A leg that ends so many workers in a row, each before it could say anything, is given up if its sender can be told,
    /// and goes to the error queue if not, or if that ends as many again.
    pub most_lost: u32,
    /// How long the error queue keeps what nobody decides about; none: for ever.
    pub keep_failed: Option<Duration>,
    /// Where jitter and tokens come from.
    pub dice: Dice,
}

impl Options {
    /// For mail to mailboxes here: what fails, fails for a reason of ours, which may be over soon.
    pub const fn inbound() -> Self {
        Self {
            schedule: Schedule {
                first: Duration::from_secs(5),
                longest: Duration::from_mins(15),
                jitter: 20,
                warn: None,
                give_up: Duration::from_hours(5 * 24),
            },
            line: LINE,
            busy: BUSY,
            lease: Duration::from_secs(60),
            most_lost: 8,
            keep_failed: None,
            dice: Dice::system(),
        }
    }

    /// For mail to other servers: what fails, fails for a reason of theirs.
    ///
    /// What a server refuses for now is tried again after 5 minutes, which is what greylisting asks for, and at last
    /// every 2 hours. A server that cannot be reached at all is tried with one message after 30 s, and at last
    /// every half an hour, for as long as anything waits for it. Senders hear of a delay after 4 hours, and it is
    /// over after 5 days (RFC 5321 §4.5.4.1). A lease is long, as some servers take minutes to answer. The
    /// error queue holds only what no sender could be told of; it is kept for 30 days.
    pub const fn outbound() -> Self {
        Self {
            schedule: Schedule {
                first: Duration::from_mins(5),
                longest: Duration::from_hours(2),
                jitter: 20,
                warn: Some(Duration::from_hours(4)),
                give_up: Duration::from_hours(5 * 24),
            },
            line: LINE,
            busy: BUSY,
            lease: Duration::from_mins(5),
            most_lost: 8,
            keep_failed: Some(Duration::from_hours(30 * 24)),
            dice: Dice::system(),
        }
    }
}

const LINE: Pauses = Pauses { first: Duration::from_secs(30), longest: Duration::from_mins(30), jitter: 20 };
const BUSY: Duration = Duration::from_secs(5);

/// A queue. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    kind: Kind,
    kv: Kv,
    blobs: Blobs,
    clock: QueueClock,
    options: Options,
}

impl Queue {
    /// The queue of a kind in these stores.
    pub fn new(kind: Kind, kv: Kv, blobs: Blobs, clock: Clock, options: Options) -> Self {
        let clock = QueueClock::new(kind, clock);
        Self { inner: Arc::new(Inner { kind, kv, blobs, clock, options }) }
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// The present moment in the queue's time.
    pub async fn now(&self) -> Result<Moment, Error> {
        self.look(|tx| async move { Ok(self.clock().peek(&tx).await?) }).await
    }

    /// What a wall clock will show at a moment of the queue's time, if the queue keeps running and nobody sets that
    /// clock.
    pub fn on_the_wall(&self, moment: Moment, now: Moment) -> Timestamp {
        let wall = self.clock().wall();
        if moment >= now { wall.plus(moment.since(now)) } else { wall.minus(now.since(moment)) }
    }

    /// Whether destinations matter: mailboxes here are one.
    pub(crate) fn has_lines(&self) -> bool {
        self.inner.kind == Kind::Outbound
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.inner.kv
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    pub(crate) fn clock(&self) -> &QueueClock {
        &self.inner.clock
    }

    /// Reads from one snapshot, and again from a fresh one where that has become too old.
    pub(crate) async fn look<T, F, Fut>(&self, work: F) -> Result<T, Error>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.kv().run(work).await
    }

    /// Writes a leg anew, with all rows that follow from it. `before` is what was stored.
    pub(crate) fn save_leg(
        &self,
        tx: &Transaction,
        key: LegKey,
        before: Option<&LegRecord>,
        after: Option<&LegRecord>,
    ) -> Result<(), store::kv::Error> {
        let (kind, id, leg) = key;
        let due = |record: &LegRecord| DueKey { kind, due: record.due, id, leg };
        let counted = |record: Option<&LegRecord>| record.map(|record| counted_as(record.state));
        self.save_place(tx, key, before, after)?;
        let count_changes = counted(before) != counted(after);
        if let Some(before) = before {
            match before.state {
                LegState::Waiting | LegState::Leased => tx.remove::<Dues>(&due(before))?,
                LegState::Failed => tx.remove::<Errors>(&key)?,
                LegState::Held => {}
            }
            if count_changes {
                tx.add(count_key(kind, id, before.state), -1)?;
            }
        }
        let Some(after) = after else { return tx.remove::<Legs>(&key) };
        match after.state {
            LegState::Waiting | LegState::Leased => {
                tx.save::<Dues>(&due(after), &DueRow { leased: after.state == LegState::Leased })?;
            }
            LegState::Failed => tx.save::<Errors>(&key, &Mark {})?,
            LegState::Held => {}
        }
        if count_changes {
            tx.add(count_key(kind, id, after.state), 1)?;
        }
        tx.save::<Legs>(&key, after)
    }
}
