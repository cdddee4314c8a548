//! `upload`: octets that a client has sent to make something of them (RFC 8620 §6.1), until their time is over.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, Timestamp};

use super::{Number, reader, table};

/// Key: account, hash of the content (32 bytes).
pub(crate) struct Uploads;

/// An upload.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct UploadRow {
    #[n(0)]
    pub(crate) size: u64,
    #[n(1)]
    pub(crate) media_type: String,
    #[n(2)]
    pub(crate) expires: Timestamp,
}

impl Uploads {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Upload).range()
    }
}

impl Table for Uploads {
    type Key = (AccountId, [u8; 32]);
    type Record = UploadRow;
    const NAME: &'static str = "upload";

    fn key((account, hash): &Self::Key) -> Bytes {
        table(*account, Number::Upload).bytes(hash).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Upload)?;
        let hash = rest.take()?;
        rest.end().map(|()| (account, hash))
    }
}
