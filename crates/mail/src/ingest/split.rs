//! Cutting attachments out of a message. Nothing is cut that could not be put back exactly: each cut is
//! encoded again and compared before it is made.

use base64_simd::{STANDARD, STANDARD_NO_PAD};

use super::preview::body;
use super::recipe::{Cut, MAX_CUTS, Recipe};
use crate::record::metadata_parts::{Part, Structure};

/// Encoded octets from which an attachment is worth a blob of its own.
pub const THRESHOLD: usize = 32 * 1024;
/// Decoded octets that are compared at once.
const CHUNK: usize = 48 * 1024;
/// Base64 characters that are decoded at once.
const GATHER: usize = 16 * 1024;
/// Lines shorter than this are not what any mail program makes.
const MIN_LINE: usize = 4;

/// A message taken apart.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// How to put it together again. Without cuts there is nothing to gain: keep the message as it is.
    pub recipe: Recipe,
    /// What was cut out, in the order of the recipe's cuts; the same content may be there twice.
    pub attachments: Vec<Attachment>,
}

/// An attachment's decoded content.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// BLAKE3 of `bytes`.
    pub hash: [u8; 32],
    /// What the part decodes to.
    pub bytes: Vec<u8>,
}

impl Split {
    /// The bytes of `raw` (the message that was split) that are not cut out, in one piece.
    pub fn literal(&self, raw: &[u8]) -> Vec<u8> {
        let cut: u64 = self.recipe.cuts.iter().map(Cut::encoded_len).sum();
        let mut literal = Vec::with_capacity(raw.len().saturating_sub(offset(cut)));
        for range in self.recipe.literals() {
            literal.extend_from_slice(raw.get(offset(range.start)..offset(range.end)).unwrap_or_default());
        }
        literal
    }
}

/// Cuts the base64 parts of `raw` out whose text has at least `threshold` octets. A part whose text is not
/// regular (lines of different length, foreign characters, odd padding) stays where it is.
pub fn split(raw: &[u8], structure: &Structure, threshold: usize) -> Split {
    let mut split =
        Split { recipe: Recipe { size: raw.len() as u64, cuts: Vec::new() }, attachments: Vec::new() };
    let leaves = structure.0.iter().filter(|part| part.descendants == 0 && part.encoding == "base64");
    for part in leaves {
        if split.recipe.cuts.len() == MAX_CUTS {
            break;
        }
        let body = body(raw, part);
        if body.len() < threshold {
            continue;
        }
        if let Some((cut, bytes)) = cut(part, body, threshold) {
            split.attachments.push(Attachment { hash: cut.hash, bytes });
            split.recipe.cuts.push(cut);
        }
    }
    split
}

fn cut(part: &Part, body: &[u8], threshold: usize) -> Option<(Cut, Vec<u8>)> {
    let text = body.trim_ascii_start();
    let lead = body.len() - text.len();
    let text = text.trim_ascii_end();
    if text.len() < threshold.max(1) {
        return None;
    }
    let form = Form::of(text)?;
    let bytes = form.decode(text)?;
    let cut = Cut {
        at: part.body + lead as u64,
        hash: *blake3::hash(&bytes).as_bytes(),
        len: bytes.len() as u64,
        line: u32::try_from(form.line).ok()?,
        bare_lf: form.line_end.len() == 1,
        unpadded: form.unpadded,
    };
    rebuilds(&cut, &bytes, text).then_some((cut, bytes))
}

/// How base64 text is laid out.
struct Form {
    /// Characters on a line; zero for a single line.
    line: usize,
    line_end: &'static [u8],
    unpadded: bool,
}

impl Form {
    /// The layout that the first line and the length of `text` suggest.
    fn of(text: &[u8]) -> Option<Self> {
        let Some(line) = memchr::memchr(b'\n', text) else {
            return Some(Self { line: 0, line_end: b"\r\n", unpadded: !text.len().is_multiple_of(4) });
        };
        let crlf = line > 0 && text.get(line - 1) == Some(&b'\r');
        let line_end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
        let line = line - usize::from(crlf);
        let stride = line + line_end.len();
        let chars = text.len() - text.len() / stride * line_end.len();
        // A text that ended with its line end would have been trimmed, so the last line has characters.
        (line >= MIN_LINE).then_some(Self { line, line_end, unpadded: !chars.is_multiple_of(4) })
    }

    fn decode(&self, text: &[u8]) -> Option<Vec<u8>> {
        let engine = if self.unpadded { STANDARD_NO_PAD } else { STANDARD };
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
        if self.line == 0 {
            engine.decode_append(text, &mut bytes).ok()?;
            return Some(bytes);
        }
        let mut gathered = Vec::with_capacity(GATHER + self.line.min(text.len()));
        for line in text.chunks(self.line + self.line_end.len()) {
            let (chars, end) = line.split_at_checked(self.line).unwrap_or((line, b""));
            let last = end.is_empty();
            if !last && end != self.line_end {
                return None;
            }
            gathered.extend_from_slice(chars);
            if gathered.len() >= GATHER {
                let whole = gathered.len() / 4 * 4;
                engine.decode_append(gathered.get(..whole)?, &mut bytes).ok()?;
                gathered.drain(..whole);
            }
        }
        engine.decode_append(&gathered, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// Whether the attachment's text, made anew, is `text`.
fn rebuilds(cut: &Cut, bytes: &[u8], text: &[u8]) -> bool {
    if cut.encoded_len() != text.len() as u64 {
        return false;
    }
    let (_, mut encoder) = cut.encoder(0..cut.encoded_len());
    let mut again = Vec::with_capacity(CHUNK * 2);
    let mut rest = text;
    let mut same = |again: &mut Vec<u8>| {
        let Some((beginning, after)) = rest.split_at_checked(again.len()) else { return false };
        rest = after;
        let same = beginning == again.as_slice();
        again.clear();
        same
    };
    for chunk in bytes.chunks(CHUNK) {
        encoder.push(chunk, &mut again);
        if !same(&mut again) {
            return false;
        }
    }
    encoder.finish(&mut again);
    same(&mut again)
}

fn offset(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
