//! Looking at what is in the queue, without changing anything.

use std::time::Duration;

use store::kv::{KeyRange, Range, Table, Transaction, after_key, counter};
use types::Timestamp;

use crate::clock::Moment;
use crate::record::{EntryRecord, Event, LegRecord, LegState, Origin, Recipient};
use crate::table::{Entries, Errors, Legs, count_range, counted_state};
use crate::{EntryId, Error, Queue};

/// A message in the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// Where it comes from.
    pub origin: Origin,
    /// Octets of the message.
    pub size: u64,
    /// When it came.
    pub received: Timestamp,
    /// What is left to do.
    pub legs: Vec<Leg>,
}

/// Recipients of a message that share a destination and a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The next hop; empty for mailboxes here.
    pub destination: String,
    /// The recipients, those who have the message included.
    pub recipients: Vec<Recipient>,
    /// What it waits for.
    pub state: LegState,
    /// When it is tried, when its lease ends, or when it failed: by the wall clock, as far as can be foreseen.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// Who works on it.
    pub holder: Option<String>,
    /// An operator wants it delivered whatever stands against it.
    pub released: bool,
    /// What happened, oldest first.
    pub history: Vec<Event>,
    /// Events between the second and the third of the history that were forgotten.
    pub forgotten: u32,
    /// What else it waits for.
    pub plan: Plan,
}

/// What a leg waits for besides its own next attempt. For mailboxes here no more of it than when it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// It stands in its destination's line, which says when something is tried: [`Queue::line_of`].
    pub in_line: bool,
    /// When it is tried, if it does not stand in line: by the wall clock, as far as can be foreseen.
    pub next: Option<Timestamp>,
    /// When its sender is to be told that it is late.
    pub warn: Option<Timestamp>,
    /// When its sender was told that it is late.
    pub warned: Option<Timestamp>,
    /// When it is given up.
    pub expires: Option<Timestamp>,
    /// When its time begins, if that is still to come: its sender wants it to leave later.
    pub begins: Option<Timestamp>,
}

/// Part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Messages, in the order of their names.
    pub entries: Vec<Entry>,
    /// Where the next part begins, if there may be one.
    pub next: Option<EntryId>,
}

/// How much there is in a queue, in legs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// That wait for their time, or are being worked on.
    pub waiting: u64,
    /// That wait for an operator who has told them to.
    pub held: u64,
    /// In the error queue.
    pub failed: u64,
}

/// How old the oldest is of what waits in a queue; none where nothing does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ages {
    /// Since the attempts of a leg that waits, or is being worked on, began.
    pub waiting: Option<Duration>,
    /// Since those of a leg began that an operator holds back.
    pub held: Option<Duration>,
    /// Since a leg went to the error queue.
    pub failed: Option<Duration>,
}

impl Queue {
    /// The messages after `after` in the order of their names, which is none that means anything.
    pub async fn list(&self, after: Option<EntryId>, limit: usize) -> Result<Page, Error> {
        self.look(|tx| async move {
            let mut range: KeyRange = Entries::all(self.kind());
            if let Some(after) = after {
                range.begin = after_key(&Entries::key(&(self.kind(), after)));
            }
            let rows = tx.rows::<Entries>(Range::new(range).limit(limit).snapshot()).all().await?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|((_, id), _)| *id);
            let now = self.clock().peek(&tx).await?;
            let mut entries = Vec::with_capacity(rows.len());
            for ((_, id), record) in rows {
                entries.push(self.entry(&tx, id, record, now).await?);
            }
            Ok(Page { entries, next })
        })
        .await
    }

    /// One message; `None` if it is not in the queue, or not any more.
    pub async fn show(&self, id: EntryId) -> Result<Option<Entry>, Error> {
        self.look(|tx| async move {
            let now = self.clock().peek(&tx).await?;
            match tx.snapshot_load::<Entries>(&(self.kind(), id)).await? {
                Some(record) => Ok(Some(self.entry(&tx, id, record, now).await?)),
                None => Ok(None),
            }
        })
        .await
    }

    /// How much there is: one short range read, however much it is.
    pub async fn depth(&self) -> Result<Depth, Error> {
        self.look(|tx| async move {
            let rows = tx.range(Range::new(count_range(self.kind())).snapshot()).all().await?;
            let sum = |state: u8| {
                let of_state = rows.iter().filter(|(key, _)| counted_state(key) == Some(state));
                u64::try_from(of_state.map(|(_, value)| counter(value)).sum::<i64>()).unwrap_or(0)
            };
            Ok(Depth { waiting: sum(0), held: sum(2), failed: sum(3) })
        })
        .await
    }

    /// How old the oldest legs are, among the first `most` in the order of their names, which is a random one: one
    /// range read of at most so many rows, in the queue's own time.
    pub async fn ages(&self, most: usize) -> Result<Ages, Error> {
        self.look(|tx| async move {
            let now = self.clock().peek(&tx).await?;
            let range = Range::new(Legs::all(self.kind())).limit(most).snapshot();
            let mut ages = Ages::default();
            for (_, leg) in tx.rows::<Legs>(range).all().await? {
                let (oldest, since) = match leg.state {
                    LegState::Waiting | LegState::Leased => (&mut ages.waiting, leg.since),
                    LegState::Held => (&mut ages.held, leg.since),
                    LegState::Failed => (&mut ages.failed, leg.due),
                };
                *oldest = (*oldest).max(Some(now.since(since)));
            }
            Ok(ages)
        })
        .await
    }

    /// The names of messages of which something is in the error queue.
    pub async fn failed(&self) -> Result<Vec<EntryId>, Error> {
        let rows = self
            .look(|tx| async move {
                Ok(tx.rows::<Errors>(Range::new(Errors::all(self.kind())).snapshot()).all().await?)
            })
            .await?;
        let mut ids: Vec<EntryId> = rows.into_iter().map(|((_, id, _), _)| id).collect();
        ids.dedup();
        Ok(ids)
    }

    async fn entry(
        &self,
        tx: &Transaction,
        id: EntryId,
        record: EntryRecord,
        now: Moment,
    ) -> Result<Entry, Error> {
        let legs = tx.rows::<Legs>(Range::new(Legs::of(self.kind(), id)).snapshot()).all().await?;
        let legs = legs.into_iter().map(|(_, leg)| self.leg(leg, now)).collect();
        let EntryRecord { origin, size, received, .. } = record;
        Ok(Entry { id, origin, size, received, legs })
    }

    fn leg(&self, leg: LegRecord, now: Moment) -> Leg {
        let wall = |moment: Option<Moment>| moment.map(|moment| self.on_the_wall(moment, now));
        let waits = leg.state == LegState::Waiting && !leg.line && self.has_lines();
        let plan = Plan {
            in_line: leg.line,
            next: wall(waits.then(|| leg.next.unwrap_or(leg.due))),
            warn: wall(leg.warn.filter(|_| leg.warned.is_none())),
            warned: leg.warned,
            expires: wall(leg.expires),
            begins: wall(leg.is_for_later(now).then_some(leg.since)),
        };
        Leg {
            plan,
            destination: leg.destination,
            recipients: leg.recipients,
            state: leg.state,
            due: self.on_the_wall(leg.due, now),
            attempts: leg.attempts,
            holder: leg.lease.map(|lease| lease.holder),
            released: leg.released,
            history: leg.history,
            forgotten: leg.forgotten,
        }
    }
}
