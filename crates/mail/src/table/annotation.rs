//! `annotation`: what the owner, or a mail app, notes about a mailbox or about the account (RFC 5464).

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, MailboxId};

use super::{Number, reader, table};

/// Key: account, mailbox (0 for the account itself), name of the entry.
pub(crate) struct Annotations;

/// An entry's value.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct AnnotationRow {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) value: Vec<u8>,
}

impl Annotations {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Annotation).range()
    }

    /// The rows of a mailbox, or of the account itself.
    pub(crate) fn of(account: AccountId, mailbox: Option<MailboxId>) -> KeyRange {
        table(account, Number::Annotation).u32(number(mailbox)).range()
    }
}

impl Table for Annotations {
    type Key = (AccountId, Option<MailboxId>, String);
    type Record = AnnotationRow;
    const NAME: &'static str = "annotation";

    fn key((account, mailbox, entry): &Self::Key) -> Bytes {
        table(*account, Number::Annotation).u32(number(*mailbox)).bytes(entry.as_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Annotation)?;
        let mailbox = MailboxId(rest.u32()?);
        let entry = String::from_utf8(rest.rest().to_vec()).ok()?;
        Some((account, (mailbox.0 != 0).then_some(mailbox), entry))
    }
}

fn number(mailbox: Option<MailboxId>) -> u32 {
    mailbox.map_or(0, |mailbox| mailbox.0)
}
