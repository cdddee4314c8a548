use crate::wire::{Cursor, Flag, MessageSet, Syntax, Unit};

/// `STORE` (RFC 9051 §6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// What the numbers name.
    pub unit: Unit,
    /// Which messages.
    pub messages: MessageSet,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: do not report the new flags.
    pub silent: bool,
    /// Which flags.
    pub flags: Vec<Flag>,
}

/// How flags change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

impl Store {
    pub(super) fn parse(unit: Unit, cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let messages = MessageSet::parse(cursor)?;
        cursor.space()?;
        let action = if cursor.take(b'+') {
            StoreAction::Add
        } else if cursor.take(b'-') {
            StoreAction::Remove
        } else {
            StoreAction::Replace
        };
        if !cursor.take_word("FLAGS") {
            return Err(cursor.expected("FLAGS"));
        }
        let silent = cursor.take_word(".SILENT");
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') { cursor.list(Flag::parse)? } else { bare(cursor)? };
        Ok(Self { unit, messages, action, silent, flags })
    }
}

/// `flag *(SP flag)`
fn bare(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, Syntax> {
    let mut flags = vec![Flag::parse(cursor)?];
    while cursor.take(b' ') {
        flags.push(Flag::parse(cursor)?);
    }
    Ok(flags)
}
