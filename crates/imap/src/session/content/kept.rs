//! What sorting, threading and searching look at of a message without opening it.

use std::borrow::Cow;

use mail::Record;
use mail::record::{HeaderView, SentAt};

use super::super::error::Error;

/// A record as far as it describes the message to readers.
#[derive(Debug, Default)]
pub(in super::super) struct Kept<'r> {
    /// What the Date field says.
    pub(in super::super) sent: Option<SentAt>,
    /// The header fields that are kept.
    pub(in super::super) header: HeaderView<'r>,
    hint: Option<String>,
}

impl<'r> Kept<'r> {
    pub(in super::super) fn of(record: &'r Record) -> Result<Self, Error> {
        let header = record.header()?;
        // Only bytes beyond ASCII leave a question open.
        let hint = match header.fields.is_ascii() {
            true => None,
            false => record.structure()?.charset_hint().map(Cow::into_owned),
        };
        Ok(Self { sent: record.sent()?, header, hint })
    }

    /// The charset that 8-bit text in these fields has, if it does not say itself.
    pub(in super::super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
