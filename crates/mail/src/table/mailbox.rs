//! `mailbox`: what a mailbox is (kind 0), what it counts (kind 1) and its thread counters (kinds 2 and 3), side
//! by side, so that listing all mailboxes with their counters is one range read. `mailbox name`: who has which
//! name below which parent.
//!
//! The thread counters are rows that are added to, never read by a writer: a reply in the INBOX changes what
//! Sent and Archive count, and a delivery must not need a further read round to find out.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{Error, KeyRange, Table, counter, decode};
use types::{AccountId, MailboxId, ModSeq, Uid, UidValidity};

use super::{Number, reader, table};

const RECORD: u8 = 0;
const COUNTERS: u8 = 1;

/// A counter that is only ever added to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum ThreadCounter {
    /// Threads with an email in the mailbox.
    Threads = 2,
    /// Threads that the mailbox shows as unread (RFC 8621 §2).
    Unread = 3,
}

/// One row of the range that [`mailbox_rows`] covers.
pub(crate) enum MailboxRow {
    Record(MailboxId, MailboxRecord),
    Counters(MailboxId, MailboxCounters),
    Thread(MailboxId, ThreadCounter, i64),
}

/// Key: account, mailbox, 0.
pub(crate) struct Mailboxes;

/// What a mailbox is. Changed only by its owner.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct MailboxRecord {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) parent: Option<MailboxId>,
    /// [`crate::Role::number`].
    #[n(2)]
    pub(crate) role: Option<u8>,
    #[n(3)]
    pub(crate) subscribed: bool,
    #[n(4)]
    pub(crate) uidvalidity: UidValidity,
    /// Deleted for its owner; its emails are being taken out in steps, then the row goes.
    #[n(5)]
    #[cbor(default)]
    pub(crate) deleting: bool,
    /// Where the owner wants it among its siblings: lower ones come first (RFC 8621 §2 `sortOrder`).
    #[n(6)]
    #[cbor(default)]
    pub(crate) sort_order: u32,
}

/// Key: account, mailbox, 1.
pub(crate) struct MailboxStates;

/// What a mailbox counts. Exact after every transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct MailboxCounters {
    #[n(0)]
    pub(crate) uidnext: Uid,
    /// The modseq of the last change to any membership in it.
    #[n(1)]
    pub(crate) modseq: ModSeq,
    #[n(2)]
    pub(crate) total: u64,
    /// Neither seen nor draft.
    #[n(3)]
    pub(crate) unread: u64,
    /// Memberships with `\Deleted`.
    #[n(4)]
    pub(crate) deleted: u64,
    /// Octets of all emails in it.
    #[n(5)]
    pub(crate) size: u64,
    /// Emails without `\Seen`, drafts included: what IMAP calls UNSEEN.
    #[n(6)]
    pub(crate) unseen: u64,
}

/// Key: account, parent (0 for the root), name. The name is stored in NFC and compared byte for byte.
pub(crate) struct MailboxNames;

impl Table for Mailboxes {
    type Key = (AccountId, MailboxId);
    type Record = MailboxRecord;
    const NAME: &'static str = "mailbox";

    fn key((account, mailbox): &Self::Key) -> Bytes {
        table(*account, Number::Mailbox).u32(mailbox.0).u8(RECORD).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        parse_kind(key, RECORD)
    }
}

impl Table for MailboxStates {
    type Key = (AccountId, MailboxId);
    type Record = MailboxCounters;
    const NAME: &'static str = "mailbox counters";

    fn key((account, mailbox): &Self::Key) -> Bytes {
        table(*account, Number::Mailbox).u32(mailbox.0).u8(COUNTERS).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        parse_kind(key, COUNTERS)
    }
}

impl MailboxNames {
    /// The names of the mailboxes right below one.
    pub(crate) fn below(account: AccountId, parent: MailboxId) -> KeyRange {
        table(account, Number::MailboxName).u32(parent.0).range()
    }
}

impl Table for MailboxNames {
    type Key = (AccountId, Option<MailboxId>, String);
    type Record = MailboxId;
    const NAME: &'static str = "mailbox name";

    fn key((account, parent, name): &Self::Key) -> Bytes {
        let parent = parent.map_or(0, |parent| parent.0);
        table(*account, Number::MailboxName).u32(parent).bytes(name.as_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::MailboxName)?;
        let parent = MailboxId(rest.u32()?);
        let name = String::from_utf8(rest.rest().to_vec()).ok()?;
        Some((account, (parent.0 != 0).then_some(parent), name))
    }
}

/// The key of a thread counter.
pub(crate) fn thread_counter(account: AccountId, mailbox: MailboxId, counter: ThreadCounter) -> Bytes {
    table(account, Number::Mailbox).u32(mailbox.0).u8(counter as u8).done()
}

/// The rows of all kinds of all mailboxes.
pub(crate) fn mailbox_rows(account: AccountId) -> KeyRange {
    table(account, Number::Mailbox).range()
}

/// The rows of all names.
pub(crate) fn mailbox_names(account: AccountId) -> KeyRange {
    table(account, Number::MailboxName).range()
}

/// The rows of all kinds of one mailbox.
pub(crate) fn mailbox_range(account: AccountId, mailbox: MailboxId) -> KeyRange {
    table(account, Number::Mailbox).u32(mailbox.0).range()
}

impl MailboxRow {
    /// Reads a row of [`mailbox_rows`]; `None` for a kind that only a newer node knows.
    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Option<Self>, Error> {
        if let Some((_, mailbox)) = Mailboxes::parse(key) {
            return Ok(Some(Self::Record(mailbox, decode::<Mailboxes>(key, value)?)));
        }
        if let Some((_, mailbox)) = MailboxStates::parse(key) {
            return Ok(Some(Self::Counters(mailbox, decode::<MailboxStates>(key, value)?)));
        }
        let kinds = [ThreadCounter::Threads, ThreadCounter::Unread];
        let found = kinds.into_iter().find_map(|kind| {
            parse_kind(key, kind as u8).map(|(_, mailbox)| Self::Thread(mailbox, kind, counter(value)))
        });
        Ok(found)
    }
}

fn parse_kind(key: &[u8], kind: u8) -> Option<(AccountId, MailboxId)> {
    let (account, mut rest) = reader(key, Number::Mailbox)?;
    let mailbox = MailboxId(rest.u32()?);
    (rest.u8()? == kind).then_some(())?;
    rest.end().map(|()| (account, mailbox))
}
