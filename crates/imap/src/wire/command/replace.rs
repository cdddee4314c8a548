use super::append::AppendMessage;
use crate::wire::{Cursor, MailboxName, SequenceSet, Syntax, Unit};

/// `REPLACE` up to its message, which follows in the stream (RFC 8508).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// What the number names.
    pub unit: Unit,
    /// Which message goes: a set of one.
    pub replaced: SequenceSet,
    /// Where the new one goes.
    pub mailbox: MailboxName,
    /// The new one.
    pub message: AppendMessage,
}

impl Replace {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let replaced = SequenceSet::parse(cursor)?;
        if !replaced.is_one() {
            return Err(cursor.expected("the number of one message"));
        }
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        Ok(Self { unit, replaced, mailbox, message: AppendMessage::parse(cursor)? })
    }
}
