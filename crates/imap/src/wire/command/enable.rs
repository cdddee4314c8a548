use crate::wire::{Cursor, Syntax};

/// `ENABLE` (RFC 9051 §6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enable {
    /// Capabilities in upper case; unknown ones are to be ignored.
    pub capabilities: Vec<String>,
}

impl Enable {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let mut capabilities = Vec::new();
        cursor.space()?;
        loop {
            capabilities.push(cursor.atom("a capability")?.to_ascii_uppercase());
            if !cursor.take(b' ') {
                return Ok(Self { capabilities });
            }
        }
    }
}
