//! The notification that somebody did something with a message, such as looking at it (RFC 8098): what they say of it in
//! words, what programs read, and perhaps the message.
//!
//! All of it is ASCII but for addresses and the message itself: texts beyond that are encoded, so that any server takes it.

use bytes::Bytes;
use types::{Disposition, DispositionType, Timestamp};

use crate::plain::{Opening, beginning, is_id, part, subject, token, words};
use crate::report::{Rendered, clean, fitting, is_lines, typed};

/// Octets of a field for programs: with its name, and escaped, it is a line that any server takes.
const VALUE: usize = 500;
/// Octets of the header that goes instead of a message that cannot be carried.
const HEADER: usize = 64 << 10;

/// An address as notifications name it: its type, and itself (RFC 8098 §3.2.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reported {
    /// The type, such as `rfc822`.
    pub kind: String,
    /// The address.
    pub address: String,
}

/// What is known of the message that a receipt is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// Its subject, readable.
    pub subject: Option<String>,
    /// Its id, without brackets.
    pub id: Option<String>,
    /// When it was received.
    pub received: Timestamp,
}

/// The notification that somebody did something with a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Who has done it: a name for people, and an address.
    pub from: (Option<String>, String),
    /// Who has asked to be told, without brackets; at least one.
    pub to: Vec<String>,
    /// The subject, if whoever sends this has chosen one.
    pub subject: Option<String>,
    /// What it says to people, if whoever sends this has chosen that.
    pub text: Option<String>,
    /// The program that they have done it with, if that is to be told.
    pub reporting_ua: Option<String>,
    /// Whom the message was for first, as its sender had it.
    pub original_recipient: Option<Reported>,
    /// Whom it was for in the end.
    pub final_recipient: Reported,
    /// What was done.
    pub disposition: Disposition,
    /// Further fields: names and values.
    pub extension: Vec<(String, String)>,
    /// The message, if it goes along.
    pub original: Option<Bytes>,
    /// The message that it is for.
    pub about: About,
    /// When it is written.
    pub at: Timestamp,
    /// A name for it that nothing else has: letters, digits, dots. Nobody outside can know it beforehand, so that no message
    /// holds the boundary that is made of it.
    pub id: String,
}

impl Receipt {
    /// The most octets of the value of a field for programs.
    pub const VALUE: usize = VALUE;

    /// The subject.
    pub fn subject_line(&self) -> String {
        let line = match (&self.subject, self.about.subject.as_deref().map(str::trim)) {
            (Some(own), _) => own.clone(),
            (None, Some(subject)) if !subject.is_empty() => format!("{}: {subject}", self.done()),
            (None, _) => format!("{}: your message", self.done()),
        };
        subject(&line)
    }

    /// What it says to people.
    pub fn words(&self) -> String {
        self.text.clone().unwrap_or_else(|| {
            let (whom, when) = (clean(&self.final_recipient.address), self.about.received.rfc5322());
            format!(
                "This is a receipt for the message to <{whom}>\nthat arrived on {when}.\n\n{}\n",
                self.sentence()
            )
        })
    }

    /// The receipt as a message, to be sent from `<>` (RFC 8098 §3).
    pub fn render(&self) -> Rendered {
        let boundary = format!("=_{}", token(&self.id));
        let original = self.original.as_ref().map(Carried::of);
        let utf8_fields = original.as_ref().is_some_and(|original| original.utf8_fields);
        let mut head = self.header();
        let international = utf8_fields || !head.is_ascii();
        let eight_bit =
            !head.is_ascii() || original.as_ref().is_some_and(|original| !original.octets.is_ascii());
        head += &format!(
            "Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary=\"{boundary}\"\r\n\
             Content-Transfer-Encoding: {}\r\n\r\n--{boundary}\r\n{}",
            if eight_bit { "8bit" } else { "7bit" },
            part("text/plain", &self.words())
        );
        let fields = self.fields();
        head += &format!(
            "\r\n--{boundary}\r\nContent-Type: message/disposition-notification\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\n{fields}\r\n"
        );
        let mut pieces = Vec::with_capacity(3);
        if let Some(Carried { kind, octets, .. }) = original {
            let encoding = if octets.is_ascii() { "7bit" } else { "8bit" };
            head += &format!(
                "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
            );
            pieces.extend([Bytes::from(head), octets]);
        } else {
            pieces.push(Bytes::from(head));
        }
        pieces.push(Bytes::from(format!("\r\n--{boundary}--\r\n")));
        Rendered { pieces, eight_bit, international }
    }

