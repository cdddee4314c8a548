//! Leases: who works on what. A lease ends by itself, and whoever finds it ended takes the leg.

use futures::future::try_join_all;
use store::kv::{Range, Table, Transaction, decode};
use types::Timestamp;

use crate::clock::Moment;
use crate::line::LineRecord;
use crate::record::{
    EntryRecord, EventKind, LeaseRecord, LegRecord, LegState, Origin, Recipient, RecipientState,
};
use crate::table::{Bodies, DueKey, DueRow, Dues, Entries, LegKey, Legs, SHARDS, wake_of};
use crate::{Answer, Cause, EntryId, Errand, Error, Queue};

/// A leg in a worker's hands.
#[derive(Clone, Debug)]
pub struct Lease {
    pub(crate) key: LegKey,
    pub(crate) token: [u8; 16],
    until: Moment,
    /// When it was handed out.
    pub(crate) claimed: Moment,
    pub(crate) errand: Errand,
    pub(crate) is_probe: bool,
    /// The line that it stood in, or would have to.
    pub(crate) line: Option<LineRecord>,
    entry: EntryRecord,
    leg: LegRecord,
}

/// On what terms a leg is handed out.
pub(crate) struct Terms<'a> {
    pub(crate) holder: &'a str,
    pub(crate) now: Moment,
    pub(crate) errand: Errand,
    pub(crate) line: Option<&'a LineRecord>,
}

impl Lease {
    /// The entry that the leg belongs to.
    pub const fn id(&self) -> EntryId {
        self.key.1
    }

    /// Where the message comes from.
    pub const fn origin(&self) -> &Origin {
        &self.entry.origin
    }

    /// When it came.
    pub const fn received(&self) -> Timestamp {
        self.entry.received
    }

    /// Octets of the message.
    pub const fn size(&self) -> u64 {
        self.entry.size
    }

    /// The next hop; empty for mailboxes here.
    pub fn destination(&self) -> &str {
        &self.leg.destination
    }

    /// The recipients that have no outcome yet, with their numbers.
    pub fn pending(&self) -> impl Iterator<Item = (usize, &Recipient)> {
        self.leg.pending()
    }

    /// What is to be done with it.
    pub const fn errand(&self) -> Errand {
        self.errand
    }

    /// Whether it is tried on behalf of all that stand in line behind a destination that fails: tell the queue what comes
    /// of it, by [`Queue::block`] or [`Queue::reached`].
    pub const fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// What its destination said when it was tried last, if that failed.
    pub fn destination_said(&self) -> Option<Answer> {
        self.line.as_ref().and_then(LineRecord::answer)
    }

    /// What kept its destination from being reached when it was tried last, if that failed.
    pub fn destination_fails_for(&self) -> Option<Cause> {
        self.line.as_ref().and_then(LineRecord::failing_for)
    }

    /// When its time began.
    pub(crate) const fn since(&self) -> Moment {
        self.leg.since
    }

    /// When its sender was told that it is late, by the wall clock.
    pub const fn warned(&self) -> Option<Timestamp> {
        self.leg.warned
    }

    /// Which attempt this is, from 1; for other errands, how many there were.
    pub const fn attempt(&self) -> u32 {
        self.leg.attempts
    }

    /// Whether an operator wants it delivered whatever stands against it.
    pub const fn is_released(&self) -> bool {
        self.leg.released
    }

    /// When the lease ends.
    pub const fn until(&self) -> Moment {
        self.until
    }
}

impl Queue {
    /// Takes up to `most` legs whose time has come, for one lease. `holder` is a name for the history. One commit
    /// if there are any, none if not. Where destinations matter, [`Queue::claim_for`] says how many each can take.
    pub async fn claim(&self, holder: &str, most: usize) -> Result<Vec<Lease>, Error> {
        if most == 0 {
            return Ok(Vec::new());
        }
        if self.has_lines() {
            return self.claim_for(holder, most, &|_: &str| usize::MAX).await;
        }
        self.kv().run(|tx| self.claim_in(tx, holder, most)).await
    }

    /// Makes a lease last for its full length from now.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if it is not in this worker's hands any more: whatever is under way for it is in vain.
    pub async fn renew(&self, lease: &mut Lease) -> Result<(), Error> {
        let held = &*lease;
        let until = self
            .kv()
            .run(|tx| async move {
                let now = self.clock().now(&tx).await?;
                let before = self.held(&tx, held).await?;
                let until = now.plus(self.options().lease);
                let after = LegRecord { due: until, ..before.clone() };
                self.save_leg(&tx, held.key, Some(&before), Some(&after))?;
                Ok::<_, Error>(until)
            })
            .await?;
        lease.until = until;
        Ok(())
    }

    /// Keeps a lease in this worker's hands while something is under way for it, which is in vain when this returns.
    pub async fn keep(&self, lease: &Lease) -> Error {
        let mut lease = lease.clone();
        loop {
            tokio::time::sleep(self.options().lease / 3).await;
            match self.renew(&mut lease).await {
                Ok(()) => {}
                Err(error @ Error::LeaseLost(_)) => return error,
                // It may work the next time.
                Err(error) => tracing::warn!(id = %lease.id(), %error, "a lease cannot be renewed"),
            }
        }
    }

