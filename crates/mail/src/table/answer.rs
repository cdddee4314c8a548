//! `answered`: who has been told lately that somebody is away, by account. `due`: emails whose senders are to be told; rows of
//! all accounts in one range, so that whoever tells them finds them, also those that a stopped server left behind.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table, after_key};
use types::{AccountId, EmailId, Timestamp};

use super::{Number, reader, table};

/// Key: account, hash of the sender's address (16 bytes).
pub(crate) struct Answereds;

/// Somebody who has been told.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct AnsweredRow {
    /// Until when they are not told again.
    #[n(0)]
    pub(crate) until: Timestamp,
}

/// Key: account, email.
pub(crate) struct Dues;

/// An email whose sender is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct DueRow {
    /// The sender, as the envelope names it.
    #[n(0)]
    pub(crate) sender: String,
    /// When the email came.
    #[n(1)]
    pub(crate) received: Timestamp,
}

/// The first byte of every key of [`Dues`].
const DUE: &[u8] = b"v";

impl Answereds {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Answered).range()
    }
}

impl Dues {
    /// All rows behind one, or all.
    pub(crate) fn behind(last: Option<(AccountId, EmailId)>) -> KeyRange {
        let mut range = KeyWriter::new(DUE).range();
        if let Some(last) = last {
            range.begin = after_key(&Self::key(&last));
        }
        range
    }

    /// All rows of an account.
    pub(crate) fn of(account: AccountId) -> KeyRange {
        KeyWriter::new(DUE).u64(account.0).range()
    }
}

impl Table for Answereds {
    type Key = (AccountId, [u8; 16]);
    type Record = AnsweredRow;
    const NAME: &'static str = "answered";

    fn key((account, sender): &Self::Key) -> Bytes {
        table(*account, Number::Answered).bytes(sender).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Answered)?;
        let sender = rest.take()?;
        rest.end().map(|()| (account, sender))
    }
}

impl Table for Dues {
    type Key = (AccountId, EmailId);
    type Record = DueRow;
    const NAME: &'static str = "due";

    fn key((account, email): &Self::Key) -> Bytes {
        KeyWriter::new(DUE).u64(account.0).u64(email.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut rest = KeyReader::new(key, DUE)?;
        let (account, email) = (AccountId(rest.u64()?), EmailId(rest.u64()?));
        rest.end().map(|()| (account, email))
    }
}
