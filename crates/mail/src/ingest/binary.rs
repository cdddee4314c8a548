//! Binary bodies made printable (RFC 3516 §4.4 lets a server do so): what is stored never holds NUL, so that every
//! message can be shown to every client by ordinary literals. What comes by SMTP's BINARYMIME (RFC 3030) is kept in
//! lines as well, so that POP3 hands out what came, and so that it can be passed on to anybody.

use base64_simd::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

use super::{Limits, structure};
use crate::record::metadata_parts::Part;

/// Bytes of a body in one line of base64.
const LINE: usize = 57;
const FIELD: &[u8] = b"content-transfer-encoding:";

/// The same message without NUL: bodies whose transfer encoding is `binary` become base64. `None` if there is a NUL
/// anywhere else, where nothing may be encoded.
pub fn without_nul(raw: &Bytes, limits: &Limits) -> Option<Bytes> {
    encoded(raw, limits, |octets| memchr::memchr(0, octets).is_none())
}

/// The same message in lines: bodies whose transfer encoding is `binary`, and which hold NUL or a CR or LF alone, become
/// base64. `None` if one of these is anywhere else.
pub fn in_lines(raw: &Bytes, limits: &Limits) -> Option<Bytes> {
    encoded(raw, limits, are_lines)
}

/// Whether there is neither NUL nor a CR or LF alone.
fn are_lines(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(at) = memchr::memchr3(0, b'\r', b'\n', rest) {
        let Some(after) = rest.get(at..).and_then(|found| found.strip_prefix(b"\r\n")) else { return false };
        rest = after;
    }
    true
}

/// Encodes the binary bodies that are not fine as they are; `None` if something else is not.
fn encoded(raw: &Bytes, limits: &Limits, is_fine: fn(&[u8]) -> bool) -> Option<Bytes> {
    if is_fine(raw) {
        return Some(raw.clone());
    }
    let (tree, _) = structure(raw, limits);
    let mut whole = BytesMut::with_capacity(raw.len() + raw.len() / 2);
    let mut at = 0;
    for index in 0.. {
        let Some(part) = tree.part(index) else { break };
        if part.is_multipart() || part.is_message() || !part.encoding.eq_ignore_ascii_case("binary") {
            continue;
        }
        let (header, body, end) = (place(part.header), place(part.body), place(part.end));
        if header < at || is_fine(raw.get(body..end)?) {
            continue;
        }
        whole.put_slice(raw.get(at..header)?);
        relabel(raw.get(header..body)?, &mut whole);
        encode(raw.get(body..end)?, is_last(part, raw), &mut whole);
        at = end;
    }
    whole.put_slice(raw.get(at..)?);
    is_fine(&whole).then(|| whole.freeze())
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Whether nothing follows the part: then its last line needs an end.
fn is_last(part: &Part, raw: &[u8]) -> bool {
    part.end == raw.len() as u64
}

/// A header with another Content-Transfer-Encoding.
fn relabel(header: &[u8], out: &mut BytesMut) {
    let mut folded = false;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let named = line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD));
        let continued = folded && matches!(line.first(), Some(b' ' | b'\t'));
        if named {
            out.put_slice(b"Content-Transfer-Encoding: base64\r\n");
        } else if !continued {
            out.put_slice(line);
        }
        folded = named || continued;
    }
}

fn encode(body: &[u8], last: bool, out: &mut BytesMut) {
    for (i, line) in body.chunks(LINE).enumerate() {
        if i > 0 {
            out.put_slice(b"\r\n");
        }
        out.put_slice(STANDARD.encode_to_string(line).as_bytes());
    }
    if last {
        out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printable(raw: &'static [u8]) -> Option<String> {
        without_nul(&Bytes::from_static(raw), &Limits::default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn only_binary_bodies_with_nul_are_printable() {
        assert_eq!(printable(b"Subject: x\r\n\r\ntext").as_deref(), Some("Subject: x\r\n\r\ntext"));
        let single = b"Content-Transfer-Encoding:\r\n binary\r\nSubject: x\r\n\r\na\0b";
        assert_eq!(
            printable(single).as_deref(),
            Some("Content-Transfer-Encoding: base64\r\nSubject: x\r\n\r\nYQBi\r\n")
        );
        let parts = b"Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                      --x\r\nContent-Transfer-Encoding: BINARY\r\n\r\na\0b\r\n--x\r\n\
                      Content-Transfer-Encoding: binary\r\n\r\nplain\r\n--x--\r\n";
        let expected = "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: binary\r\n\r\n\
                        --x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n--x\r\n\
                        Content-Transfer-Encoding: binary\r\n\r\nplain\r\n--x--\r\n";
        assert_eq!(printable(parts).as_deref(), Some(expected));
    }

    #[test]
    fn nul_elsewhere_cannot_be_helped() {
        assert_eq!(printable(b"Subject: x\0\r\n\r\ntext"), None);
        assert_eq!(printable(b"Subject: x\r\n\r\nte\0xt"), None);
        assert_eq!(printable(b"Content-Transfer-Encoding: 8bit\r\n\r\nte\0xt"), None);
    }

    #[test]
    fn what_has_no_lines_is_encoded_too() {
        let lined = |raw: &'static [u8]| {
            in_lines(&Bytes::from_static(raw), &Limits::default())
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        for (raw, wanted) in [
            (&b"Subject: x\r\n\r\ntext\r\n"[..], Some("Subject: x\r\n\r\ntext\r\n")),
            (
                b"Content-Transfer-Encoding: binary\r\n\r\na\nb",
                Some("Content-Transfer-Encoding: base64\r\n\r\nYQpi\r\n"),
            ),
            (
                b"Content-Transfer-Encoding: binary\r\n\r\na\r",
                Some("Content-Transfer-Encoding: base64\r\n\r\nYQ0=\r\n"),
            ),
            (
                b"Content-Transfer-Encoding: binary\r\n\r\na\r\n",
                Some("Content-Transfer-Encoding: binary\r\n\r\na\r\n"),
            ),
            (b"Subject: x\n\r\n\r\ntext", None),
            (b"Subject: x\r\n\r\nte\rxt", None),
            (b"Subject: x\r\n\r\ntext\r", None),
        ] {
            assert_eq!(lined(raw).as_deref(), wanted, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn what_was_encoded_decodes_to_the_same() {
        let body: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        let raw = Bytes::from([b"Content-Transfer-Encoding: binary\r\n\r\n", &body[..]].concat());
        let coded = without_nul(&raw, &Limits::default()).unwrap();
        let text = coded.slice(37..);
        assert!(text.split(|b| *b == b'\n').all(|line| line.len() <= 77));
        let packed: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        assert_eq!(STANDARD.decode_to_vec(packed).unwrap(), body);
    }
}
