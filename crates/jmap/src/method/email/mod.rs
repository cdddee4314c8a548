//! Methods of `Email` (RFC 8621 §4).

pub(super) mod changes;
pub(super) mod get;
pub(super) mod parse;
pub(crate) mod query;
pub(super) mod query_changes;
