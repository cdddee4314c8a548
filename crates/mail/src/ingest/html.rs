//! HTML as text: what a reader would see, roughly. For previews and for the search index, never for display.

use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memchr3, memmem};

/// Elements whose content is not read.
const HIDDEN: [&[u8]; 6] = [b"style", b"script", b"head", b"title", b"template", b"noscript"];
/// Elements that begin a new line.
const BLOCKS: [&[u8]; 20] = [
    b"br",
    b"p",
    b"div",
    b"tr",
    b"li",
    b"ul",
    b"ol",
    b"table",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"hr",
    b"blockquote",
    b"section",
    b"article",
    b"header",
    b"footer",
];
/// The longest character reference, from `&` to `;`.
const MAX_REFERENCE: usize = 33;

/// The text of `html`, at most about `max` bytes of it: tags, comments, styles and scripts gone, character
/// references resolved, block elements on lines of their own. Linear.
pub fn text(html: &str, max: usize) -> String {
    read(html, max, |_, _| {})
}

/// The same for a search, with what a reader sees or hears of attributes: `alt` and `title` (RFC 8621 §4.4.1).
pub fn searched(html: &str, max: usize) -> String {
    read(html, max, spoken)
}

fn read(html: &str, max: usize, of_tag: fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(html.len().min(max));
    let mut rest = html;
    while let Some(at) = memchr3(b'<', b'&', b'>', rest.as_bytes()) {
        if out.len() >= max {
            return out;
        }
        let (plain, markup) = rest.split_at(at);
        out.push_str(plain);
        rest = match markup.as_bytes() {
            [b'<', b'!', b'-', b'-', ..] => after(markup, b"-->"),
            [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!' | b'?', ..] => tag(markup, of_tag, &mut out),
            [b'&', ..] => reference(markup, &mut out),
            _ => {
                let (c, rest) = markup.split_at(1);
                out.push_str(c);
                rest
            }
        };
    }
    out.push_str(rest);
    out
}

fn after<'a>(text: &'a str, mark: &[u8]) -> &'a str {
    memmem::find(text.as_bytes(), mark).and_then(|at| text.get(at + mark.len()..)).unwrap_or_default()
}

/// Appends the values of the attributes that are for readers.
fn spoken(tag: &str, out: &mut String) {
    let mut rest = tag;
    while let Some(at) = memchr(b'=', rest.as_bytes()) {
        let (before, value) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
        let name =
            before.trim_end().rsplit(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        let value = value.trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = value.get(1..).unwrap_or_default();
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            _ => value.split_at(value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len())),
        };
        if name.eq_ignore_ascii_case("alt") || name.eq_ignore_ascii_case("title") {
            out.push(' ');
            let mut text = value;
            while let Some(at) = memchr(b'&', text.as_bytes()) {
                let (plain, markup) = text.split_at(at);
                out.push_str(plain);
                text = reference(markup, out);
            }
            out.push_str(text);
            out.push(' ');
        }
        rest = after;
    }
}

/// Passes a tag, and after an opening one of a hidden element all of that.
fn tag<'a>(markup: &'a str, of_tag: fn(&str, &mut String), out: &mut String) -> &'a str {
    let Some(end) = tag_end(markup.as_bytes()) else { return "" };
    let (tag, rest) = markup.split_at(end);
    let inner = tag.trim_start_matches('<');
    let closing = inner.starts_with('/');
    let name = inner.trim_start_matches('/').as_bytes();
    let name_len = name.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(name.len());
    let name = name.get(..name_len).unwrap_or_default();
    if BLOCKS.iter().any(|block| block.eq_ignore_ascii_case(name)) {
        out.push('\n');
    } else if name.eq_ignore_ascii_case(b"td") || name.eq_ignore_ascii_case(b"th") {
        out.push(' ');
    }
    if !closing {
        of_tag(tag, out);
    }
    let hidden =
        !closing && !tag.ends_with("/>") && HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name));
    if hidden { after_element(rest, name) } else { rest }
}

/// Where a tag ends; a `>` in a quoted attribute does not end it, unless the quote never closes.
fn tag_end(markup: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', markup.get(at..)?)? + 1;
        let quote = *markup.get(at - 1)?;
        if quote == b'>' {
            return Some(at);
        }
        if markup.get(at - 2) == Some(&b'=') {
            match memchr(quote, markup.get(at..)?) {
                Some(len) => at += len + 1,
                None => return memchr(b'>', markup.get(at..)?).map(|len| at + len + 1),
            }
        }
    }
}

/// What follows `</name`, or nothing: a hidden element that is not closed hides the rest, as in a browser.
/// An unclosed `<head>` ends with the body's tag.
fn after_element<'a>(text: &'a str, name: &[u8]) -> &'a str {
    let mut rest = text;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        let from = rest.get(at..).unwrap_or_default();
        let bytes = from.as_bytes();
        let closes = bytes.get(1) == Some(&b'/')
            && bytes.get(2..2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
        let body = bytes.get(1..5).is_some_and(|found| found.eq_ignore_ascii_case(b"body"));
        if closes || (body && name.eq_ignore_ascii_case(b"head")) {
            return from;
        }
        rest = from.get(1..).unwrap_or_default();
    }
    ""
}

fn reference<'a>(markup: &'a str, out: &mut String) -> &'a str {
    let window = markup.as_bytes().get(..MAX_REFERENCE).unwrap_or(markup.as_bytes());
    let len = window
        .iter()
        .skip(1)
        .position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'#'))
        .map(|at| at + 1);
    match len {
        Some(len) if len > 1 && window.get(len) == Some(&b';') => {
            let (token, rest) = markup.split_at(len + 1);
            add_html_token(out, token.as_bytes(), false);
            rest
        }
        _ => {
            out.push('&');
            markup.get(1..).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8621 §4.4.1
    #[test]
    fn a_search_finds_what_is_for_readers_in_attributes() {
        for (html, found) in [
            ("<img class=x alt='a &amp; b'>c", " a & b c"),
            ("<a href=\"?title=no\" TITLE = \"yes\">z</a title=no>", " yes z"),
            ("<img alt=bare src=x>", " bare "),
            ("<p class=hidden>x</p><script alt=a>y</script>", "\nx\n a "),
            ("<img alt=\"never closed>z", " never closed> z"),
        ] {
            assert_eq!(searched(html, usize::MAX), found, "{html}");
        }
    }

    #[test]
    fn shows_what_a_reader_sees() {
        let cases = [
            ("<p>Hello <b>world</b></p>", "\nHello world\n"),
            ("<head><title>t</title><style>p{}</style></head><body>x", "x"),
            ("<head>no end<body class=a>x", "x"),
            ("a<!-- <b> -->b<style>x", "ab"),
            ("1 &lt; 2 &amp;&nbsp;&#54620;&#xae00; &bogus; & &;", "1 < 2 &\u{a0}한글 &bogus; & &;"),
            ("a < b > c", "a < b > c"),
            ("<a href=\"x>y\">z</a>", "z"),
            ("<a title=\">x", "x"),
            ("<a title='>x</a>y", "xy"),
            ("<td>a</td><td>b</td>", " a  b "),
            ("한<br/>글", "한\n글"),
            ("<", "<"),
            ("", ""),
        ];
        for (html, shown) in cases {
            assert_eq!(text(html, usize::MAX), shown, "{html:?}");
        }
    }

    #[test]
    fn floods_are_linear() {
        for flood in ["<", "<a ", "<a '", "<a=\"", "&", "&#", "<!--", "<style>", "</", "<a=\"x'>"] {
            text(&flood.repeat(300_000), usize::MAX);
        }
    }
}
