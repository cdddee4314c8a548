//! What an operator decides about a message in the queue.

use store::kv::{Range, Table, Transaction};

use crate::clock::Moment;
use crate::enqueue::check_destination;
use crate::record::{EventKind, LegRecord, LegState, RecipientState};
use crate::table::{Entries, Errors, Kept, LegKey, Legs, wake_of};
use crate::{EntryId, Error, Queue};

impl Queue {
    /// Has a message tried at once, from the error queue too, with a fresh schedule. What is held stays held, what a
    /// worker has stays with it, and what its sender wants to leave later waits for its time. Returns how many of its legs
    /// are due now.
    pub async fn retry(&self, id: EntryId) -> Result<usize, Error> {
        self.change(id, retried).await
    }

    /// Has a message delivered at once whatever stands against it: it leaves the error queue, or where it was held, also
    /// before its time. Returns how many of its legs are due now.
    pub async fn release(&self, id: EntryId) -> Result<usize, Error> {
        self.change(id, released).await
    }

    /// Has a message wait until somebody releases it; a worker that has it now cannot deliver it any more. Returns how
    /// many of its legs are held now.
    pub async fn hold(&self, id: EntryId, why: &str) -> Result<usize, Error> {
        self.change(id, |leg, at| held(leg, at, why)).await
    }

    /// Sends what of a message is for one destination to another one, at once and with a fresh schedule, from the error
    /// queue too. What is held stays held, what a worker has stays with it, and what its sender wants to leave later goes
    /// there at its time. Returns how many legs go elsewhere now.
    pub async fn reroute(&self, id: EntryId, from: &str, to: &str) -> Result<usize, Error> {
        check_destination(to)?;
        self.change(id, |leg, at| if leg.destination == from { rerouted(leg, at, to) } else { None }).await
    }

    /// Removes a message for good: nobody gets it any more, not from a worker that has it now either.
    pub async fn drop_entry(&self, id: EntryId) -> Result<(), Error> {
        self.kv().run(|tx| async move { self.drop_in(&tx, id).await }).await
    }

    /// Removes what has been in the error queue for longer than it is to be kept; not what for another server has a
    /// sender, who was told nothing: about that an operator decides. Returns what it was.
    pub async fn trim(&self) -> Result<Vec<EntryId>, Error> {
        let Some(keep) = self.options().keep_failed else { return Ok(Vec::new()) };
        let failed = self
            .look(|tx| async move {
                let now = self.clock().peek(&tx).await?;
                let rows = tx.rows::<Errors>(Range::new(Errors::all(self.kind())).snapshot()).all().await?;
                Ok((now, rows))
            })
            .await?;
        let (now, rows) = failed;
        let mut trimmed = Vec::new();
        for ((_, id, _), _) in rows {
            let gone = self
                .kv()
                .run(|tx| async move {
                    let legs = self.legs_of(&tx, id).await?;
                    let old = |leg: &LegRecord| leg.state == LegState::Failed && now.since(leg.due) >= keep;
                    if legs.is_empty() || !legs.iter().all(|(_, leg)| old(leg)) {
                        return Ok(false);
                    }
                    let entry = tx.load::<Entries>(&(self.kind(), id)).await?;
                    if self.has_lines() && entry.is_some_and(|entry| !entry.origin.sender.is_empty()) {
                        return Ok(false);
                    }
                    self.drop_in(&tx, id).await.map(|()| true)
                })
                .await?;
            if gone {
                trimmed.push(id);
            }
        }
        Ok(trimmed)
    }

    pub(crate) async fn legs_of(
        &self,
        tx: &Transaction,
        id: EntryId,
    ) -> Result<Vec<(LegKey, LegRecord)>, Error> {
        Ok(tx.rows::<Legs>(Range::new(Legs::of(self.kind(), id))).all().await?)
    }

