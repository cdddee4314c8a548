//! Messages made to measure.

use std::fmt::Write;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A message to be written.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    pub id: Option<String>,
    pub references: Vec<String>,
    pub subject: String,
    /// Text, filled up to this many octets of words.
    pub text: usize,
    pub attachments: Vec<Attachment>,
}

/// A part to be encoded in base64.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub bytes: Bytes,
    /// Characters on a line; zero is a single line.
    pub line: usize,
    pub line_end: &'static str,
    pub padded: bool,
}

impl Letter {
    pub fn new(id: &str, subject: &str) -> Self {
        Self {
            id: Some(format!("{id}@example.test")),
            subject: subject.to_owned(),
            text: 200,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn reply_to(mut self, ids: &[&str]) -> Self {
        self.references = ids.iter().map(|id| format!("{id}@example.test")).collect();
        self
    }

    #[must_use]
    pub fn text(mut self, octets: usize) -> Self {
        self.text = octets;
        self
    }

    #[must_use]
    pub fn attach(mut self, bytes: Bytes) -> Self {
        self.attachments.push(Attachment { bytes, line: 76, line_end: "\r\n", padded: true });
        self
    }

    /// The message's octets.
    pub fn write(&self) -> Bytes {
        let mut out = String::from("From: sender@example.test\r\nTo: reader@example.test\r\n");
        write!(out, "Subject: {}\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n", self.subject).unwrap();
        if let Some(id) = &self.id {
            write!(out, "Message-ID: <{id}>\r\n").unwrap();
        }
        if let Some(parent) = self.references.last() {
            write!(out, "In-Reply-To: <{parent}>\r\n").unwrap();
            let all: Vec<String> = self.references.iter().map(|id| format!("<{id}>")).collect();
            write!(out, "References: {}\r\n", all.join("\r\n ")).unwrap();
        }
        out.push_str("MIME-Version: 1.0\r\n");
        if self.attachments.is_empty() {
            out.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
            out.push_str(&words(self.text));
            return out.into();
        }
        out.push_str("Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n");
        out.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
        out.push_str(&words(self.text));
        let mut out = out.into_bytes();
        for (number, attachment) in self.attachments.iter().enumerate() {
            let head = format!(
                "\r\n--=_b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=\"{number}.bin\"\r\n\r\n"
            );
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(attachment.encode().as_bytes());
        }
        out.extend_from_slice(b"\r\n--=_b--\r\n");
        out.into()
    }
}

impl Attachment {
    pub fn encode(&self) -> String {
        let engine = if self.padded { base64_simd::STANDARD } else { base64_simd::STANDARD_NO_PAD };
        let text = engine.encode_to_string(&self.bytes);
        if self.line == 0 {
            return text;
        }
        let lines: Vec<&str> =
            text.as_bytes().chunks(self.line).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join(self.line_end)
    }
}

/// Words that do not shrink to nothing.
fn words(octets: usize) -> String {
    let mut rng = StdRng::seed_from_u64(octets as u64);
    let mut out = String::with_capacity(octets + 20);
    while out.len() + 2 < octets {
        write!(out, "{:x} ", rng.random::<u32>()).unwrap();
        if out.len() % 70 < 9 {
            out.push_str("\r\n");
        }
    }
    out.push_str("\r\n");
    out
}

/// Bytes that do not shrink, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}
