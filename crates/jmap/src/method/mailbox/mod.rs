//! Methods of `Mailbox` (RFC 8621 §2).

pub(super) mod changes;
pub(super) mod get;
pub(super) mod query;
pub(super) mod query_changes;
pub(super) mod set;
