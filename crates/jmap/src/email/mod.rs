//! From what is stored of an email to what JMAP shows of it (RFC 8621 §4.1).

pub(crate) mod body;
mod compose;
pub(crate) mod draft;
pub mod header;
pub(crate) mod letter;
pub(crate) mod property;
pub(crate) mod show;
pub(crate) mod value;
