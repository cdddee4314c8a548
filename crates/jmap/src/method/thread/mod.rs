//! Methods of `Thread` (RFC 8621 §3).

pub(super) mod changes;
pub(super) mod get;
