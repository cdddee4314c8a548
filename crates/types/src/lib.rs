//! The words of mail that every other crate speaks: ids, flags and keywords, modseq, time, header fields.
//!
//! No I/O and no async live here. A value of one of these types is valid by construction: a parser at the
//! border makes it once, and nobody downstream checks it again.

mod clock;
mod disposition;
mod header;
mod id;
mod keyword;

pub use clock::{Clock, ManualClock, Randomness, Timestamp};
pub use disposition::{ActionMode, Disposition, DispositionType, NoDisposition, SendingMode};
pub use header::{Field, Header, addresses};
pub use id::{AccountId, DomainId, EmailId, MailboxId, ModSeq, ObjectId, ThreadId, Uid, UidValidity};
pub use keyword::{Keyword, KeywordError, Keywords};
