//! Single-instanced attachments: a message as its own bytes without its large attachments, and how to make
//! them whole again, byte for byte.
//!
//! A [`Recipe`] lists what was cut out of the source: base64 text that is the canonical encoding of an
//! attachment under a line length and a line end. What is left, the literal bytes, is kept in one piece.
//! [`Recipe::steps`] says for any range of the source what to fetch from where; [`Encoder`] turns fetched
//! attachment bytes back into their text. Neither needs more than one chunk in memory.

use std::ops::Range;

use base64_simd::STANDARD;
use minicbor::{CborLen, Decode, Encode};

/// The most cuts of one recipe; further attachments stay where they are. Keeps the record under 70,000 bytes.
pub const MAX_CUTS: usize = 1000;
/// Octets of the largest source that a sound recipe describes.
const LARGEST: u64 = 1 << 40;
/// Attachment bytes that are encoded at once; a multiple of three.
const BLOCK: usize = 3 * 1024;

/// How a source is put together. Evolves as [`crate::record::metadata::Metadata`] does.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Recipe {
    /// Octets of the whole source.
    #[n(0)]
    #[cbor(default)]
    pub size: u64,
    /// What was cut out, in ascending order.
    #[n(1)]
    #[cbor(default)]
    pub cuts: Vec<Cut>,
}

/// One attachment that was cut out, and the form that it had.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Cut {
    /// Where its text begins in the source.
    #[n(0)]
    #[cbor(default)]
    pub at: u64,
    /// BLAKE3 of the attachment's decoded bytes: its name in the blob store.
    #[n(1)]
    #[cbor(default, with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// Octets of the attachment, decoded.
    #[n(2)]
    #[cbor(default)]
    pub len: u64,
    /// Base64 characters on a line; zero if they are all on one.
    #[n(3)]
    #[cbor(default)]
    pub line: u32,
    /// Whether lines end in a bare LF.
    #[n(4)]
    #[cbor(skip_if = "is_false")]
    pub bare_lf: bool,
    /// Whether the `=` at the end are missing.
    #[n(5)]
    #[cbor(skip_if = "is_false")]
    pub unpadded: bool,
}

/// One piece of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Octets of the literal bytes.
    Literal(Range<u64>),
    /// Attachment bytes to fetch and to pass through the encoder.
    Attachment {
        /// The attachment.
        cut: &'a Cut,
        /// Which of its decoded octets to fetch.
        plain: Range<u64>,
        /// What turns them into this piece.
        encoder: Encoder,
    },
}

impl Recipe {
    /// Whether the cuts are in order, apart from each other and inside the source: a recipe from a row that is not
    /// so describes nothing, and the arithmetic of the others does not hold for it.
    pub fn is_sound(&self) -> bool {
        let mut free = 0;
        self.size <= LARGEST
            && self.cuts.iter().all(|cut| {
                let sound = cut.at >= free && cut.at <= self.size && cut.len <= self.size;
                free = if sound { cut.end() } else { free };
                sound && free <= self.size
            })
    }

    /// The pieces that make up the octets `range` of the source, in order; a range beyond its end is cut.
    pub fn steps(&self, range: Range<u64>) -> impl Iterator<Item = Step<'_>> {
        let end = range.end.min(self.size);
        let mut at = range.start.min(end);
        let mut next = self.cuts.partition_point(|cut| cut.end() <= at);
        // Octets of the source before `at` that are not literal.
        let mut gone: u64 = self.cuts.iter().take(next).map(Cut::encoded_len).sum();
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let start = at;
            match self.cuts.get(next) {
                Some(cut) if cut.at <= at => {
                    at = cut.end().min(end);
                    next += 1;
                    gone += cut.encoded_len();
                    let (plain, encoder) = cut.encoder(start - cut.at..at - cut.at);
                    Some(Step::Attachment { cut, plain, encoder })
                }
                cut => {
                    at = cut.map_or(end, |cut| cut.at.min(end));
                    Some(Step::Literal(start - gone..at - gone))
                }
            }
        })
    }

    /// The ranges of the source that are literal, in order; joined they are the literal bytes.
    pub fn literals(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = std::iter::once(0).chain(self.cuts.iter().map(Cut::end));
        let ends = self.cuts.iter().map(|cut| cut.at).chain(std::iter::once(self.size));
        starts.zip(ends).map(|(start, end)| start..end)
    }

    /// The attachment whose text lies in the octets `body` of the source, if it was cut out: its bytes are
    /// the decoded content of that part.
    pub fn cut_in(&self, body: Range<u64>) -> Option<&Cut> {
        let first = self.cuts.partition_point(|cut| cut.at < body.start);
        self.cuts.get(first).filter(|cut| cut.end() <= body.end)
    }
}