    async fn drop_in(&self, tx: &Transaction, id: EntryId) -> Result<(), Error> {
        let legs = self.legs_of(tx, id).await?;
        let key = (self.kind(), id);
        let mut rows = tx.get_many(vec![Entries::key(&key), Kept::key(&key)]).await?.into_iter();
        if rows.next().flatten().is_none() && legs.is_empty() {
            return Err(Error::NoSuchEntry(id));
        }
        for (key, leg) in &legs {
            self.save_leg(tx, *key, Some(leg), None)?;
        }
        self.forget(tx, id, rows.next().flatten())
    }

    /// Changes the legs of an entry for which `change` says `Some`.
    async fn change(
        &self,
        id: EntryId,
        change: impl Fn(&mut LegRecord, Change) -> Option<()> + Sync,
    ) -> Result<usize, Error> {
        let change = &change;
        self.kv()
            .run(|tx| async move {
                let now = self.clock().now(&tx).await?;
                let at = Change { now, wall: self.clock().wall() };
                let legs = self.legs_of(&tx, id).await?;
                if legs.is_empty() {
                    return Err(Error::NoSuchEntry(id));
                }
                let mut changed = 0;
                for (key, before) in legs {
                    let mut leg = before.clone();
                    if change(&mut leg, at).is_some() {
                        self.save_leg(&tx, key, Some(&before), Some(&leg))?;
                        changed += 1;
                    }
                }
                tx.add(wake_of(self.kind(), id), 1)?;
                Ok(changed)
            })
            .await
    }
}

/// When a change is made.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) now: Moment,
    pub(crate) wall: types::Timestamp,
}

pub(crate) fn retried(leg: &mut LegRecord, at: Change) -> Option<()> {
    let waits = matches!(leg.state, LegState::Waiting | LegState::Failed);
    (waits && !leg.is_for_later(at.now)).then(|| {
        begin_again(leg, at, EventKind::Retried, "");
        leg.past = true;
    })
}

pub(crate) fn released(leg: &mut LegRecord, at: Change) -> Option<()> {
    (leg.state != LegState::Leased).then(|| {
        leg.released = true;
        begin_again(leg, at, EventKind::Released, "");
    })
}

pub(crate) fn held(leg: &mut LegRecord, at: Change, why: &str) -> Option<()> {
    (leg.state != LegState::Held).then(|| {
        (leg.lease, leg.line, leg.next) = (None, false, None);
        leg.state = LegState::Held;
        leg.note(at.wall, EventKind::Held, why);
    })
}

pub(crate) fn rerouted(leg: &mut LegRecord, at: Change, to: &str) -> Option<()> {
    if leg.destination == to || matches!(leg.state, LegState::Leased) {
        return None;
    }
    let text = format!(", by way of {to:?} instead of {:?}", leg.destination);
    to.clone_into(&mut leg.destination);
    if leg.state == LegState::Held {
        leg.note(at.wall, EventKind::Held, text.trim_start_matches(", "));
    } else if leg.is_for_later(at.now) {
        // It is as if it had been queued for there: it keeps its time, and can be taken back as before.
        leg.note(at.wall, EventKind::Entered, text.trim_start_matches(", "));
    } else {
        begin_again(leg, at, EventKind::Retried, &text);
    }
    Some(())
}

/// A leg's attempts begin anew, at once, for everybody who does not have the message, unless the sender was told that
/// they never will.
fn begin_again(leg: &mut LegRecord, at: Change, kind: EventKind, text: &str) {
    for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Failed && !r.reported) {
        recipient.state = RecipientState::Pending;
    }
    let again = |moment: Option<Moment>| moment.map(|moment| at.now.plus(moment.since(leg.since)));
    (leg.warn, leg.expires) = (again(leg.warn), again(leg.expires));
    (leg.since, leg.attempts, leg.lost) = (at.now, 0, 0);
    leg.wait(at.now);
    leg.note(at.wall, kind, text);
}
