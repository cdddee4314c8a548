//! Texts as any server takes them: in lines of ASCII that are not too long, whatever they hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use types::Timestamp;

use crate::report::clean;

/// Octets of a subject.
const SUBJECT: usize = 500;
/// The longest line that is written where it can be folded.
const LINE: usize = 76;
/// Octets of text in one encoded word.
const WORD: usize = 42;
/// The longest line of text that goes as it is.
const TEXT_LINE: usize = 900;
/// Octets of a message id.
const ID: usize = 500;

/// Who writes to whom, about what and when: how the header of everything begins that the server writes for somebody.
pub(crate) struct Opening<'a> {
    /// A name for people, and an address.
    pub(crate) from: &'a (Option<String>, String),
    /// Addresses without brackets.
    pub(crate) to: &'a [String],
    /// As [`subject`] cuts it.
    pub(crate) subject: &'a str,
    pub(crate) at: Timestamp,
    /// The left half of its Message-ID.
    pub(crate) id: &'a str,
}

impl Opening<'_> {
    /// From, To, Subject, Date and Message-ID.
    pub(crate) fn fields(&self) -> String {
        let (name, from) = self.from;
        let from = clean(from);
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let name = name.as_deref().map(clean).filter(|name| !name.trim().is_empty());
        let from = match name {
            Some(name) => format!("{} <{from}>", phrase(name.trim())),
            None => from.clone(),
        };
        let to: Vec<String> = self.to.iter().map(|address| format!("<{}>", clean(address))).collect();
        format!(
            "From: {from}\r\nTo: {}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{}@{domain}>\r\n",
            to.join(",\r\n\t"),
            words(self.subject),
            self.at.rfc5322(),
            token(self.id)
        )
    }
}

/// A line of text as a subject, which is not longer than anybody reads.
pub(crate) fn subject(line: &str) -> String {
    beginning(&clean(line), SUBJECT).trim().to_owned()
}

/// A part with its header: as it is, or in base64.
pub(crate) fn part(kind: &str, text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let plain =
        text.is_ascii() && !text.contains('\0') && text.split("\r\n").all(|line| line.len() <= TEXT_LINE);
    let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
    let mut out = format!("Content-Type: {kind}; charset={charset}\r\n");
    if plain {
        out += "Content-Transfer-Encoding: 7bit\r\n\r\n";
        out += &text;
        if !text.ends_with("\r\n") {
            out += "\r\n";
        }
        return out;
    }
    out += "Content-Transfer-Encoding: base64\r\n\r\n";
    for chunk in text.as_bytes().chunks(57) {
        out += &STANDARD.encode(chunk);
        out += "\r\n";
    }
    out
}

/// A name before an address: as it is, in quotes, or in encoded words.
pub(crate) fn phrase(name: &str) -> String {
    if !name.is_ascii() || name.contains("=?") {
        return encoded(name);
    }
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if name.chars().all(is_atom) && !name.contains("  ") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A line of text, folded where it is long, in encoded words where it has to be.
pub(crate) fn words(text: &str) -> String {
    if !text.is_ascii() || text.contains("=?") {
        return encoded(text);
    }
    let mut out = String::new();
    let mut column = LINE / 4;
    for (at, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if at > 0 && column + 1 + word.len() > LINE {
            out.push_str("\r\n");
            column = 0;
        }
        if at > 0 {
            out.push(' ');
        }
        out.push_str(word);
        column += word.len() + 1;
    }
    out
}

/// Text as encoded words in UTF-8, cut between characters (RFC 2047 §5).
fn encoded(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= WORD => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let words = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// Letters, digits, dots and hyphens.
pub(crate) fn token(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(60).collect()
}

/// Whether an id can stand between brackets.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte))
}

/// The beginning of a text, in whole characters, of so many octets at most.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
