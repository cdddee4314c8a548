//! Frames command lines, before anyone looks at what they say.
//!
//! A line ends with CRLF and with nothing else. A bare LF does not end it, for a client that lets one slip into
//! an address would have the rest of the address run as a command; it makes the line bad instead. A line over
//! the limit is dropped as it comes, and reported once when its CRLF has come.

use bytes::{Buf, BytesMut};
use memchr::memchr;

/// What the framer found in its input.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Framed {
    /// A line, without its CRLF; it may hold any octet, bare CR and LF too.
    Line(BytesMut),
    /// The end of a line that was longer than the limit and has been dropped.
    TooLong,
    /// A line longer than even the patience for dropping it.
    Endless,
    /// No whole line yet.
    Incomplete,
}

/// Where the framer stands in its input: no octet is looked at twice, however the input is cut.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    scanned: usize,
    overlong: Option<Overlong>,
}

#[derive(Debug)]
struct Overlong {
    dropped: u64,
    after_cr: bool,
}

impl Lines {
    /// Takes the next line out of `input`. `limit` counts octets with the CRLF, `patience` those dropped.
    pub(crate) fn next(&mut self, input: &mut BytesMut, limit: usize, patience: u64) -> Framed {
        if let Some(overlong) = &mut self.overlong {
            let ended = overlong.drop_from(input);
            let dropped = overlong.dropped;
            return match ended {
                true => {
                    self.overlong = None;
                    Framed::TooLong
                }
                false if dropped > patience => Framed::Endless,
                false => Framed::Incomplete,
            };
        }
        match self.find_end(input) {
            Some(end) => {
                self.scanned = 0;
                let mut line = input.split_to(end);
                if end > limit {
                    return Framed::TooLong;
                }
                line.truncate(end - 2);
                Framed::Line(line)
            }
            None if input.len() > limit => {
                self.scanned = 0;
                self.overlong = Some(Overlong { dropped: 0, after_cr: false });
                self.next(input, limit, patience)
            }
            None => Framed::Incomplete,
        }
    }

    /// Whether the line that is not complete yet holds an LF: a client that ends lines with LF alone would wait
    /// for ever, and wants to be told.
    pub(crate) fn has_bare_lf(input: &BytesMut) -> bool {
        memchr(b'\n', input).is_some()
    }

    /// The position after the first CRLF.
    fn find_end(&mut self, input: &[u8]) -> Option<usize> {
        while let Some(at) = input.get(self.scanned..).and_then(|rest| memchr(b'\n', rest)) {
            let lf = self.scanned + at;
            self.scanned = lf + 1;
            if lf.checked_sub(1).and_then(|before| input.get(before)) == Some(&b'\r') {
                return Some(self.scanned);
            }
        }
        self.scanned = input.len();
        None
    }
}

impl Overlong {
    /// Drops input up to the line's end, which is true if it was there.
    fn drop_from(&mut self, input: &mut BytesMut) -> bool {
        while let Some(lf) = memchr(b'\n', input) {
            let ended = match lf.checked_sub(1) {
                Some(before) => input.get(before) == Some(&b'\r'),
                None => self.after_cr,
            };
            self.drop(input, lf + 1);
            if ended {
                return true;
            }
        }
        self.drop(input, input.len());
        false
    }

    fn drop(&mut self, input: &mut BytesMut, count: usize) {
        if let Some(last) = count.checked_sub(1).and_then(|last| input.get(last)) {
            self.after_cr = *last == b'\r';
        }
        self.dropped += count as u64;
        input.advance(count);
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
                match lines.next(&mut buffer, 10, 40) {
                    Framed::Line(line) => found.push(String::from_utf8_lossy(&line).into_owned()),
                    Framed::TooLong => found.push("too long".into()),
                    Framed::Endless => {
                        found.push("endless".into());
                        return found;
                    }
                    Framed::Incomplete => break,
                }
            }
        }
        found
    }

    #[test]
    fn only_crlf_ends_a_line() {
        for step in 1..12 {
            let lines = framed(b"a\nb\r\n\r\n\rc\r\r\nlast", step);
            assert_eq!(lines, ["a\nb", "", "\rc\r"], "step {step}");
        }
    }

    #[test]
    fn an_overlong_line_is_reported_once() {
        for step in 1..40 {
            let lines = framed(b"12345678\r\n123456789\r\nNOOP\r\n0123456789\n\r01234\r\nNOOP\r\n", step);
            assert_eq!(lines, ["12345678", "too long", "NOOP", "too long", "NOOP"], "step {step}");
        }
        assert_eq!(framed(&[b'x'; 100], 7), ["endless"]);
    }
}
