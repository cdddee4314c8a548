//! What an operator sees of lines, and decides about them.

use futures::future::try_join_all;
use store::kv::{Range, Transaction, counter};
use types::Timestamp;

use super::{Cause, LineRecord, Lines, Places, Standstill, line_count_key};
use crate::clock::Moment;
use crate::enqueue::check_destination;
use crate::record::{Facts, cut};
use crate::{Error, Queue};

/// A destination that is not simply working, and what waits for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The destination.
    pub destination: String,
    /// Why messages wait for it together.
    pub why: Standstill,
    /// Since when that is so, by the wall clock.
    pub since: Timestamp,
    /// What keeps it from being reached, if it fails.
    pub cause: Option<Cause>,
    /// Failures in a row.
    pub attempts: u32,
    /// When somebody is handed some of what waits: by the wall clock, as far as can be foreseen.
    pub next: Option<Timestamp>,
    /// What it said last, or why an operator holds it.
    pub said: String,
    /// Who said that, and with which codes.
    pub facts: Option<Facts>,
    /// Legs that wait for it. One that is being tried on behalf of the others is not among them.
    pub depth: u64,
    /// Since when the oldest of them has waited for its recipients, by the wall clock.
    pub oldest: Option<Timestamp>,
}

/// Part of a list of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinePage {
    /// Lines, in the order of their destinations' names.
    pub lines: Vec<Line>,
    /// The name behind which the next part begins, if there may be one.
    pub next: Option<String>,
}

impl Queue {
    /// The lines behind that of the destination `after`: a row, a counter and the first place of each, however many
    /// stand in it.
    pub async fn lines(&self, after: Option<&str>, limit: usize) -> Result<LinePage, Error> {
        self.look(|tx| async move {
            let range = Range::new(Lines::after(self.kind(), after)).limit(limit).snapshot();
            let rows = tx.rows::<Lines>(range).all().await?;
            let next = rows.last().filter(|_| rows.len() == limit).map(|((_, name), _)| name.clone());
            let now = self.clock().peek(&tx).await?;
            let lines = rows.into_iter().map(|((_, name), record)| self.view(&tx, name, record, now));
            Ok(LinePage { lines: try_join_all(lines).await?, next })
        })
        .await
    }

    /// The line of a destination; `None` if it is simply working.
    pub async fn line_of(&self, destination: &str) -> Result<Option<Line>, Error> {
        self.look(|tx| async move {
            let key = (self.kind(), destination.to_owned());
            let Some(record) = tx.snapshot_load::<Lines>(&key).await? else { return Ok(None) };
            let now = self.clock().peek(&tx).await?;
            Ok(Some(self.view(&tx, key.1, record, now).await?))
        })
        .await
    }

    /// Has everything for a destination wait until it is released, what comes anew too. Senders hear of the delay;
    /// nothing is given up meanwhile. What a worker has in hand is not called back.
    pub async fn hold_destination(&self, destination: &str, why: &str) -> Result<(), Error> {
        check_destination(destination)?;
        self.kv()
            .run(|tx| async move {
                let before = self.line(&tx, destination).await?;
                let now = self.clock().now(&tx).await?;
                let mut held = LineRecord::busy(now, now);
                (held.why, held.next, held.said) = (Standstill::Held, None, cut(why));
                Ok(self.save_line(&tx, destination, before.as_ref(), Some(&held))?)
            })
            .await
    }

    /// Ends the holding of a destination: what waits for it is handed out as there is room. Returns whether it was held.
    pub async fn release_destination(&self, destination: &str) -> Result<bool, Error> {
        self.open(destination, |line, now| (line.why == Standstill::Held).then(|| LineRecord::busy(now, now)))
            .await
    }

    /// Has a destination that fails tried at once, by one message, with a fresh schedule. Returns whether it has a line
    /// that is not held.
    pub async fn retry_destination(&self, destination: &str) -> Result<bool, Error> {
        self.open(destination, |line, now| {
            (line.why != Standstill::Held).then(|| LineRecord {
                next: Some(now),
                attempts: 0,
                ..line.clone()
            })
        })
        .await
    }

    async fn open(
        &self,
        destination: &str,
        change: impl Fn(&LineRecord, Moment) -> Option<LineRecord> + Sync,
    ) -> Result<bool, Error> {
        let change = &change;
        self.kv()
            .run(|tx| async move {
                let Some(before) = self.line(&tx, destination).await? else { return Ok(false) };
                let now = self.clock().now(&tx).await?;
                let Some(after) = change(&before, now) else { return Ok(false) };
                self.save_line(&tx, destination, Some(&before), Some(&after))?;
                self.wake_for(&tx, destination)?;
                Ok(true)
            })
            .await
    }

    async fn view(
        &self,
        tx: &Transaction,
        destination: String,
        record: LineRecord,
        now: Moment,
    ) -> Result<Line, Error> {
        let depth = tx.snapshot_get(line_count_key(self.kind(), &destination)).await?;
        let first = Range::new(Places::of(self.kind(), &destination)).limit(1).snapshot();
        let first = tx.rows::<Places>(first).all().await?;
        Ok(Line {
            destination,
            why: record.why,
            since: self.on_the_wall(record.since, now),
            cause: record.cause,
            attempts: record.attempts,
            next: record.next.map(|next| self.on_the_wall(next, now)),
            said: record.said,
            facts: record.facts,
            depth: depth.map_or(0, |value| u64::try_from(counter(&value)).unwrap_or(0)),
            oldest: first.first().map(|(place, _)| self.on_the_wall(place.since, now)),
        })
    }
}
