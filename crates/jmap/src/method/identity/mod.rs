//! Methods of `Identity` (RFC 8621 §6).

pub(super) mod changes;
pub(super) mod get;
pub(super) mod own;
pub(super) mod set;
