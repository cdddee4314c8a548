use super::list::pattern;
use crate::wire::{Cursor, MailboxName, Syntax};

/// `LSUB` (RFC 3501 §6.3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lsub {
    /// What the pattern starts from.
    pub reference: MailboxName,
    /// A pattern with `*` and `%`.
    pub pattern: MailboxName,
}

impl Lsub {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let reference = MailboxName::parse(cursor)?;
        cursor.space()?;
        Ok(Self { reference, pattern: pattern(cursor)? })
    }
}
