//! From what is stored of a message to what IMAP shows of it.

mod decoder;
mod envelope;
mod message;
mod structure;

pub(super) use decoder::Decoder;
pub(super) use envelope::envelope;
pub(super) use message::{Content, Message};
pub(super) use structure::structure;