    /// The header, but for the fields of its content.
    fn header(&self) -> String {
        let (subject, to) = (self.subject_line(), &self.to);
        let mut header =
            Opening { from: &self.from, to, subject: &subject, at: self.at, id: &self.id }.fields();
        if let Some(id) = self.about.id.as_deref().filter(|id| is_id(id)) {
            header += &format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n");
        }
        // RFC 3834 §5: nobody answers this by itself.
        header += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";
        header
    }

    /// The part for programs (RFC 8098 §3.1), without the empty line at its end.
    fn fields(&self) -> String {
        let mut fields = String::new();
        let mut field = |name: &str, value: &str| {
            let value = words(beginning(clean(value).trim(), VALUE));
            fields.push_str(&format!("{name}: {value}\r\n"));
        };
        if let Some(program) = &self.reporting_ua {
            field("Reporting-UA", program);
        }
        if let Some(original) = &self.original_recipient {
            field("Original-Recipient", &original.written());
        }
        field("Final-Recipient", &self.final_recipient.written());
        if let Some(id) = self.about.id.as_deref().filter(|id| is_id(id)) {
            field("Original-Message-ID", &format!("<{id}>"));
        }
        field("Disposition", &self.disposition.to_string());
        for (name, value) in &self.extension {
            field(&token(name), value);
        }
        fields
    }

    /// What was done, as a subject begins with it.
    const fn done(&self) -> &'static str {
        match self.disposition.kind {
            DispositionType::Deleted => "Deleted",
            DispositionType::Dispatched => "Dispatched",
            DispositionType::Displayed => "Displayed",
            DispositionType::Processed => "Processed",
        }
    }

    /// What was done, in words that promise no more than is known (RFC 8098 §3.2.6.2).
    const fn sentence(&self) -> &'static str {
        match self.disposition.kind {
            DispositionType::Deleted => "It was deleted. Whether anybody has seen it before is not known.",
            DispositionType::Dispatched => {
                "It was sent on, or printed. Whether anybody has seen it is not known."
            }
            DispositionType::Displayed => {
                "It was displayed. Whether it was read, or understood, is not known."
            }
            DispositionType::Processed => "A program has dealt with it, without displaying it.",
        }
    }
}

impl Reported {
    /// An address of the Internet.
    pub fn internet(address: &str) -> Self {
        Self { kind: typed(address, true).0.to_owned(), address: address.to_owned() }
    }

    /// Reads what notifications have: type and address. What has no type is an address of the Internet.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, address) = match text.split_once(';') {
            Some((kind, address)) => (kind.trim(), address.trim()),
            None => ("", text.trim()),
        };
        let is_kind = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if !is_kind || address.is_empty() || address.chars().any(char::is_control) {
            return None;
        }
        Some(match kind {
            "" => Self::internet(address),
            kind => Self { kind: kind.to_ascii_lowercase(), address: address.to_owned() },
        })
    }

    /// In ASCII: an address beyond that has the form of RFC 6533 §3.
    fn written(&self) -> String {
        match self.address.is_ascii() {
            true => format!("{}; {}", token(&self.kind), self.address),
            false => {
                let (kind, address) = typed(&self.address, false);
                format!("{kind}; {address}")
            }
        }
    }
}

/// As clients see it.
impl std::fmt::Display for Reported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.kind, self.address)
    }
}

