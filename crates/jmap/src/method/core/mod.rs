//! Methods of `Core`.

pub(super) mod echo;
