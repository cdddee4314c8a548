//! Text as it is compared: what looks alike to a reader is alike.

use mail::ingest::fields::Fields;
use mail::ingest::{decode_text, decoded_text};
use mail::record::metadata_parts::{Part, Structure as Tree};
use mail::{Mail, Metadata};
use unicode_normalization::UnicodeNormalization;

use super::super::super::content::Message;
use super::super::super::error::Error;

/// The most bytes of one part that a search reads; what follows is not searched.
const PART: u64 = 16 * 1024 * 1024;

/// Compatibility normal form in lower case: decomposed Hangul, full-width letters and capitals compare like
/// their common forms (RFC 5051's intent; stricter than ASCII case folding).
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// The values of a kept header field, folded; `None` if the record does not know all of them.
pub(super) fn kept_values(metadata: &Metadata, name: &str) -> Option<Vec<String>> {
    let hint = metadata.structure.charset_hint();
    let hint = hint.as_deref();
    let known = metadata.header.covers([name]);
    known.then(|| metadata.header.all(name).map(|value| fold(&decode_text(value, hint))).collect())
}

/// The header fields of a block: names in lower case, values folded.
pub(super) fn header(block: &[u8], hint: Option<&str>) -> Vec<(String, String)> {
    let name = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    Fields::new(block).map(|field| (name(field.name), fold(&decode_text(field.value, hint)))).collect()
}

/// Whether a text part, or the header of an embedded message, contains `needle`. Reads part by part, and no
/// further than the first that does.
pub(super) async fn body_contains(
    message: &mut Message,
    needles: &[&str],
    mail: &Mail,
) -> Result<Vec<bool>, Error> {
    let tree: Tree = message.tree(mail).await?.clone();
    let mut found = vec![false; needles.len()];
    for (index, part) in tree.0.iter().enumerate() {
        if found.iter().all(|f| *f) {
            break;
        }
        let Some(text) = part_text(message, &tree, index, part, mail).await? else { continue };
        for (found, needle) in found.iter_mut().zip(needles) {
            *found |= text.contains(needle);
        }
    }
    Ok(found)
}

async fn part_text(
    message: &mut Message,
    tree: &Tree,
    index: usize,
    part: &Part,
    mail: &Mail,
) -> Result<Option<String>, Error> {
    if part.is_message() {
        let Some(inner) = tree.children(index).next().and_then(|inner| tree.part(inner)) else {
            return Ok(None);
        };
        let end = inner.body.min(inner.header.saturating_add(PART));
        let block = message.source(mail).await?.read(inner.header..end).await?;
        let fields = header(&block, inner.charset().as_deref());
        return Ok(Some(fields.into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()));
    }
    // Reports (RFC 3464, RFC 8098) are text by their definition, and what people look for in a bounce.
    if !part.media_type.starts_with("text/") && !part.media_type.starts_with("message/") {
        return Ok(None);
    }
    let end = part.end.min(part.body.saturating_add(PART));
    let body = message.source(mail).await?.read(part.body..end).await?;
    Ok(Some(fold(&decoded_text(&body, &part.encoding, part.charset().as_deref(), body.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike() {
        assert_eq!(fold("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"), fold("한글"));
        assert_eq!(fold("ＡＢＣ"), "abc");
        assert_eq!(fold("MÜLL"), "müll");
        assert_eq!(
            header(b"SUBJECT: =?utf-8?q?=C3=9C?=\r\n\r\n", None),
            [("subject".to_owned(), "ü".to_owned())]
        );
    }
}
