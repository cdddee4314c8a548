//! Transfer encodings undone in a stream (RFC 2045 §6): memory does not grow with the part.

/// Decodes a body part chunk by chunk.
#[derive(Clone, Debug)]
pub(in super::super) enum Decoder {
    /// `7bit`, `8bit`, `binary`
    Identity,
    /// `base64`: bits that do not make a byte yet, and how many.
    Base64 { bits: u32, count: u32 },
    /// `quoted-printable`: the beginning of an escape, or white space that may end a line.
    QuotedPrintable { held: Vec<u8> },
}

/// White space at a line's end is no text. A run longer than this is none either, wherever it ends.
const HELD: usize = 1024;

impl Decoder {
    /// The decoder for a Content-Transfer-Encoding in lower case; `None` if it is unknown.
    pub(in super::super) fn new(encoding: &str) -> Option<Self> {
        match encoding {
            "" | "7bit" | "8bit" | "binary" => Some(Self::Identity),
            "base64" => Some(Self::Base64 { bits: 0, count: 0 }),
            "quoted-printable" => Some(Self::QuotedPrintable { held: Vec::new() }),
            _ => None,
        }
    }

    /// Decodes `bytes` and appends what is certain by now to `out`.
    pub(in super::super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(bytes),
            Self::Base64 { bits, count } => {
                for byte in bytes {
                    base64(*byte, bits, count, out);
                }
            }
            Self::QuotedPrintable { held } => {
                for byte in bytes {
                    quoted_printable(*byte, held, out);
                }
            }
        }
    }

    /// The end: what was held back.
    pub(in super::super) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Self::QuotedPrintable { held } = self {
            // A soft line break may be the last thing there is.
            let rest = held.trim_ascii_end();
            out.extend_from_slice(if rest == b"=" { b"" } else { rest });
            held.clear();
        }
    }
}

/// Anything that is no base64 is skipped; padding begins anew.
fn base64(byte: u8, bits: &mut u32, count: &mut u32, out: &mut Vec<u8>) {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => {
            (*bits, *count) = (0, 0);
            return;
        }
        _ => return,
    };
    *bits = (*bits << 6) | u32::from(value);
    *count += 6;
    if *count >= 8 {
        *count -= 8;
        out.push(u8::try_from((*bits >> *count) & 0xff).unwrap_or_default());
        *bits &= (1 << *count) - 1;
    }
}

/// `held` is white space, or `=` and what follows it while it may become an escape.
fn quoted_printable(byte: u8, held: &mut Vec<u8>, out: &mut Vec<u8>) {
    let escape = held.first() == Some(&b'=');
    match (byte, escape) {
        (b'\n', true) if held.get(1..).unwrap_or_default().iter().all(u8::is_ascii_whitespace) => {
            held.clear()
        }
        (b'\n', false) => {
            let crlf = held.last() == Some(&b'\r');
            held.clear();
            out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        (b' ' | b'\t' | b'\r', _) if held.len() < HELD => held.push(byte),
        (_, true) if held.len() == 1 && byte.is_ascii_hexdigit() => held.push(byte),
        (_, true) if held.len() == 2 && byte.is_ascii_hexdigit() => {
            let high = held.get(1).copied().and_then(hex).unwrap_or_default();
            out.push(high << 4 | hex(byte).unwrap_or_default());
            held.clear();
        }
        _ => {
            // No escape after all, or white space inside a line: it stays as it is.
            out.append(held);
            if byte == b'=' { held.push(byte) } else { out.push(byte) }
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: &str, body: &[u8], step: usize) -> String {
        let mut decoder = Decoder::new(encoding).unwrap();
        let mut out = Vec::new();
        for chunk in body.chunks(step) {
            decoder.push(chunk, &mut out);
        }
        decoder.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn decodes_whatever_the_chunks() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("base64", b"aGVs\r\nbG8=\r\n", "hello"),
            ("base64", b"aGVsbG8=aGVsbG8=", "hellohello"),
            ("base64", b"!aG Vs\x00bG8", "hello"),
            ("quoted-printable", b"a=3Db=3d", "a=b="),
            ("quoted-printable", b"soft=\r\n break  \r\nhard \t\n", "soft break\r\nhard\n"),
            ("quoted-printable", b"broken =G0 =", "broken =G0 "),
            ("quoted-printable", b"=ED=95=9C\r\n", "한\r\n"),
            ("quoted-printable", b"soft= \r\nx ", "softx"),
            ("8bit", b"as it is ", "as it is "),
        ];
        for (encoding, body, text) in cases {
            for step in 1..9 {
                assert_eq!(&decoded(encoding, body, step), text, "{} by {step}", body.escape_ascii());
            }
        }
        assert!(Decoder::new("x-uuencode").is_none());
    }
}
