//! Replies: a code, an enhanced status code (RFC 2034, RFC 3463), and a text that says what happened and what
//! to do about it.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// The longest text in one line of a reply: with code, status and CRLF it stays under RFC 5321 §4.5.3.1.5's
/// 512 octets.
const TEXT: usize = 480;
/// The longest text of a refusal, in octets.
const REFUSAL_TEXT: usize = 4 * TEXT;
/// From here on, waiting replies are sent even while there is more input to work on.
const BATCH: usize = 16 << 10;

/// One reply. A newline in the text starts another line of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    code: u16,
    /// Subject and detail; the class is the code's.
    status: Option<(u16, u16)>,
    text: Cow<'static, str>,
}

impl Reply {
    /// With an enhanced status code of the code's own class.
    pub(crate) fn new(code: u16, status: (u16, u16), text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: Some(status), text: text.into() }
    }

    /// Without one, where RFC 2034 §4 wants none: the greeting, EHLO and 354.
    pub(crate) fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status: None, text: text.into() }
    }

    /// Whether the client is to go on with the same command.
    pub(crate) fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// Whether this refuses, for now or for good.
    pub(crate) fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// Whether this refuses for good.
    pub(crate) fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    fn write(&self, out: &mut BytesMut) {
        let mut lines = self.text.split('\n').flat_map(pieces).peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            out.put_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some((subject, detail)) = self.status {
                out.put_slice(format!("{}.{subject}.{detail} ", self.code / 100).as_bytes());
            }
            out.extend(line.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'?' }));
            out.put_slice(b"\r\n");
        }
    }
}

/// A line's bytes in pieces that fit into a reply's line; at least one.
fn pieces(line: &str) -> impl Iterator<Item = &[u8]> {
    let empty = line.is_empty().then_some(&b""[..]);
    empty.into_iter().chain(line.as_bytes().chunks(TEXT))
}

/// Replies that wait to be sent: kept together as long as there is input to work on, so that a pipelined batch
/// of commands is answered in one packet (RFC 2920 §3.2).
#[derive(Debug, Default)]
pub(crate) struct Replies(BytesMut);

impl Replies {
    pub(crate) fn push(&mut self, reply: &Reply) {
        reply.write(&mut self.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether so much waits that it must go out before more is added.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= BATCH
    }

    pub(crate) fn take(&mut self) -> Bytes {
        self.0.split().freeze()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The codes with which a driver's services can refuse (RFC 5321 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalCode {
    /// 421: for a connection that is turned away now and may come back.
    NotAvailable,
    /// 450: the mailbox is busy or temporarily blocked.
    MailboxBusy,
    /// 451: something of ours failed; trying again later makes sense.
    LocalError,
    /// 452: out of room for now.
    InsufficientStorage,
    /// 550: the mailbox is not available, or policy forbids.
    MailboxUnavailable,
    /// 552: more than what may be stored.
    ExceededStorage,
    /// 553: the address is not allowed.
    NameNotAllowed,
    /// 554: the transaction failed for good.
    TransactionFailed,
}

impl RefusalCode {
    const fn code(self) -> u16 {
        match self {
            Self::NotAvailable => 421,
            Self::MailboxBusy => 450,
            Self::LocalError => 451,
            Self::InsufficientStorage => 452,
            Self::MailboxUnavailable => 550,
            Self::ExceededStorage => 552,
            Self::NameNotAllowed => 553,
            Self::TransactionFailed => 554,
        }
    }
}

/// A refusal in the words of one of the driver's services. Its enhanced status class always fits its code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(Reply);

impl Refusal {
    /// A refusal with the subject and detail of its enhanced status code (RFC 3463 §3) and a text for the person
    /// who reads the bounce. Of the text, line breaks become spaces, what is not printable ASCII becomes `?`,
    /// and what is beyond 1,920 octets is left out.
    pub fn new(code: RefusalCode, subject: u16, detail: u16, text: &str) -> Self {
        let clean = |c: char| match c {
            '\r' | '\n' | '\t' => ' ',
            ' '..='~' => c,
            _ => '?',
        };
        let text: String = text.chars().map(clean).take(REFUSAL_TEXT).collect();
        Self(Reply::new(code.code(), (subject, detail), text))
    }

    /// Whether the sender should give up rather than try again.
    pub fn is_permanent(&self) -> bool {
        self.0.is_permanent()
    }

    pub(crate) fn into_reply(self) -> Reply {
        self.0
    }
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self(reply)
    }
}

/// Its text, without the codes.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut replies = Replies::default();
        replies.push(reply);
        String::from_utf8(replies.take().to_vec()).unwrap()
    }

    #[test]
    fn lines_carry_code_and_status() {
        assert_eq!(written(&Reply::new(250, (1, 5), "fine")), "250 2.1.5 fine\r\n");
        assert_eq!(written(&Reply::plain(250, "a\nb")), "250-a\r\n250 b\r\n");
        assert_eq!(written(&Reply::plain(250, "")), "250 \r\n");
    }

    #[test]
    fn a_refusal_cannot_break_out_of_its_line() {
        let refusal = Refusal::new(RefusalCode::LocalError, 3, 0, "bad\r\n250 2.0.0 ok 한");
        assert_eq!(written(&refusal.into_reply()), "451 4.3.0 bad  250 2.0.0 ok ?\r\n");
    }

    #[test]
    fn long_texts_are_cut_into_lines_under_512_octets() {
        let refusal = Refusal::new(RefusalCode::TransactionFailed, 7, 1, &"x".repeat(5000));
        let text = written(&refusal.into_reply());
        let lines: Vec<_> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.len() <= 510));
        assert!(lines[..3].iter().all(|line| line.starts_with("554-5.7.1 x")));
        assert!(lines[3].starts_with("554 5.7.1 x"));
    }
}
