use crate::wire::{Cursor, MailboxName, Syntax};

/// `DELETE` (RFC 9051 §6.3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

impl Delete {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}
