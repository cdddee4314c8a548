//! `delivered`: which deliveries have been made lately, so that a retry makes no second copy; by day, so that
//! old ones are forgotten by range. `imported`: which items of an import are in, for ever.

use std::time::Duration;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, MailboxId, ThreadId, Timestamp, Uid};

use super::{Number, reader, table};

/// Key: account, day since 1970, name of the delivery (16 bytes).
pub(crate) struct Deliveries;

/// Where a delivered or imported email went.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct DeliveredRow {
    #[n(0)]
    pub(crate) email: EmailId,
    #[n(1)]
    pub(crate) thread: ThreadId,
    #[n(2)]
    pub(crate) mailbox: MailboxId,
    #[n(3)]
    pub(crate) uid: Uid,
}

/// Key: account, source of the import (16 bytes), item (16 bytes).
pub(crate) struct Imports;

/// The day that a moment falls into, as deliveries are filed.
pub(crate) fn day(at: Timestamp) -> u32 {
    u32::try_from(at.secs() / 86_400).unwrap_or(u32::MAX)
}

impl Deliveries {
    /// How long a retry of the same delivery is known for: at least this.
    pub(crate) const LOOK_BACK: Duration = Duration::from_secs(86_400);

    /// The rows of deliveries that no retry is known for any more.
    pub(crate) fn forgotten(account: AccountId, now: Timestamp) -> KeyRange {
        let kept_from = day(now.minus(Self::LOOK_BACK));
        let end = table(account, Number::Delivered).u32(kept_from).done();
        KeyRange { begin: table(account, Number::Delivered).range().begin, end }
    }
}

impl Imports {
    /// All rows of one source.
    pub(crate) fn of(account: AccountId, source: &[u8; 16]) -> KeyRange {
        table(account, Number::Imported).bytes(source).range()
    }
}

impl Table for Deliveries {
    type Key = (AccountId, u32, [u8; 16]);
    type Record = DeliveredRow;
    const NAME: &'static str = "delivered";

    fn key((account, day, name): &Self::Key) -> Bytes {
        table(*account, Number::Delivered).u32(*day).bytes(name).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Delivered)?;
        let (day, name) = (rest.u32()?, rest.take()?);
        rest.end().map(|()| (account, day, name))
    }
}

impl Table for Imports {
    type Key = (AccountId, [u8; 16], [u8; 16]);
    type Record = DeliveredRow;
    const NAME: &'static str = "imported";

    fn key((account, source, item): &Self::Key) -> Bytes {
        table(*account, Number::Imported).bytes(source).bytes(item).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Imported)?;
        let (source, item) = (rest.take()?, rest.take()?);
        rest.end().map(|()| (account, source, item))
    }
}
