//! Methods of `Blob`.

pub(super) mod copy;
