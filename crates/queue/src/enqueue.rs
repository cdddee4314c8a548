//! Putting a message into the queue: one commit, after which it is safe.

use std::time::Duration;

use bytes::Bytes;
use store::blob::{Hash, Prepared};
use store::kv::{Table, Transaction};
use types::Timestamp;

use crate::clock::Moment;
use crate::record::{EntryRecord, EventKind, LegRecord, Origin, Recipient, cut};
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
    /// When they are tried at the earliest, counted from now (FUTURERELEASE, RFC 4865). Their time begins then.
    pub after: Duration,
    /// How long they wait before the sender is told of the delay, if not as long as the queue's schedule says.
    pub warn: Option<Duration>,
    /// How long attempts go on, if not as long as the queue's schedule says.
    pub give_up: Option<Duration>,
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
        self.kv().run(|tx| async move { self.enqueue_with(&tx, new).await }).await
    }

    /// Puts a message into the queue in a transaction that does something else too, such as taking a message out of
    /// this queue or another one on the same store: both happen or neither. The name of the entry must not be made
    /// up inside the transaction, which may run several times.
    ///
    /// # Errors
    /// Those of [`Self::enqueue`]; the transaction must then not be committed.
    pub async fn enqueue_with(&self, tx: &Transaction, new: &NewEntry) -> Result<(), Error> {
        let recipients = new.legs.iter().map(|leg| leg.recipients.len()).sum();
        if recipients == 0 {
            return Err(Error::Empty);
        }
        if recipients > Self::RECIPIENTS {
            return Err(Error::TooMany { recipients, limit: Self::RECIPIENTS });
        }
        new.legs.iter().try_for_each(|leg| check_destination(&leg.destination))?;
        self.enqueue_in(tx, new).await
    }

    async fn enqueue_in(&self, tx: &Transaction, new: &NewEntry) -> Result<(), Error> {
        let key = (self.kind(), new.id);
        let mut read = tx.get_many(vec![Entries::key(&key), self.clock().key()]).await?;
        let time = read.pop().flatten();
        if read.pop().flatten().is_some() {
            return Err(Error::Exists(new.id));
        }
        let now = self.clock().now_from(tx, time)?;
        self.blobs().link(tx, &new.body.blobs, &owner(self.kind(), new.id)).await?;
        let mut legs: u16 = 0;
        for leg in &new.legs {
            for recipients in leg.recipients.chunks(Self::RECIPIENTS_OF_A_LEG) {
                let record = self.new_leg(leg, recipients, now, &new.why);
                self.save_leg(tx, (key.0, key.1, legs), None, Some(&record))?;
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
    fn new_leg(&self, new: &NewLeg, recipients: &[Recipient], now: Moment, why: &str) -> LegRecord {
        let schedule = &self.options().schedule;
        let pause = match new.attempts {
            0 => Duration::ZERO,
            attempts => schedule.pause(attempts, &self.options().dice),
        };
        let wall = self.clock().wall();
        let mut leg = LegRecord::new(new.destination.clone(), recipients.to_vec(), now);
        for recipient in &mut leg.recipients {
            recipient.said = recipient.said.take().map(|said| cut(&said));
            recipient.facts = recipient.facts.take().and_then(|facts| facts.kept(wall));
        }
        leg.attempts = new.attempts;
        leg.since = now.plus(new.after);
        if self.has_lines() {
            leg.warn = new.warn.or(schedule.warn).map(|warn| leg.since.plus(warn));
            leg.expires = Some(leg.since.plus(new.give_up.unwrap_or(schedule.give_up)));
        }
        leg.wait(now.plus(new.after.max(pause)));
        leg.note(wall, EventKind::Entered, why);
        leg
    }
}

/// The longest name of a destination, in octets: that of a domain.
const DESTINATION: usize = 255;

/// Destinations are parts of keys.
pub(crate) fn check_destination(name: &str) -> Result<(), Error> {
    if name.len() > DESTINATION || name.contains('\0') {
        return Err(Error::Destination(cut(name)));
    }
    Ok(())
}
