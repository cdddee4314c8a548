//! `subscription`: names that are subscribed to though no mailbox has them any more. A subscription outlives its
//! mailbox until the owner ends it (RFC 9051 §6.3.7); that of a mailbox that exists is in its own row.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::AccountId;

use super::{Number, reader, table};
use crate::name::MailboxPath;

/// Key: account, path with `/` between its names.
pub(crate) struct Subscriptions;

/// The row says all by being there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Subscribed {}

impl Subscriptions {
    /// The most names that are remembered; deleting further subscribed mailboxes ends their subscriptions.
    pub(crate) const MOST: usize = 1_000;

    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Subscription).range()
    }
}

impl Table for Subscriptions {
    type Key = (AccountId, MailboxPath);
    type Record = Subscribed;
    const NAME: &'static str = "subscription";

    fn key((account, path): &Self::Key) -> Bytes {
        table(*account, Number::Subscription).bytes(path.to_string().as_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, rest) = reader(key, Number::Subscription)?;
        let path = MailboxPath::parse(std::str::from_utf8(rest.rest()).ok()?).ok()?;
        Some((account, path))
    }
}
