//! Putting a message into the queue once: whoever hands it over a second time, because the answer to the first time was
//! lost, puts no second one in, even if the first has left the queue long since.
//!
//! A marker says so, which is written in the transaction that puts the message in, and outlives the message: markers are
//! filed by day, so that old ones are forgotten by range.

use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table, Transaction, decode};
use types::Timestamp;

use crate::service::Kind;
use crate::table::{reader, table};
use crate::{EntryId, Error, NewEntry, Queue};

/// A day, in seconds.
const DAY: u64 = 86_400;

/// The name under which a message is handed over: equal for a repetition, different for everything else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handover(pub [u8; 16]);

/// `x` day, name: what was handed over under this name.
pub(crate) enum Handovers {}

/// Which message that was.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct HandoverRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) entry: [u8; 8],
}

impl Queue {
    /// How long a repetition is known for: at least this.
    pub const REMEMBERED: Duration = Duration::from_secs(DAY);

    /// [`Self::enqueue`], unless a message was handed over under this name already. One commit and two rounds of reading,
    /// and another such round if there are blobs.
    ///
    /// # Errors
    /// [`Error::Exists`] with the id of the earlier one: it is safe, or has left the queue. All others are those of
    /// [`Self::enqueue`].
    pub async fn enqueue_once(&self, new: &NewEntry, name: Handover) -> Result<(), Error> {
        self.kv().run(|tx| async move { self.enqueue_once_with(&tx, new, name).await }).await
    }

    /// [`Self::enqueue_with`], unless a message was handed over under this name already.
    ///
    /// # Errors
    /// Those of [`Self::enqueue_once`]; the transaction must then not be committed.
    pub async fn enqueue_once_with(
        &self,
        tx: &Transaction,
        new: &NewEntry,
        name: Handover,
    ) -> Result<(), Error> {
        let today = day(self.clock().wall());
        let key = |day| (self.kind(), day, name);
        let keys: Vec<Bytes> =
            [today, today.saturating_sub(1)].into_iter().map(|day| Handovers::key(&key(day))).collect();
        let found = tx.get_many(keys.clone()).await?;
        if let Some((key, value)) = keys.iter().zip(&found).find_map(|(k, v)| v.as_ref().map(|v| (k, v))) {
            let row: HandoverRow = decode::<Handovers>(key, value)?;
            return Err(Error::Exists(EntryId(row.entry)));
        }
        tx.save::<Handovers>(&key(today), &HandoverRow { entry: new.id.0 })?;
        self.enqueue_with(tx, new).await
    }

    /// Forgets names that are too old for a repetition.
    pub async fn forget_handovers(&self) -> Result<(), Error> {
        let kept_from = day(self.clock().wall().minus(Self::REMEMBERED));
        let range = KeyRange {
            begin: table(self.kind(), b'x').range().begin,
            end: table(self.kind(), b'x').u32(kept_from).done(),
        };
        let range = &range;
        self.kv().run(|tx| async move { Ok(tx.clear_range(range.clone())?) }).await
    }
}

/// The day that a moment falls into.
fn day(at: Timestamp) -> u32 {
    u32::try_from(at.secs() / DAY).unwrap_or(u32::MAX)
}

impl Table for Handovers {
    type Key = (Kind, u32, Handover);
    type Record = HandoverRow;
    const NAME: &'static str = "handover";

    fn key((kind, day, name): &Self::Key) -> Bytes {
        table(*kind, b'x').u32(*day).bytes(&name.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (kind, mut rest) = reader(key, b'x')?;
        let (day, name) = (rest.u32()?, Handover(rest.take()?));
        rest.end().map(|()| (kind, day, name))
    }
}
