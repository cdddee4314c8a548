//! Methods of `Email` (RFC 8621 §4).

pub(super) mod changes;
pub(super) mod copy;
mod create;
pub(super) mod get;
pub(super) mod import;
pub(super) mod parse;
mod places;
pub(crate) mod query;
pub(super) mod query_changes;
pub(super) mod set;
