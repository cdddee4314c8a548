//! Header fields and parts, written (RFC 5322, RFC 2045 to 2047, RFC 2231).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::draft::{Body, Part};
use super::header::Form;
use crate::wire::date;

/// The longest line that is written where it can be folded.
const LINE: usize = 76;
/// Octets of one encoded word's text.
const WORD: usize = 42;
/// The longest line of text that goes as it is.
const TEXT_LINE: usize = 900;

/// A header field, ready to be written.
#[derive(Debug)]
pub(crate) struct Field {
    pub(super) name: String,
    /// What stands behind the colon.
    pub(super) value: String,
}

/// Boundaries of multiparts, each its own.
pub(super) struct Boundaries {
    seed: String,
    next: usize,
}

impl Boundaries {
    pub(super) fn new(seed: &str) -> Self {
        let seed = seed.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        Self { seed, next: 0 }
    }

    fn next(&mut self) -> String {
        self.next += 1;
        // `=_` stands in no quoted-printable and no base64.
        format!("=_{}_{}", self.seed, self.next)
    }
}

impl Field {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let space = if self.value.starts_with([' ', '\t']) { "" } else { " " };
        line(out, &format!("{}:{space}{}", self.name, self.value));
    }
}

/// A value in one of the forms as it is written; nothing if it does not have that form, or could not be written safely.
pub(super) fn written(form: Form, value: &Value) -> Option<String> {
    match form {
        Form::Raw => raw(value.as_str()?),
        Form::Text => Some(folded(&encoded_text(one_line(value.as_str()?)?))),
        Form::Addresses => {
            let addresses: Vec<String> = value.as_array()?.iter().map(address).collect::<Option<_>>()?;
            Some(joined(&addresses, ","))
        }
        Form::GroupedAddresses => {
            let groups: Vec<String> = value.as_array()?.iter().map(group).collect::<Option<_>>()?;
            Some(joined(&groups, ","))
        }
        Form::MessageIds => {
            let id = |value: &Value| {
                let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '<' && c != '>';
                let id = value.as_str().filter(|id| !id.is_empty() && id.chars().all(fits))?;
                Some(format!("<{id}>"))
            };
            Some(joined(&value.as_array()?.iter().map(id).collect::<Option<Vec<_>>>()?, ""))
        }
        Form::Date => date::to_rfc5322(value.as_str()?),
        Form::Urls => {
            let url = |value: &Value| {
                let fits = |c: char| c.is_ascii_graphic() && c != '<' && c != '>';
                let url = value.as_str().filter(|url| !url.is_empty() && url.chars().all(fits))?;
                Some(format!("<{url}>"))
            };
            Some(joined(&value.as_array()?.iter().map(url).collect::<Option<Vec<_>>>()?, ","))
        }
    }
}

/// A raw value: lines go on only where a fold is, and there is no other control character.
fn raw(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n']) {
        let behind = rest.get(at..)?.strip_prefix("\r\n")?;
        if !behind.starts_with([' ', '\t']) {
            return None;
        }
        rest = behind;
    }
    let fits = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    (text.chars().all(fits) && text.split("\r\n").all(|line| line.len() <= 990)).then(|| text.to_owned())
}

fn one_line(text: &str) -> Option<&str> {
    (!text.chars().any(|c| c.is_control() && c != '\t')).then_some(text)
}

fn address(value: &Value) -> Option<String> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !"<>,;:()[]\\\"".contains(c);
    let email = value.get("email")?.as_str().filter(|email| is_address(email, fits))?;
    match value.get("name").filter(|name| !name.is_null()) {
        None => Some(email.to_owned()),
        Some(name) => match one_line(name.as_str()?)? {
            "" => Some(email.to_owned()),
            name => Some(format!("{} <{email}>", phrase(name))),
        },
    }
}

/// An address that reads the same wherever it stands: a quoted local part, or a literal, is left to its raw form.
fn is_address(email: &str, fits: impl Fn(char) -> bool) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
    let inside = local.trim_matches('"');
    let literal = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']'));
    let domain = literal.unwrap_or(domain);
    let is_domain = |c: char| fits(c) || (literal.is_some() && c == ':');
    !inside.is_empty()
        && !domain.is_empty()
        && domain.chars().all(is_domain)
        && match quoted {
            true => inside.chars().all(|c| !c.is_control() && c != '"' && c != '\\'),
            false => local.chars().all(fits),
        }
}

fn group(value: &Value) -> Option<String> {
    let addresses = value.get("addresses")?.as_array()?;
    let addresses: Vec<String> = addresses.iter().map(address).collect::<Option<_>>()?;
    match value.get("name").filter(|name| !name.is_null()) {
        None => Some(addresses.join(", ")),
        Some(name) => Some(format!("{}: {};", phrase(one_line(name.as_str()?)?), addresses.join(", "))),
    }
}

/// A name before an address: as it is, in quotes, or in encoded words.
fn phrase(name: &str) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if !name.is_ascii() || name.contains("=?") {
        return encoded(name);
    }
    if name.chars().all(atom) && name.trim() == name && !name.contains("  ") {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Text with those of its words encoded that need it.
fn encoded_text(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.trim().to_owned();
    }
    encoded(text.trim())
}

/// Text as encoded words in UTF-8, cut between characters (RFC 2047 §5).
fn encoded(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// Text on lines that are not too long, cut at its spaces.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = LINE / 4;
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            // A fold needs a word behind it, or the line would be empty.
            if column + word.len() + 1 > LINE && !word.trim().is_empty() {
                out.push_str("\r\n ");
                column = 1;
            } else {
                out.push(' ');
                column += 1;
            }
        }
        out.push_str(word);
        column = word.rfind('\n').map_or(column + word.len(), |line| word.len() - line);
    }
    out
}

