//! What became of a leg.

use std::collections::BTreeMap;

use store::kv::{Table, Transaction, decode};

use crate::claim::{Lease, is_held};
use crate::clock::{LAG, Moment};
use crate::record::{EventKind, Facts, LegRecord, LegState, Recipient, RecipientState, cut};
use crate::report::{Companion, Fate, Report};
use crate::table::{Bodies, Entries, Kept, LegKey, Legs, owner, wake_of};
use crate::{EntryId, Errand, Error, Queue};

/// What an attempt came to for one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The recipient has the message, and whoever should hear of that will, if not from here.
    Done,
    /// Somebody else has the message, and the sender may want to hear of it from here.
    Passed(Passage, Answer),
    /// It did not work now, for this reason.
    Later(Answer),
    /// It will never work, for this reason.
    Never(Answer),
}

/// How a message has left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Passage {
    /// Into the mailbox.
    Delivered,
    /// To a server that tells nobody what becomes of it.
    Relayed,
    /// To the members of a list or the targets of an alias.
    Expanded,
}

/// What was said about a recipient or a destination.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// In words.
    pub text: String,
    /// Who said it, and with which codes.
    pub facts: Facts,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, facts: Facts::default() }
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// What a leg is in after an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Everybody has the message, and the leg is gone.
    Done,
    /// The leg is gone: who does not have the message never will, and the sender was told or did not want to be.
    Reported,
    /// It is tried again for some.
    Later,
    /// It is in the error queue for some.
    Failed,
    /// Still in this worker's hands: some recipients have no outcome.
    Open,
}

/// Whether an attempt is over, and who hears of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It goes on.
    Open,
    /// Nobody is told: what failed goes to the error queue.
    Untold,
    /// The sender is told.
    Told,
}

impl Queue {
    /// Takes recipients off a leg in the transaction that delivers to them: so the delivery and its end in the queue are
    /// one, and neither is done twice. One round of reading. Where these were the last, the attempt ends with the
    /// transaction, and the leg is gone, or in the error queue if others have failed before.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands: the transaction must not be committed.
    pub async fn strike(&self, tx: &Transaction, lease: &Lease, done: &[usize]) -> Result<Settled, Error> {
        let outcomes = done.iter().map(|number| (*number, Outcome::Done)).collect();
        self.apply(tx, lease, &outcomes, Ending::Open).await.map(|(settled, _)| settled)
    }

    /// Ends an attempt of which nobody is told. Recipients that are not named stay for later.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands.
    pub async fn settle(&self, lease: &Lease, outcomes: Vec<(usize, Outcome)>) -> Result<Settled, Error> {
        let outcomes = &outcomes.into_iter().collect::<BTreeMap<_, _>>();
        let ended = self.kv().run(|tx| async move { self.apply(&tx, lease, outcomes, Ending::Untold).await });
        ended.await.map(|(settled, _)| settled)
    }

    /// Ends an attempt, or another errand, and has a companion tell the sender in the same transaction, if there is
    /// anything to tell: so everybody is told once. Who was told that it failed leaves the queue; only what has no
    /// sender to be told goes to the error queue. Recipients that are not named stay for later.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands, and what the companion says.
    pub async fn settle_with(
        &self,
        lease: &Lease,
        outcomes: Vec<(usize, Outcome)>,
        companion: &impl Companion,
    ) -> Result<Settled, Error> {
        let outcomes = &outcomes.into_iter().collect::<BTreeMap<_, _>>();
        self.kv()
            .run(|tx| async move {
                let (settled, report) = self.apply(&tx, lease, outcomes, Ending::Told).await?;
                companion.join(&tx, &report).await?;
                Ok(settled)
            })
            .await
    }

