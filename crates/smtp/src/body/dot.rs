//! Decodes the body after DATA (RFC 5321 §4.5.2): finds its end, takes away the stuffed dots, and notices bare
//! CR and LF.
//!
//! The end is CRLF `.` CRLF and nothing that merely looks like it: a server that takes `LF . LF` for the end
//! lets a client behind a laxer server smuggle in a second message. The decoder goes over the input in place,
//! once, and hands it on without copying; only what follows a stuffed dot within one piece of input is moved up
//! by the dots taken out.

use bytes::{Buf, BytesMut};
use memchr::memchr2;

/// Where in the body's line structure the next octet stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// After CRLF, or at the very start.
    LineStart,
    /// After a dot at the start of a line; the dot is taken out.
    Dot,
    /// After that dot and a CR, both held back.
    DotCr,
    /// Within a line.
    Text,
    /// After a CR that is handed on already.
    Cr,
}

/// The state of one body's decoding.
#[derive(Debug)]
pub(crate) struct DotDecoder {
    at: At,
    bare: bool,
}

/// What a piece of input decodes to.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Octets of the message.
    pub(crate) body: BytesMut,
    /// Whether this was the last of them. What is left of the input then are commands.
    pub(crate) ended: bool,
}

impl DotDecoder {
    /// At the start of a body: 354 was the line before.
    pub(crate) fn new() -> Self {
        Self { at: At::LineStart, bare: false }
    }

    /// Whether a CR or LF came that was not part of a CRLF. The decoded octets are then of no use.
    pub(crate) fn saw_bare(&self) -> bool {
        self.bare
    }

    /// Takes what belongs to the body out of `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Decoded {
        // `write` never passes `read`, which never passes the end.
        let (mut read, mut write, mut ended) = (0, 0, false);
        while !ended && let Some(&byte) = input.get(read) {
            match (self.at, byte) {
                (At::LineStart, b'.') => {
                    self.at = At::Dot;
                    read += 1;
                }
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    read += 1;
                }
                (At::DotCr, b'\n') => {
                    ended = true;
                    read += 1;
                }
                (At::DotCr, _) => {
                    self.bare = true;
                    self.at = At::Cr;
                }
                (At::Cr, b'\n') => {
                    self.at = At::LineStart;
                    keep(input, &mut read, &mut write, 1);
                }
                (At::Cr, _) => {
                    self.bare = true;
                    self.at = At::Text;
                }
                (At::LineStart | At::Dot, _) => self.at = At::Text,
                (At::Text, b'\r') => {
                    self.at = At::Cr;
                    keep(input, &mut read, &mut write, 1);
                }
                (At::Text, b'\n') => {
                    self.bare = true;
                    keep(input, &mut read, &mut write, 1);
                }
                (At::Text, _) => {
                    let rest = input.get(read..).unwrap_or_default();
                    let run = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    keep(input, &mut read, &mut write, run);
                }
            }
        }
        let body = input.split_to(write);
        input.advance(read - write);
        Decoded { body, ended }
    }
}

/// Hands on the next `count` octets.
fn keep(input: &mut BytesMut, read: &mut usize, write: &mut usize, count: usize) {
    if read != write {
        input.copy_within(*read..*read + count, *write);
    }
    *read += count;
    *write += count;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `step` octets: the body, whether it was clean, and what was left if it ended.
    fn decode(wire: &[u8], step: usize) -> (Vec<u8>, bool, Option<Vec<u8>>) {
        let (mut decoder, mut input, mut body) = (DotDecoder::new(), BytesMut::new(), Vec::new());
        for (number, piece) in wire.chunks(step).enumerate() {
            input.extend_from_slice(piece);
            let decoded = decoder.decode(&mut input);
            body.extend_from_slice(&decoded.body);
            if decoded.ended {
                let rest = wire.get((number + 1) * step..).unwrap_or_default();
                input.extend_from_slice(rest);
                return (body, !decoder.saw_bare(), Some(input.to_vec()));
            }
            assert!(input.is_empty());
        }
        (body, !decoder.saw_bare(), None)
    }

    #[test]
    fn clean_bodies() {
        let table: [(&[u8], &[u8]); 7] = [
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n"),
            (b".a\r\n.\r\n", b"a\r\n"),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
            (b"a.\r\n b\0\xff\r\n.\r\n", b"a.\r\n b\0\xff\r\n"),
        ];
        for (wire, body) in table {
            for step in 1..wire.len() + 6 {
                let wire = [wire, b"NOOP\r\n"].concat();
                assert_eq!(decode(&wire, step), (body.to_vec(), true, Some(b"NOOP\r\n".to_vec())), "{step}");
            }
        }
    }

    #[test]
    fn what_looks_like_the_end_is_not() {
        for fake in [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r.\r",
            "\r\n.\r",
            "\r\n.\r\r\n",
            "\r.\r\n",
            "\n.\r",
            "\n\r.\r\n",
        ] {
            let wire = format!("a{fake}MAIL FROM:<x@y>\r\n.\r\nQUIT\r\n");
            for step in 1..wire.len() {
                let (_, clean, rest) = decode(wire.as_bytes(), step);
                assert!(!clean, "{fake:?}");
                assert_eq!(rest.as_deref(), Some(&b"QUIT\r\n"[..]), "{fake:?} in steps of {step}");
            }
        }
    }
}
