//! Content-Transfer-Encoding undone (RFC 2045 §6), leniently: what is broken decodes as far as it goes.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::charset;
use super::fields::{lines, without_line_end};

/// The bytes of a body in transfer encoding `encoding` (in any case), at most about `max` of them. An unknown
/// encoding leaves them as they are.
pub fn decode<'a>(body: &'a [u8], encoding: &str, max: usize) -> Cow<'a, [u8]> {
    let is = |name: &str| encoding.trim().eq_ignore_ascii_case(name);
    if is("base64") {
        Cow::Owned(base64(body, max))
    } else if is("quoted-printable") {
        Cow::Owned(quoted_printable(body, max))
    } else if is("x-uuencode") || is("uuencode") || is("x-uue") {
        Cow::Owned(uuencode(body, max))
    } else {
        Cow::Borrowed(body.get(..max).unwrap_or(body))
    }
}

/// The text of a body part: transfer encoding and charset undone. At most about `max` bytes are decoded; a
/// character cut there is left out.
pub fn decoded_text<'b>(body: &'b [u8], encoding: &str, charset: Option<&str>, max: usize) -> Cow<'b, str> {
    match decode(body, encoding, max) {
        Cow::Borrowed(bytes) => charset::decode(whole_characters(bytes, max), charset),
        Cow::Owned(bytes) => Cow::Owned(charset::decode(whole_characters(&bytes, max), charset).into_owned()),
    }
}

/// Bytes without the character that a limit has cut, if they reach it.
fn whole_characters(bytes: &[u8], max: usize) -> &[u8] {
    if bytes.len() < max { bytes } else { without_cut_character(bytes) }
}

/// Base64 (RFC 4648 §4) between anything else: line ends, spaces and foreign characters are skipped, a last
/// lone character is dropped, and padding is the end (RFC 2045 §6.8): what lists append is not read.
pub fn base64(body: &[u8], max: usize) -> Vec<u8> {
    let wanted = max.div_ceil(3).saturating_mul(4);
    let mut out = Vec::with_capacity(body.len().min(wanted) / 4 * 3 + 3);
    let mut loose = Loose::default();
    'lines: for line in lines(body) {
        if out.len() >= max {
            break;
        }
        let line = line.trim_ascii();
        // A whole number of clean groups is the rule; anything else goes character by character.
        if loose.count == 0
            && line.len().is_multiple_of(4)
            && line.len() <= wanted
            && base64_simd::STANDARD.decode_append(line, &mut out).is_ok()
        {
            if line.ends_with(b"=") {
                break;
            }
            continue;
        }
        for &byte in line {
            if (byte == b'=' && loose.count > 1) || out.len() >= max {
                break 'lines;
            }
            loose.push(byte, &mut out);
        }
    }
    loose.flush(&mut out);
    out.truncate(max);
    out
}

/// Base64 characters of a group that is not full yet.
#[derive(Default)]
struct Loose {
    bits: u32,
    count: u8,
}

impl Loose {
    fn push(&mut self, byte: u8, out: &mut Vec<u8>) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return,
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        let [_, bytes @ ..] = (self.bits << (6 * (4 - u32::from(self.count)))).to_be_bytes();
        out.extend(bytes.iter().take(usize::from(self.count.saturating_sub(1))));
        *self = Self::default();
    }
}

/// Quoted-printable (RFC 2045 §6.7): broken escapes stay as they are, white space before a line end goes.
pub fn quoted_printable(body: &[u8], max: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().min(max));
    for line in lines(body) {
        if out.len() >= max {
            break;
        }
        let text = without_line_end(line);
        let end = line.get(text.len()..).unwrap_or_default();
        let text = if end.is_empty() { text } else { text.trim_ascii_end() };
        match text {
            [text @ .., b'='] => escapes(text, b'=', &mut out),
            _ => {
                escapes(text, b'=', &mut out);
                out.extend_from_slice(end);
            }
        }
    }
    out.truncate(max);
    out
}

