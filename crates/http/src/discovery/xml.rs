//! XML, as far as mail apps need it: elements with attributes and text to write, elements with text to read.
//!
//! What is read resolves nothing and fetches nothing. A document type, and with it every entity of its own, is refused
//! before it means anything.

use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// The most elements within each other. Requests have 3.
const DEPTH: usize = 8;
/// The most elements, comments and pieces of text.
const EVENTS: usize = 500;

/// A document that is being written.
pub(super) struct Writer {
    text: String,
    open: Vec<&'static str>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n".to_owned(), open: Vec::new() }
    }

    /// Begins an element.
    pub(super) fn begin(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.indent();
        self.tag(name, attributes);
        self.text.push('\n');
        self.open.push(name);
    }

    /// Ends the last element that was begun.
    pub(super) fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.push_str(&format!("</{name}>\n"));
        }
    }

    /// An element with nothing but text in it.
    pub(super) fn leaf(&mut self, name: &'static str, text: &str) {
        self.indent();
        self.tag(name, &[]);
        escape(&mut self.text, text);
        self.text.push_str(&format!("</{name}>\n"));
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.text
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            self.text.push_str(&format!(" {name}=\""));
            escape(&mut self.text, value);
            self.text.push('"');
        }
        self.text.push('>');
    }
}

fn escape(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => to.push_str("&amp;"),
            '<' => to.push_str("&lt;"),
            '>' => to.push_str("&gt;"),
            '"' => to.push_str("&quot;"),
            '\'' => to.push_str("&apos;"),
            // XML has no way to say them (§2.2).
            c if c.is_control() => to.push('\u{fffd}'),
            c => to.push(c),
        }
    }
}

/// The texts of all elements that have one, by their local names, in order; nothing for what is no document, or not a
/// simple one.
pub(super) fn leaves(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut leaves) = (Vec::<(String, String)>::new(), Vec::new());
    for _ in 0..EVENTS {
        match reader.read_event().ok()? {
            Event::Start(tag) if open.len() < DEPTH => {
                open.push((AsRef::<str>::as_ref(&tag.local_name()).to_owned(), String::new()));
            }
            Event::End(_) => leaves.push(open.pop()?),
            Event::Text(text) => open.last_mut().into_iter().for_each(|(_, all)| all.push_str(&text)),
            Event::CData(text) => open.last_mut().into_iter().for_each(|(_, all)| all.push_str(&text)),
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => predefined(&reference)?,
                };
                open.last_mut().into_iter().for_each(|(_, all)| all.push(character));
            }
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) => {}
            Event::Eof if open.is_empty() => {
                leaves.iter_mut().for_each(|(_, text)| *text = text.trim().to_owned());
                leaves.retain(|(_, text)| !text.is_empty());
                return Some(leaves);
            }
            Event::Start(_) | Event::DocType(_) | Event::PI(_) | Event::Eof => return None,
        }
    }
    None
}

/// The entities that XML itself has (§4.6).
fn predefined(name: &str) -> Option<char> {
    let all = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
    all.iter().find(|(known, _)| *known == name).map(|(_, character)| *character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let odd = "<a> & \"b\" 'c' 한글";
        let mut writer = Writer::new();
        writer.begin("outer", &[("x", odd)]);
        writer.leaf("inner", odd);
        writer.begin("further", &[]);
        writer.leaf("last", "x");
        let text = writer.finish();
        let pairs = [("inner", odd), ("last", "x")];
        assert_eq!(
            leaves(&text).unwrap(),
            pairs.map(|(name, text)| (name.to_owned(), text.to_owned())),
            "{text}"
        );
        assert!(text.ends_with("</outer>\n"), "{text}");
    }

    #[test]
    fn entities_and_nests_are_refused() {
        for bad in [
            "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"http://127.0.0.1/\"><a>x</a>",
            "<a>&x;</a>",
            "<a>&#xD800;</a>",
            "<a>",
            "<a></b>",
            "</a>",
            "<?php ?><a/>",
            "<a b=></a",
        ] {
            assert_eq!(leaves(bad), None, "{bad}");
        }
        assert_eq!(leaves(&"<a>".repeat(1_000)), None);
        assert_eq!(leaves(&format!("<a>{}</a>", "<b/>".repeat(1_000))), None);
        assert_eq!(leaves("\u{feff}<a>x&#38;</a>").unwrap(), [("a".to_owned(), "x&".to_owned())]);
    }
}
