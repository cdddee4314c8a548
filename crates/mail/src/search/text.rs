//! Text as it is compared: what looks alike to a reader is alike.
//!
//! Most mail is ASCII in a plain transfer encoding: that is searched without becoming a string of its own first.

use std::ops::Range;

use memchr::memmem::Finder;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use crate::ingest::fields::Fields;
use crate::ingest::{decode_text, decoded_text, html};
use crate::record::{Part, Structure};
use crate::{Error, Mail, Opened, Source};

/// The most bytes of one part that a search reads; what follows is not searched.
const PART: u64 = 16 * 1024 * 1024;
/// Room for text that is kept for the next message, in bytes.
const ROOM: usize = 256 * 1024;

/// What is looked for, folded.
#[derive(Clone, Debug)]
pub struct Needle {
    text: String,
    finder: Finder<'static>,
}

/// What of HTML is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Html {
    /// All of it as it came: substrings of the body, as IMAP has it (RFC 9051 §6.4.4).
    Source,
    /// What its reader sees (RFC 8621 §4.4.1).
    Text,
}

/// Folded text, in memory that serves one text after the other.
#[derive(Debug, Default)]
pub struct Folded(Vec<u8>);

impl Needle {
    /// Folds what is looked for.
    pub fn new(text: &str) -> Self {
        let mut folded = Folded::default();
        folded.push(text);
        let text = String::from_utf8_lossy(&folded.0).into_owned();
        Self { finder: Finder::new(&text).into_owned(), text }
    }

    /// Whether the text contains it.
    pub fn is_in(&self, text: &Folded) -> bool {
        self.finder.find(&text.0).is_some()
    }

    /// Whether one of the header's fields, by [`Folded::push_header`], contains it: a line break is in none.
    pub fn is_in_fields(&self, fields: &Folded) -> bool {
        !fields.0.is_empty() && !self.text.contains('\n') && self.is_in(fields)
    }