/// What of the message goes along.
struct Carried {
    kind: &'static str,
    octets: Bytes,
    utf8_fields: bool,
}

impl Carried {
    /// All of it, or the beginning of its header where it is no message that any server takes.
    fn of(message: &Bytes) -> Self {
        let header = types::Header::parse(message);
        let end = header.fields().last().map_or(0, |field| field.range().end);
        let header = message.slice(..end);
        if is_lines(message) {
            let utf8_fields = !header.is_ascii();
            let kind = if utf8_fields { "message/global" } else { "message/rfc822" };
            return Self { kind, octets: message.clone(), utf8_fields };
        }
        let octets = fitting(&header, HEADER);
        let utf8_fields = !octets.is_ascii();
        let kind = if utf8_fields { "message/global-headers" } else { "text/rfc822-headers" };
        Self { kind, octets, utf8_fields }
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders, PartType};
    use types::{ActionMode, SendingMode};

    use super::*;

    fn receipt() -> Receipt {
        Receipt {
            from: (Some("Alice".into()), "alice@example.test".into()),
            to: vec!["ann@x.test".into()],
            subject: None,
            text: None,
            reporting_ua: None,
            original_recipient: None,
            final_recipient: Reported::internet("alice@example.test"),
            disposition: Disposition {
                action: ActionMode::Manual,
                sending: SendingMode::Manual,
                kind: DispositionType::Displayed,
            },
            extension: Vec::new(),
            original: None,
            about: About {
                subject: Some("lunch".into()),
                id: Some("1@x.test".into()),
                received: Timestamp::from_secs(1_767_323_045),
            },
            at: Timestamp::from_secs(1_767_323_100),
            id: "abc.1".into(),
        }
    }

    fn rendered(receipt: &Receipt) -> String {
        String::from_utf8(receipt.render().pieces.concat()).unwrap()
    }

    #[test]
    fn a_plain_receipt() {
        assert_eq!(
            rendered(&receipt()),
            "From: Alice <alice@example.test>\r\nTo: <ann@x.test>\r\nSubject: Displayed: lunch\r\n\
             Date: Fri, 2 Jan 2026 03:05:00 +0000\r\nMessage-ID: <abc.1@example.test>\r\nIn-Reply-To: <1@x.test>\r\n\
             References: <1@x.test>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary=\"=_abc.1\"\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\n--=_abc.1\r\nContent-Type: text/plain; charset=us-ascii\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\nThis is a receipt for the message to <alice@example.test>\r\n\
             that arrived on Fri, 2 Jan 2026 03:04:05 +0000.\r\n\r\n\
             It was displayed. Whether it was read, or understood, is not known.\r\n\r\n--=_abc.1\r\n\
             Content-Type: message/disposition-notification\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             Final-Recipient: rfc822; alice@example.test\r\nOriginal-Message-ID: <1@x.test>\r\n\
             Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n\r\n--=_abc.1--\r\n"
        );
    }

    #[test]
    fn other_parsers_read_it() {
        let original = Bytes::from_static("Subject: x\r\n\r\n한국어\r\n".as_bytes());
        let receipt = Receipt {
            from: (Some("김 앨리스".into()), "alice@example.test".into()),
            to: vec!["ann@x.test".into(), "bob@y.test".into()],
            subject: Some("수신 확인: 회의 일정과 장소를 알려 드립니다, 꼭 확인해 주세요".into()),
            text: Some("읽었습니다.\nAlice".into()),
            reporting_ua: Some("desk.example.test; 앱 1.0".into()),
            original_recipient: Some(Reported { kind: "rfc822".into(), address: "list@x.test".into() }),
            final_recipient: Reported::internet("앨리스@example.test"),
            extension: vec![("X-Place".into(), "서울".into())],
            original: Some(original),
            ..receipt()
        };
        let rendered = receipt.render();
        assert!(rendered.eight_bit && !rendered.international);
        let raw = rendered.pieces.concat();
        let message = MessageParser::default().parse(&raw).unwrap();
        assert_eq!(message.subject(), receipt.subject.as_deref());
        assert_eq!(message.to().unwrap().as_list().unwrap().len(), 2);
        assert_eq!(
            message.content_type().unwrap().attribute("report-type"),
            Some("disposition-notification")
        );
        assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n").trim(), "읽었습니다.\nAlice");
        let text = String::from_utf8(raw.clone()).unwrap();
        assert!(text.contains("\r\nFinal-Recipient: utf-8; \\x{C568}"), "{text}");
        assert!(text.contains("\r\nOriginal-Recipient: rfc822; list@x.test\r\n"), "{text}");
        assert!(text.contains("\r\nX-Place: =?utf-8?B?7ISc7Jq4?=\r\n"), "{text}");
        let third = &message.parts[3];
        assert!(third.is_content_type("message", "rfc822"), "{third:?}");
        let PartType::Message(inner) = &third.body else { panic!("{third:?}") };
        assert_eq!(inner.subject(), Some("x"));
    }

