//! Reports that others send: out of attachments of strangers, into a bounded record.
//!
//! ```text
//!   attachment ── archive ──> text, inflated up to a bound ──┬─ xml  ── dmarc ──┐
//!                (gzip, zip, plain)                          └─ json ── tls ────┴──> Found
//! ```
//!
//! All of it is pure, takes any bytes, and has bounds (fault 73): octets after inflating, depth, elements, rows, and the
//! length of each text. Entities other than the five of XML itself, and document types, are refused: nothing is fetched,
//! and nothing grows.

mod archive;
mod date;
mod dmarc;
mod tls;
mod xml;
mod zip;

use thiserror::Error;

use crate::received::Received;

/// Why something is no report that we read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Unread {
    /// It is neither XML nor JSON, nor packed in a way that is known.
    #[error("it is no report in a form that is known")]
    Unknown,
    /// The archive is damaged, encrypted or of an unusual kind.
    #[error("the archive cannot be read: {0}")]
    Archive(&'static str),
    /// It is larger than any report should be.
    #[error("it is larger than {} MiB when it is unpacked", INFLATED >> 20)]
    TooLarge,
    /// XML that declares a document type, or uses entities.
    #[error("it declares a document type or uses entities, as no report does and attacks do")]
    Entities,
    /// XML that is nested too deeply, or has too many elements.
    #[error("it is nested too deeply, or has too many elements")]
    TooDeep,
    /// It is damaged.
    #[error("it is not well-formed: {0}")]
    Malformed(&'static str),
    /// It is well-formed, and something that every report has is not there.
    #[error("it lacks {0}")]
    Incomplete(&'static str),
}

/// The most octets of a report when it is unpacked. The largest that providers send have a few megabytes.
pub(crate) const INFLATED: usize = 16 << 20;

/// Reads an attachment that may be a report, whatever it says that it is: its first octets tell. An archive with several
/// reports gives the first.
///
/// # Errors
/// [`Unread`] says why it is none, or is not taken.
pub fn read(attachment: &[u8]) -> Result<Received, Unread> {
    let plain = archive::open(attachment)?;
    let text = String::from_utf8_lossy(&plain);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    match text.as_bytes().first() {
        Some(b'<') => dmarc::read(text),
        Some(b'{') => tls::read(text),
        _ => Err(Unread::Unknown),
    }
}
