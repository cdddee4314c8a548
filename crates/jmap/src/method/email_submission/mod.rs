//! Methods of `EmailSubmission` (RFC 8621 §7).

pub(super) mod changes;
mod create;
mod envelope;
pub(super) mod get;
pub(super) mod query;
pub(super) mod query_changes;
pub(super) mod set;
