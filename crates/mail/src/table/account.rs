//! `account`: one row per account, read and written by every changing transaction. It is what makes them one
//! after another.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::Table;
use types::{AccountId, EmailId, MailboxId, ModSeq, ThreadId, UidValidity};

use super::{Number, reader, table};

/// Key: account.
pub(crate) struct AccountStates;

/// The counters that everything in the account is numbered from.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct AccountState {
    /// The modseq of the last change.
    #[n(0)]
    pub(crate) modseq: ModSeq,
    #[n(1)]
    pub(crate) next_email: EmailId,
    #[n(2)]
    pub(crate) next_thread: ThreadId,
    #[n(3)]
    pub(crate) next_mailbox: MailboxId,
    /// UIDVALIDITY for the next mailbox: never given out twice.
    #[n(4)]
    pub(crate) next_uidvalidity: UidValidity,
    /// Octets of all emails, each counted once.
    #[n(5)]
    pub(crate) bytes: u64,
    /// Emails that are in a mailbox.
    #[n(6)]
    pub(crate) emails: u64,
    /// The mailbox with the role trash, which counts unread threads in its own way.
    #[n(7)]
    pub(crate) trash: Option<MailboxId>,
    /// The change log holds every change after this modseq.
    #[n(8)]
    pub(crate) log_floor: ModSeq,
    /// Mailboxes that are there, deleted ones not counted.
    #[n(9)]
    pub(crate) mailboxes: u32,
}

impl Table for AccountStates {
    type Key = AccountId;
    type Record = AccountState;
    const NAME: &'static str = "account";

    fn key(account: &AccountId) -> Bytes {
        table(*account, Number::Account).done()
    }

    fn parse(key: &[u8]) -> Option<AccountId> {
        let (account, rest) = reader(key, Number::Account)?;
        rest.end().map(|()| account)
    }
}
