//! Structured MIME fields: a word and its parameters (RFC 2045 §5.1, RFC 2183), and what a parameter means
//! once its pieces are joined and decoded (RFC 2231, RFC 2047, or raw 8-bit text).

use std::borrow::Cow;

use super::charset;
use super::fields::unfold;
use super::transfer;
use super::words::{decode_text, normal};
use crate::record::metadata::Raw;
use crate::record::metadata_parts::{Param, Part, param};

/// The most parameters that are read from one field.
pub const MAX_PARAMS: usize = 64;
/// The longest parameter value that is kept, in octets.
pub const MAX_VALUE: usize = 2048;
/// The longest field that is read, in octets. What follows is not looked at.
const MAX_FIELD: usize = 16 * 1024;
const MAX_NAME: usize = 64;

/// A structured value: `word; name=value; …`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Structured {
    /// In lower case, without white space and comments.
    pub(super) word: String,
    pub(super) params: Vec<Param>,
    /// Whether something was too much.
    pub(super) cut: bool,
}

/// Reads a structured value as leniently as mail needs it: white space, comments, unquoted values with
/// spaces, missing closing quotes and raw 8-bit bytes are all put up with. Linear in the length of `value`.
pub(super) fn parse(value: &[u8]) -> Structured {
    let cut = value.len() > MAX_FIELD;
    let mut reader = Reader { rest: value.get(..MAX_FIELD).unwrap_or(value) };
    let head = reader.until(b";");
    let (word, behind) = split_word(&head);
    let word = word.iter().filter(|b| b.is_ascii_graphic()).take(MAX_NAME * 2);
    let word = word.map(|b| char::from(b.to_ascii_lowercase())).collect();
    let mut parsed = Structured { word, params: Vec::new(), cut };
    for piece in behind.split(u8::is_ascii_whitespace).take(MAX_PARAMS) {
        if let Some(at) = piece.iter().position(|byte| *byte == b'=') {
            parsed.add(piece.get(..at).unwrap_or_default(), piece.get(at + 1..).unwrap_or_default());
        }
    }
    while reader.skip(b';') {
        if parsed.params.len() == MAX_PARAMS {
            parsed.cut = true;
            break;
        }
        let name = reader.until(b"=;");
        if reader.skip(b'=') {
            let value = reader.until(b";");
            parsed.add(&name, &value);
        }
    }
    parsed
}

impl Structured {
    fn add(&mut self, name: &[u8], value: &[u8]) {
        let kept = value.get(..MAX_VALUE).unwrap_or(value);
        self.cut |= kept.len() < value.len();
        match String::from_utf8(name.to_ascii_lowercase()) {
            Ok(name) if !name.is_empty() && name.len() <= MAX_NAME && name.is_ascii() => {
                self.params.push(Param { name, value: Raw::from(kept) });
            }
            _ => self.cut = true,
        }
    }
}

/// Cuts `text / plain charset=x`, which lacks a semicolon, behind its word.
fn split_word(head: &[u8]) -> (&[u8], &[u8]) {
    let slash = head.iter().position(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let space = head.get(slash..).unwrap_or_default().trim_ascii_start();
    let subtype = head.len() - space.len();
    let end = space.iter().position(u8::is_ascii_whitespace).map_or(head.len(), |at| subtype + at);
    head.split_at_checked(end).unwrap_or((head, b""))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.next();
        }
        found
    }

    /// Text up to one of `stops`, which is left: comments dropped, quotes resolved, outer space trimmed.
    fn until(&mut self, stops: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut quoted_end = 0;
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'"' => {
                    self.next();
                    self.quoted(&mut text);
                    quoted_end = text.len();
                    continue;
                }
                b'(' => {
                    self.comment();
                    continue;
                }
                _ if stops.contains(&byte) => break,
                b'\r' | b'\n' => {}
                b' ' | b'\t' if text.is_empty() => {}
                _ => text.push(byte),
            }
            self.next();
        }
        while text.len() > quoted_end && matches!(text.last(), Some(b' ' | b'\t')) {
            text.pop();
        }
        text
    }

    fn quoted(&mut self, text: &mut Vec<u8>) {
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return,
                b'\\' => text.extend(self.next()),
                b'\r' | b'\n' => {}
                _ => text.push(byte),
            }
        }
    }

    fn comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.next() {
            match byte {
                b'(' => depth += 1,
                b')' if depth <= 1 => return,
                b')' => depth -= 1,
                b'\\' => {
                    self.next();
                }
                _ => {}
            }
        }
    }
}

