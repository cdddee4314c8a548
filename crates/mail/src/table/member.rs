//! `member`: one row per email and mailbox that it is in, by UID; all that IMAP's SELECT and FETCH of flags and
//! sizes need is one range read. `received`: the same by date, for the first page of a list.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use super::{Number, reader, table};
use crate::search::Span;

/// Key: account, mailbox, UID.
pub(crate) struct Members;

/// What a listing by UID shows.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct MemberRecord {
    #[n(0)]
    pub(crate) email: EmailId,
    #[n(1)]
    pub(crate) thread: ThreadId,
    #[n(2)]
    pub(crate) modseq: ModSeq,
    #[n(3)]
    pub(crate) keywords: Keywords,
    /// `\Deleted` in this mailbox.
    #[n(4)]
    pub(crate) deleted: bool,
    #[n(5)]
    pub(crate) size: u64,
    #[n(6)]
    pub(crate) received: Timestamp,
    /// When it was put into this mailbox.
    #[n(7)]
    pub(crate) saved: Option<Timestamp>,
    /// The email whose content it is a copy of; none: its own.
    #[n(8)]
    pub(crate) original: Option<EmailId>,
    /// The thread that it began in, if it is in another one now.
    #[n(9)]
    pub(crate) first_thread: Option<ThreadId>,
}

/// Key: account, mailbox, received, email.
pub(crate) struct Receiveds;

/// The key of [`Receiveds`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReceivedKey {
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) received: Timestamp,
    pub(crate) email: EmailId,
}

/// What a listing by date shows.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ReceivedRow {
    #[n(0)]
    pub(crate) uid: Uid,
    #[n(1)]
    pub(crate) thread: ThreadId,
}

impl Members {
    /// The rows from one UID to another, both included.
    pub(crate) fn between(account: AccountId, mailbox: MailboxId, from: Uid, to: Uid) -> KeyRange {
        let begin = Self::key(&(account, mailbox, from));
        let end = store::kv::after_key(&Self::key(&(account, mailbox, to)));
        KeyRange { begin, end }
    }

    /// All rows of a mailbox.
    pub(crate) fn all(account: AccountId, mailbox: MailboxId) -> KeyRange {
        table(account, Number::Member).u32(mailbox.0).range()
    }
}

impl Table for Members {
    type Key = (AccountId, MailboxId, Uid);
    type Record = MemberRecord;
    const NAME: &'static str = "member";

    fn key((account, mailbox, uid): &Self::Key) -> Bytes {
        table(*account, Number::Member).u32(mailbox.0).u32(uid.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Member)?;
        let (mailbox, uid) = (MailboxId(rest.u32()?), Uid(rest.u32()?));
        rest.end().map(|()| (account, mailbox, uid))
    }
}

impl Receiveds {
    /// All rows of a mailbox.
    pub(crate) fn all(account: AccountId, mailbox: MailboxId) -> KeyRange {
        table(account, Number::Received).u32(mailbox.0).range()
    }

    /// The rows of a mailbox that were received within a span.
    pub(crate) fn within(account: AccountId, mailbox: MailboxId, span: Span) -> KeyRange {
        let first = |received| Self::key(&ReceivedKey { account, mailbox, received, email: EmailId(0) });
        let all = Self::all(account, mailbox);
        KeyRange { begin: first(span.from), end: span.to.map_or(all.end, first) }
    }
}

impl Table for Receiveds {
    type Key = ReceivedKey;
    type Record = ReceivedRow;
    const NAME: &'static str = "received";

    fn key(key: &ReceivedKey) -> Bytes {
        let mailbox = table(key.account, Number::Received).u32(key.mailbox.0);
        mailbox.u64(key.received.0).u64(key.email.0).done()
    }

    fn parse(key: &[u8]) -> Option<ReceivedKey> {
        let (account, mut rest) = reader(key, Number::Received)?;
        let mailbox = MailboxId(rest.u32()?);
        let (received, email) = (Timestamp(rest.u64()?), EmailId(rest.u64()?));
        rest.end().map(|()| ReceivedKey { account, mailbox, received, email })
    }
}
