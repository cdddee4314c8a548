//! A message as it goes over the wire (RFC 1939 §3): lines that end with CRLF, a dot put before those that begin with
//! one, a line with nothing but a dot at the end.
//!
//! A bare LF becomes CRLF. Many clients take it for the end of a line; one in front of a dot would then end the
//! message in the middle of it, and its rest would pass for the answers to the commands that follow.

use bytes::Bytes;
use memchr::memchr;

use crate::output::Output;

/// How much of a message goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// The header, the empty line, and so many lines of the body (RFC 1939 §7 TOP).
    Top(u64),
}

/// A message on its way to the wire, whatever its chunks are.
pub(crate) struct Wire {
    extent: Extent,
    part: Part,
    /// Whether the current line has no octet yet.
    line_begins: bool,
    /// Whether the last octet was CR.
    after_cr: bool,
    /// Whether the current line has no octet but a CR at most.
    line_empty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    /// With so many lines still to go out.
    Body(u64),
    /// Everything has gone out that shall.
    Done,
}

impl Wire {
    pub(crate) const fn new(extent: Extent) -> Self {
        Self { extent, part: Part::Header, line_begins: true, after_cr: false, line_empty: true }
    }

    /// Writes the next octets of the message; false if no more are wanted.
    pub(crate) fn push(&mut self, chunk: &Bytes, out: &mut Output) -> bool {
        if self.extent == Extent::Whole
            && !(self.line_begins && chunk.starts_with(b"."))
            && let Some(last) = chunk.last().filter(|_| is_ready(chunk))
        {
            (self.line_begins, self.after_cr) = (*last == b'\n', *last == b'\r');
            out.stretch(chunk.clone());
            return true;
        }
        let (mut written, mut at) = (0, 0);
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty() && self.part != Part::Done) {
            if self.line_begins && rest.first() == Some(&b'.') {
                out.stretch(chunk.slice(written..at));
                out.put(b".");
                written = at;
            }
            let Some(length) = memchr(b'\n', rest) else {
                self.unfinished(rest);
                break;
            };
            let line = rest.get(..length).unwrap_or_default();
            if !self.ends_with_cr(line) {
                out.stretch(chunk.slice(written..at + length));
                out.put(b"\r");
                written = at + length;
            }
            at += length + 1;
            self.end_line(line);
        }
        let end = if self.part == Part::Done { at } else { chunk.len() };
        out.stretch(chunk.slice(written..end));
        self.part != Part::Done
    }

    /// Ends the last line if the message does not, and then the message.
    pub(crate) fn finish(&self, out: &mut Output) {
        if self.after_cr {
            out.put(b"\n");
        } else if !self.line_begins {
            out.put(b"\r\n");
        }
        out.put(b".\r\n");
    }

    /// Notes a stretch, not empty, of a line that goes on in the next chunk.
    fn unfinished(&mut self, stretch: &[u8]) {
        let ends_with_cr = stretch.last() == Some(&b'\r');
        let text = stretch.len() - usize::from(ends_with_cr);
        self.line_empty &= text == 0 && !self.after_cr;
        self.after_cr = ends_with_cr;
        self.line_begins = false;
    }

    fn ends_with_cr(&self, line: &[u8]) -> bool {
        line.last().map_or(self.after_cr, |last| *last == b'\r')
    }

    /// Notes the end of a line, of which `line` is what was in this chunk.
    fn end_line(&mut self, line: &[u8]) {
        let empty = match line {
            [] => self.line_empty,
            // With a CR before it in another chunk this one is the second.
            [b'\r'] => self.line_empty && !self.after_cr,
            _ => false,
        };
        (self.line_begins, self.after_cr, self.line_empty) = (true, false, true);
        self.part = match (self.part, self.extent) {
            (Part::Header, Extent::Top(0)) if empty => Part::Done,
            (Part::Header, Extent::Top(lines)) if empty => Part::Body(lines),
            (Part::Body(1), _) => Part::Done,
            (Part::Body(lines), _) => Part::Body(lines.saturating_sub(1)),
            (part, _) => part,
        };
    }
}