impl Cut {
    /// Where its text ends in the source.
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.encoded_len())
    }

    /// Octets of its text, line ends included.
    pub fn encoded_len(&self) -> u64 {
        match self.chars() {
            0 => 0,
            chars => self.position(chars - 1) + 1,
        }
    }

    /// What turns attachment bytes into the octets `range` of its text, and which bytes it wants.
    pub fn encoder(&self, range: Range<u64>) -> (Range<u64>, Encoder) {
        let end = range.end.min(self.encoded_len());
        let start = range.start.min(end);
        let first = self.char_at(start) / 4 * 4;
        // The encoder starts behind the character before its first, so with the line end between them.
        let from = if first == 0 { 0 } else { self.position(first - 1) + 1 };
        let groups_end = self.char_at(end).div_ceil(4);
        let plain = (first / 4 * 3).min(self.len)..groups_end.saturating_mul(3).min(self.len);
        let line = u64::from(self.line);
        let encoder = Encoder {
            line: if line == 0 { u64::MAX } else { line },
            line_end: self.line_end(),
            padded: !self.unpadded,
            column: if line == 0 || first == 0 { first } else { (first - 1) % line + 1 },
            carry: [0; 2],
            carried: 0,
            skip: start - from,
            left: end - start,
        };
        (plain, encoder)
    }

    /// Base64 characters of the text.
    fn chars(&self) -> u64 {
        let missing = (3 - self.len % 3) % 3;
        self.len.div_ceil(3).saturating_mul(4).saturating_sub(if self.unpadded { missing } else { 0 })
    }

    /// Where character `index` is in the text.
    fn position(&self, index: u64) -> u64 {
        let breaks = index.checked_div(u64::from(self.line)).unwrap_or(0);
        index.saturating_add(breaks.saturating_mul(self.line_end().len() as u64))
    }

    /// How many characters there are before position `at` of the text.
    fn char_at(&self, at: u64) -> u64 {
        let line = u64::from(self.line);
        if line == 0 {
            return at;
        }
        let stride = line + self.line_end().len() as u64;
        at / stride * line + (at % stride).min(line)
    }

    const fn line_end(&self) -> &'static [u8] {
        if self.bare_lf { b"\n" } else { b"\r\n" }
    }
}

/// Attachment bytes in, a range of the text out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoder {
    line: u64,
    line_end: &'static [u8],
    padded: bool,
    /// Characters on the line so far.
    column: u64,
    /// Bytes of a group that is not full.
    carry: [u8; 2],
    carried: usize,
    /// Octets still to be left out before the range, and still to come of it.
    skip: u64,
    left: u64,
}

impl Encoder {
    /// Appends the text of the next `bytes` of the attachment to `out`: about 4/3 of their length.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut bytes = bytes;
        if self.carried > 0 {
            let (fill, rest) = bytes.split_at_checked(3 - self.carried).unwrap_or((bytes, b""));
            bytes = rest;
            let [first, second] = self.carry;
            let mut group = vec![first, second];
            group.truncate(self.carried);
            group.extend_from_slice(fill);
            self.carried = 0;
            match group.len() {
                3 => self.encode(&group, out),
                _ => self.keep(&group),
            }
        }
        let (blocks, rest) = bytes.split_at_checked(bytes.len() / 3 * 3).unwrap_or((b"", bytes));
        for block in blocks.chunks(BLOCK) {
            self.encode(block, out);
        }
        if self.carried == 0 {
            self.keep(rest);
        }
    }

    /// Appends what the last bytes still owe. Of a range that ends before the text does, nothing is owed.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let carry = self.carry;
        let carried = std::mem::take(&mut self.carried);
        self.encode(carry.get(..carried).unwrap_or_default(), out);
        // A line end comes with the character behind it; a range may end before that one.
        if self.column == self.line {
            self.emit(self.line_end, out);
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        for (slot, byte) in self.carry.iter_mut().zip(rest) {
            *slot = *byte;
        }
        self.carried = rest.len().min(2);
    }

    fn encode(&mut self, block: &[u8], out: &mut Vec<u8>) {
        let mut chars = [0; BLOCK / 3 * 4];
        let encoded = STANDARD.encode(block, base64_simd::Out::from_slice(&mut chars));
        let mut rest = match encoded {
            [text @ .., b'=', b'='] | [text @ .., b'='] if !self.padded => &*text,
            text => &*text,
        };
        while !rest.is_empty() && self.left > 0 {
            if self.column == self.line {
                self.emit(self.line_end, out);
                self.column = 0;
            }
            let room = usize::try_from(self.line - self.column).unwrap_or(usize::MAX).min(rest.len());
            let (line, after) = rest.split_at_checked(room).unwrap_or((rest, b""));
            self.emit(line, out);
            self.column += line.len() as u64;
            rest = after;
        }
    }

    fn emit(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skip as u64;
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - skip);
        self.left -= take as u64;
        out.extend_from_slice(bytes.get(skip..skip + take).unwrap_or_default());
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
