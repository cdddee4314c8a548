//! What an operator decides about many messages at once: those of a sender, or for a destination. There is no index of
//! senders, which every message would have to pay for; so this reads through the queue, a bounded part at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use store::kv::{KeyRange, Range, Table, Transaction, after_key, decode};

use crate::clock::Moment;
use crate::enqueue::check_destination;
use crate::operate::{Change, held, released, rerouted, retried};
use crate::record::{LegRecord, LegState};
use crate::table::{Entries, Errors, Kept, LegKey, Legs, wake_key};
use crate::{EntryId, EntryIdError, Error, Queue};

/// Which messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Those of a sender: its address, empty for `<>`. The domain's case does not matter.
    Sender(String),
    /// What of them is for a destination, wherever it waits.
    Destination(String),
    /// What of them is for a destination and does not stand in its line: that is tried by
    /// [`Queue::retry_destination`], one message for all.
    Outside(String),
    /// What of them is in the error queue. Nothing else is read to find it.
    Failed,
}

/// What is to be done with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// As [`Queue::retry`].
    Retry,
    /// As [`Queue::release`].
    Release,
    /// As [`Queue::hold`], for this reason.
    Hold(String),
    /// As [`Queue::reroute`], by way of this destination.
    Reroute(String),
    /// Removes it for good; nobody hears of that.
    Drop,
}

/// How far a sweep has come. As a text, it is the name of a message and a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor(EntryId, u16);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Cursor {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let (id, leg) = text.split_once('.').ok_or(EntryIdError)?;
        Ok(Self(id.parse()?, leg.parse().map_err(|_| EntryIdError)?))
    }
}

/// What a part of a sweep came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Legs that were changed.
    pub changed: usize,
    /// The messages that they belong to, in the order of their names, each once.
    pub messages: Vec<EntryId>,
    /// Legs that were not tried because their time has not begun: their sender wants them to leave later.
    pub later: usize,
    /// Where to go on, if the end was not reached.
    pub next: Option<Cursor>,
}

/// What waits for a destination, by state: part of a survey.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// How many legs of a destination are in a state, and since when the oldest of them has waited.
    pub tallies: BTreeMap<(String, LegState), Tally>,
    /// Where to go on, if the end was not reached.
    pub next: Option<Cursor>,
}

/// A number of legs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// How many.
    pub legs: u64,
    /// Since when the oldest has waited.
    pub oldest: Moment,
}

/// Legs that one part of a sweep reads, and bytes written after which it ends.
const LEGS: usize = 500;
const BYTES: usize = 4_000_000;

impl Queue {
    /// Changes what there is of `whose` among the next 500 legs behind `after`, in one transaction. Go on with what it
    /// returns until that has no `next`; what comes into the queue meanwhile may be met or not.
    pub async fn sweep(&self, whose: &Whose, action: &Action, after: Option<Cursor>) -> Result<Swept, Error> {
        if let Action::Reroute(to) = action {
            check_destination(to)?;
        }
        self.kv().run(|tx| async move { self.sweep_in(&tx, whose, action, after).await }).await
    }

    /// Counts the next 500 legs behind `after`. [`Queue::depth`] and [`Queue::lines`] count without reading what they
    /// count; this is for what waits for a destination without standing in its line.
    pub async fn survey(&self, after: Option<Cursor>) -> Result<Survey, Error> {
        self.look(|tx| async move {
            let (rows, next) = self.legs_behind(&tx, after).await?;
            let mut survey = Survey { next, ..Survey::default() };
            for (_, leg) in rows {
                let tally = survey.tallies.entry((leg.destination, leg.state)).or_default();
                tally.oldest = if tally.legs == 0 { leg.since } else { tally.oldest.min(leg.since) };
                tally.legs += 1;
            }
            Ok(survey)
        })
        .await
    }

    /// The next legs, and where to go on if there may be more.
    async fn legs_behind(&self, tx: &Transaction, after: Option<Cursor>) -> Result<Part, Error> {
        let mut range = Legs::all(self.kind());
        if let Some(Cursor(id, leg)) = after {
            range.begin = after_key(&Legs::key(&(self.kind(), id, leg)));
        }
        let rows = tx.rows::<Legs>(Range::new(range).limit(LEGS).snapshot()).all().await?;
        let next = last(rows.iter().map(|(key, _)| key));
        Ok((rows, next))
    }

