//! Frames lines, before anyone looks at what they say.
//!
//! A line ends with CRLF. A bare LF ends it too, but makes it bad: the client is told what is wrong, and a name or
//! a password with an LF in it never becomes a command of its own. A line over the limit is dropped as it comes and
//! reported once; that it ends some day, the driver's clock sees to.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// What the framer found in its input.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Framed {
    /// A line without its CRLF. It holds neither CR, LF nor NUL.
    Line(Bytes),
    /// A line that is none.
    Bad(BadLine),
    /// No whole line yet.
    Incomplete,
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadLine {
    /// It was longer than the limit and has been dropped.
    TooLong,
    /// It ended with LF alone.
    BareLf,
    /// It holds CR or NUL.
    Control,
}

/// Where the framer stands in its input: no octet is looked at twice, however the input is cut.
#[derive(Default)]
pub(crate) struct Lines {
    scanned: usize,
    dropping: bool,
}

impl Lines {
    /// Takes the next line out of `input`; `limit` counts octets with the CRLF.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limit: usize) -> Framed {
        let lf = memchr(b'\n', input.get(self.scanned..).unwrap_or_default()).map(|at| self.scanned + at);
        let Some(lf) = lf else {
            self.dropping |= input.len() > limit;
            if self.dropping {
                input.clear();
            }
            self.scanned = input.len();
            return Framed::Incomplete;
        };
        self.scanned = 0;
        if std::mem::take(&mut self.dropping) || lf >= limit {
            input.advance(lf + 1);
            return Framed::Bad(BadLine::TooLong);
        }
        let line = input.split_to(lf + 1).freeze();
        match line.get(..lf).unwrap_or_default() {
            [text @ .., b'\r'] if text.iter().any(|b| matches!(b, b'\r' | 0)) => {
                Framed::Bad(BadLine::Control)
            }
            [text @ .., b'\r'] => Framed::Line(line.slice(..text.len())),
            _ => Framed::Bad(BadLine::BareLf),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that the framer finds in `input`, given in pieces of `step` octets.
    fn framed(input: &[u8], step: usize) -> Vec<String> {
        let (mut lines, mut buffer, mut found) = (Lines::default(), BytesMut::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match lines.next(&mut buffer, 10) {
                    Framed::Line(line) => found.push(String::from_utf8_lossy(&line).into_owned()),
                    Framed::Bad(bad) => found.push(format!("{bad:?}")),
                    Framed::Incomplete => break,
                }
            }
            assert!(buffer.len() <= 10 || step > 10);
        }
        found
    }

    #[test]
    fn lines_end_with_crlf() {
        for step in 1..20 {
            let lines = framed(b"a\r\n\r\nb\nc\rd\r\n\0\r\n\r\r\nlast", step);
            assert_eq!(lines, ["a", "", "BareLf", "Control", "Control", "Control"], "step {step}");
        }
    }

    #[test]
    fn an_overlong_line_is_dropped_and_reported_once() {
        for step in 1..60 {
            let lines = framed(b"12345678\r\n123456789\r\nNOOP\r\n0123456789012345678901234\nNOOP\r\n", step);
            assert_eq!(lines, ["12345678", "TooLong", "NOOP", "TooLong", "NOOP"], "step {step}");
        }
    }
}
