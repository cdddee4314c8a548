//! The first words of a message, for lists (RFC 8621 §4.1.4 `preview`).

use super::body::Bodies;
use super::html;
use super::transfer::decoded_text;
use super::words::normal;
use crate::record::metadata_parts::{Part, Structure};

/// The longest preview, in characters.
pub const MAX_CHARS: usize = 256;
/// How much of a body is decoded: first a little, then, if that was mostly markup or quotes, more.
const STEPS: [usize; 3] = [4 * 1024, 32 * 1024, 256 * 1024];

/// The beginning of the readable text of `raw` on one line: quoted text, signatures and markup left out.
pub(super) fn preview(raw: &[u8], structure: &Structure, bodies: &Bodies) -> String {
    let is_text =
        |index: &&usize| structure.part(**index).is_some_and(|part| part.media_type.starts_with("text/"));
    let shown = bodies.text.iter().find(is_text).or_else(|| bodies.html.iter().find(is_text));
    let Some(part) = shown.and_then(|index| structure.part(*index)) else { return String::new() };
    let body = body(raw, part);
    let mut text = String::new();
    for max in STEPS {
        let decoded = decoded_text(body, &part.encoding, part.charset().as_deref(), max);
        text = if part.media_type == "text/html" {
            line(html::text(&decoded, MAX_CHARS * 8).chars())
        } else {
            plain(&decoded)
        };
        if body.len() <= max || text.chars().count() >= MAX_CHARS {
            break;
        }
    }
    normal(text.into()).into_owned()
}

/// The body of a part in the source.
pub(super) fn body<'a>(raw: &'a [u8], part: &Part) -> &'a [u8] {
    let offset = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    raw.get(offset(part.body)..offset(part.end)).unwrap_or_default()
}

/// What the writer of a plain text wrote, or all of it if that is nothing.
fn plain(text: &str) -> String {
    let mut own = String::new();
    let mut introduction = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('>') {
            // "On Monday, … wrote:" goes with the quotation that it introduces.
            if let Some(len) = introduction.take() {
                own.truncate(len);
            }
            continue;
        }
        if is_end(line) && !own.is_empty() {
            break;
        }
        if !line.is_empty() {
            introduction = line.ends_with([':', '：']).then_some(own.len());
            own.push_str(line);
            own.push(' ');
        }
        if own.len() > MAX_CHARS * 8 {
            break;
        }
    }
    match line(own.chars()) {
        own if own.is_empty() => line(text.chars().filter(|c| *c != '>')),
        own => own,
    }
}

/// Where a signature or the message that was answered begins.
fn is_end(line: &str) -> bool {
    line == "--" || (line.len() > 10 && line.starts_with("-----") && line.ends_with("-----"))
}

/// One line without control and invisible characters, runs of white space made one space.
fn line(chars: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    let mut space = false;
    let mut count = 0;
    for c in chars {
        if c.is_whitespace() || c.is_control() || is_invisible(c) {
            space |= !is_invisible(c);
            continue;
        }
        if std::mem::take(&mut space) && count > 0 {
            line.push(' ');
            count += 1;
        }
        if count >= MAX_CHARS {
            break;
        }
        line.push(c);
        count += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

/// What newsletters pad their hidden first line with.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_the_writer_wrote() {
        let cases = [
            ("Hello\r\n\r\n  world\t!\r\n", "Hello world !"),
            ("Yes.\n\nOn Monday, Ann wrote:\n> shall we?\n> \nFine.\n-- \nBob\n", "Yes. Fine."),
            ("> only\n> quoted\n", "only quoted"),
            ("Agreed\n-----Original Message-----\nFrom: x\n", "Agreed"),
            ("-----BEGIN PGP SIGNED MESSAGE-----\ntext", "-----BEGIN PGP SIGNED MESSAGE----- text"),
            ("a\u{200b}b\u{0}c \u{feff} d", "ab c d"),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(plain(text), shown, "{text:?}");
        }
        assert_eq!(plain(&"한 ".repeat(1000)).chars().count(), 255);
        assert_eq!(plain(&"x".repeat(10_000)).chars().count(), MAX_CHARS);
    }
}