/// Whether a stretch of a message has nothing inside that must be changed on its way, as nearly all mail. One pass that
/// never branches is quicker than to look for one line after the other.
fn is_ready(stretch: &[u8]) -> bool {
    let next = stretch.get(1..).unwrap_or_default();
    let bare = |byte: u8, next: u8| (next == b'\n') & (byte != b'\r');
    let dotted = |byte: u8, next: u8| (byte == b'\n') & (next == b'.');
    let odd = |(byte, next): (&u8, &u8)| bare(*byte, *next) | dotted(*byte, *next);
    !stretch.starts_with(b"\n") & !stretch.iter().zip(next).fold(false, |any, pair| any | odd(pair))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn sent(message: &[u8], extent: Extent, pieces: &[usize]) -> Vec<u8> {
        let (mut wire, mut out) = (Wire::new(extent), Output::default());
        let mut rest = Bytes::copy_from_slice(message);
        for piece in pieces.iter().chain(std::iter::repeat(&usize::MAX)) {
            if rest.is_empty() || !wire.push(&rest.split_to((*piece).min(rest.len())), &mut out) {
                break;
            }
        }
        wire.finish(&mut out);
        out.take().concat()
    }

    /// What a client makes of it that takes only CRLF for the end of a line, and one that takes LF for it too.
    fn received(sent: &[u8], any_lf: bool) -> (Vec<u8>, usize) {
        let mut message = BytesMut::new();
        let mut at = 0;
        loop {
            let ends = |(i, b): (usize, &u8)| *b == b'\n' && (any_lf || sent[at..][..i].ends_with(b"\r"));
            let lf = sent[at..].iter().enumerate().position(ends).expect("a line without end");
            let line = &sent[at..=at + lf];
            at += lf + 1;
            if line == b".\r\n" || line == b".\n" {
                return (message.to_vec(), at);
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
    }

    /// What was written down without thinking of chunks.
    fn mended(message: &[u8]) -> Vec<u8> {
        let mut mended = Vec::new();
        for byte in message {
            if *byte == b'\n' && mended.last() != Some(&b'\r') {
                mended.push(b'\r');
            }
            mended.push(*byte);
        }
        match mended.last() {
            Some(b'\r') => mended.push(b'\n'),
            Some(b'\n') | None => {}
            Some(_) => mended.extend_from_slice(b"\r\n"),
        }
        mended
    }

    fn top(message: &[u8], lines: u64) -> Vec<u8> {
        let (mut top, mut body) = (Vec::new(), None);
        for line in mended(message).split_inclusive(|b| *b == b'\n') {
            match &mut body {
                None => body = (line == b"\r\n").then_some(lines),
                Some(0) => break,
                Some(left) => *left -= 1,
            }
            top.extend_from_slice(line);
        }
        top
    }

    #[test]
    fn examples() {
        let whole = |message: &[u8]| String::from_utf8(sent(message, Extent::Whole, &[])).unwrap();
        assert_eq!(whole(b"a\r\n.\r\n..b\r\n"), "a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(whole(b"a\n.\nb"), "a\r\n..\r\nb\r\n.\r\n");
        assert_eq!(whole(b"a\r"), "a\r\n.\r\n");
        assert_eq!(whole(b"."), "..\r\n.\r\n");
        let top =
            |lines| String::from_utf8(sent(b"h: 1\r\n\r\n.1\r\n2\r\n3", Extent::Top(lines), &[])).unwrap();
        assert_eq!(top(0), "h: 1\r\n\r\n.\r\n");
        assert_eq!(top(1), "h: 1\r\n\r\n..1\r\n.\r\n");
        assert_eq!(top(2), "h: 1\r\n\r\n..1\r\n2\r\n.\r\n");
        assert_eq!(top(3), "h: 1\r\n\r\n..1\r\n2\r\n3\r\n.\r\n");
        assert_eq!(top(u64::MAX), top(3));
    }

    #[test]
    fn long_stretches_are_not_copied() {
        let long = Bytes::from(vec![b'x'; 100_000]);
        let mut out = Output::default();
        assert!(Wire::new(Extent::Whole).push(&long, &mut out));
        assert_eq!(out.take()[0].as_ptr(), long.as_ptr());
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        const WORDS: [&[u8]; 9] =
            [b".", b"\r\n", b"\n", b"\r", b"a", b"..", b"\r\n.\r\n", b"\r\n\r\n", b"\xff"];
        let word = prop::sample::select(WORDS.to_vec());
        vec(word, 0..40).prop_map(|words| words.concat())
    }

    proptest! {
        /// However a message is cut into chunks, a client gets it back, ends where it ends, and not before.
        #[test]
        fn dots_survive(message in message(), pieces in vec(1_usize..6, 0..80)) {
            let sent = sent(&message, Extent::Whole, &pieces);
            for any_lf in [false, true] {
                let (received, length) = received(&sent, any_lf);
                prop_assert_eq!(&received, &mended(&message));
                prop_assert_eq!(length, sent.len());
            }
        }

        #[test]
        fn top_cuts_lines(message in message(), lines in 0_u64..6, pieces in vec(1_usize..6, 0..80)) {
            let (received, _) = received(&sent(&message, Extent::Top(lines), &pieces), false);
            prop_assert_eq!(received, top(&message, lines));
        }
    }
}
