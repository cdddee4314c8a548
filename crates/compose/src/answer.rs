//! The answer of somebody who is away (RFC 3834 §3, RFC 8621 §8).
//!
//! All of it is ASCII but for addresses that are not: texts beyond that are encoded, so that any server takes it.

use std::slice;

use bytes::Bytes;
use types::Timestamp;

use crate::plain::{Opening, is_id, part, subject, token};
use crate::report::Rendered;

/// Message ids that an answer refers to.
const REFERENCES: usize = 20;

/// An answer to a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// Who answers: a name for people, and the address to which the message was sent.
    pub from: (Option<String>, String),
    /// Who gets it: the sender in the envelope, without brackets.
    pub to: String,
    /// The subject, if whoever is away has chosen one.
    pub subject: Option<String>,
    /// The answer as plain text.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// The subject of the message.
    pub answered_subject: Option<String>,
    /// The message's own id, without brackets.
    pub answered_id: Option<String>,
    /// The ids to which the message refers, without brackets.
    pub references: Vec<String>,
    /// When it is written.
    pub at: Timestamp,
    /// A name for it that nothing else has: letters, digits, dots. Nobody outside can know it beforehand.
    pub id: String,
}

impl Answer {
    /// What is said where nothing else is.
    pub const TEXT: &'static str =
        "I am away and will read your message later.\r\n\r\nThis answer was sent automatically.\r\n";

    /// The answer as a message. It ends up in nobody's loop: it says of itself that no person wrote it (RFC 3834 §5), and is
    /// to be sent from `<>`.
    pub fn render(&self) -> Rendered {
        let mut out = self.header();
        match (&self.text, &self.html) {
            (text, None) => out += &part("text/plain", text.as_deref().unwrap_or(Self::TEXT)),
            (None, Some(html)) => out += &part("text/html", html),
            (Some(text), Some(html)) => {
                let boundary = format!("=_{}", token(&self.id));
                out += &format!("Content-Type: multipart/alternative;\r\n\tboundary=\"{boundary}\"\r\n");
                for (kind, text) in [("text/plain", text), ("text/html", html)] {
                    out += &format!("\r\n--{boundary}\r\n{}", part(kind, text));
                }
                out += &format!("\r\n--{boundary}--\r\n");
            }
        }
        let international = !out.is_ascii();
        Rendered { pieces: vec![Bytes::from(out)], eight_bit: international, international }
    }

    fn header(&self) -> String {
        let (subject, to) = (self.subject_line(), slice::from_ref(&self.to));
        let mut header =
            Opening { from: &self.from, to, subject: &subject, at: self.at, id: &self.id }.fields();
        let ids: Vec<&str> = self.references.iter().map(String::as_str).filter(|id| is_id(id)).collect();
        let answered = self.answered_id.as_deref().filter(|id| is_id(id));
        if let Some(id) = answered {
            header += &format!("In-Reply-To: <{id}>\r\n");
        }
        // The first begins the thread, the last ones are near.
        let first = ids.first().filter(|_| ids.len() > REFERENCES);
        let near = ids.iter().skip(ids.len().saturating_sub(REFERENCES));
        let ids: Vec<String> =
            first.into_iter().chain(near).chain(answered.as_ref()).map(|id| format!("<{id}>")).collect();
        if !ids.is_empty() {
            header += &format!("References: {}\r\n", ids.join("\r\n\t"));
        }
        header += "Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\n";
        header
    }

    /// RFC 5230 §5.8: without one of its own the answer has the message's.
    fn subject_line(&self) -> String {
        let line = match (&self.subject, &self.answered_subject) {
            (Some(own), _) => own.clone(),
            (None, Some(answered)) => format!("Auto: {answered}"),
            (None, None) => "Automated reply".to_owned(),
        };
        subject(&line)
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};

    use super::*;

