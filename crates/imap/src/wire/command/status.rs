use crate::wire::{Cursor, MailboxName, Syntax};

/// `STATUS` (RFC 9051 §6.3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which mailbox.
    pub mailbox: MailboxName,
    /// What the client wants to know.
    pub items: Vec<StatusItem>,
}

/// A figure about a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// How many messages.
    Messages,
    /// Always 0 (IMAP4rev1).
    Recent,
    /// The next UID.
    UidNext,
    /// The mailbox's UIDVALIDITY.
    UidValidity,
    /// How many messages without `\Seen`.
    Unseen,
    /// How many messages with `\Deleted`.
    Deleted,
    /// All messages' sizes, in bytes.
    Size,
    /// Bytes that an EXPUNGE would free (RFC 9208).
    DeletedStorage,
    /// The largest message that APPEND takes, in bytes (RFC 7889).
    AppendLimit,
    /// The modseq of the last change in it (RFC 7162).
    HighestModSeq,
    /// The mailbox's id (RFC 8474).
    MailboxId,
}

impl Status {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        Ok(Self { mailbox, items: cursor.list1(StatusItem::parse)? })
    }
}

impl StatusItem {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        Ok(match cursor.atom("a status item")?.to_ascii_uppercase().as_str() {
            "MESSAGES" => Self::Messages,
            "RECENT" => Self::Recent,
            "UIDNEXT" => Self::UidNext,
            "UIDVALIDITY" => Self::UidValidity,
            "UNSEEN" => Self::Unseen,
            "DELETED" => Self::Deleted,
            "SIZE" => Self::Size,
            "DELETED-STORAGE" => Self::DeletedStorage,
            "APPENDLIMIT" => Self::AppendLimit,
            "HIGHESTMODSEQ" => Self::HighestModSeq,
            "MAILBOXID" => Self::MailboxId,
            _ => return Err(cursor.expected("a status item that this server knows")),
        })
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::DeletedStorage => "DELETED-STORAGE",
            Self::AppendLimit => "APPENDLIMIT",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::MailboxId => "MAILBOXID",
        }
    }
}
