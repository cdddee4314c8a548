//! What this service sees itself: how TLS went on the way to others, and what became of mail in others' names.

mod dmarc;
mod tls;
mod words;

pub use dmarc::{Auth, Disposition, DmarcRow, Override, OverrideKind, PublishedPolicy, Treatment};
pub use tls::{Sessions, TlsDay, TlsFailure, TlsKind, TlsPolicy, TlsTally};

pub(crate) use dmarc::of_message;
pub(crate) use tls::of_delivery;
pub(crate) use words::cut;
