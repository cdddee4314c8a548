//! Unstructured header text: unfolding, encoded words (RFC 2047), and raw 8-bit text without a label.

use std::borrow::Cow;

use memchr::memmem;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::charset;
use super::fields::unfold;
use super::transfer;

/// The longest charset label, with its language tag, that an encoded word may carry.
const MAX_LABEL: usize = 64;

/// The readable text of a header value. `fallback` is the charset of 8-bit text that has no label, as a rule
/// that of the message's first text part; UTF-8 is recognised whatever it says.
///
/// Adjacent encoded words of one charset are joined before they are decoded: many senders cut in the middle
/// of a character. Linear in the length of `value`.
pub fn decode_text<'v>(value: &'v [u8], fallback: Option<&str>) -> Cow<'v, str> {
    let value = unfold(value);
    if memmem::find(&value, b"=?").is_none() {
        return match value {
            Cow::Borrowed(value) => readable(charset::decode_unlabelled(value, fallback)),
            Cow::Owned(value) => {
                Cow::Owned(readable(charset::decode_unlabelled(&value, fallback)).into_owned())
            }
        };
    }
    let mut text = Text { out: String::with_capacity(value.len()), fallback, ..Text::default() };
    let mut rest = &*value;
    let mut end_cache = EndCache::default();
    while let Some(start) = memmem::find(rest, b"=?") {
        let (plain, from) = rest.split_at(start);
        let Some(word) = encoded_word(from, &value, &mut end_cache) else {
            text.plain(plain);
            text.plain(b"=?");
            rest = from.get(2..).unwrap_or_default();
            continue;
        };
        text.plain(plain);
        text.word(word.label, &word.bytes);
        rest = from.get(word.len..).unwrap_or_default();
    }
    text.plain(rest);
    Cow::Owned(text.finish())
}

#[derive(Default)]
struct Text<'a> {
    out: String,
    fallback: Option<&'a str>,
    plain: Vec<u8>,
    /// Charset and bytes of the encoded words that are still being joined.
    words: Option<(&'a str, Vec<u8>)>,
}

impl<'a> Text<'a> {
    fn plain(&mut self, bytes: &[u8]) {
        self.plain.extend_from_slice(bytes);
    }

    fn word(&mut self, label: &'a str, bytes: &[u8]) {
        // White space between two encoded words is not part of the text (RFC 2047 §6.2).
        if self.words.is_some() && self.plain.trim_ascii().is_empty() {
            self.plain.clear();
        } else {
            self.flush_words();
            self.flush_plain();
        }
        match &mut self.words {
            Some((open, joined)) if open.eq_ignore_ascii_case(label) => joined.extend_from_slice(bytes),
            _ => {
                self.flush_words();
                self.words = Some((label, bytes.to_vec()));
            }
        }
    }

    fn flush_words(&mut self) {
        if let Some((label, bytes)) = self.words.take() {
            self.out.push_str(&charset::decode(&bytes, Some(label)));
        }
    }

    fn flush_plain(&mut self) {
        if !self.plain.is_empty() {
            self.out.push_str(&charset::decode_unlabelled(&self.plain, self.fallback));
            self.plain.clear();
        }
    }

    fn finish(mut self) -> String {
        self.flush_words();
        self.flush_plain();
        readable(self.out.into()).into_owned()
    }
}

/// Text in normal form C without control characters: what is decoded must not command terminals.
fn readable(text: Cow<'_, str>) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && c != '\t';
    match text {
        text if !text.contains(commands) => normal(text),
        text => normal(text.chars().filter(|c| !commands(*c)).collect()),
    }
}

/// Text in normal form C, as RFC 8621 §4.1.2.2 asks for: decomposed Hangul becomes syllables.
pub(super) fn normal(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text;
    }
    text.nfc().collect()
}

struct Word<'a> {
    label: &'a str,
    bytes: Vec<u8>,
    /// Octets of the whole word.
    len: usize,
}

/// Where the next `?=` is, so that a flood of beginnings without an end is searched only once. Counted from
/// the end of the value.
#[derive(Default)]
struct EndCache(Option<usize>);

