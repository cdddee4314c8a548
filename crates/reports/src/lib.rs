//! Aggregate reports: what this service tells other domains about their mail, and what others tell it about its own.
//!
//! ```text
//!   what relay saw ──> saw_delivery ─┐               every minute
//!   checks::Results ─> saw_message ──┴─> in memory ────── flush ──> rows of a day
//!                                                                             │ after midnight
//!            DNS: who wants it? <── wishes <── claim <────────────────────────┘
//!                    └──> render ──> settle, with the queue in one transaction ──> gone, and remembered
//!
//!   attachment ──> read ──> keep ──> list, show
//! ```
//!
//! Two kinds: how TLS went on the way to a domain (TLS-RPT, RFC 8460), and what became of mail in a domain's name (DMARC,
//! RFC 9990, and RFC 7489 Appendix C before it).
//!
//! The crate knows no SMTP and no queue: it renders a message and says for whom it is; whoever calls signs it and puts it on
//! its way, in the transaction that settles the report. Time is a clock, DNS is [`dns::Resolver`].
//!
//! Reading order: `observed`, `tally` and `dispatch` for what is sent, `read` and `received` for what comes.

mod day;
mod dispatch;
mod error;
mod observed;
mod read;
mod received;
mod render;
mod service;
mod table;
mod tally;
mod wishes;

pub use day::Day;
pub use dispatch::{Claim, Content, Nothing, Outlet};
pub use error::Error;
pub use observed::{
    Auth, Disposition, DmarcRow, Override, OverrideKind, PublishedPolicy, Sessions, TlsDay, TlsFailure,
    TlsKind, TlsPolicy, TlsTally, Treatment,
};
pub use read::{Unread, read};
pub use received::{
    Filter, Kept, Received, ReceivedDmarc, ReceivedFailure, ReceivedRow, ReceivedTls, ReportId, ReportIdError,
};
pub use render::{Rendered, Sender, render};
pub use service::{Limits, Reports};
pub use table::Kind;
pub use tally::Flushed;
pub use wishes::{Reader, Wish, dmarc_readers, tls_readers};
