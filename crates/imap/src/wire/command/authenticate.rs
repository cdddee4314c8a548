use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::{Cursor, Syntax};

/// `AUTHENTICATE` (RFC 9051 §6.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate {
    /// The SASL mechanism in upper case.
    pub mechanism: String,
    /// What the client sent with the command; `None` makes the server ask for it.
    pub initial: Option<InitialResponse>,
}

/// A SASL response, decoded. Not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct InitialResponse(pub Vec<u8>);

impl fmt::Debug for InitialResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InitialResponse(..)")
    }
}

impl Authenticate {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        cursor.space()?;
        let mechanism = cursor.atom("a SASL mechanism")?.to_ascii_uppercase();
        if !cursor.take(b' ') {
            return Ok(Self { mechanism, initial: None });
        }
        let coded = cursor.run(|b| b.is_ascii_graphic());
        let decoded = if &coded[..] == b"=" { Some(Vec::new()) } else { STANDARD.decode(&coded).ok() };
        let decoded = decoded.filter(|_| !coded.is_empty());
        let initial = decoded.ok_or_else(|| cursor.expected("a response in base64, or ="))?;
        Ok(Self { mechanism, initial: Some(InitialResponse(initial)) })
    }
}
