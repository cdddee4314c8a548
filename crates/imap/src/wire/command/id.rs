use bytes::Bytes;

use crate::wire::{Cursor, Syntax};

/// `ID` (RFC 2971): who the client says it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Id {
    /// Fields and values as they came; empty for `NIL`.
    pub fields: Vec<(Bytes, Option<Bytes>)>,
}

impl Id {
    /// The most fields (RFC 2971 §3.3).
    const FIELDS: usize = 30;
    /// The longest name of a field, in bytes.
    const NAME: usize = 30;
    /// The longest value, in bytes.
    const VALUE: usize = 1024;

    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        if cursor.take_word("NIL") {
            return Ok(Self::default());
        }
        cursor.demand(b'(', "NIL or a list")?;
        let mut fields = Vec::new();
        if cursor.take(b')') {
            return Ok(Self { fields });
        }
        loop {
            let name = cursor.string()?;
            cursor.space()?;
            let value = cursor.nstring()?;
            if name.len() > Self::NAME || value.as_ref().is_some_and(|value| value.len() > Self::VALUE) {
                return Err(cursor.expected("names of at most 30 bytes, values of at most 1024"));
            }
            fields.push((name, value));
            if cursor.take(b')') {
                return Ok(Self { fields });
            }
            if fields.len() >= Self::FIELDS {
                return Err(cursor.expected("at most 30 fields"));
            }
            cursor.space()?;
        }
    }
}
