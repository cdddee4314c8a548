//! What is kept of a header for listings, and how it is read back.

use std::borrow::Cow;

use super::Limits;
use super::address::{Entry, addresses};
use super::fields::Fields;
use super::ids::message_ids;
use super::words::decode_text;
use crate::record::metadata::{Metadata, Raw};
use crate::record::metadata_header::{HeaderIndex, NameHash};
use crate::record::metadata_parts::Structure;

/// Fields of an embedded message that its ENVELOPE needs (RFC 9051 §7.5.2).
pub(super) const NESTED_FIELDS: &[&[u8]] = &[
    b"date",
    b"subject",
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"bcc",
    b"in-reply-to",
    b"message-id",
];

/// Fields of the message itself that mail programs list mailboxes with. The list may grow: a reader asks
/// [`HeaderIndex::covers`] and does not need to know it.
const KEPT_FIELDS: &[&[u8]] = &[
    b"auto-submitted",
    b"autocrypt",
    b"bcc",
    b"cc",
    b"content-disposition",
    b"content-language",
    b"content-transfer-encoding",
    b"content-type",
    b"date",
    b"disposition-notification-to",
    b"from",
    b"importance",
    b"in-reply-to",
    b"list-archive",
    b"list-help",
    b"list-id",
    b"list-post",
    b"list-subscribe",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"mail-followup-to",
    b"mail-reply-to",
    b"message-id",
    b"mime-version",
    b"newsgroups",
    b"precedence",
    b"priority",
    b"references",
    b"reply-to",
    b"return-path",
    b"sender",
    b"subject",
    b"to",
    b"x-label",
    b"x-priority",
    b"x-spam-flag",
    b"x-spam-status",
];
/// The longest single field that is kept whole, in octets.
const MAX_FIELD: usize = 12 * 1024;
/// The most other names that are remembered.
const MAX_OTHERS: usize = 2000;

/// A message's header, read once.
#[derive(Default)]
pub(super) struct Header<'a> {
    pub(super) index: HeaderIndex,
    /// Whether the index lacks something that it would usually have.
    pub(super) cut: bool,
    /// Raw values: of the last field where there should be one, of all where there may be more.
    pub(super) date: Option<&'a [u8]>,
    pub(super) subject: Option<&'a [u8]>,
    pub(super) message_id: Option<&'a [u8]>,
    pub(super) in_reply_to: Vec<&'a [u8]>,
    pub(super) references: Vec<&'a [u8]>,
}

/// Reads a message's header, at most `limits.fields` fields of it.
pub(super) fn read_header<'a>(header: &'a [u8], limits: &Limits) -> Header<'a> {
    let mut read = Header::default();
    let mut others = Vec::new();
    let mut kept = Kept::new(limits.kept_header);
    for (count, field) in Fields::new(header).enumerate() {
        if count == limits.fields {
            read.index.partial = true;
            break;
        }
        let listed = listed(field.name, KEPT_FIELDS);
        if listed.is_none() || !kept.add(field.raw) {
            others.push(NameHash::of(field.name));
            read.cut |= listed.is_some();
        }
        match listed.unwrap_or_default() {
            b"date" => read.date = Some(field.value),
            b"subject" => read.subject = Some(field.value),
            b"message-id" => read.message_id = Some(field.value),
            b"in-reply-to" => read.in_reply_to.push(field.value),
            b"references" => read.references.push(field.value),
            _ => {}
        }
    }
    others.sort_unstable();
    others.dedup();
    read.index.partial |= others.len() > MAX_OTHERS;
    read.cut |= read.index.partial;
    others.truncate(MAX_OTHERS);
    read.index.others = Raw(others.iter().flat_map(|hash| hash.to_be_bytes()).collect());
    read.index.fields = Raw(kept.bytes);
    read
}

