//! `BODY[section]<partial>` (RFC 9051 §6.4.5), read from FETCH and written back in its answer.

use std::fmt;

use bytes::Bytes;

use super::cursor::{Cursor, Syntax};
use super::response::astring;

/// How deep a part number may go; messages nest no deeper.
const PARTS: usize = 128;

/// Which part of a message, and what of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers from the outside in; empty for the message itself.
    pub part: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum SectionText {
    /// All of it: a message with its header, or a part's body.
    #[default]
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS`
    Fields(Vec<Bytes>),
    /// `HEADER.FIELDS.NOT`
    FieldsNot(Vec<Bytes>),
    /// `TEXT`
    Text,
    /// `MIME`
    Mime,
}

/// `<origin.length>`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The first byte, from 0.
    pub origin: u64,
    /// How many bytes at most.
    pub length: u64,
}

impl Section {
    /// `"[" [section-spec] "]"`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Syntax> {
        let (part, dot) = opening(cursor)?;
        let text = match part.is_empty() || dot {
            true => text(cursor, !part.is_empty())?,
            false => None,
        };
        if dot && text.is_none() {
            return Err(cursor.expected("a part number, HEADER, TEXT or MIME"));
        }
        cursor.demand(b']', "a closing bracket")?;
        Ok(Self { part, text: text.unwrap_or_default() })
    }

    /// `section-binary`: `"[" [section-part] "]"`.
    pub fn parse_part(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, Syntax> {
        let (part, dot) = opening(cursor)?;
        if dot {
            return Err(cursor.expected("a part number"));
        }
        cursor.demand(b']', "a closing bracket")?;
        Ok(part)
    }
}

impl Partial {
    /// `["<" number "." nz-number ">"]`.
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Self>, Syntax> {
        if !cursor.take(b'<') {
            return Ok(None);
        }
        let origin = cursor.number64()?;
        cursor.demand(b'.', "a dot")?;
        let length = cursor.number64()?;
        if length == 0 {
            return Err(cursor.expected("a length above zero"));
        }
        cursor.demand(b'>', "a closing angle bracket")?;
        Ok(Some(Self { origin, length }))
    }
}

impl fmt::Display for Section {
    /// With the brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        write_part(f, &self.part)?;
        if !self.part.is_empty() && self.text != SectionText::All {
            f.write_str(".")?;
        }
        match &self.text {
            SectionText::All => {}
            SectionText::Header => f.write_str("HEADER")?,
            SectionText::Text => f.write_str("TEXT")?,
            SectionText::Mime => f.write_str("MIME")?,
            SectionText::Fields(fields) => write_fields(f, "HEADER.FIELDS (", fields)?,
            SectionText::FieldsNot(fields) => write_fields(f, "HEADER.FIELDS.NOT (", fields)?,
        }
        f.write_str("]")
    }
}

/// A part number with dots.
pub(super) fn write_part(f: &mut impl fmt::Write, part: &[u32]) -> fmt::Result {
    let mut dot = "";
    for number in part {
        write!(f, "{dot}{number}")?;
        dot = ".";
    }
    Ok(())
}

fn write_fields(f: &mut fmt::Formatter<'_>, before: &str, fields: &[Bytes]) -> fmt::Result {
    f.write_str(before)?;
    for (i, field) in fields.iter().enumerate() {
        let field = String::from_utf8_lossy(field);
        write!(f, "{}{}", if i == 0 { "" } else { " " }, astring(&field))?;
    }
    f.write_str(")")
}

/// The bracket and the part number; true if a dot follows that no number does.
fn opening(cursor: &mut Cursor<'_>) -> Result<(Vec<u32>, bool), Syntax> {
    cursor.demand(b'[', "an opening bracket")?;
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        part.push(cursor.positive()?);
        if part.len() > PARTS {
            return Err(cursor.expected("at most 128 part numbers"));
        }
        if !cursor.take(b'.') {
            return Ok((part, false));
        }
    }
    let dot = !part.is_empty();
    Ok((part, dot))
}

fn text(cursor: &mut Cursor<'_>, in_part: bool) -> Result<Option<SectionText>, Syntax> {
    if cursor.take_word("HEADER.FIELDS.NOT") {
        return fields(cursor).map(|f| Some(SectionText::FieldsNot(f)));
    }
    if cursor.take_word("HEADER.FIELDS") {
        return fields(cursor).map(|f| Some(SectionText::Fields(f)));
    }
    Ok(if cursor.take_word("HEADER") {
        Some(SectionText::Header)
    } else if cursor.take_word("TEXT") {
        Some(SectionText::Text)
    } else if in_part && cursor.take_word("MIME") {
        Some(SectionText::Mime)
    } else {
        None
    })
}

fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>, Syntax> {
    cursor.space()?;
    cursor.list1(|c| {
        let name = c.astring()?;
        let good = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && *b != b':');
        if good { Ok(name) } else { Err(c.expected("the name of a header field")) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;

    fn parse(text: &'static str) -> Result<Section, Syntax> {
        let frame = Frame::line(text);
        let mut cursor = Cursor::new(&frame);
        let section = Section::parse(&mut cursor)?;
        cursor.end().map(|()| section)
    }

    #[test]
    fn sections_written_and_read_again() {
        let good = [
            "[]",
            "[HEADER]",
            "[TEXT]",
            "[1]",
            "[1.2.3]",
            "[1.MIME]",
            "[4.1.HEADER]",
            "[2.TEXT]",
            "[HEADER.FIELDS (From To)]",
            "[3.HEADER.FIELDS.NOT (X-A \"X(B\")]",
        ];
        for text in good {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_sections() {
        for bad in [
            "[MIME]",
            "[0]",
            "[1.]",
            "[1..2]",
            "[HEADER.FIELDS ()]",
            "[HEADER.FIELDS]",
            "[1",
            "",
            "[X]",
            "[1.HEADER.FIELDS (\"a:\")]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
