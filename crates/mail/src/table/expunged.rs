//! `expunged`: emails that are in no mailbox any more but can still be brought back, by the time they left.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, Keywords, MailboxId, Timestamp};

use super::{Number, reader, table};

/// Key: account, time of the expunge, email.
pub(crate) struct Expungeds;

/// What is needed to bring the email back; its metadata and source rows stay until it is purged.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ExpungedRow {
    /// The mailboxes that it was in last.
    #[n(0)]
    pub(crate) mailboxes: Vec<MailboxId>,
    #[n(1)]
    pub(crate) keywords: Keywords,
    #[n(2)]
    pub(crate) received: Timestamp,
    #[n(3)]
    pub(crate) size: u64,
}

impl Expungeds {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Expunged).range()
    }

    /// The rows of emails that left before `before`.
    pub(crate) fn before(account: AccountId, before: Timestamp) -> KeyRange {
        let end = table(account, Number::Expunged).u64(before.0).done();
        KeyRange { begin: Self::all(account).begin, end }
    }
}

impl Table for Expungeds {
    type Key = (AccountId, Timestamp, EmailId);
    type Record = ExpungedRow;
    const NAME: &'static str = "expunged";

    fn key((account, at, email): &Self::Key) -> Bytes {
        table(*account, Number::Expunged).u64(at.0).u64(email.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Expunged)?;
        let (at, email) = (Timestamp(rest.u64()?), EmailId(rest.u64()?));
        rest.end().map(|()| (account, at, email))
    }
}
