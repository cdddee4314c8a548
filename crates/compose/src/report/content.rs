//! The octets of a report: `multipart/report` with a text, `message/delivery-status` and what comes back of the message.
//!
//! It is honest about its octets: parts with any above 127 say `8bit`, and those with UTF-8 in their fields are of the
//! types of RFC 6533. Nothing is encoded again: what comes back is what was sent.

use bytes::Bytes;

use super::{Bounds, Original, Outcome, Rendered, Report, Return, words};
use crate::plain::token;

/// The longest line that mail may have, in octets without CRLF (RFC 5322 §2.1.1).
const LINE: usize = 998;
/// The longest text of another server that is passed on, in octets.
const REPLY: usize = 2_000;

/// The part that returns something of the message.
struct Returned {
    kind: &'static str,
    octets: Bytes,
    utf8_fields: bool,
}

pub(super) fn render(report: &Report, original: &Original, bounds: Bounds) -> Rendered {
    let boundary = format!("=_{}", token(&report.id));
    let text = words::text(report);
    let status = status(report);
    let returned = returned(report, original, bounds);
    let eight_bit =
        [text.as_bytes(), status.as_bytes(), &returned.octets].iter().any(|part| !part.is_ascii());
    let utf8_header = !report.to.is_ascii();
    let transfer = |octets: &[u8]| if octets.is_ascii() { "7bit" } else { "8bit" };

    let mut head = header(report, original, &boundary);
    head += &format!("Content-Transfer-Encoding: {}\r\n\r\n", if eight_bit { "8bit" } else { "7bit" });
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    head += &format!(
        "--{boundary}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Language: en\r\n\
         Content-Transfer-Encoding: {}\r\n\r\n{text}\r\n",
        transfer(text.as_bytes())
    );
    let kind = if status.is_ascii() { "message/delivery-status" } else { "message/global-delivery-status" };
    head += &format!(
        "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {}\r\n\r\n{status}\r\n",
        transfer(status.as_bytes())
    );
    head += &format!(
        "--{boundary}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n",
        returned.kind,
        transfer(&returned.octets)
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let international = utf8_header || returned.utf8_fields || !status.is_ascii();
    let pieces = vec![Bytes::from(head), returned.octets, Bytes::from(tail)];
    Rendered { pieces, eight_bit: eight_bit || utf8_header, international }
}

/// The report's own header, but for its encoding.
fn header(report: &Report, original: &Original, boundary: &str) -> String {
    let host = clean(&report.host);
    let mut header =
        format!("From: Mail Delivery System <mailer-daemon@{host}>\r\nTo: <{}>\r\n", clean(&report.to));
    header += &format!("Subject: {}\r\n", words::subject(report.gravest()));
    header += &format!("Date: {}\r\n", report.at.rfc5322());
    header += &format!("Message-ID: <{}@{host}>\r\n", token(&report.id));
    if let Some(id) = original.message_id() {
        header += &format!("In-Reply-To: {id}\r\nReferences: {id}\r\n");
    }
    // RFC 3834 §5: nobody answers this by itself.
    header += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";
    header += &format!(
        "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n"
    );
    header
}

/// The part for programs (RFC 3464 §2). It ends with an empty line.
fn status(report: &Report) -> String {
    let mut text = format!("Reporting-MTA: dns; {}\r\n", clean(&report.host));
    if let Some(id) = &report.envelope_id {
        text += &format!("Original-Envelope-Id: {}\r\n", clean(id));
    }
    text += &format!("Arrival-Date: {}\r\n\r\n", report.arrived.rfc5322());
    for outcome in &report.outcomes {
        text += &recipient(outcome, report.international);
        text += "\r\n";
    }
    text
}

fn recipient(outcome: &Outcome, international: bool) -> String {
    let mut text = String::new();
    if let Some((kind, address)) = &outcome.original {
        let address = match kind.as_str() {
            // It is said as it was given: in a form of its own, or in UTF-8 (RFC 6533 §3).
            "utf-8" => typed(address, international).1,
            _ => ascii(address),
        };
        text += &format!("Original-Recipient: {}; {address}\r\n", token(kind));
    }
    let (kind, address) = typed(&outcome.address, international);
    text += &format!("Final-Recipient: {kind}; {address}\r\n");
    text += &format!("Action: {}\r\nStatus: {}\r\n", outcome.action.as_str(), outcome.status);
    if let Some(reply) = &outcome.reply {
        text += &format!("Remote-MTA: dns; {}\r\n", ascii(&reply.server));
        text += &folded(&format!("Diagnostic-Code: smtp; {}", ascii(&reply.text)));
    } else if let Some(cause) = &outcome.cause {
        text += &folded(&format!("Diagnostic-Code: X-Magpie; {}", ascii(cause)));
    }
    if let Some(tried) = outcome.tried {
        text += &format!("Last-Attempt-Date: {}\r\n", tried.rfc5322());
    }
    if let Some(until) = outcome.until.filter(|_| outcome.action == super::Action::Delayed) {
        text += &format!("Will-Retry-Until: {}\r\n", until.rfc5322());
    }
    text
}

/// An address with its type. One beyond ASCII goes as UTF-8 to those who understand that, and else in the 7-bit form of
/// RFC 6533 §3.
pub(crate) fn typed(address: &str, international: bool) -> (&'static str, String) {
    let address = clean(address);
    if address.is_ascii() {
        return ("rfc822", address);
    }
    if international {
        return ("utf-8", address);
    }
    let encoded = address.chars().map(|c| match c {
        '\\' | '+' | '=' => format!("\\x{{{:X}}}", c as u32),
        '!'..='~' => c.to_string(),
        _ => format!("\\x{{{:X}}}", c as u32),
    });
    ("utf-8", encoded.collect())
}

/// What of the message comes back. All of it only for a failure, where the sender wants it, and if it is mail that can be
/// carried inside mail.
fn returned(report: &Report, original: &Original, bounds: Bounds) -> Returned {
    let header = original.header();
    let utf8_fields = !header.is_ascii();
    let all = report.gravest() == super::Action::Failed
        && original.wanted == Return::Full
        && original.whole
        && original.octets.len() <= bounds.message
        && is_lines(&original.octets);
    if all {
        let kind = if utf8_fields { "message/global" } else { "message/rfc822" };
        return Returned { kind, octets: original.octets.clone(), utf8_fields };
    }
    let header = fitting(&header, bounds.header);
    let utf8_fields = !header.is_ascii();
    let kind = if utf8_fields { "message/global-headers" } else { "text/rfc822-headers" };
    Returned { kind, octets: header, utf8_fields }
}

/// As many whole fields, from the top, as there is room for and as are lines.
pub(crate) fn fitting(header: &Bytes, room: usize) -> Bytes {
    let parsed = types::Header::parse(header);
    let fields = parsed.fields().iter();
    let fits = fields.take_while(|field| field.range().end <= room && is_lines(field.raw));
    header.slice(..fits.last().map_or(0, |field| field.range().end))
}

/// Whether these are lines that any server takes: CRLF at their ends and nowhere else a CR or LF, no NUL, not too long.
pub(crate) fn is_lines(octets: &[u8]) -> bool {
    let mut lines = octets.split(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let text = match lines.peek() {
            Some(_) => match line.strip_suffix(b"\r") {
                Some(text) => text,
                None => return false,
            },
            None => line,
        };
        if text.len() > LINE || text.iter().any(|b| matches!(b, b'\r' | 0)) {
            return false;
        }
    }
    true
}

/// One line, whatever it was: what comes from outside ends no field and no line.
pub(crate) fn clean(text: &str) -> String {
    let one_line =
        text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c });
    one_line.take(REPLY).collect()
}

