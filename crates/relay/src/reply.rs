//! What the other side answers (RFC 5321 §4.2), read with bounds: it may say anything, and say it forever.

use std::fmt;

use bytes::{Buf, BytesMut};
use thiserror::Error;

use crate::Status;

/// The longest line of a reply, in octets. RFC 5321 §4.5.3.1.5 allows 512; servers are known to exceed it.
const LINE: usize = 2048;
/// The most lines of a reply; a long list of extensions has thirty.
const LINES: usize = 128;
/// The longest reply, in octets.
const REPLY: usize = 16 << 10;

/// One reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    code: u16,
    status: Option<Status>,
    lines: Vec<String>,
}

/// What came is no reply.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReplyError {
    /// A line that does not begin with a code, or with another than the line before it.
    #[error("it does not speak SMTP, but said: {0}")]
    Nonsense(String),
    /// More than what anybody has to say.
    #[error("its reply has no end: it was cut off after {LINES} lines or {REPLY} octets")]
    Endless,
}

impl Reply {
    /// The code: 200 to 599.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code (RFC 2034), if there is one and its class fits the code.
    pub const fn status(&self) -> Option<Status> {
        self.status
    }

    /// Whether it did what it should.
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether it wants to hear more.
    pub const fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// Whether it says to try again later.
    pub const fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// Whether it says to give up.
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Its lines without code; of those with an enhanced status code, without that too. Printable.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Reply {
    /// In one line, as a person would quote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        self.lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

/// Reads replies out of what comes.
#[derive(Debug, Default)]
pub struct ReplyReader {
    code: Option<u16>,
    status: Option<Status>,
    lines: Vec<String>,
    octets: usize,
    /// Octets of the input that are known to hold no line end.
    searched: usize,
}

impl ReplyReader {
    /// The next reply, if it is there whole. What it needed is taken off the input; nothing else is.
    ///
    /// # Errors
    /// [`ReplyError`] if this is no reply: nothing that follows can be understood.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        loop {
            let unsearched = input.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', unsearched).map(|at| at + self.searched) else {
                self.searched = input.len();
                return if input.len() > LINE { Err(ReplyError::Endless) } else { Ok(None) };
            };
            self.searched = 0;
            self.octets += end + 1;
            if end > LINE || self.octets > REPLY || self.lines.len() >= LINES {
                return Err(ReplyError::Endless);
            }
            let line = input.split_to(end);
            input.advance(1);
            if self.line(line.strip_suffix(b"\r").unwrap_or(&line))? {
                let done = std::mem::take(self);
                let code = done.code.unwrap_or_default();
                return Ok(Some(Reply { code, status: done.status, lines: done.lines }));
            }
        }
    }

    /// Whether the reply has begun but not ended.
    pub const fn is_amid(&self) -> bool {
        self.code.is_some() || self.searched > 0
    }

    /// Takes a line; whether it is the last one.
    fn line(&mut self, line: &[u8]) -> Result<bool, ReplyError> {
        let nonsense = || ReplyError::Nonsense(printable(line.get(..120).unwrap_or(line)));
        let (digits, rest) = line.split_at_checked(3).ok_or_else(nonsense)?;
        let code = match digits {
            [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'))
            }
            _ => return Err(nonsense()),
        };
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(nonsense()),
        };
        if self.code.is_some_and(|first| first != code) {
            return Err(nonsense());
        }
        self.code = Some(code);
        let text = printable(text);
        let found = Status::strip(&text).filter(|(status, _)| u16::from(status.class()) == code / 100);
        match found {
            Some((status, rest)) => {
                self.status = self.status.or(Some(status));
                self.lines.push(rest.to_owned());
            }
            None => self.lines.push(text),
        }
        Ok(last)
    }
}

/// As text that does no harm on a screen or in a bounce.
fn printable(bytes: &[u8]) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    String::from_utf8_lossy(bytes).chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<String>, ReplyError> {
        let mut input = BytesMut::from(text);
        ReplyReader::default().read(&mut input).map(|reply| reply.map(|reply| reply.to_string()))
    }

    #[test]
    fn replies_of_all_kinds() {
        let table = [
            ("250 ok\r\n", Some("250 ok")),
            ("250\r\n", Some("250")),
            ("250 \n", Some("250")),
            ("250-a\r\n250-b\r\n250 c\r\n", Some("250 a b c")),
            ("550-5.1.1 no\r\n550 5.1.1 user\r\n", Some("550 5.1.1 no user")),
            ("550 4.1.1 the class is wrong\r\n", Some("550 4.1.1 the class is wrong")),
            ("550 5.1 is none\r\n", Some("550 5.1 is none")),
            ("550 5.7.1\r\n", Some("550 5.7.1")),
            ("250-a\r\n", None),
            ("250 a", None),
            ("", None),
        ];
        for (text, wanted) in table {
            assert_eq!(read(text), Ok(wanted.map(str::to_owned)), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_reply() {
        for text in [
            "hello\r\n",
            "\r\n",
            "25\r\n",
            "2500 a\r\n",
            "150 a\r\n",
            "650 a\r\n",
            "250-a\r\n550 b\r\n",
            "HTTP/1.1 400 Bad\r\n",
        ] {
            assert!(matches!(read(text), Err(ReplyError::Nonsense(_))), "{text:?}");
        }
    }

    #[test]
    fn nothing_grows_without_end() {
        assert_eq!(read(&"x".repeat(3000)), Err(ReplyError::Endless));
        assert_eq!(read(&"250-a\r\n".repeat(200)), Err(ReplyError::Endless));
        assert_eq!(read(&format!("250-{}\r\n", "x".repeat(1000)).repeat(17)), Err(ReplyError::Endless));
    }

    #[test]
    fn any_cut_reads_the_same_and_takes_no_more() {
        let whole = b"250-mx.test\r\n250-SIZE 1\r\n250 DSN\r\n354 next";
        for step in 1..whole.len() {
            let (mut reader, mut input, mut found) = (ReplyReader::default(), BytesMut::new(), Vec::new());
            for piece in whole.chunks(step) {
                input.extend_from_slice(piece);
                found.extend(reader.read(&mut input).unwrap());
            }
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].lines().len(), &input[..]), (3, &b"354 next"[..]), "{step}");
        }
    }

    #[test]
    fn controls_do_not_reach_a_screen() {
        assert_eq!(read("250 \x1b[2Ja\0b\r\n"), Ok(Some("250  [2Ja b".to_owned())));
    }
}
