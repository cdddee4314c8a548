//! What an attempt says about a destination as a whole.

use store::kv::{Table, decode};

use super::{Cause, LineRecord, Lines, Standstill};
use crate::claim::{Lease, is_held};
use crate::record::{EventKind, RecipientState};
use crate::settle::Answer;
use crate::table::{Legs, wake_key};
use crate::{Errand, Error, Queue};

impl Queue {
    /// Ends an attempt that did not get as far as the message: the destination cannot be reached, or takes nothing
    /// from here for now. The leg goes into the destination's line, and so does what becomes due for it, until a
    /// message that is tried every now and then gets through. One commit.
    ///
    /// The pauses between these are the destination's own. Of attempts that were under way together only the first to
    /// fail makes them longer.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the leg is in other hands.
    pub async fn block(&self, lease: &Lease, cause: Cause, said: &Answer) -> Result<(), Error> {
        self.kv()
            .run(|tx| async move {
                let destination = lease.destination();
                let (leg_key, line_key) = (Legs::key(&lease.key), self.line_key(destination));
                let mut rows = tx.get_many(vec![leg_key.clone(), line_key.clone()]).await?.into_iter();
                let leg = rows.next().flatten().map(|value| decode::<Legs>(&leg_key, &value)).transpose()?;
                let line =
                    rows.next().flatten().map(|value| decode::<Lines>(&line_key, &value)).transpose()?;
                let before = leg.filter(|leg| is_held(leg, lease)).ok_or(Error::LeaseLost(lease.id()))?;
                let time = tx.snapshot_get(self.clock().key()).await?;
                let now = self.clock().now_from(&tx, time)?;
                let mut leg = before.clone();
                leg.lost = 0;
                if lease.errand() == Errand::Attempt {
                    for recipient in leg.recipients.iter_mut().filter(|r| r.state == RecipientState::Pending)
                    {
                        self.say(recipient, Some(said));
                    }
                    leg.note(self.clock().wall(), EventKind::Tried, &said.text);
                }
                leg.stand();
                self.save_leg(&tx, lease.key, Some(&before), Some(&leg))?;
                let mut after = line.clone().unwrap_or_else(|| LineRecord::busy(now, now));
                after.fail(self, lease.claimed, now, cause, said);
                if line.as_ref() != Some(&after) {
                    self.save_line(&tx, destination, line.as_ref(), Some(&after))?;
                    self.wake_for(&tx, destination)?;
                }
                Ok(())
            })
            .await
    }

    /// A destination that failed takes mail again: those who stand in its line are handed out as there is room for
    /// them. One read, and one commit if it was failing; so it costs little to say it too often, but only a
    /// [probe](Lease::is_probe) needs to.
    pub async fn reached(&self, destination: &str) -> Result<(), Error> {
        self.kv()
            .run(|tx| async move {
                let Some(before) = self.line(&tx, destination).await? else { return Ok(()) };
                if before.why != Standstill::Failing {
                    return Ok(());
                }
                let now = self.clock().now(&tx).await?;
                self.save_line(&tx, destination, Some(&before), Some(&LineRecord::open(now)))?;
                Ok(self.wake_for(&tx, destination)?)
            })
            .await
    }

    /// A destination's line, if it has one.
    pub(super) async fn line(
        &self,
        tx: &store::kv::Transaction,
        destination: &str,
    ) -> Result<Option<LineRecord>, store::kv::Error> {
        tx.load::<Lines>(&(self.kind(), destination.to_owned())).await
    }

    pub(super) fn line_key(&self, destination: &str) -> bytes::Bytes {
        Lines::key(&(self.kind(), destination.to_owned()))
    }

    /// Wakes who waits: a line has something for them earlier than they know.
    pub(super) fn wake_for(
        &self,
        tx: &store::kv::Transaction,
        destination: &str,
    ) -> Result<(), store::kv::Error> {
        let number = u8::try_from(destination.len() % usize::from(crate::table::WAKES)).unwrap_or(0);
        tx.add(wake_key(self.kind(), number), 1)
    }
}