/// The same in ASCII.
fn ascii(text: &str) -> String {
    clean(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// A field in lines of up to some 76 characters, with its CRLF.
fn folded(field: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for (number, word) in field.split(' ').filter(|word| !word.is_empty()).enumerate() {
        let word: String = word.chars().take(LINE - 2).collect();
        if number > 1 && column + 1 + word.len() > 76 {
            out.push_str("\r\n\t");
            column = 8;
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        column += word.len();
        out.push_str(&word);
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_any_server_takes() {
        for good in ["", "a", "a\r\n", "a\r\n\r\nb", "한국\r\n"] {
            assert!(is_lines(good.as_bytes()), "{good:?}");
        }
        let long = "x".repeat(999);
        for bad in ["a\nb", "a\rb\r\n", "a\0", "a\r", "a\r\r\n", &long] {
            assert!(!is_lines(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn addresses_have_types() {
        let table = [
            ("a@x.test", true, "rfc822", "a@x.test"),
            ("한@x.test", true, "utf-8", "한@x.test"),
            ("한+b@x.test", false, "utf-8", "\\x{D55C}\\x{2B}b@x.test"),
        ];
        for (address, international, kind, written) in table {
            assert_eq!(typed(address, international), (kind, written.to_owned()));
        }
    }

    #[test]
    fn long_words_of_others_are_folded() {
        let field = folded(&format!("Diagnostic-Code: smtp; 550 {}", "word ".repeat(50)));
        assert!(field.ends_with("\r\n") && field.lines().all(|line| line.len() <= 78), "{field}");
        assert!(field.starts_with("Diagnostic-Code: smtp; 550 word"));
    }

    #[test]
    fn only_whole_fields_come_back() {
        let header = Bytes::from_static(b"A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n");
        assert_eq!(fitting(&header, 15), b"A: 1\r\n"[..]);
        assert_eq!(fitting(&header, 16), b"A: 1\r\nB: 2\r\n 3\r\n"[..]);
        assert_eq!(fitting(&header, 3), b""[..]);
    }
}