/// The encoded word at the start of `from`, a tail of `value`.
fn encoded_word<'a>(from: &'a [u8], value: &[u8], cache: &mut EndCache) -> Option<Word<'a>> {
    let label = from.get(2..)?;
    let label_len = label.iter().take(MAX_LABEL).position(|byte| *byte == b'?')?;
    let (label, rest) = label.split_at_checked(label_len)?;
    // RFC 2231 §5: `charset*language`.
    let label = std::str::from_utf8(label.split(|byte| *byte == b'*').next()?).ok()?;
    let [b'?', method @ (b'b' | b'B' | b'q' | b'Q'), b'?', data @ ..] = rest else { return None };
    if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let end = next_end(data, value, cache)?;
    let data = data.get(..end)?;
    let bytes = if matches!(method, b'b' | b'B') { base64(data)? } else { q(data) };
    Some(Word { label, bytes, len: 2 + label_len + 3 + end + 2 })
}

fn next_end(data: &[u8], value: &[u8], cache: &mut EndCache) -> Option<usize> {
    let at = value.len() - data.len();
    match cache.0 {
        Some(end) if end >= at => return (end < value.len()).then_some(end - at),
        _ => {}
    }
    let end = memmem::find(data, b"?=").map(|end| end + at);
    cache.0 = Some(end.unwrap_or(value.len()));
    end.map(|end| end - at)
}

/// Base64 as encoded words have it; anything that is clearly none makes the word plain text.
fn base64(data: &[u8]) -> Option<Vec<u8>> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/= \t".contains(byte);
    data.iter().all(fits).then(|| transfer::base64(data, usize::MAX))
}

/// The Q encoding (RFC 2047 §4.2). An underscore never is part of an escape, so it can go first.
fn q(data: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = data.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
    let mut bytes = Vec::with_capacity(spaced.len());
    transfer::escapes(&spaced, b'=', &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_is_sent() {
        let cases: &[(&[u8], &str)] = &[
            (b" plain  text ", "plain  text"),
            (b"=?utf-8?Q?a_b=5Fc?= d", "a b_c d"),
            (b"=?utf-8?B?7ZWc?=\r\n =?utf-8?B?6riA?=", "한글"),
            (b"=?UTF-8?B?7Q==?= =?utf-8?B?lZw=?=", "한"),
            (b"=?utf-8?q?a?= =?iso-8859-1?q?=E4?= b =?utf-8?q?c?=", "aä b c"),
            (b"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
            (b"=?iso-8859-1*de?Q?=FC?=", "ü"),
            (b"Re: [x]=?utf-8?q?y?=", "Re: [x]y"),
            (b"=?utf-8?q?is it?? yes?=", "is it?? yes"),
            (b"=?utf-8?x?abc?= =?utf-8?q?", "=?utf-8?x?abc?= =?utf-8?q?"),
            (b"=?utf-8?b?!!!?=", "=?utf-8?b?!!!?="),
            (b"=?utf-8?q?=ED=95?=", "\u{fffd}"),
            (b"=?utf-8?q??= =?utf-8?b??=", ""),
            (b"=?", "=?"),
            ("한글 제목".as_bytes(), "한글 제목"),
            (b"a\x1b[31m\0b\tc =?utf-8?q?d=1Be=0A?=", "a[31mb\tc de"),
        ];
        for (value, text) in cases {
            assert_eq!(decode_text(value, None), *text, "{}", value.escape_ascii());
        }
        assert_eq!(decode_text(b"\xc7\xd1\xb1\xdb =?utf-8?q?x?=", Some("euc-kr")), "한글 x");
    }

    #[test]
    fn floods_are_linear() {
        for flood in ["=?a?q?", "=?a?b?", "=?a?b?!", "=?", "=?a?b?QQ==?= "] {
            let value = flood.repeat(200_000);
            let _ = decode_text(value.as_bytes(), None);
            let _ = decode_text(format!("{value}?=").as_bytes(), None);
        }
    }
}