    /// The next legs of the error queue.
    async fn failed_behind(&self, tx: &Transaction, after: Option<Cursor>) -> Result<Part, Error> {
        let mut range = Errors::all(self.kind());
        if let Some(Cursor(id, leg)) = after {
            range.begin = after_key(&Errors::key(&(self.kind(), id, leg)));
        }
        let rows = tx.rows::<Errors>(Range::new(range).limit(LEGS).snapshot()).all().await?;
        let keys: Vec<LegKey> = rows.into_iter().map(|(key, _)| key).collect();
        let legs = tx.load_many::<Legs>(&keys).await?;
        let next = last(keys.iter());
        Ok((keys.into_iter().zip(legs).filter_map(|(key, leg)| Some((key, leg?))).collect(), next))
    }

    async fn sweep_in(
        &self,
        tx: &Transaction,
        whose: &Whose,
        action: &Action,
        after: Option<Cursor>,
    ) -> Result<Swept, Error> {
        let now = self.clock().now(tx).await?;
        let at = Change { now, wall: self.clock().wall() };
        let (rows, next) = match whose {
            Whose::Failed => self.failed_behind(tx, after).await?,
            _ => self.legs_behind(tx, after).await?,
        };
        let mut swept = Swept { changed: 0, messages: Vec::new(), later: 0, next };
        let rows = self.of(tx, whose, rows).await?;
        for (key, before) in rows {
            // What is changed must still be as it was read.
            tx.conflict_on(KeyRange::key(&Legs::key(&key)))?;
            swept.later += usize::from(*action == Action::Retry && before.is_for_later(now));
            if self.act(tx, key, before, action, at).await? {
                swept.changed += 1;
                if swept.messages.last() != Some(&key.1) {
                    swept.messages.push(key.1);
                }
            }
            if tx.size() > BYTES {
                swept.next = Some(Cursor(key.1, key.2));
                break;
            }
        }
        if swept.changed > 0 {
            tx.add(wake_key(self.kind(), 0), 1)?;
        }
        Ok(swept)
    }

    /// The legs that are meant.
    async fn of(
        &self,
        tx: &Transaction,
        whose: &Whose,
        mut rows: Vec<(LegKey, LegRecord)>,
    ) -> Result<Vec<(LegKey, LegRecord)>, Error> {
        let sender = match whose {
            Whose::Destination(name) => {
                rows.retain(|(_, leg)| leg.destination == *name);
                return Ok(rows);
            }
            Whose::Outside(name) => {
                let stands = |leg: &LegRecord| leg.line && leg.state == LegState::Waiting;
                rows.retain(|(_, leg)| leg.destination == *name && !stands(leg));
                return Ok(rows);
            }
            Whose::Failed => return Ok(rows),
            Whose::Sender(sender) => sender,
        };
        let keys: Vec<_> = rows.iter().map(|(key, _)| Entries::key(&(key.0, key.1))).collect();
        let entries = tx.snapshot_get_many(keys.clone()).await?;
        let mut theirs = Vec::new();
        for ((row, key), entry) in rows.into_iter().zip(keys).zip(entries) {
            let entry = entry.map(|value| decode::<Entries>(&key, &value)).transpose()?;
            if entry.is_some_and(|entry| entry.origin.is_from(sender)) {
                theirs.push(row);
            }
        }
        Ok(theirs)
    }

    async fn act(
        &self,
        tx: &Transaction,
        key: LegKey,
        before: LegRecord,
        action: &Action,
        at: Change,
    ) -> Result<bool, Error> {
        let mut leg = before.clone();
        let changed = match action {
            Action::Retry => retried(&mut leg, at),
            Action::Release => released(&mut leg, at),
            Action::Hold(why) => held(&mut leg, at, why),
            Action::Reroute(to) => rerouted(&mut leg, at, to),
            Action::Drop => {
                self.save_leg(tx, key, Some(&before), None)?;
                let entry = (key.0, key.1);
                let mut rows = tx.get_many(vec![Entries::key(&entry), Kept::key(&entry)]).await?.into_iter();
                self.leave(tx, key, rows.next().flatten(), rows.next().flatten())?;
                return Ok(true);
            }
        };
        if changed.is_some() {
            self.save_leg(tx, key, Some(&before), Some(&leg))?;
        }
        Ok(changed.is_some())
    }
}

/// Part of a walk through the legs.
type Part = (Vec<(LegKey, LegRecord)>, Option<Cursor>);

/// Where to go on behind a part, if it was full.
fn last<'a>(mut keys: impl DoubleEndedIterator<Item = &'a LegKey> + ExactSizeIterator) -> Option<Cursor> {
    let full = keys.len() == LEGS;
    keys.next_back().filter(|_| full).map(|key| Cursor(key.1, key.2))
}
