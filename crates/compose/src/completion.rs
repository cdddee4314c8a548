//! Completing the header of a submitted message (RFC 6409 §8): what must not leave is taken out, what is missing is
//! put in, and the body is not touched.
//!
//! | field | what becomes of it |
//! |---|---|
//! | `Bcc:`, `Resent-Bcc:` | removed: nobody may learn whom they name (RFC 5322 §3.6.3) |
//! | `Return-Path:` | removed: it is written where a message is delivered (RFC 5321 §4.4) |
//! | `Authentication-Results:` | removed: nobody has checked a message that begins here (RFC 8601 §5) |
//! | `From:` | added where it is missing |
//! | `Date:`, `Message-ID:` | added where missing, replaced where it says nothing (§8.2, §8.3) |
//! | `Sender:` | says who sent it where that is not the only author, and is gone where it is (§8.1) |
//! | `Received:` | put on top |
//!
//! A header whose line is neither a field nor the continuation of one is refused: what stands behind such a line
//! is header to some readers and body to others, and a `Bcc:` could be there.

use memchr::memchr;
use thiserror::Error;
use types::{Field, Header, Timestamp, addresses};

/// Why a message cannot be completed. The user's mail program made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// The header is longer than allowed, in octets.
    #[error("the header is longer than {0} octets")]
    TooLarge(usize),
    /// A line of the header, counted from one, is no field.
    #[error("line {0} of the header is no field")]
    NoField(usize),
}

/// Divides a message that streams in into its header, which is kept, and its body, which is not.
#[derive(Debug)]
pub struct HeaderReader {
    block: Vec<u8>,
    /// Up to where the block was looked at: the beginning of a line.
    line: usize,
    lines: usize,
    limit: usize,
}

/// A message's header, and the octets behind it that came with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Split {
    /// The header.
    pub header: Submitted,
    /// The first octets of the body; all others follow in the stream.
    pub body: Vec<u8>,
}

impl HeaderReader {
    /// For headers of up to `limit` octets.
    pub const fn new(limit: usize) -> Self {
        Self { block: Vec::new(), line: 0, lines: 0, limit }
    }

    /// Takes the next octets; once the header is complete, what there is.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<Split>, Fault> {
        self.block.extend_from_slice(piece);
        while let Some(end) = self.block.get(self.line..).and_then(|rest| memchr(b'\n', rest)) {
            let next = self.line + end + 1;
            if let Some(split) = self.line(next)? {
                return Ok(Some(split));
            }
            self.line = next;
        }
        // The empty line may be in the middle of its coming.
        if self.block.len() <= self.limit + 2 {
            return Ok(None);
        }
        if self.lines == 0 && !is_field(&self.block) {
            let body = std::mem::take(&mut self.block);
            return self.split(Vec::new(), body).map(Some);
        }
        Err(Fault::TooLarge(self.limit))
    }

    /// The message has ended: all of it was header, or the line that no CRLF ends is all there is of a body.
    pub fn finish(mut self) -> Result<Split, Fault> {
        if self.line < self.block.len()
            && let Some(split) = self.line(self.block.len())?
        {
            return Ok(split);
        }
        let fields = std::mem::take(&mut self.block);
        self.split(fields, Vec::new())
    }

    /// Looks at the line that ends at `next`.
    fn line(&mut self, next: usize) -> Result<Option<Split>, Fault> {
        let line = self.block.get(self.line..next).unwrap_or_default();
        self.lines += 1;
        let ends = matches!(line, b"\r\n" | b"\n");
        let bodily = self.lines == 1 && !ends && !is_field(line);
        if ends || bodily {
            let mut fields = std::mem::take(&mut self.block);
            let body = fields.split_off(if bodily { 0 } else { next });
            fields.truncate(self.line);
            return self.split(fields, body).map(Some);
        }
        let continued = self.lines > 1 && matches!(line.first(), Some(b' ' | b'\t'));
        if !continued && !is_field(line) {
            return Err(Fault::NoField(self.lines));
        }
        Ok(None)
    }

    fn split(&self, mut fields: Vec<u8>, body: Vec<u8>) -> Result<Split, Fault> {
        if fields.len() > self.limit {
            return Err(Fault::TooLarge(self.limit));
        }
        if !fields.is_empty() && !fields.ends_with(b"\n") {
            fields.extend_from_slice(b"\r\n");
        }
        Ok(Split { header: Submitted { fields }, body })
    }
}

/// Whether a line begins with a field's name and a colon (RFC 5322 §2.2, with the blanks of §4.5).
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr(b':', line) else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// The header of a submitted message: well-formed fields, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submitted {
    /// Without the empty line.
    fields: Vec<u8>,
}

/// What is put into a header.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The `Received:` field, with its CRLF; may be empty.
    pub received: &'a str,
    /// The address of the account that sends.
    pub account: &'a str,
    /// When.
    pub at: Timestamp,
    /// A name for the message that nothing else has: letters, digits, dots.
    pub id: &'a str,
    /// The domain in which that name is unique.
    pub host: &'a str,
}

