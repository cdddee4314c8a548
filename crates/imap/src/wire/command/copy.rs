use crate::wire::{Cursor, MailboxName, MessageSet, Syntax, Unit};

/// `COPY` (RFC 9051 §6.4.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// What the numbers name.
    pub unit: Unit,
    /// Which messages.
    pub messages: MessageSet,
    /// Where to.
    pub mailbox: MailboxName,
}

/// `MOVE` (RFC 9051 §6.4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// What the numbers name.
    pub unit: Unit,
    /// Which messages.
    pub messages: MessageSet,
    /// Where to.
    pub mailbox: MailboxName,
}

impl Copy {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let (messages, mailbox) = arguments(cursor)?;
        Ok(Self { unit, messages, mailbox })
    }
}

impl Move {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let (messages, mailbox) = arguments(cursor)?;
        Ok(Self { unit, messages, mailbox })
    }
}

fn arguments(cursor: &mut Cursor<'_>) -> Result<(MessageSet, MailboxName), Syntax> {
    cursor.space()?;
    let messages = MessageSet::parse(cursor)?;
    cursor.space()?;
    Ok((messages, MailboxName::parse(cursor)?))
}
