//! What searching, sorting and threading look at of a message without opening it.

use std::borrow::Cow;

use crate::Error;
use crate::record::{HeaderView, Record, SentAt};

/// A record as far as it describes the message to readers.
#[derive(Clone, Debug, Default)]
pub struct Kept<'r> {
    /// What the Date field says.
    pub sent: Option<SentAt>,
    /// The header fields that are kept.
    pub header: HeaderView<'r>,
    hint: Option<String>,
}

impl<'r> Kept<'r> {
    /// Reads as much of a record.
    pub fn of(record: &'r Record) -> Result<Self, Error> {
        let header = record.header()?;
        // Only octets beyond ASCII leave a question open.
        let hint = match header.fields.is_ascii() {
            true => None,
            false => record.structure()?.charset_hint().map(Cow::into_owned),
        };
        Ok(Self { sent: record.sent()?, header, hint })
    }

    /// The charset that 8-bit text in these fields has, if it does not say itself.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