    #[test]
    fn what_no_server_takes_goes_as_its_header() {
        let original = Some(Bytes::from_static(b"Subject: x\r\nX-Y: z\r\n\r\nbare\nline\0\r\n"));
        let raw = rendered(&Receipt { original, ..receipt() });
        assert!(
            raw.contains("Content-Type: text/rfc822-headers\r\n") && raw.contains("\r\nX-Y: z\r\n"),
            "{raw}"
        );
        assert!(!raw.contains("bare"), "{raw}");
        let header = Some(Bytes::from_static("Subject: 한국\r\n\r\n".as_bytes()));
        let global = Receipt { original: header, ..receipt() }.render();
        assert!(global.international && global.eight_bit);
    }

    #[test]
    fn what_others_write_ends_no_field() {
        let evil = Receipt {
            from: (Some("A\r\nBcc: x@y.test".into()), "alice@example.test".into()),
            subject: Some("x\r\nBcc: x@y.test\r\n\r\nbody".into()),
            reporting_ua: Some("a\r\nDisposition: b".into()),
            original_recipient: Reported::parse("rfc822; a\r\nBcc: x@y.test"),
            extension: vec![("X\r\nBcc".into(), "y\r\nBcc: z".into())],
            about: About { id: Some("a>\r\nBcc: x".into()), ..About::default() },
            ..receipt()
        };
        let raw = rendered(&evil);
        assert!(!raw.contains("\nBcc") && raw.matches("\nDisposition:").count() == 1, "{raw}");
        assert!(!raw.contains("Original-Message-ID") && !raw.contains("Original-Recipient"), "{raw}");
    }

    #[test]
    fn addresses_of_reports_are_read() {
        let read = |text: &str| Reported::parse(text).map(|reported| reported.to_string());
        assert_eq!(read("RFC822 ;a@x.test").as_deref(), Some("rfc822; a@x.test"));
        assert_eq!(read("a@x.test").as_deref(), Some("rfc822; a@x.test"));
        assert_eq!(read("한@x.test").as_deref(), Some("utf-8; 한@x.test"));
        assert_eq!(read("x400; /c=us/").as_deref(), Some("x400; /c=us/"));
        for bad in ["", "rfc822;", "a b; c", "rfc822; a\nb"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn subjects_where_none_is_given() {
        let kind = |kind| Disposition { kind, ..receipt().disposition };
        for (disposition, subject, wanted) in [
            (DispositionType::Deleted, Some("a"), "Deleted: a"),
            (DispositionType::Dispatched, Some(" "), "Dispatched: your message"),
            (DispositionType::Processed, None, "Processed: your message"),
        ] {
            let about = About { subject: subject.map(str::to_owned), ..About::default() };
            let receipt = Receipt { disposition: kind(disposition), about, ..receipt() };
            assert_eq!(receipt.subject_line(), wanted);
            assert!(receipt.words().lines().all(|line| line.len() < 78));
        }
    }
}
