use types::Timestamp;

use crate::wire::{Cursor, DateTime, Flag, MailboxName, Syntax};

/// `APPEND` without its message, which follows the head in the stream (RFC 9051 §6.3.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// With which flags.
    pub flags: Vec<Flag>,
    /// INTERNALDATE; now if absent.
    pub received: Option<Timestamp>,
}

impl Append {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        let mut append = Self { mailbox, flags: Vec::new(), received: None };
        let mut more = cursor.take(b' ');
        if more && cursor.peek() == Some(b'(') {
            append.flags = cursor.list(Flag::parse)?;
            more = cursor.take(b' ');
        }
        if more {
            append.received = Some(DateTime::parse(cursor)?.timestamp());
        }
        Ok(append)
    }
}
