//! Putting a message into the queue: one commit, after which it is safe.

use std::time::Duration;

use bytes::Bytes;
use store::blob::{Hash, Prepared};
use store::kv::{Table, Transaction};
use types::Timestamp;

use crate::record::{EntryRecord, EventKind, LegRecord, LegState, Origin, Recipient, cut};
use crate::table::{Bodies, BodyRow, Entries, Kept, KeptRow, owner, wake_of};
use crate::{EntryId, Error, Queue};

/// A message to be queued.
#[derive(Clone)]
pub struct NewEntry {
    /// What it is to be called: random, and used for nothing else.
    pub id: EntryId,
    /// Where it comes from.
    pub origin: Origin,
    /// When it came.
    pub received: Timestamp,
    /// Octets of the message.
    pub size: u64,
    /// The message itself.
    pub body: Body,
    /// Why it is queued, in words.
    pub why: String,
    /// Whom it is for.
    pub legs: Vec<NewLeg>,
}

/// A message in the form in which its owner keeps it.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// A row of the owner's own: up to 90,000 bytes, which hold the message or say how it is put together.
    pub row: Bytes,
    /// The blobs that it is put together from: they live as long as the entry.
    pub blobs: Vec<Prepared>,
}

/// Recipients that share a destination.
#[derive(Clone, Debug, Default)]
pub struct NewLeg {
    /// The next hop; empty for mailboxes here.
    pub destination: String,
    /// The recipients. More than [`Queue::RECIPIENTS_OF_A_LEG`] make several legs.
    pub recipients: Vec<Recipient>,
    /// Attempts that have been made already. With any, the first one out of the queue comes after a pause.
    pub attempts: u32,
    /// When they are tried at the earliest, counted from now.
    pub after: Duration,
}

impl Queue {
    /// The most recipients that share a schedule, so that a leg's row stays short.
    pub const RECIPIENTS_OF_A_LEG: usize = 50;
    /// The most recipients of an entry.
    pub const RECIPIENTS: usize = 10_000;

    /// Puts a message into the queue. When this returns, it is durable and will be worked on by some node.
    ///
    /// One commit and one round of reading, and another such round if there are blobs.
    ///
    /// # Errors
    /// [`Error::Vanished`] if the body's blobs must be prepared anew.
    pub async fn enqueue(&self, new: &NewEntry) -> Result<(), Error> {
        let recipients = new.legs.iter().map(|leg| leg.recipients.len()).sum();
        if recipients == 0 {
            return Err(Error::Empty);
        }
        if recipients > Self::RECIPIENTS {
            return Err(Error::TooMany { recipients, limit: Self::RECIPIENTS });
        }
        self.kv().run(|tx| self.enqueue_in(tx, new)).await
    }

    async fn enqueue_in(&self, tx: Transaction, new: &NewEntry) -> Result<(), Error> {
        let key = (self.kind(), new.id);
        let mut read = tx.get_many(vec![Entries::key(&key), self.clock().key()]).await?;
        let time = read.pop().flatten();
        if read.pop().flatten().is_some() {
            return Err(Error::Exists(new.id));
        }
        let now = self.clock().now_from(&tx, time)?;
        let wall = self.clock().wall();
        self.blobs().link(&tx, &new.body.blobs, &owner(self.kind(), new.id)).await?;
        let mut legs: u16 = 0;
        for leg in &new.legs {
            for recipients in leg.recipients.chunks(Self::RECIPIENTS_OF_A_LEG) {
                let pause = match leg.attempts {
                    0 => Duration::ZERO,
                    attempts => self.options().schedule.pause(attempts, &self.options().dice),
                };
                let mut record = LegRecord {
                    destination: leg.destination.clone(),
                    recipients: recipients.to_vec(),
                    state: LegState::Waiting,
                    due: now.plus(leg.after.max(pause)),
                    attempts: leg.attempts,
                    since: now,
                    lease: None,
                    lost: 0,
                    released: false,
                    history: Vec::new(),
                    forgotten: 0,
                };
                for recipient in &mut record.recipients {
                    recipient.said = recipient.said.take().map(|said| cut(&said));
                }
                record.note(wall, EventKind::Entered, &new.why);
                self.save_leg(&tx, (key.0, key.1, legs), None, Some(&record))?;
                legs += 1;
            }
        }
        let entry = EntryRecord {
            origin: new.origin.clone(),
            size: new.size,
            received: new.received,
            entered: now,
            legs,
            left: legs,
        };
        tx.save::<Entries>(&key, &entry)?;
        tx.save::<Bodies>(&key, &BodyRow { row: new.body.row.to_vec() })?;
        let mut blobs: Vec<Hash> = new.body.blobs.iter().map(Prepared::hash).collect();
        blobs.sort_unstable();
        blobs.dedup();
        if !blobs.is_empty() {
            tx.save::<Kept>(&key, &KeptRow { blobs })?;
        }
        tx.add(wake_of(key.0, key.1), 1)?;
        Ok(())
    }
}
