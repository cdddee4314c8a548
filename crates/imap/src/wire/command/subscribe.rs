use crate::wire::{Cursor, MailboxName, Syntax};

/// `SUBSCRIBE` (RFC 9051 §6.3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

/// `UNSUBSCRIBE` (RFC 9051 §6.3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

impl Subscribe {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}

impl Unsubscribe {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}
