//! IMAP section specifiers as ranges of the source (RFC 9051 §6.4.5.1).

use std::ops::Range;

use crate::record::metadata_parts::Structure;

/// What a section names: a part by its numbers, and what of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    /// Part numbers from the outside in, each from 1; none for the message itself.
    pub path: Vec<u32>,
    /// What of the part.
    pub what: What,
}

/// What of a part a section names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum What {
    /// `BODY[]`, `BODY[1.2]`: the whole message, or the body of the part.
    #[default]
    Body,
    /// `HEADER`: the header of the message, or of the message embedded in the part.
    Header,
    /// `TEXT`: what follows that header.
    Text,
    /// `1.MIME`: the part's own header.
    Mime,
}

impl Section {
    /// Reads what stands between the brackets, without HEADER.FIELDS: `""`, `1.2`, `1.HEADER`, `TEXT`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut section = Self::default();
        if text.is_empty() {
            return Some(section);
        }
        let mut words = text.split('.').peekable();
        while let Some(word) = words.next() {
            match word.parse::<u32>() {
                Ok(number) if number > 0 && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    section.path.push(number)
                }
                _ => {
                    section.what = What::parse(word).filter(|_| words.peek().is_none())?;
                }
            }
        }
        (section.what != What::Mime || !section.path.is_empty()).then_some(section)
    }
}

impl What {
    fn parse(word: &str) -> Option<Self> {
        let names = [("HEADER", Self::Header), ("TEXT", Self::Text), ("MIME", Self::Mime)];
        names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, what)| what)
    }
}

impl Structure {
    /// The octets that `section` names, or nothing if there is no such part. Where the structure was cut
    /// ([`crate::record::metadata::Cuts::STRUCTURE`]) a missing part may yet exist in the source.
    pub fn section(&self, section: &Section) -> Option<Range<u64>> {
        let root = self.part(0)?;
        if section.path.is_empty() {
            return Some(match section.what {
                What::Body => root.header..root.end,
                What::Header | What::Mime => root.header..root.body,
                What::Text => root.body..root.end,
            });
        }
        let index = self.index_of(&section.path)?;
        let part = self.part(index)?;
        let embedded = || self.part(self.children(index).next()?).filter(|_| part.is_message());
        match section.what {
            What::Body => Some(part.body..part.end),
            What::Mime => Some(part.header..part.body),
            What::Header => embedded().map(|inner| inner.header..inner.body),
            What::Text => embedded().map(|inner| inner.body..inner.end),
        }
    }

    /// The index of the part with these numbers. In a message that is no multipart, 1 is its only part; the
    /// same holds for an embedded message.
    pub fn index_of(&self, path: &[u32]) -> Option<usize> {
        // A number counts in the body of a message, or in a multipart within one.
        let mut index = 0;
        let mut body = true;
        for &number in path {
            if !body && self.part(index)?.is_message() {
                index = self.children(index).next()?;
                body = true;
            }
            if self.part(index)?.is_multipart() {
                let before = usize::try_from(number).ok()?.checked_sub(1)?;
                index = self.children(index).nth(before)?;
            } else if !body || number != 1 {
                return None;
            }
            body = false;
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::metadata::Raw;
    use crate::record::metadata_parts::Part;

    /// The tree of RFC 9051 §6.4.5.1, with each part's index as its offsets.
    fn example() -> Structure {
        let parts = [
            ("multipart/mixed", 9),
            ("text/plain", 0),      // 1
            ("application/x", 0),   // 2
            ("message/rfc822", 3),  // 3
            ("multipart/mixed", 2), // 3 (its body)
            ("text/plain", 0),      // 3.1
            ("application/x", 0),   // 3.2
            ("multipart/mixed", 2), // 4
            ("image/gif", 0),       // 4.1
            ("message/rfc822", 0),  // 4.2, opaque
        ];
        let part = |(i, (kind, descendants)): (usize, &(&str, u32))| Part {
            media_type: (*kind).into(),
            descendants: *descendants,
            header: i as u64 * 100,
            body: i as u64 * 100 + 10,
            end: i as u64 * 100 + 50,
            envelope: (*descendants == 3).then(Raw::default),
            ..Part::default()
        };
        Structure(parts.iter().enumerate().map(part).collect())
    }

    #[test]
    fn resolves_sections() {
        let tree = example();
        let cases = [
            ("", Some(0..50)),
            ("HEADER", Some(0..10)),
            ("TEXT", Some(10..50)),
            ("1", Some(110..150)),
            ("1.MIME", Some(100..110)),
            ("1.HEADER", None),
            ("3", Some(310..350)),
            ("3.MIME", Some(300..310)),
            ("3.HEADER", Some(400..410)),
            ("3.TEXT", Some(410..450)),
            ("3.1", Some(510..550)),
            ("3.2.MIME", Some(600..610)),
            ("4", Some(710..750)),
            ("4.1", Some(810..850)),
            ("4.2.HEADER", None),
            ("4.2.1", None),
            ("1.1", None),
            ("5", None),
            ("4294967295", None),
        ];
        for (text, range) in cases {
            assert_eq!(tree.section(&Section::parse(text).unwrap()), range, "{text}");
        }
    }

    #[test]
    fn one_is_the_body_of_a_simple_message() {
        let tree =
            Structure(vec![Part { media_type: "text/plain".into(), body: 10, end: 20, ..Part::default() }]);
        let range = |text| tree.section(&Section::parse(text).unwrap());
        assert_eq!(range("1"), Some(10..20));
        assert_eq!(range("1.MIME"), Some(0..10));
        assert_eq!((range("2"), range("1.1"), range("1.1.1")), (None, None, None));
    }

    #[test]
    fn refuses_what_is_no_section() {
        for text in ["0", "MIME", "1.", ".1", "HEADER.1", "1.FOO", "+1", "1.HEADER.FIELDS", "99999999999"] {
            assert_eq!(Section::parse(text), None, "{text}");
        }
    }
}
