//! Parse once: what a message's bytes say, worked out when it arrives and never again.
//!
//! ```text
//!            raw message
//!                 |
//!      scan ------+------ split
//!        |                  |
//!   Structure          Recipe, literals, attachments
//!        |                  |
//!   Metadata           the same bytes again: Recipe::steps
//! ```
//!
//! Everything here is pure and takes any bytes: it never fails, never panics, and costs time linear in the
//! length of the message (faults 23–27 in the project's list of bad inputs). What a header value means is
//! worked out on demand from the raw value, by the functions re-exported here.

pub mod address;
mod binary;
mod body;
mod boundary;
pub mod charset;
mod content;
mod date;
mod delivery_report;
mod envelope;
pub mod fields;
pub mod html;
mod ids;
mod notification;
pub mod params;
mod preview;
pub mod recipe;
mod scan;
mod section;
mod split;
pub mod subject;
pub mod thread;
pub mod transfer;
mod words;

pub use binary::{in_lines, without_nul};
pub use body::Bodies;
pub use date::sent_at;
pub use delivery_report::{DeliveryOutcome, DeliveryReport, delivery_report};
pub use fields::header_fields;
pub use ids::message_ids;
pub use notification::{Notification, notification};
pub use scan::structure;
pub use section::{Section, What};
pub use split::{Attachment, Split, THRESHOLD, split};
pub use transfer::decoded_text;
pub use words::decode_text;

use crate::record::metadata::{Cuts, Metadata};
use crate::record::metadata_parts::{PartFlags, Structure};

/// What is looked at, and what is kept. Beyond these a message is still stored whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Containers within each other that are opened.
    pub depth: usize,
    /// Parts that are listed.
    pub parts: usize,
    /// Fields of the message's own header that are read.
    pub fields: usize,
    /// Octets of a part's header that are read for its `Content-*` fields.
    pub header: usize,
    /// Octets of an embedded message's envelope fields that are kept.
    pub nested_envelope: usize,
    /// Octets of the message's own header fields that are kept.
    pub kept_header: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 100,
            parts: 10_000,
            fields: 10_000,
            header: 256 * 1024,
            nested_envelope: 4 * 1024,
            kept_header: 24 * 1024,
        }
    }
}

/// The record of a message (RFC 5322), from its source.
pub fn metadata(raw: &[u8], limits: &Limits) -> Metadata {
    let (structure, full) = structure(raw, limits);
    let mut cuts = Cuts::default();
    if full || structure.0.iter().any(|part| part.flags.contains(PartFlags::CUT)) {
        cuts.insert(Cuts::STRUCTURE);
    }
    let bodies = structure.bodies();
    let header_len = structure.part(0).map_or(0, |root| usize::try_from(root.body).unwrap_or(usize::MAX));
    let header = envelope::read_header(raw.get(..header_len).unwrap_or_default(), limits);
    if header.cut {
        cuts.insert(Cuts::HEADER);
    }
    let (thread_keys, forgotten) = thread::thread_keys(&header, structure.charset_hint().as_deref());
    if forgotten {
        cuts.insert(Cuts::THREAD);
    }
    fit(Metadata {
        size: raw.len() as u64,
        cuts,
        sent: header.date.and_then(sent_at),
        header: header.index,
        preview: preview::preview(raw, &structure, &bodies),
        has_attachment: structure.has_attachment(&bodies),
        thread_keys,
        structure,
    })
}

/// What cutting parts may add to the record: flags on the containers of the first that goes, and the count.
const MARKS: usize = 1024;

/// Drops the last parts until the record is short enough. Everything else in it has a limit of its own.
fn fit(mut metadata: Metadata) -> Metadata {
    let structure = std::mem::take(&mut metadata.structure);
    let room = Metadata::MAX_LEN.saturating_sub(minicbor::len(&metadata)).saturating_sub(MARKS);
    let mut used = 0;
    let fitting = structure.0.iter().take_while(|part| {
        used += minicbor::len(part);
        used <= room
    });
    let kept = fitting.count();
    metadata.structure = structure;
    if kept < metadata.structure.0.len() {
        metadata.cuts.insert(Cuts::STRUCTURE);
        cut_parts(&mut metadata.structure, kept);
    }
    metadata
}

fn cut_parts(structure: &mut Structure, kept: usize) {
    structure.0.truncate(kept);
    for (index, part) in structure.0.iter_mut().enumerate() {
        let inside = kept - index - 1;
        if part.descendants as usize > inside {
            part.descendants = u32::try_from(inside).unwrap_or(u32::MAX);
            part.flags.insert(PartFlags::CUT);
        }
    }
}