    async fn apply(
        &self,
        tx: &Transaction,
        lease: &Lease,
        outcomes: &BTreeMap<usize, Outcome>,
        ending: Ending,
    ) -> Result<(Settled, Report), Error> {
        let (kind, id, _) = lease.key;
        let (leg_key, time_key) = (Legs::key(&lease.key), self.clock().key());
        let keys = vec![leg_key.clone(), Entries::key(&(kind, id)), Kept::key(&(kind, id))];
        let mut rows = tx.get_many(keys).await?.into_iter();
        let stored = rows.next().flatten().map(|value| decode::<Legs>(&leg_key, &value)).transpose()?;
        let before = stored.filter(|leg| is_held(leg, lease)).ok_or(Error::LeaseLost(id))?;
        let mut leg = before.clone();
        let sender = &lease.origin().sender;
        let mut fates = self.write_down(&mut leg, outcomes);
        let mut notices = Vec::new();
        let mut settled = Settled::Open;
        let (mut until, mut decided) = (None, None);
        if ending == Ending::Told {
            notices = leg.report(sender, &fates);
        }
        let over = |leg: &LegRecord| leg.recipients.iter().all(Recipient::is_over);
        // Where only such are left as have failed before, nobody would come to say that the attempt is over.
        let ends = ending != Ending::Open || leg.pending().next().is_none();
        if !over(&leg) && ends {
            let time = tx.snapshot_get(time_key).await?;
            let now = self.clock().now_from(tx, time)?;
            until = leg.expires.map(|expires| self.on_the_wall(expires, now));
            fates.clear();
            settled = self.decide(lease, &mut leg, now, &mut fates);
            decided = Some(now);
            if ending == Ending::Told {
                notices.extend(leg.report(sender, &fates));
            }
        }
        let until = until.filter(|_| leg.pending().next().is_some());
        let named = lease.origin().submission.is_some();
        let recipients = if named { leg.recipients.clone() } else { Vec::new() };
        let report = Report { notices, until, recipients };
        if over(&leg) {
            self.save_leg(tx, lease.key, Some(&before), None)?;
            self.leave(tx, lease.key, rows.next().flatten(), rows.next().flatten())?;
            let all = leg.recipients.iter().all(|recipient| recipient.state == RecipientState::Done);
            return Ok((if all { Settled::Done } else { Settled::Reported }, report));
        }
        self.save_leg(tx, lease.key, Some(&before), Some(&leg))?;
        if decided.is_some_and(|now| leg.is_due_by(now.plus(LAG))) {
            // Whoever waits may know of nothing that is due before they look again.
            tx.add(wake_of(kind, id), 1)?;
        }
        Ok((settled, report))
    }

    /// Writes outcomes into a leg. Returns what there may be to tell.
    fn write_down(&self, leg: &mut LegRecord, outcomes: &BTreeMap<usize, Outcome>) -> Vec<(usize, Fate)> {
        let mut fates = Vec::new();
        for (number, outcome) in outcomes {
            let pending = leg.recipients.get_mut(*number).filter(|r| r.state == RecipientState::Pending);
            let Some(recipient) = pending else { continue };
            let (state, answer, fate) = match outcome {
                Outcome::Done => (RecipientState::Done, None, None),
                Outcome::Passed(how, answer) => (RecipientState::Done, Some(answer), Some(how.fate())),
                Outcome::Later(answer) => (RecipientState::Pending, Some(answer), None),
                Outcome::Never(answer) => (RecipientState::Failed, Some(answer), Some(Fate::Failed)),
            };
            recipient.state = state;
            self.say(recipient, answer);
            fates.extend(fate.map(|fate| (*number, fate)));
        }
        fates
    }

    /// Notes what was said last about a recipient.
    pub(crate) fn say(&self, recipient: &mut Recipient, answer: Option<&Answer>) {
        recipient.said = answer.map(|answer| cut(&answer.text));
        recipient.facts = answer.and_then(|answer| answer.facts.kept(self.clock().wall()));
    }

    /// What comes after an attempt that did not reach everybody, or after another errand.
    fn decide(
        &self,
        lease: &Lease,
        leg: &mut LegRecord,
        now: Moment,
        fates: &mut Vec<(usize, Fate)>,
    ) -> Settled {
        let wall = self.clock().wall();
        leg.lease = None;
        leg.lost = 0;
        let tried = now.since(leg.since);
        let over = match (lease.errand, leg.expires) {
            (Errand::GiveUp, _) => true,
            // Its own time to be tried will come, for the last time.
            (Errand::Warn, _) => false,
            (Errand::Attempt, Some(_)) => leg.is_expired(now),
            (Errand::Attempt, None) => tried >= self.options().schedule.give_up,
        };
        if lease.errand == Errand::GiveUp
            && let Some(answer) = lease.destination_said()
        {
            for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending) {
                self.say(recipient, Some(&answer));
            }
        }
        let reasons = reasons(leg);
        let pending: Vec<usize> = leg.pending().map(|(number, _)| number).collect();
        if over {
            for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending) {
                recipient.state = RecipientState::Failed;
            }
            fates.extend(pending.iter().map(|number| (*number, Fate::Expired)));
        } else if !pending.is_empty() {
            if leg.is_late(now) {
                leg.warned = Some(wall);
                fates.extend(pending.iter().map(|number| (*number, Fate::Delayed)));
            }
            if lease.errand == Errand::Attempt {
                leg.note(wall, EventKind::Tried, &reasons);
                leg.wait(now.plus(self.options().schedule.pause(leg.attempts, &self.options().dice)));
            } else {
                leg.wait(leg.next.unwrap_or(now));
            }
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
        (leg.due, leg.next) = (now, None);
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

impl Passage {
    const fn fate(self) -> Fate {
        match self {
            Self::Delivered => Fate::Delivered,
            Self::Relayed => Fate::Relayed,
            Self::Expanded => Fate::Expanded,
        }
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
