//! What ingest makes of a message: the record, the cuts, and the message rebuilt from them.

use mail::Metadata;
use mail::ingest::recipe::Step;
use mail::ingest::{Limits, Section, decoded_text, header_fields, html, metadata, split};

/// Small enough that an input of a few hundred bytes reaches every limit.
const TIGHT: Limits =
    Limits { depth: 3, parts: 5, fields: 6, header: 200, nested_envelope: 60, kept_header: 120 };

pub fn run(raw: &[u8]) {
    for limits in [Limits::default(), TIGHT] {
        let record = metadata(raw, &limits);
        assert!(record.structure.0.len() <= limits.parts);
        record_is_sound(raw, &record);
        rebuilt(raw, &record);
    }
}

fn record_is_sound(raw: &[u8], record: &Metadata) {
    let bytes = record.to_bytes();
    assert!(bytes.len() <= Metadata::MAX_LEN);
    assert_eq!(Metadata::from_bytes(&bytes).as_ref().ok(), Some(record));
    assert_eq!(record.size, raw.len() as u64);
    assert!(record.preview.chars().count() <= 256);
    let tree = &record.structure;
    for (index, part) in tree.0.iter().enumerate() {
        assert!(part.header <= part.body && part.body <= part.end && part.end <= record.size);
        for child in tree.children(index) {
            let child = tree.part(child).unwrap();
            assert!(part.body <= child.header && child.end <= part.end);
        }
        let body = &raw[part.body as usize..part.end as usize];
        let text = decoded_text(body, &part.encoding, part.charset().as_deref(), 2000);
        if part.media_type == "text/html" {
            html::text(&text, 1000);
        }
    }
    assert_eq!(tree.section(&Section::default()), Some(0..record.size));
    let head = tree.section(&Section::parse("HEADER").unwrap()).unwrap();
    let header = &raw[head.start as usize..head.end as usize];
    if let Some(kept) = record.header.select(&["Subject", "From", "To", "X-None"]) {
        assert_eq!(kept, header_fields(header, &["from", "to", "subject", "x-none"], false));
    }
    record.subject();
    for field in ["from", "to", "cc", "reply-to"] {
        record.addresses(field, 10);
    }
    record.message_ids("references");
    tree.attachment_names();
}

/// Cut apart and put together again, a message is the same to the byte.
fn rebuilt(raw: &[u8], record: &Metadata) {
    let split = split(raw, &record.structure, 40);
    let literal = split.literal(raw);
    let mut again = Vec::with_capacity(raw.len());
    let mut attachments = split.attachments.iter();
    for step in split.recipe.steps(0..record.size) {
        match step {
            Step::Literal(range) => {
                again.extend_from_slice(&literal[range.start as usize..range.end as usize])
            }
            Step::Attachment { mut encoder, .. } => {
                encoder.push(&attachments.next().unwrap().bytes, &mut again);
                encoder.finish(&mut again);
            }
        }
    }
    assert!(again == raw, "the message is not what it was");
}