impl Submitted {
    /// The fields as they came, without the empty line.
    pub fn octets(&self) -> &[u8] {
        &self.fields
    }

    /// Whether it has a `Message-ID:` that names the message. If it has none, two equal messages may both be meant.
    pub fn has_id(&self) -> bool {
        Header::parse(&self.fields).named("message-id").any(is_id)
    }

    /// Whether there is a `From:` that names nobody.
    pub fn is_anonymous(&self) -> bool {
        Header::parse(&self.fields).named("from").next().is_some() && self.authors().is_empty()
    }

    /// The addresses in `From:`, in the form in which they stand there; what stands there may be no address.
    pub fn authors(&self) -> Vec<String> {
        self.addresses("from")
    }

    /// The addresses in `Sender:`. There should be one at most.
    pub fn senders(&self) -> Vec<String> {
        self.addresses("sender")
    }

    /// The header as it is sent, with the empty line at its end. `is_own` says whether the account may write as an
    /// address.
    pub fn complete(&self, stamp: &Stamp<'_>, is_own: impl Fn(&str) -> bool) -> Vec<u8> {
        let header = Header::parse(&self.fields);
        let (authors, senders) = (self.authors(), self.senders());
        let plain = authors.is_empty() || matches!(authors.as_slice(), [only] if is_own(only));
        let keeps_sender = !plain && matches!(senders.as_slice(), [only] if is_own(only));
        let mut out = Vec::with_capacity(self.fields.len() + 512);
        out.extend_from_slice(stamp.received.as_bytes());
        for field in header.fields() {
            if !is_dropped(field) && (keeps_sender || !field.is("sender")) {
                out.extend_from_slice(field.raw);
            }
        }
        let mut add = |name: &str, value: &str| {
            out.extend_from_slice(format!("{name}: {}\r\n", one_line(value)).as_bytes());
        };
        if header.named("from").next().is_none() {
            add("From", &format!("<{}>", stamp.account));
        }
        if !plain && !keeps_sender {
            add("Sender", &format!("<{}>", stamp.account));
        }
        if !header.named("date").any(says_something) {
            add("Date", &stamp.at.rfc5322());
        }
        if !header.named("message-id").any(is_id) {
            add("Message-ID", &format!("<{}@{}>", stamp.id, stamp.host));
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn addresses(&self, name: &str) -> Vec<String> {
        let header = Header::parse(&self.fields);
        let values = header.named(name).flat_map(|field| addresses(&String::from_utf8_lossy(field.value())));
        values.collect()
    }
}

fn is_dropped(field: &Field<'_>) -> bool {
    let never =
        ["bcc", "resent-bcc", "return-path", "authentication-results"].iter().any(|name| field.is(name));
    never || (field.is("date") && !says_something(field)) || (field.is("message-id") && !is_id(field))
}

fn says_something(field: &Field<'_>) -> bool {
    !field.value().trim_ascii().is_empty()
}

/// Whether it names a message: `<left@right>` (RFC 5322 §3.6.4), in any of the odd forms that are in use.
fn is_id(field: &Field<'_>) -> bool {
    let value = field.value().trim_ascii();
    value.len() > 2 && value.starts_with(b"<") && value.ends_with(b">")
}

/// A text that goes into a field cannot end it.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp<'static> = Stamp {
        received: "Received: by mx.x.test\r\n",
        account: "alice@x.test",
        at: Timestamp(1_795_359_480_000),
        id: "1.abc",
        host: "mx.x.test",
    };
    const DATE: &str = "Date: Sun, 22 Nov 2026 14:58:00 +0000\r\n";
    const ID: &str = "Message-ID: <1.abc@mx.x.test>\r\n";

    /// Header and body, the same however the message is cut.
    fn complete(message: &str) -> Result<(String, String), Fault> {
        let run = |step: usize| {
            let mut reader = HeaderReader::new(1_000);
            let mut split: Option<Split> = None;
            for piece in message.as_bytes().chunks(step) {
                match &mut split {
                    Some(split) => split.body.extend_from_slice(piece),
                    None => split = reader.push(piece)?,
                }
            }
            let split = match split {
                Some(split) => split,
                None => reader.finish()?,
            };
            let header = split.header.complete(&STAMP, |address| address.ends_with("@x.test"));
            Ok((String::from_utf8(header).unwrap(), String::from_utf8(split.body).unwrap()))
        };
        let whole = run(usize::MAX);
        for step in 1..message.len().min(40) {
            assert_eq!(run(step), whole, "{message:?} in steps of {step}");
        }
        whole
    }

    fn header(message: &str) -> String {
        let (header, _) = complete(message).unwrap();
        let rest = header.strip_prefix(STAMP.received).unwrap().strip_suffix("\r\n").unwrap();
        rest.replace(DATE, "DATE\n").replace(ID, "ID\n")
    }

