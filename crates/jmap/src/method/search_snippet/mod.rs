//! Methods of `SearchSnippet` (RFC 8621 §5).

pub(super) mod get;
mod mark;
