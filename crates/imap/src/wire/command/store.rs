use types::ModSeq;

use crate::wire::{Cursor, Flag, MessageSet, Syntax, Unit};

/// `STORE` (RFC 9051 §6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// What the numbers name.
    pub unit: Unit,
    /// Which messages.
    pub messages: MessageSet,
    /// `UNCHANGEDSINCE`: leave alone what has changed since (RFC 7162 §3.1.3).
    pub unchanged_since: Option<ModSeq>,
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
        let unchanged_since = modifiers(cursor)?;
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
        Ok(Self { unit, messages, unchanged_since, action, silent, flags })
    }
}

/// `[store-modifiers SP]` (RFC 4466 §2.5): UNCHANGEDSINCE, once.
fn modifiers(cursor: &mut Cursor<'_>) -> Result<Option<ModSeq>, Syntax> {
    if cursor.peek() != Some(b'(') {
        return Ok(None);
    }
    let mut since = None;
    cursor.list1(|c| {
        if since.is_some() || !c.take_word("UNCHANGEDSINCE ") {
            return Err(c.expected("UNCHANGEDSINCE, once"));
        }
        since = Some(c.modseq()?);
        Ok(())
    })?;
    cursor.space()?;
    Ok(since)
}

/// `flag *(SP flag)`
fn bare(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, Syntax> {
    let mut flags = vec![Flag::parse(cursor)?];
    while cursor.take(b' ') {
        flags.push(Flag::parse(cursor)?);
    }
    Ok(flags)
}
