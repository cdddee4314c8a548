//! The queue's own time. Wall clocks are set, and differ from node to node; if due times and leases followed them, a
//! node that is a day ahead would retry everything at once, give up what is a day old, and take every lease.
//!
//! So time is a row in the store. Whoever runs a transaction of the queue adds to what the row said when it last
//! looked the time that its own *steady* clock has measured since. No step of that can make time pass faster than
//! it does, on any node, whatever happens to its wall clock. Nodes see it a little late at worst, and never
//! backwards. While no node runs, the queue's time stands still: after a week of outage nothing has expired.

use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use store::kv::{self, KeyRange, Table, Transaction, decode};
use types::{Clock, Timestamp};

use crate::service::Kind;
use crate::table::{TimeRow, Times};

/// A moment in a queue's time, in milliseconds. It begins with the wall clock's time at the queue's first use, and
/// does not follow it afterwards: [`Queue::on_the_wall`](crate::Queue::on_the_wall) translates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Moment(#[n(0)] pub u64);

impl Moment {
    /// The moment `after` later.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How far the stored time may lie behind before somebody writes it anew. What a crash can set time back by.
pub(crate) const LAG: Duration = Duration::from_secs(30);

/// One node's view of a queue's time.
pub(crate) struct QueueClock {
    kind: Kind,
    clock: Clock,
    /// What the store said last, and the steady clock's reading then.
    seen: Mutex<Option<(Moment, Duration)>>,
}

impl QueueClock {
    pub(crate) fn new(kind: Kind, clock: Clock) -> Self {
        Self { kind, clock, seen: Mutex::default() }
    }

    /// The wall clock, for people to read.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// The row that holds the time, to be read along with others.
    pub(crate) fn key(&self) -> Bytes {
        Times::key(&self.kind)
    }

    /// The present moment, for a transaction that only reads.
    pub(crate) async fn peek(&self, tx: &Transaction) -> Result<Moment, kv::Error> {
        let stored = tx.snapshot_get(self.key()).await?;
        Ok(self.view(self.parse(stored)?))
    }

    /// The present moment, for a transaction that writes: it takes the stored time along where that has fallen behind.
    pub(crate) async fn now(&self, tx: &Transaction) -> Result<Moment, kv::Error> {
        let stored = tx.snapshot_get(self.key()).await?;
        self.now_from(tx, stored)
    }

    /// [`Self::now`], where the row has been read already.
    pub(crate) fn now_from(&self, tx: &Transaction, stored: Option<Bytes>) -> Result<Moment, kv::Error> {
        let stored = self.parse(stored)?;
        let now = self.view(stored);
        if stored.is_none_or(|stored| now.since(stored) >= LAG) {
            // Whoever else writes it now is a conflict: so it never goes back.
            tx.conflict_on(KeyRange::key(&self.key()))?;
            tx.save::<Times>(&self.kind, &TimeRow { now })?;
        }
        Ok(now)
    }

    fn parse(&self, stored: Option<Bytes>) -> Result<Option<Moment>, kv::Error> {
        let row = stored.map(|value| decode::<Times>(&self.key(), &value)).transpose()?;
        Ok(row.map(|row| row.now))
    }

    fn view(&self, stored: Option<Moment>) -> Moment {
        let steady = self.clock.steady();
        let mut seen = self.seen.lock();
        let own = seen.map(|(moment, at)| moment.plus(steady.saturating_sub(at)));
        match (own, stored) {
            (Some(own), None) => own,
            (Some(own), Some(stored)) if own >= stored => own,
            (_, Some(stored)) => {
                *seen = Some((stored, steady));
                stored
            }
            // The first use ever. Not remembered: the transaction may fail, and another node's begin differently.
            (None, None) => Moment(self.clock.now().0),
        }
    }
}
