//! `email`: an email's mutable state. `metadata` and `source`: its immutable content, as listings need it and
//! byte for byte.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use super::{Number, reader, table};
use crate::ingest::recipe::Recipe;
use crate::record::Metadata;

/// Key: account, email.
pub(crate) struct Emails;

/// Which mailboxes an email is in, and its keywords. The row exists as long as it is in any.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct EmailState {
    #[n(0)]
    pub(crate) thread: ThreadId,
    #[n(1)]
    pub(crate) modseq: ModSeq,
    #[n(2)]
    pub(crate) keywords: Keywords,
    #[n(3)]
    pub(crate) memberships: Vec<Membership>,
    #[n(4)]
    pub(crate) received: Timestamp,
    #[n(5)]
    pub(crate) size: u64,
    /// The email whose content it is a copy of; none: its own.
    #[n(6)]
    pub(crate) original: Option<EmailId>,
    /// The thread that it began in, if it is in another one now.
    #[n(7)]
    pub(crate) first_thread: Option<ThreadId>,
}

/// An email's place in one mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct Membership {
    #[n(0)]
    pub(crate) mailbox: MailboxId,
    #[n(1)]
    pub(crate) uid: Uid,
    /// `\Deleted`.
    #[n(2)]
    pub(crate) deleted: bool,
    /// When it got there.
    #[n(3)]
    pub(crate) saved: Option<Timestamp>,
}

/// Key: account, email.
pub(crate) struct Metadatas;

/// Key: account, email.
pub(crate) struct Sources;

/// Where an email's bytes are.
#[derive(Clone, PartialEq, Debug, Default, Encode, Decode)]
pub(crate) struct SourceRecord {
    /// 0: as they are; 1: zstd.
    #[n(0)]
    pub(crate) codec: u8,
    /// The literal bytes: all of the message, or what the recipe did not cut out.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) inline: Vec<u8>,
    /// The blob that holds the literal bytes when they are too long for the row.
    #[n(2)]
    pub(crate) literal: Option<[u8; 32]>,
    /// How the message is put together from literal bytes and attachments; none: the literal bytes are it.
    #[n(3)]
    pub(crate) recipe: Option<Recipe>,
    /// Octets of the message.
    #[n(4)]
    pub(crate) size: u64,
    /// Octets of the literal bytes, unpacked.
    #[n(5)]
    pub(crate) literal_size: u64,
    /// BLAKE3 of the message.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) hash: [u8; 32],
}

/// A [`SourceRecord`] to be read, its inline bytes where they stand.
#[derive(Decode)]
pub(crate) struct SourceView<'b> {
    #[n(0)]
    pub(crate) codec: u8,
    #[b(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) inline: &'b [u8],
    #[n(2)]
    pub(crate) literal: Option<[u8; 32]>,
    #[n(3)]
    pub(crate) recipe: Option<Recipe>,
    #[n(4)]
    pub(crate) size: u64,
    #[n(5)]
    pub(crate) literal_size: u64,
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) hash: [u8; 32],
}

impl Emails {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Email).range()
    }
}

impl Metadatas {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Metadata).range()
    }
}

impl Sources {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Source).range()
    }
}

impl Table for Emails {
    type Key = (AccountId, EmailId);
    type Record = EmailState;
    const NAME: &'static str = "email";

    fn key(key: &Self::Key) -> Bytes {
        email_key(key, Number::Email)
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        parse_email(key, Number::Email)
    }
}

impl Table for Metadatas {
    type Key = (AccountId, EmailId);
    type Record = Metadata;
    const NAME: &'static str = "metadata";

    fn key(key: &Self::Key) -> Bytes {
        email_key(key, Number::Metadata)
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        parse_email(key, Number::Metadata)
    }
}

impl Table for Sources {
    type Key = (AccountId, EmailId);
    type Record = SourceRecord;
    const NAME: &'static str = "source";

    fn key(key: &Self::Key) -> Bytes {
        email_key(key, Number::Source)
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        parse_email(key, Number::Source)
    }
}

fn email_key((account, email): &(AccountId, EmailId), number: Number) -> Bytes {
    table(*account, number).u64(email.0).done()
}

fn parse_email(key: &[u8], number: Number) -> Option<(AccountId, EmailId)> {
    let (account, mut rest) = reader(key, number)?;
    let email = EmailId(rest.u64()?);
    rest.end().map(|()| (account, email))
}
