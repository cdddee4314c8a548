//! Notices a bare CR or LF in a body that came by BDAT (RFC 3030).
//!
//! BDAT counts octets, so nothing can be smuggled into this session; but a text body with a bare CR or LF
//! could not be passed on to anyone without changing it or putting the next server at risk.

use memchr::memchr2_iter;

/// The state across the chunks of one body: a CRLF may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    after_cr: bool,
    bare: bool,
}

impl LineEnds {
    /// Looks at the next octets.
    pub(crate) fn scan(&mut self, bytes: &[u8]) {
        let mut expected = self.after_cr.then_some(0);
        for at in memchr2_iter(b'\r', b'\n', bytes) {
            if bytes.get(at) == Some(&b'\r') {
                self.bare |= expected.is_some();
                expected = Some(at + 1);
            } else {
                self.bare |= expected != Some(at);
                expected = None;
            }
        }
        self.bare |= expected.is_some_and(|at| at < bytes.len());
        self.after_cr = if bytes.is_empty() { self.after_cr } else { expected == Some(bytes.len()) };
    }

    /// Whether there was a bare one so far.
    pub(crate) fn saw_bare(&self) -> bool {
        self.bare
    }

    /// Whether there was a bare one, now that the body is complete.
    pub(crate) fn ended_bare(&self) -> bool {
        self.bare || self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_however_it_is_cut() {
        let table = [
            ("", false),
            ("a\r\nb\r\n", false),
            ("\r\n\r\n", false),
            ("a\nb", true),
            ("\n", true),
            ("\r", true),
            ("a\r", true),
            ("\r\r\n", true),
            ("a\rb\r\n", true),
            ("\r\n\n", true),
            ("\r\n\ra", true),
        ];
        for (text, bare) in table {
            for step in 1..=text.len().max(1) {
                let mut ends = LineEnds::default();
                text.as_bytes().chunks(step).for_each(|piece| ends.scan(piece));
                ends.scan(b"");
                assert_eq!(ends.ended_bare(), bare, "{text:?} in steps of {step}");
            }
        }
    }
}
