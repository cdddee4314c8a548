//! `sent`: which submissions sent the message with a certain Message-ID, so that what comes back is found to be on them.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, ObjectId};

use super::{Number, reader, table};

/// Key: account, name of the message's id (16 bytes).
pub(crate) struct Sents;

/// The submissions, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SentRow {
    #[n(0)]
    #[cbor(default)]
    pub(crate) submissions: Vec<ObjectId>,
}

impl Sents {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Sent).range()
    }
}

impl Table for Sents {
    type Key = (AccountId, [u8; 16]);
    type Record = SentRow;
    const NAME: &'static str = "sent";

    fn key((account, name): &Self::Key) -> Bytes {
        table(*account, Number::Sent).bytes(name).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Sent)?;
        let name = rest.take()?;
        rest.end().map(|()| (account, name))
    }
}