/// What parameter `name` (in lower case) says: its RFC 2231 form if there is one, else its plain form with
/// encoded words decoded. `fallback` is the charset of unlabelled 8-bit text.
pub fn decoded_param(params: &[Param], name: &str, fallback: Option<&str>) -> Option<String> {
    extended(params, name)
        .or_else(|| param(params, name).map(|value| decode_text(value, fallback).into_owned()))
        .map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned())
        .filter(|text| !text.is_empty())
}

impl Part {
    /// The `charset` parameter, in either form.
    pub fn charset(&self) -> Option<Cow<'_, str>> {
        let plain = self.param("charset").map(String::from_utf8_lossy);
        plain.or_else(|| extended(&self.params, "charset").map(Cow::Owned))
    }

    /// The `boundary` parameter, in either form.
    pub(super) fn boundary(&self) -> Option<Cow<'_, [u8]>> {
        let plain = self.param("boundary").map(|value| Cow::Borrowed(value.trim_ascii_end()));
        plain.or_else(|| extended(&self.params, "boundary").map(|text| Cow::Owned(text.into_bytes())))
    }

    /// The file name that the part carries (`filename` of its disposition, else `name` of its type).
    pub fn file_name(&self, fallback: Option<&str>) -> Option<String> {
        self.disposition
            .as_ref()
            .and_then(|disposition| decoded_param(&disposition.params, "filename", fallback))
            .or_else(|| decoded_param(&self.params, "name", fallback))
    }
}

/// Joins `name*`, or `name*0*`, `name*1`, … (RFC 2231 §§3–4.1).
fn extended(params: &[Param], name: &str) -> Option<String> {
    let mut pieces = Vec::new();
    for param in params {
        let Some(suffix) = param.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('*')) else {
            continue;
        };
        let (number, encoded) = match suffix.strip_suffix('*') {
            Some(number) => (number, true),
            None => (suffix, suffix.is_empty()),
        };
        match number {
            "" => return Some(decode_pieces(&[(0, encoded, &param.value)])),
            _ => pieces.push((number.parse::<u16>().ok()?, encoded, &*param.value)),
        }
    }
    pieces.sort_by_key(|(number, ..)| *number);
    pieces.dedup_by_key(|(number, ..)| *number);
    let whole = pieces.iter().enumerate().take_while(|(i, piece)| usize::from(piece.0) == *i).count();
    (whole > 0).then(|| decode_pieces(pieces.get(..whole).unwrap_or_default()))
}

fn decode_pieces(pieces: &[(u16, bool, &[u8])]) -> String {
    let mut label = None;
    let mut bytes = Vec::new();
    for (i, (_, encoded, value)) in pieces.iter().enumerate() {
        let mut value = *value;
        if i == 0
            && *encoded
            && let [charset, _language, text] = &value.splitn(3, |b| *b == b'\'').collect::<Vec<_>>()[..]
        {
            label = std::str::from_utf8(charset).ok();
            value = text;
        }
        if *encoded {
            transfer::escapes(value, b'%', &mut bytes);
        } else {
            bytes.extend_from_slice(value);
        }
    }
    normal(charset::decode(&bytes, label)).into_owned()
}