/// Items on lines of their own.
fn joined(items: &[String], separator: &str) -> String {
    items.join(&format!("{separator}\r\n "))
}

/// Writes a part: its header, the empty line, and what it holds.
pub(super) fn part(part: &Part, boundaries: &mut Boundaries, out: &mut Vec<u8>) {
    part.fields.iter().for_each(|field| field.write(out));
    match &part.body {
        Body::Parts(parts) => {
            let boundary = boundaries.next();
            line(out, &format!("Content-Type: {};\r\n boundary=\"{boundary}\"", part.media_type));
            describe(part, out);
            for inner in parts {
                line(out, &format!("\r\n--{boundary}"));
                self::part(inner, boundaries, out);
            }
            line(out, &format!("\r\n--{boundary}--"));
        }
        Body::Text(text) => {
            line(
                out,
                &format!("Content-Type: {}; charset=utf-8{}", part.media_type, parameter("name", part)),
            );
            describe(part, out);
            let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let plain = text.is_ascii()
                && !text.contains('\0')
                && text.split("\r\n").all(|line| line.len() <= TEXT_LINE);
            line(
                out,
                if plain {
                    "Content-Transfer-Encoding: 7bit\r\n"
                } else {
                    "Content-Transfer-Encoding: quoted-printable\r\n"
                },
            );
            match plain {
                true => out.extend_from_slice(text.as_bytes()),
                false => quoted_printable(&text, out),
            }
        }
        Body::Octets(octets) => {
            line(out, &format!("Content-Type: {}{}", part.media_type, parameter("name", part)));
            describe(part, out);
            // A message within a message is never encoded as a whole (RFC 2046 §5.2.1).
            let is_message = part.media_type.starts_with("message/rfc822");
            if is_message && has_lines(octets) {
                line(out, "Content-Transfer-Encoding: 8bit\r\n");
                out.extend_from_slice(octets);
            } else {
                line(out, "Content-Transfer-Encoding: base64\r\n");
                for chunk in octets.chunks(57) {
                    line(out, &STANDARD.encode(chunk));
                }
            }
        }
        // All of them have been read by now.
        Body::Blob(_) | Body::Missing(_) => line(out, ""),
    }
}

/// Whether octets are lines that mail can carry as they are.
fn has_lines(octets: &[u8]) -> bool {
    let clean = |line: &[u8]| line.len() <= 998 && !line.iter().any(|byte| matches!(byte, 0 | b'\r'));
    let mut lines = octets.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        match line.strip_suffix(b"\r") {
            Some(line) if clean(line) => {}
            None if is_last && clean(line) => {}
            _ => return false,
        }
    }
    true
}

/// The fields that describe a part.
fn describe(part: &Part, out: &mut Vec<u8>) {
    let disposition = part.disposition.as_deref().filter(|text| is_token(text));
    // Without a word a name says that it is a file.
    if let Some(disposition) = disposition.or(part.name.as_ref().map(|_| "attachment")) {
        line(out, &format!("Content-Disposition: {disposition}{}", parameter("filename", part)));
    }
    if let Some(cid) = &part.cid {
        let fits = |c: &char| c.is_ascii_graphic() && !"<>".contains(*c);
        line(out, &format!("Content-ID: <{}>", cid.chars().filter(fits).collect::<String>()));
    }
    if !part.language.is_empty() {
        line(out, &format!("Content-Language: {}", part.language.join(", ")));
    }
    if let Some(location) = &part.location {
        let location: String = location.chars().filter(char::is_ascii_graphic).collect();
        line(out, &format!("Content-Location: {location}"));
    }
}

/// The part's name as a parameter (RFC 2231 §4), on a line of its own; nothing if it has none.
fn parameter(name: &str, part: &Part) -> String {
    let Some(value) = &part.name else { return String::new() };
    let simple = |c: char| c.is_ascii() && !c.is_ascii_control() && !"\"\\".contains(c);
    if value.chars().all(simple) && value.len() <= 60 && !value.contains("=?") {
        return format!(";\r\n {name}=\"{value}\"");
    }
    let mut out = format!(";\r\n {name}*0*=utf-8''");
    let (mut column, mut number) = (0, 0);
    for c in value.chars() {
        let mut bytes = [0; 4];
        let escaped: String = match c.is_ascii_alphanumeric() || "-._".contains(c) {
            true => c.to_string(),
            false => c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect(),
        };
        if column + escaped.len() > 50 {
            number += 1;
            out.push_str(&format!(";\r\n {name}*{number}*="));
            column = 0;
        }
        column += escaped.len();
        out.push_str(&escaped);
    }
    out
}

/// RFC 2045 §6.7. Line ends are CRLF already.
fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    let mut lines = text.split("\r\n").peekable();
    while let Some(text) = lines.next() {
        let mut column = 0;
        let mut octets = text.bytes().peekable();
        while let Some(octet) = octets.next() {
            let at_end = octets.peek().is_none();
            let plain =
                matches!(octet, b'!'..=b'<' | b'>'..=b'~') || (matches!(octet, b' ' | b'\t') && !at_end);
            // Lines that begin like one of an mbox file are changed by some.
            let width = if plain { 1 } else { 3 };
            if column + width > LINE - 1 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            match plain {
                true => out.push(octet),
                false => out.extend_from_slice(format!("={octet:02X}").as_bytes()),
            }
            column += width;
        }
        if lines.peek().is_some() {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Writes a line.
pub(super) fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A type and a subtype.
pub(super) fn is_media_type(text: &str) -> bool {
    text.len() <= 127
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// A word that needs no quotes (RFC 2045 §5.1).
pub(super) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte);
    (1..=127).contains(&text.len()) && text.bytes().all(fits)
}
