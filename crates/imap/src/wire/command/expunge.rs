use crate::wire::{Cursor, MessageSet, Syntax};

/// `EXPUNGE` (RFC 9051 §6.4.3) and `UID EXPUNGE` (§6.4.9).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Expunge {
    /// Only these UIDs; `None` for all that are marked `\Deleted`.
    pub only: Option<MessageSet>,
}

impl Expunge {
    pub(super) fn parse_uid(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        Ok(Self { only: Some(MessageSet::parse(cursor)?) })
    }
}