/// A media type in its valid form, or nothing: `Text / Plain` is one, `text` and `text/` are not.
pub(super) fn media_type(word: &str) -> Option<&str> {
    let (kind, subtype) = word.split_once('/')?;
    let token =
        |text: &str| !text.is_empty() && !text.contains(['/', '"', '<', '>', '@', ',', ':', '\\', '?']);
    (token(kind) && token(subtype)).then_some(word)
}

/// A value that is kept unfolded and undecoded, at most `max` octets of it.
pub(super) fn raw_value(value: &[u8], max: usize, cut: &mut bool) -> Option<Raw> {
    let value = match value.get(..MAX_FIELD) {
        Some(beginning) => {
            *cut = true;
            unfold(beginning)
        }
        None => unfold(value),
    };
    if value.len() > max {
        *cut = true;
    }
    let kept = value.get(..max).unwrap_or(&value);
    (!kept.is_empty()).then(|| Raw::from(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> (String, Vec<(String, String)>) {
        let parsed = parse(value.as_bytes());
        let text = |raw: &Raw| String::from_utf8_lossy(raw).into_owned();
        (parsed.word, parsed.params.iter().map(|p| (p.name.clone(), text(&p.value))).collect())
    }

    #[test]
    fn reads_what_senders_write() {
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            ("Text/Plain; Charset=\"utf-8\"", "text/plain", &[("charset", "utf-8")]),
            (
                " text / plain (a (nested) comment\\)) ;charset=us-ascii (x)",
                "text/plain",
                &[("charset", "us-ascii")],
            ),
            ("a/b; name=my file.pdf ; x=1", "a/b", &[("name", "my file.pdf"), ("x", "1")]),
            ("a/b; name=\"a;b\\\"c\" junk; ; =; x", "a/b", &[("name", "a;b\"c junk")]),
            ("a/b; name=\"no end; x=1", "a/b", &[("name", "no end; x=1")]),
            ("text/plain charset=x format=flowed", "text/plain", &[("charset", "x"), ("format", "flowed")]),
            ("text/plain junk; x=1", "text/plain", &[("x", "1")]),
            ("a/b;\r\n\tname=\"two\r\n words\"", "a/b", &[("name", "two words")]),
            ("a/b; name=(only a comment\\", "a/b", &[("name", "")]),
            ("", "", &[]),
        ];
        for (value, word, params) in cases {
            let params = params.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(read(value), (word.to_string(), params), "{value:?}");
        }
    }

    #[test]
    fn decodes_names() {
        let cases = [
            ("x; filename*=utf-8'ko'%ED%95%9C%EA%B8%80.txt; filename=plain", "한글.txt"),
            ("x; filename*0*=euc-kr''%C7%D1; filename*1=\"-x\"; filename*2*=%B1%DB", "한-x글"),
            ("x; filename*1=b; filename*0=a; filename*3=d", "ab"),
            ("x; filename=\"=?ks_c_5601-1987?B?x9GxuQ==?=.hwp\"", "한국.hwp"),
            ("x; filename*=utf-8''100%", "100%"),
            ("x; filename*=no-quotes", "no-quotes"),
            ("x; filename=\" a\u{1}b \"", "ab"),
        ];
        for (value, name) in cases {
            let params = parse(value.as_bytes()).params;
            assert_eq!(decoded_param(&params, "filename", None).as_deref(), Some(name), "{value:?}");
        }
        let raw = parse(b"x; filename=\"\xc7\xd1\xb1\xdb\"").params;
        assert_eq!(decoded_param(&raw, "filename", Some("euc-kr")).as_deref(), Some("한글"));
    }

    #[test]
    fn caps_floods() {
        let flood: String = (0..100_000).map(|i| format!("; filename*{i}*=a")).collect();
        let parsed = parse(format!("a/b{flood}").as_bytes());
        assert!(parsed.cut && parsed.params.len() == MAX_PARAMS);
        assert!(parse(format!("a/b; n={}", "x".repeat(MAX_VALUE + 1)).as_bytes()).cut);
    }
}
