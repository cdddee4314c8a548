//! IMAP's wire language without any I/O: framing, commands, responses.
//!
//! ```text
//! bytes -> Framer -> Frame -> command::parse -> Tagged<Command>
//!          limits     |
//!                     +-> APPEND: head first, then the message as it streams in
//!
//! Reply, FetchLine, … -> Output -> chunks of bytes, bodies by reference
//! ```
//!
//! The framer knows only lines and literals. Whatever the grammar of a command turns out to be, the place
//! where the next one starts is already decided; a syntax error cannot turn data into commands.

pub mod command;
mod cursor;
mod date;
mod flag;
mod frame;
mod limits;
mod name;
pub mod response;
mod results;
mod section;
mod set;

pub use cursor::{Cursor, Syntax};
pub use date::{Date, DateTime};
pub use flag::Flag;
pub use frame::{Frame, FrameError, Framed, Framer, Piece};
pub use limits::Limits;
pub use name::{Dialect, MailboxName, NameError, decode_utf7, encode_utf7};
pub use results::{ResultRange, Runs};
pub use section::{Partial, Section, SectionText};
pub use set::{MessageSet, SequenceSet, Unit};
