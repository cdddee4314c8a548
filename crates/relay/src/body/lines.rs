//! Lines on the wire: ended by CRLF and nothing else, dots doubled, a dot at the end (RFC 5321 §4.5.2).
//!
//! A CR or LF that stands alone is never sent, whatever the message holds (fault 2): some servers take it for a line end,
//! and with it `LF . LF` for the end of the message, and what follows for commands.

use bytes::{BufMut, BytesMut};

/// Encodes a message line by line.
#[derive(Debug)]
pub struct LineEncoder {
    /// For DATA: dots are doubled, and a dot ends the message.
    stuff: bool,
    /// The next octet is the first of a line.
    begins: bool,
    /// The last octet was a CR, which is not written yet.
    cr: bool,
}

impl LineEncoder {
    /// For DATA.
    pub const fn stuffed() -> Self {
        Self { stuff: true, begins: true, cr: false }
    }

    /// For BDAT: lines, but no dots.
    pub const fn plain() -> Self {
        Self { stuff: false, begins: true, cr: false }
    }

    /// Encodes a piece of the message.
    pub fn encode(&mut self, mut piece: &[u8], out: &mut BytesMut) {
        out.reserve(piece.len() + piece.len() / 32 + 8);
        while let Some((&first, rest)) = piece.split_first() {
            match first {
                b'\n' => {
                    self.end_line(out);
                    piece = rest;
                    continue;
                }
                _ if self.cr => {
                    // It stood alone.
                    self.end_line(out);
                    continue;
                }
                b'\r' => {
                    self.cr = true;
                    piece = rest;
                    continue;
                }
                b'.' if self.begins && self.stuff => out.put_u8(b'.'),
                _ => {}
            }
            let end = memchr::memchr2(b'\r', b'\n', piece).unwrap_or(piece.len());
            let (text, rest) = piece.split_at(end);
            out.extend_from_slice(text);
            self.begins = false;
            piece = rest;
        }
    }

    /// Ends the last line, if it is not, and the message.
    pub fn finish(mut self, out: &mut BytesMut) {
        if self.cr || !self.begins {
            self.end_line(out);
        }
        if self.stuff {
            out.extend_from_slice(b".\r\n");
        }
    }

    fn end_line(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(b"\r\n");
        self.cr = false;
        self.begins = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(body: &[u8], step: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (LineEncoder::stuffed(), BytesMut::new());
        body.chunks(step.max(1)).for_each(|piece| encoder.encode(piece, &mut out));
        encoder.finish(&mut out);
        out.to_vec()
    }

    #[test]
    fn dots_and_line_ends() {
        let table: [(&[u8], &[u8]); 10] = [
            (b"", b".\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.b\r\n..\r\n", b"a\r\n..b\r\n...\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\r\n\rb", b"a\r\n\r\n\r\nb\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
        ];
        for (body, wire) in table {
            for step in 1..body.len() + 2 {
                assert_eq!(encode(body, step), wire, "{body:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn chunks_have_no_dots() {
        let (mut encoder, mut out) = (LineEncoder::plain(), BytesMut::new());
        encoder.encode(b".\n.a", &mut out);
        encoder.finish(&mut out);
        assert_eq!(&out[..], b".\r\n.a\r\n");
    }
}