    /// Gives leases back that were not worked on, as if they had never been taken.
    pub async fn give_back(&self, leases: &[Lease]) -> Result<(), Error> {
        for lease in leases {
            let returned = self.kv().run(|tx| async move {
                let now = self.clock().now(&tx).await?;
                let before = self.held(&tx, lease).await?;
                let mut after = before.clone();
                if lease.errand == Errand::Attempt {
                    after.attempts = before.attempts.saturating_sub(1);
                }
                after.wait(before.next.unwrap_or(now));
                self.save_leg(&tx, lease.key, Some(&before), Some(&after))?;
                Ok(tx.add(wake_of(self.kind(), lease.id()), 1)?)
            });
            match returned.await {
                Ok(()) | Err(Error::LeaseLost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends every lease, whoever has it. Only for a process that is alone with its store, when it starts: those who
    /// had them are dead, and there is no use in waiting. Returns how many there were.
    pub async fn reclaim(&self) -> Result<usize, Error> {
        let mut ended = 0;
        for shard in 0..SHARDS {
            loop {
                let step = self.kv().run(|tx| self.reclaim_in(tx, shard)).await?;
                ended += step;
                if step < Self::RECLAIMED_AT_ONCE {
                    break;
                }
            }
        }
        Ok(ended)
    }

    const RECLAIMED_AT_ONCE: usize = 100;

    /// The message that a lease is for, as it was enqueued.
    pub async fn body(&self, id: EntryId) -> Result<bytes::Bytes, Error> {
        let key = &(self.kind(), id);
        let row = self.look(|tx| async move { Ok(tx.snapshot_load::<Bodies>(key).await?) }).await?;
        row.map(|body| body.row.into()).ok_or(Error::NoSuchEntry(id))
    }

    /// The stored leg, if the lease on it still holds.
    pub(crate) async fn held(&self, tx: &Transaction, lease: &Lease) -> Result<LegRecord, Error> {
        let stored = tx.load::<Legs>(&lease.key).await?;
        stored.filter(|leg| is_held(leg, lease)).ok_or(Error::LeaseLost(lease.id()))
    }

    async fn claim_in(&self, tx: Transaction, holder: &str, most: usize) -> Result<Vec<Lease>, Error> {
        let time = tx.snapshot_get(self.clock().key()).await?;
        // Nothing was ever enqueued.
        if time.is_none() {
            return Ok(Vec::new());
        }
        let now = self.clock().peek(&tx).await?;
        let mut due = self.due(&tx, now, most).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.clock().now_from(&tx, time)?;
        due.sort_unstable();
        due.truncate(most);
        let keys =
            due.iter().flat_map(|d| [Legs::key(&d.leg_key()), Entries::key(&(d.kind, d.id))]).collect();
        let mut rows = tx.get_many(keys).await?.into_iter();
        let mut leases = Vec::with_capacity(due.len());
        let terms = Terms { holder, now, errand: Errand::Attempt, line: None };
        for due in due {
            let (key, entry_key) = (due.leg_key(), Entries::key(&(due.kind, due.id)));
            let (leg, entry) = (rows.next().flatten(), rows.next().flatten());
            let leg = leg.map(|value| decode::<Legs>(&Legs::key(&key), &value)).transpose()?;
            let Some(leg) = leg.filter(|leg| is_due(leg, due.due)) else {
                // It leads nowhere, and would be found for ever.
                tracing::error!(id = %due.id, leg = due.leg, "a due time in the queue belongs to no message");
                tx.remove::<Dues>(&due)?;
                continue;
            };
            let entry = entry.ok_or(Error::Damaged { id: due.id, what: "its first row is missing" })?;
            let entry = decode::<Entries>(&entry_key, &entry)?;
            leases.extend(self.take(&tx, key, entry, leg, &terms)?);
        }
        Ok(leases)
    }

    /// What is due, from all shards; not in order.
    pub(crate) async fn due(&self, tx: &Transaction, now: Moment, most: usize) -> Result<Vec<DueKey>, Error> {
        let found = (0..SHARDS).map(|shard| {
            let range = Range::new(Dues::until(self.kind(), shard, now)).limit(most).snapshot().drained();
            tx.rows::<Dues>(range).all()
        });
        let found: Vec<Vec<(DueKey, DueRow)>> = try_join_all(found).await?;
        Ok(found.into_iter().flatten().map(|(key, _)| key).collect())
    }

    /// Puts a leg into a worker's hands, unless it has ended too many of them.
    fn take(
        &self,
        tx: &Transaction,
        key: LegKey,
        entry: EntryRecord,
        before: LegRecord,
        terms: &Terms<'_>,
    ) -> Result<Option<Lease>, Error> {
        let mut leg = before.clone();
        if self.has_ended_too_many(&mut leg, terms.now) {
            self.save_leg(tx, key, Some(&before), Some(&leg))?;
            return Ok(None);
        }
        self.lease(tx, key, entry, (&before, leg), terms).map(Some)
    }

    /// Puts a leg, of which the first record is stored, into a worker's hands.
    pub(crate) fn lease(
        &self,
        tx: &Transaction,
        key: LegKey,
        entry: EntryRecord,
        (before, mut leg): (&LegRecord, LegRecord),
        terms: &Terms<'_>,
    ) -> Result<Lease, Error> {
        let (errand, now) = (terms.errand, terms.now);
        let token = self.options().dice.bytes();
        let until = now.plus(self.options().lease);
        (leg.state, leg.due, leg.line) = (LegState::Leased, until, false);
        if errand == Errand::Attempt {
            (leg.next, leg.past) = (None, false);
            leg.attempts = leg.attempts.saturating_add(1);
        }
        leg.lease = Some(LeaseRecord { token, holder: terms.holder.to_owned() });
        self.save_leg(tx, key, Some(before), Some(&leg))?;
        let line = terms.line.cloned();
        Ok(Lease { key, token, until, claimed: now, errand, is_probe: false, line, entry, leg })
    }

    /// Notes that the worker that had a leg is gone, if one had it, and puts the leg out of reach if it were too many.
    fn has_ended_too_many(&self, leg: &mut LegRecord, now: Moment) -> bool {
        let too_many = self.has_lost_too_many(leg);
        if too_many {
            self.fail_lost(leg, now);
        }
        too_many
    }

    /// Notes that the worker that had a leg is gone, if one had it. Whether it were too many.
    pub(crate) fn has_lost_too_many(&self, leg: &mut LegRecord) -> bool {
        self.note_lost(leg, "its time ran out");
        leg.lost >= self.options().most_lost
    }

    /// Whether a leg that has lost too many workers is given up, and its sender told: unless that ends workers as well.
    pub(crate) fn may_be_told_of_lost(&self, leg: &LegRecord, sender: &str) -> bool {
        self.has_lines() && !sender.is_empty() && leg.lost < self.options().most_lost.saturating_mul(2)
    }

    async fn reclaim_in(&self, tx: Transaction, shard: u8) -> Result<usize, Error> {
        let time = tx.snapshot_get(self.clock().key()).await?;
        if time.is_none() {
            return Ok(0);
        }
        let now = self.clock().now_from(&tx, time)?;
        // No lease ends later than that.
        let range = Dues::until(self.kind(), shard, now.plus(self.options().lease * 2));
        let mut rows = tx.rows::<Dues>(Range::new(range).snapshot());
        let mut ended = 0;
        while ended < Self::RECLAIMED_AT_ONCE
            && let Some((due, row)) = rows.next().await?
        {
            if !row.leased {
                continue;
            }
            let key = due.leg_key();
            let Some(before) = tx.load::<Legs>(&key).await?.filter(|leg| is_due(leg, due.due)) else {
                continue;
            };
            let mut leg = before.clone();
            self.note_lost(&mut leg, "the server was stopped");
            // Whatever has ended the server may be in the message: not all at once again, and not at once.
            let again = match leg.lost {
                0 | 1 => now,
                lost => now.plus(self.options().schedule.pause(lost - 1, &self.options().dice)),
            };
            leg.wait(leg.next.map_or(again, |next| next.max(again)));
            // Where there are lines, whoever claims it next knows whether somebody is to be told.
            if leg.lost >= self.options().most_lost && !self.has_lines() {
                self.fail_lost(&mut leg, now);
            }
            self.save_leg(&tx, key, Some(&before), Some(&leg))?;
            ended += 1;
        }
        Ok(ended)
    }

    /// Notes that the worker that had a leg is gone, if one had it.
    fn note_lost(&self, leg: &mut LegRecord, how: &str) {
        if let Some(lease) = leg.lease.take() {
            leg.lost = leg.lost.saturating_add(1);
            let text = format!("{} had it, and said nothing more: {how}", lease.holder);
            leg.note(self.clock().wall(), EventKind::Lost, &text);
        }
    }

    /// Puts a leg that ends its workers out of their reach.
    pub(crate) fn fail_lost(&self, leg: &mut LegRecord, now: Moment) {
        let text = self.say_lost(leg);
        (leg.state, leg.due) = (LegState::Failed, now);
        for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending) {
            recipient.state = RecipientState::Failed;
        }
        leg.note(self.clock().wall(), EventKind::Failed, &text);
    }

    /// Says of the recipients why nobody tries any more.
    pub(crate) fn say_lost(&self, leg: &mut LegRecord) -> String {
        let text = format!("{} workers in a row have ended while they had it", leg.lost);
        let answer = Answer::from(text.as_str());
        for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending) {
            self.say(recipient, Some(&answer));
        }
        text
    }
}

pub(crate) fn is_due(leg: &LegRecord, due: Moment) -> bool {
    matches!(leg.state, LegState::Waiting | LegState::Leased) && leg.due == due
}

pub(crate) fn is_held(leg: &LegRecord, lease: &Lease) -> bool {
    leg.state == LegState::Leased && leg.lease.as_ref().is_some_and(|held| held.token == lease.token)
}
