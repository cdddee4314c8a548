//! Transfer encodings, as a stream (RFC 2045 §6.7 and §6.8).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

/// The longest line of quoted-printable, without the `=` that may end it.
const QUOTED_LINE: usize = 75;
/// Octets that make a line of 76 characters.
const BASE64_LINE: usize = 57;

/// Quoted-printable for text.
#[derive(Default)]
pub(super) struct Quoter {
    column: usize,
}

impl Quoter {
    /// Encodes a line with its end, or a piece of one.
    pub(super) fn line(&mut self, line: &[u8], out: &mut BytesMut) {
        let (text, ends) = split_end(line);
        for (at, byte) in text.iter().enumerate() {
            let last = at + 1 == text.len();
            let plain = match byte {
                b' ' | b'\t' => !last,
                b'=' => false,
                other => other.is_ascii_graphic(),
            };
            let width = if plain { 1 } else { 3 };
            if self.column + width > QUOTED_LINE {
                out.extend_from_slice(b"=\r\n");
                self.column = 0;
            }
            if plain {
                out.put_u8(*byte)
            } else {
                escape(*byte, out)
            }
            self.column += width;
        }
        if ends {
            out.extend_from_slice(b"\r\n");
            self.column = 0;
        }
    }
}

/// Quoted-printable that is already, but for octets beyond ASCII that somebody left in it.
pub(super) fn mend(line: &[u8], out: &mut BytesMut) {
    for byte in line {
        if byte.is_ascii() && *byte != 0 { out.put_u8(*byte) } else { escape(*byte, out) }
    }
}

fn escape(byte: u8, out: &mut BytesMut) {
    out.extend_from_slice(format!("={byte:02X}").as_bytes());
}

/// Base64.
#[derive(Default)]
pub(super) struct Base64 {
    /// Less than a line.
    waiting: Vec<u8>,
    /// The end of the last line: it belongs to a boundary, if one follows.
    held: Vec<u8>,
}

impl Base64 {
    /// Encodes a line with its end, or a piece of one.
    pub(super) fn line(&mut self, line: &[u8], out: &mut BytesMut) {
        self.waiting.append(&mut self.held);
        let (text, ends) = split_end(line);
        self.waiting.extend_from_slice(text);
        if ends {
            self.held.extend_from_slice(line.get(text.len()..).unwrap_or_default());
        }
        let whole = self.waiting.len() - self.waiting.len() % BASE64_LINE;
        for chunk in self.waiting.get(..whole).unwrap_or_default().chunks(BASE64_LINE) {
            write(chunk, out);
        }
        self.waiting.drain(..whole);
    }

    /// The content is over; `bounded` if a boundary follows, to which the last line end belongs.
    pub(super) fn finish(mut self, bounded: bool, out: &mut BytesMut) {
        if !bounded {
            self.waiting.append(&mut self.held);
        }
        self.waiting.chunks(BASE64_LINE).for_each(|chunk| write(chunk, out));
        if self.waiting.is_empty() && !self.held.is_empty() && !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn write(chunk: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(STANDARD.encode(chunk).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A line's text, and whether the line ends.
fn split_end(line: &[u8]) -> (&[u8], bool) {
    match line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")) {
        Some(text) => (text, true),
        None => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let (mut quoter, mut out) = (Quoter::default(), BytesMut::new());
        text.as_bytes().split_inclusive(|b| *b == b'\n').for_each(|line| quoter.line(line, &mut out));
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn quoted_printable_line_by_line() {
        assert_eq!(quoted("a=b \r\nk\u{f6}ln\t\n"), "a=3Db=20\r\nk=C3=B6ln=09\r\n");
        assert_eq!(quoted("a\rb"), "a=0Db");
        let long = quoted(&"\u{f6}".repeat(50));
        assert!(long.lines().all(|line| line.len() <= 76), "{long}");
        assert_eq!(long.replace("=\r\n", ""), "=C3=B6".repeat(50));
    }

    #[test]
    fn base64_leaves_the_boundary_its_line_end() {
        let coded = |bounded| {
            let (mut coder, mut out) = (Base64::default(), BytesMut::new());
            coder.line(b"a\r\n", &mut out);
            coder.line(b"b\r\n", &mut out);
            coder.finish(bounded, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!((coded(true).as_str(), coded(false).as_str()), ("YQ0KYg==\r\n", "YQ0KYg0K\r\n"));
    }
}
