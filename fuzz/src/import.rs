//! The readers of other mail stores. They are part of the program `magpie`, which is no library, so their files are
//! taken from there. Each is formatted with its own crate.

#[rustfmt::skip]
#[path = "../../crates/server/src/import/date.rs"]
pub(crate) mod date;
#[rustfmt::skip]
#[path = "../../crates/server/src/import/flags.rs"]
pub(crate) mod flags;
#[rustfmt::skip]
#[path = "../../crates/server/src/import/folder.rs"]
pub(crate) mod folder;
#[rustfmt::skip]
#[path = "../../crates/server/src/import/mbox.rs"]
pub(crate) mod mbox;
#[rustfmt::skip]
#[path = "../../crates/server/src/import/utf7.rs"]
pub(crate) mod utf7;