/// Appends `text` with each `mark` and its two hexadecimal digits made the byte that they stand for.
pub(super) fn escapes(text: &[u8], mark: u8, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(mark, rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        match escape {
            [_, high, low, after @ ..] if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                out.push(high << 4 | low);
                rest = after;
            }
            [_, after @ ..] => {
                out.push(mark);
                rest = after;
            }
            [] => return,
        }
    }
    out.extend_from_slice(rest);
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The first file in uuencoded text, as old mailers send it.
fn uuencode(body: &[u8], max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut inside = false;
    for line in lines(body) {
        let line = without_line_end(line);
        match line {
            _ if !inside => inside = line.starts_with(b"begin "),
            b"end" => break,
            [count, data @ ..] if out.len() < max => {
                uu_line(usize::from(count.wrapping_sub(b' ') & 63), data, &mut out)
            }
            _ => {}
        }
    }
    out.truncate(max);
    out
}

fn uu_line(count: usize, data: &[u8], out: &mut Vec<u8>) {
    let end = out.len() + count.min(data.len());
    for group in data.chunks(4) {
        let value = |i: usize| u32::from(group.get(i).map_or(0, |byte| byte.wrapping_sub(b' ') & 63));
        let [_, bytes @ ..] = (value(0) << 18 | value(1) << 12 | value(2) << 6 | value(3)).to_be_bytes();
        out.extend(bytes.iter().take(end.saturating_sub(out.len())));
    }
}

/// `bytes` up to its last complete character or line, for a charset not known here.
fn without_cut_character(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        Ok(_) => bytes,
        // Multi-byte charsets are in step after an ASCII control or space.
        Err(_) => {
            let tail = bytes.len().saturating_sub(256);
            let space = memchr2(b' ', b'\n', bytes.get(tail..).unwrap_or_default());
            space.map_or(bytes, |at| bytes.get(..tail + at).unwrap_or(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_kind() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"aGVsbG8=", b"hello"),
            (b"aGVs\r\nbG8=\r\n", b"hello"),
            (b"aGV\r\nsbG8", b"hello"),
            (b"aGVs bG8", b"hello"),
            (b"aGVsbG8=aGVsbG8=", b"hello"),
            (b"aGVsbG8=\r\n____\r\nlist footer\r\n", b"hello"),
            (b"=aGVs=bG8", b"hello"),
            (b"!aGVs\x00bG8=\xff", b"hello"),
            (b"aGVsbG8=\r\n-- \r\n", b"hello"),
            (b"a", b""),
            (b"====", b""),
            (b"", b""),
        ];
        for (body, bytes) in cases {
            assert_eq!(base64(body, usize::MAX), *bytes, "{}", body.escape_ascii());
        }
        assert_eq!(base64(b"aGVsbG8=", 3), b"hel");
        assert_eq!(base64(&b"QUFB\r\n".repeat(1000), 10), b"AAAAAAAAAA");
    }

    #[test]
    fn quoted_printable_of_every_kind() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"a=3Db=3d", b"a=b="),
            (b"soft=\r\n break  \r\nhard \t\n", b"soft break\r\nhard\n"),
            (b"broken =G0 =", b"broken =G0 "),
            (b"=E=ED=95=9C", "=E한".as_bytes()),
            (b"soft= \r\nx ", b"softx "),
        ];
        for (body, bytes) in cases {
            assert_eq!(
                quoted_printable(body, usize::MAX).escape_ascii().to_string(),
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn uuencoded_file() {
        let body = b"some text\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\nmore";
        assert_eq!(&*decode(body, "X-UUencode", 100), b"Cat");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(decoded_text("한글".as_bytes(), "8bit", Some("utf-8"), 4), "한");
        assert_eq!(decoded_text(b"7ZWc6riA", "base64", Some("utf-8"), 4), "한");
        assert_eq!(decoded_text(b"=C7=D1=B1=DB", "Quoted-Printable", Some("euc-kr"), 100), "한글");
    }
}