/// The fields of `header` whose names are in `names`, byte for byte, at most about `budget` octets of them.
/// The flag says whether one was shortened or left out.
pub(super) fn kept_fields(header: &[u8], names: &[&'static [u8]], budget: usize) -> (Vec<u8>, bool) {
    let mut kept = Kept::new(budget);
    let mut cut = false;
    for field in Fields::new(header).filter(|field| listed(field.name, names).is_some()) {
        cut |= !kept.add(field.raw);
    }
    (kept.bytes, cut)
}

struct Kept {
    bytes: Vec<u8>,
    budget: usize,
}

impl Kept {
    const fn new(budget: usize) -> Self {
        Self { bytes: Vec::new(), budget }
    }

    /// Adds a field, or the beginning of it; false if it is not whole.
    fn add(&mut self, raw: &[u8]) -> bool {
        let room = self.budget.saturating_sub(self.bytes.len());
        // A long field must not take all the room from those behind it.
        let max = (room / 2).min(MAX_FIELD);
        if raw.len() <= max && raw.ends_with(b"\n") {
            self.bytes.extend_from_slice(raw);
            return true;
        }
        let beginning = raw.get(..max).unwrap_or(raw);
        let separator = |byte: &u8| matches!(byte, b',' | b';' | b'>' | b' ' | b'\t');
        let end = if beginning.len() == raw.len() {
            beginning.len()
        } else {
            beginning.iter().rposition(separator).map_or(0, |at| at + 1)
        };
        let beginning = beginning.get(..end).unwrap_or_default();
        if beginning.contains(&b':') {
            self.bytes.extend_from_slice(beginning.trim_ascii_end());
            self.bytes.extend_from_slice(b"\r\n");
        }
        false
    }
}

fn listed(name: &[u8], names: &[&'static [u8]]) -> Option<&'static [u8]> {
    names.iter().copied().find(|known| known.eq_ignore_ascii_case(name))
}

impl Structure {
    /// The charset of the first text part: what unlabelled 8-bit text in the header is most likely in.
    pub fn charset_hint(&self) -> Option<Cow<'_, str>> {
        self.0.iter().find(|part| part.media_type.starts_with("text/"))?.charset()
    }

    /// The decoded names of all parts that have one, in their order.
    pub fn attachment_names(&self) -> Vec<String> {
        let hint = self.charset_hint();
        self.0.iter().filter_map(|part| part.file_name(hint.as_deref())).collect()
    }
}

impl Metadata {
    /// A field's last value as readable text (RFC 8621 §4.1.2.2).
    pub fn text(&self, name: &str) -> Option<String> {
        self.header
            .last(name)
            .map(|value| decode_text(value, self.structure.charset_hint().as_deref()).into_owned())
    }

    /// The Subject as readable text.
    pub fn subject(&self) -> Option<String> {
        self.text("subject")
    }

    /// A field's last value as addresses, undecoded, at most about `max` of them.
    pub fn addresses(&self, name: &str, max: usize) -> Vec<Entry<'_>> {
        self.header.last(name).map(|value| addresses(value, max)).unwrap_or_default()
    }

    /// A field's last value as message ids without brackets (RFC 8621 §4.1.2.5).
    pub fn message_ids(&self, name: &str) -> Vec<String> {
        let value = self.header.last(name).unwrap_or_default();
        message_ids(value).map(|id| String::from_utf8_lossy(&id).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(header: &[u8], kept_header: usize) -> (HeaderIndex, bool) {
        let read = read_header(header, &Limits { kept_header, ..Limits::default() });
        (read.index, read.cut)
    }

    #[test]
    fn keeps_what_is_listed_and_remembers_the_rest() {
        let header = b"Received: by x\r\nSubject: a\r\n b\r\nReceived: by y\r\nFrom: a@x\r\n\r\n";
        let (index, cut) = index(header, 1000);
        assert!(!cut);
        assert_eq!(&*index.fields, b"Subject: a\r\n b\r\nFrom: a@x\r\n");
        assert_eq!(&*index.others, NameHash::of(b"received").to_be_bytes());
        assert!(!index.covers(["Received"]) && index.covers(["From", "Cc"]));
    }

    #[test]
    fn shortens_at_a_separator_and_says_so() {
        let header = format!("To: {}\r\nSubject: s\r\n", "a@x.test, ".repeat(10_000));
        let (index, cut) = index(header.as_bytes(), 4000);
        assert!(cut && index.fields.len() < 4000 && !index.covers(["to"]) && index.covers(["subject"]));
        assert_eq!(index.last("subject"), Some(&b" s"[..]));
        let list = addresses(index.last("to").unwrap(), 10_000);
        assert!(
            list.len() > 150
                && list.iter().all(|entry| matches!(entry, Entry::Mailbox(m) if *m.domain == b"x.test"[..]))
        );
    }

    #[test]
    fn a_flood_of_names_makes_the_index_partial() {
        let header: String = (0..100_000).map(|i| format!("X-{i}: 1\r\n")).collect();
        let (index, _) = index(header.as_bytes(), 1000);
        assert!(index.partial && index.others.len() <= MAX_OTHERS * 2 && !index.covers(["subject"]));
    }
}
