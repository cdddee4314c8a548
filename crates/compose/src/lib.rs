//! What this service writes into and around mail that leaves: the fields that a submitted message lacks, and reports on
//! what became of a message; the answers of those who are away; and receipts, which tell what somebody did with a message.
//!
//! ```text
//!   submitted octets ──> HeaderReader ──> Submitted { authors, sender } ── complete(Stamp) ──> header to send
//!                             └────────── the body, untouched
//!
//!   what became of whom ──> Report::render ──┬─> pieces of a message that is sent from `<>`
//!   what somebody says who is away ──> Answer::render ──┤
//!   what somebody did with a message ──> Receipt::render ──┘
//! ```
//!
//! All of it is pure: octets and facts in, octets out. Time, ids and randomness are arguments. The crate knows no
//! protocol, no queue and no storage.

mod answer;
mod completion;
mod plain;
mod receipt;
mod report;

pub use answer::Answer;
pub use completion::{Fault, HeaderReader, Split, Stamp, Submitted};
pub use receipt::{About, Receipt, Reported};
pub use report::{Action, Original, Outcome, Rendered, Reply, Report, Return, Status, Wishes};