    fn answer() -> Answer {
        Answer {
            from: (Some("Alice".into()), "alice@example.test".into()),
            to: "ann@x.test".into(),
            text: Some("I am on\nholiday.".into()),
            answered_subject: Some("lunch".into()),
            answered_id: Some("2@x".into()),
            references: vec!["1@x".into()],
            at: Timestamp::from_secs(1_767_323_045),
            id: "abc.1".into(),
            ..Answer::default()
        }
    }

    fn rendered(answer: &Answer) -> String {
        let rendered = answer.render();
        assert!(!rendered.eight_bit && !rendered.international);
        String::from_utf8(rendered.pieces.concat()).unwrap()
    }

    #[test]
    fn a_plain_answer() {
        assert_eq!(
            rendered(&answer()),
            "From: Alice <alice@example.test>\r\nTo: <ann@x.test>\r\nSubject: Auto: lunch\r\n\
             Date: Fri, 2 Jan 2026 03:04:05 +0000\r\nMessage-ID: <abc.1@example.test>\r\nIn-Reply-To: <2@x>\r\n\
             References: <1@x>\r\n\t<2@x>\r\nAuto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\
             Content-Transfer-Encoding: 7bit\r\n\r\nI am on\r\nholiday.\r\n"
        );
    }

    #[test]
    fn other_parsers_read_it() {
        let text = "휴가 중입니다. ".repeat(30);
        let html = format!("<p>{text}</p>");
        let answer = Answer {
            from: (Some("김 \"앨리스\", Jr.".into()), "alice@example.test".into()),
            subject: Some("부재중 자동 응답입니다: 급하면 전화 주세요, 항상 감사합니다".into()),
            text: Some(text.clone()),
            html: Some(html.clone()),
            ..answer()
        };
        let raw = rendered(&answer);
        assert!(raw.lines().all(|line| line.len() <= 78), "{raw}");
        let message = MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert_eq!(message.subject(), answer.subject.as_deref());
        assert_eq!(message.from().unwrap().first().unwrap().name(), answer.from.0.as_deref());
        assert_eq!(message.content_type().unwrap().subtype(), Some("alternative"));
        assert_eq!(message.body_text(0).unwrap().trim_end(), text.trim_end());
        assert_eq!(message.body_html(0).unwrap(), html);
    }

    #[test]
    fn subjects_and_bodies_where_none_is_given() {
        let mut bare = Answer { text: None, answered_subject: None, answered_id: None, ..answer() };
        bare.references.clear();
        let raw = rendered(&bare);
        assert!(raw.contains("Subject: Automated reply\r\n") && raw.contains("I am away"), "{raw}");
        assert!(!raw.contains("In-Reply-To") && !raw.contains("References"), "{raw}");
        let html = rendered(&Answer { text: None, html: Some("<b>away</b>".into()), ..answer() });
        assert!(html.contains("Content-Type: text/html") && !html.contains("multipart"), "{html}");
    }

    #[test]
    fn what_others_write_ends_no_field() {
        let evil = Answer {
            from: (Some("A\r\nBcc: x@y.test".into()), "alice@example.test".into()),
            answered_subject: Some("x\r\nBcc: x@y.test\r\n\r\nbody".into()),
            answered_id: Some("a>\r\nBcc: x@y.test".into()),
            references: vec!["b\r\n\r\n".into(), "ok@x".into()],
            ..answer()
        };
        let raw = rendered(&evil);
        assert!(!raw.contains("\nBcc"), "{raw}");
        assert!(raw.contains("References: <ok@x>\r\n") && !raw.contains("In-Reply-To"), "{raw}");
    }

    #[test]
    fn long_chains_of_references_are_shortened() {
        let long = Answer { references: (0..100).map(|n| format!("{n}@x")).collect(), ..answer() };
        let raw = rendered(&long);
        assert!(
            raw.contains("References: <0@x>\r\n\t<80@x>\r\n") && raw.contains("\t<99@x>\r\n\t<2@x>\r\n"),
            "{raw}"
        );
    }
}