    /// Whether both look for the same.
    pub fn is(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Folded {
    /// Makes room for another text.
    pub fn clear(&mut self) {
        self.0.clear();
        self.0.shrink_to(ROOM);
    }

    /// How many bytes it has.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends text in compatibility normal form and lower case: decomposed Hangul, full-width letters and capitals
    /// compare like their common forms (RFC 5051's intent; stricter than ASCII case folding).
    pub fn push(&mut self, text: &str) {
        if text.is_ascii() {
            let from = self.0.len();
            self.0.extend_from_slice(text.as_bytes());
            if let Some(appended) = self.0.get_mut(from..) {
                appended.make_ascii_lowercase();
            }
        } else if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            text.chars().for_each(|c| self.push_char(c));
        } else {
            text.nfkc().for_each(|c| self.push_char(c));
        }
    }

    fn push_char(&mut self, c: char) {
        let mut bytes = [0; 4];
        if is_caseless(c) {
            return self.0.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
        }
        for lower in c.to_lowercase() {
            self.0.extend_from_slice(lower.encode_utf8(&mut bytes).as_bytes());
        }
    }

    /// Appends a block of header fields, one on a line: names in lower case, values folded. `hint` is the charset of
    /// 8-bit text that does not name one.
    pub fn push_header(&mut self, block: &[u8], hint: Option<&str>) {
        for field in Fields::new(block) {
            self.push(&String::from_utf8_lossy(field.name));
            self.0.extend_from_slice(b": ");
            self.push(&decode_text(field.value, hint));
            self.0.push(b'\n');
        }
    }
}

/// Where a text contains any of the needles: ranges of it that do not overlap, at most `most`. It is folded character by
/// character, so that what is composed of several is found only as it stands.
pub fn occurrences(text: &str, needles: &[&Needle], most: usize) -> Vec<Range<usize>> {
    let mut folded = Vec::with_capacity(text.len());
    // For each octet of the folded text, where the character begins that it comes from.
    let mut origins = Vec::with_capacity(text.len());
    let mut bytes = [0; 4];
    for (at, c) in text.char_indices() {
        for folded_char in std::iter::once(c).nfkc().flat_map(char::to_lowercase) {
            folded.extend_from_slice(folded_char.encode_utf8(&mut bytes).as_bytes());
        }
        origins.resize(folded.len(), at);
    }
    let end_of =
        |at: usize| at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let mut found: Vec<Range<usize>> = Vec::new();
    for needle in needles.iter().filter(|needle| !needle.text.is_empty()) {
        for begin in needle.finder.find_iter(&folded).take(most) {
            let last = begin + needle.text.len() - 1;
            if let (Some(first), Some(last)) = (origins.get(begin), origins.get(last)) {
                found.push(*first..end_of(*last));
            }
        }
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart.truncate(most);
    apart
}

/// Characters of which the common ones of Chinese, Japanese and Korean are some; none of them has a lower case.
const fn is_caseless(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{a63f}' | '\u{ac00}'..='\u{d7a3}')
}

/// Whether a field of that name contains it, in a block of header fields.
pub(super) fn field_contains(
    values: impl Iterator<Item = impl AsRef<[u8]>>,
    hint: Option<&str>,
    needle: &Needle,
) -> bool {
    let mut folded = Folded::default();
    for value in values {
        folded.clear();
        folded.push(&decode_text(value.as_ref(), hint));
        if needle.is_in(&folded) {
            return true;
        }
    }
    false
}

/// Which of the needles a text part, or the header of an embedded message, contains. Reads part by part, and no
/// further than the first that has the last of them. Besides, how many bytes were looked at.
pub(super) async fn body_contains(
    message: &mut Opened,
    needles: &[&Needle],
    html: Html,
    mail: &Mail,
    text: &mut Folded,
) -> Result<(Vec<bool>, usize), Error> {
    let source = message.source(mail).await?.clone();
    let tree = message.tree(mail).await?;
    let mut found = vec![false; needles.len()];
    let mut looked_at = 0;
    for (index, part) in tree.0.iter().enumerate() {
        if found.iter().all(|f| *f) {
            break;
        }
        text.clear();
        if !push_part(text, &source, tree, index, part, html).await? {
            continue;
        }
        looked_at += text.len();
        for (found, needle) in found.iter_mut().zip(needles) {
            *found |= needle.is_in(text);
        }
    }
    Ok((found, looked_at))
}

/// Appends what is text of a part; false if it is none.
async fn push_part(
    text: &mut Folded,
    source: &Source,
    tree: &Structure,
    index: usize,
    part: &Part,
    html: Html,
) -> Result<bool, Error> {
    if part.is_message() {
        let Some(inner) = tree.children(index).next().and_then(|inner| tree.part(inner)) else {
            return Ok(false);
        };
        let end = inner.body.min(inner.header.saturating_add(PART));
        let block = source.read(inner.header..end).await?;
        text.push_header(&block, inner.charset().as_deref());
        return Ok(true);
    }
    // Reports (RFC 3464, RFC 8098) are text by their definition, and what people look for in a bounce.
    if !part.media_type.starts_with("text/") && !part.media_type.starts_with("message/") {
        return Ok(false);
    }
    let end = part.end.min(part.body.saturating_add(PART));
    let body = source.read(part.body..end).await?;
    // Only where the text was cut, there may be half a character at its end.
    let whole = if end < part.end { body.len() } else { usize::MAX };
    let decoded = decoded_text(&body, &part.encoding, part.charset().as_deref(), whole);
    match html {
        Html::Text if part.media_type == "text/html" => text.push(&html::searched(&decoded, usize::MAX)),
        Html::Text | Html::Source => text.push(&decoded),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        let mut folded = Folded::default();
        folded.push(text);
        String::from_utf8(folded.0).unwrap()
    }

    #[test]
    fn what_looks_alike_is_alike() {
        assert_eq!(folded("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"), "한글");
        assert_eq!(folded("ＡＢＣ"), "abc");
        assert_eq!(folded("MÜLL"), "müll");
        let mut header = Folded::default();
        header.push_header(b"SUBJECT: =?utf-8?q?=C3=9C?=\r\nX: A\r\n  b\r\n\r\n", None);
        assert_eq!(header.0, "subject: ü\nx: a  b\n".as_bytes());
        assert!(Needle::new("Subject: Ü").is_in_fields(&header));
        assert!(!Needle::new("ü\nx").is_in_fields(&header), "fields are apart from each other");
        assert!(!Needle::new("").is_in_fields(&Folded::default()));
    }

    #[test]
    fn caseless_characters_are_their_own_lower_case() {
        for c in ('\0'..=char::MAX).filter(|c| is_caseless(*c)) {
            assert!(c.to_lowercase().eq([c]), "{c}");
        }
    }

    proptest! {
        #[test]
        fn however_it_is_done_it_is_the_same(text in "(\\PC|[a-zA-Z가-힣あ-んァ-ンＡ-Ｚ\u{300}-\u{36f}\u{1100}-\u{11ff}]){0,40}") {
            let slowly: String = text.nfkc().flat_map(char::to_lowercase).collect();
            prop_assert_eq!(folded(&text), slowly);
        }
    }
}
