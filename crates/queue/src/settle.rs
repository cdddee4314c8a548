//! What became of a leg.

use std::collections::BTreeMap;

use store::kv::{Table, Transaction, decode};

use crate::claim::{Lease, is_held};
use crate::record::{EventKind, LegRecord, LegState, RecipientState, cut};
use crate::table::{Bodies, Entries, Kept, LegKey, Legs, owner};
use crate::{EntryId, Error, Queue};

/// What an attempt came to for one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The recipient has the message.
    Done,
    /// It did not work now, for this reason.
    Later(String),
    /// It will never work, for this reason.
    Never(String),
}

/// What a leg is in after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Everybody has the message, and the leg is gone.
    Done,
    /// It is tried again for some.
    Later,
    /// It is in the error queue for some.
    Failed,
    /// Still in this worker's hands: some recipients have no outcome.
    Open,
}

impl Queue {
    /// Takes recipients off a leg in the transaction that delivers to them: so the delivery and its end in the queue are
    /// one, and neither is done twice. One round of reading. Where these were the last, the leg is gone with the
    /// transaction.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands: the transaction must not be committed.
    pub async fn strike(&self, tx: &Transaction, lease: &Lease, done: &[usize]) -> Result<Settled, Error> {
        let outcomes = done.iter().map(|number| (*number, Outcome::Done)).collect();
        self.apply(tx, lease, &outcomes, false).await
    }

    /// Ends an attempt. Recipients that are not named stay for later.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands.
    pub async fn settle(&self, lease: &Lease, outcomes: Vec<(usize, Outcome)>) -> Result<Settled, Error> {
        let outcomes = &outcomes.into_iter().collect::<BTreeMap<_, _>>();
        self.kv().run(|tx| async move { self.apply(&tx, lease, outcomes, true).await }).await
    }

    async fn apply(
        &self,
        tx: &Transaction,
        lease: &Lease,
        outcomes: &BTreeMap<usize, Outcome>,
        last: bool,
    ) -> Result<Settled, Error> {
        let (kind, id, _) = lease.key;
        let (leg_key, time_key) = (Legs::key(&lease.key), self.clock().key());
        let keys = vec![leg_key.clone(), Entries::key(&(kind, id)), Kept::key(&(kind, id))];
        let mut rows = tx.get_many(keys).await?.into_iter();
        let stored = rows.next().flatten().map(|value| decode::<Legs>(&leg_key, &value)).transpose()?;
        let before = stored.filter(|leg| is_held(leg, lease)).ok_or(Error::LeaseLost(id))?;
        let mut leg = before.clone();
        for (number, outcome) in outcomes {
            if let Some(recipient) = leg.recipients.get_mut(*number)
                && recipient.state == RecipientState::Pending
            {
                let (state, said) = match outcome {
                    Outcome::Done => (RecipientState::Done, None),
                    Outcome::Later(why) => (RecipientState::Pending, Some(cut(why))),
                    Outcome::Never(why) => (RecipientState::Failed, Some(cut(why))),
                };
                (recipient.state, recipient.said) = (state, said);
            }
        }
        if leg.recipients.iter().all(|recipient| recipient.state == RecipientState::Done) {
            self.save_leg(tx, lease.key, Some(&before), None)?;
            self.leave(tx, lease.key, rows.next().flatten(), rows.next().flatten())?;
            return Ok(Settled::Done);
        }
        let settled = if last {
            let time = tx.snapshot_get(time_key).await?;
            let now = self.clock().now_from(tx, time)?;
            self.decide(&mut leg, now)
        } else {
            Settled::Open
        };
        self.save_leg(tx, lease.key, Some(&before), Some(&leg))?;
        Ok(settled)
    }

    /// What comes after an attempt that did not reach everybody.
    fn decide(&self, leg: &mut LegRecord, now: crate::Moment) -> Settled {
        let wall = self.clock().wall();
        leg.lease = None;
        leg.lost = 0;
        let tried = now.since(leg.since);
        let over = tried >= self.options().schedule.give_up;
        let reasons = reasons(leg);
        if over {
            for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending) {
                recipient.state = RecipientState::Failed;
            }
        }
        let left = leg.pending().count();
        if left > 0 {
            leg.note(wall, EventKind::Tried, &reasons);
            leg.state = LegState::Waiting;
            leg.due = now.plus(self.options().schedule.pause(leg.attempts, &self.options().dice));
            return Settled::Later;
        }
        let text = if over {
            let days = tried.as_secs() / 86_400;
            format!("given up after {} attempts in {days} days: {reasons}", leg.attempts)
        } else {
            reasons
        };
        leg.note(wall, EventKind::Failed, &text);
        leg.state = LegState::Failed;
        leg.due = now;
        Settled::Failed
    }

    /// A leg has left its entry: with the last one, the entry goes.
    pub(crate) fn leave(
        &self,
        tx: &Transaction,
        key: LegKey,
        entry: Option<bytes::Bytes>,
        kept: Option<bytes::Bytes>,
    ) -> Result<(), Error> {
        let (kind, id, _) = key;
        let entry_key = (kind, id);
        let entry = entry.ok_or(Error::Damaged { id, what: "its first row is missing" })?;
        let mut entry = decode::<Entries>(&Entries::key(&entry_key), &entry)?;
        entry.left = entry.left.saturating_sub(1);
        if entry.left > 0 {
            return Ok(tx.save::<Entries>(&entry_key, &entry)?);
        }
        self.forget(tx, id, kept)
    }

    /// Removes an entry without legs.
    pub(crate) fn forget(
        &self,
        tx: &Transaction,
        id: EntryId,
        kept: Option<bytes::Bytes>,
    ) -> Result<(), Error> {
        let key = (self.kind(), id);
        tx.remove::<Entries>(&key)?;
        tx.remove::<Bodies>(&key)?;
        if let Some(kept) = kept {
            let kept = decode::<Kept>(&Kept::key(&key), &kept)?;
            for blob in &kept.blobs {
                self.blobs().unlink(tx, blob, &owner(key.0, id))?;
            }
            tx.remove::<Kept>(&key)?;
        }
        Ok(())
    }
}

/// What was said about those who do not have the message, each text once.
fn reasons(leg: &LegRecord) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for recipient in leg.recipients.iter().filter(|recipient| recipient.state != RecipientState::Done) {
        let said = recipient.said.as_deref().unwrap_or("it was not tried");
        if !texts.contains(&said) {
            texts.push(said);
        }
    }
    texts.join("; ")
}
