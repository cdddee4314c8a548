//! Methods of `Blob` (RFC 8620 §6.3, RFC 9404).

pub(super) mod copy;
pub(crate) mod digest;
pub(super) mod get;
pub(crate) mod lookup;
pub(super) mod upload;
