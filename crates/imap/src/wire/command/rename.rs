use crate::wire::{Cursor, MailboxName, Syntax};

/// `RENAME` (RFC 9051 §6.3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// What it is called now.
    pub from: MailboxName,
    /// What it will be called.
    pub to: MailboxName,
}

impl Rename {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let from = MailboxName::parse(cursor)?;
        cursor.space()?;
        Ok(Self { from, to: MailboxName::parse(cursor)? })
    }
}
