use crate::wire::{Cursor, MailboxName, Syntax};

/// `SELECT` (RFC 9051 §6.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

/// `EXAMINE`: SELECT for reading only (RFC 9051 §6.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examine {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

impl Select {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}

impl Examine {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}
