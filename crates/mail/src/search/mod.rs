//! What searching and sorting have in common, whoever asks: IMAP's SEARCH and SORT, JMAP's Email/query and snippets.

mod collation;
mod text;

pub use collation::{LONGEST_COLLATED, collated};
pub use text::{Folded, Html, Needle, body_contains, field_contains, occurrences};
