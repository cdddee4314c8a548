use crate::wire::{Cursor, MailboxName, Syntax};

/// `CREATE` (RFC 9051 §6.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Which mailbox.
    pub mailbox: MailboxName,
}

impl Create {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { mailbox: MailboxName::parse(cursor)? })
    }
}