    #[test]
    fn what_is_missing_is_added() {
        assert_eq!(
            header("From: a@x.test\r\nSubject: s\r\n\r\n"),
            "From: a@x.test\r\nSubject: s\r\nDATE\nID\n"
        );
        assert_eq!(header("Subject: s\r\n\r\n"), "Subject: s\r\nFrom: <alice@x.test>\r\nDATE\nID\n");
        let whole = "From: a@x.test\r\nDate: yesterday\r\nMessage-ID: <1@y>\r\n";
        assert_eq!(header(&format!("{whole}\r\n")), whole);
        assert_eq!(
            header("From: a@x.test\r\ndate: \r\n\t\r\nMessage-id: 17\r\n\r\n"),
            "From: a@x.test\r\nDATE\nID\n"
        );
    }

    #[test]
    fn what_must_not_leave_is_removed() {
        let given = "Bcc: b@y.test,\r\n c@y.test\r\nFrom: a@x.test\r\nbcc : d@y.test\r\nReturn-Path: <e@y.test>\r\n\
                     RESENT-BCC:f@y.test\r\nAuthentication-Results: mx.x.test; dmarc=pass\r\nX-Bcc: kept\r\n\r\nBcc: in the body\r\n";
        assert_eq!(header(given), "From: a@x.test\r\nX-Bcc: kept\r\nDATE\nID\n");
        assert_eq!(complete(given).unwrap().1, "Bcc: in the body\r\n");
    }

    #[test]
    fn the_sender_is_told_where_the_author_does_not() {
        let sent = |from: &str, sender: &str| {
            let header = header(&format!("From: {from}\r\n{sender}Date: d\r\nMessage-ID: <1@y>\r\n\r\n"));
            header.lines().find_map(|line| line.strip_prefix("Sender: ")).map(str::to_owned)
        };
        let alice = Some("<alice@x.test>".to_owned());
        assert_eq!(sent("a@x.test", ""), None);
        assert_eq!(sent("a@x.test", "Sender: someone@y.test\r\n"), None);
        assert_eq!(sent("a@x.test", "Sender: b@x.test\r\n"), None);
        assert_eq!(sent("a@x.test, b@x.test", ""), alice);
        assert_eq!(sent("a@x.test, b@x.test", "Sender: b@x.test\r\n").as_deref(), Some("b@x.test"));
        assert_eq!(sent("a@x.test, b@x.test", "Sender: b@x.test\r\nSender: c@x.test\r\n"), alice);
        assert_eq!(sent("ceo@y.test", ""), alice);
        assert_eq!(sent("ceo@y.test", "Sender: ceo@y.test\r\n"), alice);
        assert_eq!(sent("ceo@y.test (a@x.test)", ""), alice);
    }

    #[test]
    fn bodies_without_a_header_and_headers_without_a_body() {
        let all = format!("{}From: <alice@x.test>\r\n{DATE}{ID}\r\n", STAMP.received);
        for (message, body) in [
            ("Hello,\r\nBcc: x\r\n", "Hello,\r\nBcc: x\r\n"),
            ("\r\nHello", "Hello"),
            ("", ""),
            ("hi", "hi"),
            (" hi\r\n", " hi\r\n"),
        ] {
            assert_eq!(complete(message).unwrap(), (all.clone(), body.to_owned()), "{message:?}");
        }
        assert_eq!(header("From: a@x.test"), "From: a@x.test\r\nDATE\nID\n");
        assert_eq!(header("From: a@x.test\r\n"), "From: a@x.test\r\nDATE\nID\n");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(complete("A: 1\r\nno field\r\nBcc: b@y.test\r\n\r\n"), Err(Fault::NoField(2)));
        assert_eq!(complete("A: 1\r\n b\r\n: x\r\n"), Err(Fault::NoField(3)));
        assert_eq!(complete("A: 1\r\nBcc"), Err(Fault::NoField(2)));
        assert_eq!(complete(&format!("A: {}\r\n\r\n", "x".repeat(2_000))), Err(Fault::TooLarge(1_000)));
        assert_eq!(complete(&"A: x\r\n".repeat(500)), Err(Fault::TooLarge(1_000)));
        assert_eq!(complete(&format!("A: x\r\n\r\n{}", "x".repeat(2_000))).unwrap().1.len(), 2_000);
    }

    #[test]
    fn what_a_header_says_of_its_message() {
        let header = |text: &str| HeaderReader::new(1_000).push(text.as_bytes()).unwrap().unwrap().header;
        let whole = header("From: a@x.test\r\nMessage-ID: <1@y>\r\n\r\n");
        assert_eq!(whole.octets(), b"From: a@x.test\r\nMessage-ID: <1@y>\r\n");
        assert!(whole.has_id() && !whole.is_anonymous());
        let nobody = header("From: undisclosed:;\r\nMessage-ID: 17\r\n\r\n");
        assert!(!nobody.has_id() && nobody.is_anonymous());
        assert!(!header("Subject: s\r\n\r\n").is_anonymous(), "it is completed");
    }

    #[test]
    fn an_id_cannot_inject() {
        let stamp = Stamp { id: "1\r\nBcc: x", ..STAMP };
        let split = HeaderReader::new(100).finish().unwrap();
        let header = String::from_utf8(split.header.complete(&stamp, |_| true)).unwrap();
        assert!(header.contains("Message-ID: <1Bcc: x@mx.x.test>\r\n"), "{header}");
    }
}
