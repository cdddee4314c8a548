//! A header block as a sequence of fields (RFC 5322 §2.2), and selections from it (RFC 9051 §6.4.5).

use std::borrow::Cow;

use memchr::memchr;

/// One field of a header block, or one line that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// The name as it stands, without space before the colon; empty for a line that is no field.
    pub name: &'a [u8],
    /// What follows the colon, with folding, without the last line end.
    pub value: &'a [u8],
    /// All of it, from the name to the line end.
    pub raw: &'a [u8],
}

/// The fields of a header block in their order. Stops at the empty line that ends the header.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads `block`: a header, with or without the empty line and what follows it.
    pub const fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_empty_line(self.rest) {
            return None;
        }
        let mut end = line_len(self.rest);
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end += line_len(self.rest.get(end..).unwrap_or_default());
        }
        let (raw, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let line = without_line_end(raw);
        let (name, value) = match field_name(line) {
            Some((name, colon)) => (name, line.get(colon + 1..).unwrap_or_default()),
            None => (&b""[..], line),
        };
        Some(Field { name, value, raw })
    }
}

/// The fields of `header` whose name is among `names` (or, with `not`, is not), byte for byte, and the
/// empty line: `HEADER.FIELDS` and `HEADER.FIELDS.NOT` (RFC 9051 §6.4.5.1). Names match in any case.
pub fn header_fields(header: &[u8], names: &[&str], not: bool) -> Vec<u8> {
    let mut wanted: Vec<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase().into_bytes()).collect();
    wanted.sort_unstable();
    let mut found = Vec::new();
    for field in Fields::new(header) {
        let listed = wanted.binary_search_by(|name| compare_lowercase(name, field.name)).is_ok();
        if listed != not {
            found.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                found.extend_from_slice(b"\r\n");
            }
        }
    }
    found.extend_from_slice(b"\r\n");
    found
}

/// A value on one line: folding (RFC 5322 §2.2.3) undone, outer white space gone.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut line = Vec::with_capacity(value.len());
    for piece in lines(value) {
        line.extend_from_slice(without_line_end(piece));
    }
    Cow::Owned(line)
}

/// The name at the start of a line and where its colon is.
pub(super) fn field_name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = line.iter().position(|byte| !(0x21..=0x7e).contains(byte) || *byte == b':')?;
    let name = line.get(..colon).filter(|name| !name.is_empty())?;
    let space = line.get(colon..)?.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (line.get(colon + space) == Some(&b':')).then_some((name, colon + space))
}

/// Octets of the first line, with its line feed.
pub(super) fn line_len(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

/// The lines of `bytes`, each with its line feed.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(line_len(rest)).filter(|(line, _)| !line.is_empty())?;
        rest = after;
        Some(line)
    })
}

/// Whether `bytes` begins with an empty line.
pub(super) fn is_empty_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// `line` without the LF or CRLF at its end.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => line,
    }
}

fn compare_lowercase(lower: &[u8], name: &[u8]) -> std::cmp::Ordering {
    lower.iter().copied().cmp(name.iter().map(u8::to_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] =
        b"From nobody Mon\r\nSubject: a\r\n b\r\nX-Odd : 1\nno field\r\nTo:\r\n\r\nCc: body\r\n";

    #[test]
    fn splits_fields_and_keeps_their_bytes() {
        let fields: Vec<_> = Fields::new(BLOCK).map(|f| (f.name, f.value)).collect();
        assert_eq!(
            fields,
            [
                (&b""[..], &b"From nobody Mon"[..]),
                (b"Subject", b" a\r\n b"),
                (b"X-Odd", b" 1"),
                (b"", b"no field"),
                (b"To", b""),
            ]
        );
        let bytes: Vec<u8> = Fields::new(BLOCK).flat_map(|f| f.raw.to_vec()).collect();
        assert!(BLOCK.starts_with(&bytes));
    }

    #[test]
    fn selects_by_name_and_by_absence() {
        assert_eq!(header_fields(BLOCK, &["SUBJECT", "cc"], false), b"Subject: a\r\n b\r\n\r\n");
        assert_eq!(
            header_fields(BLOCK, &["subject", "to", "x-odd"], true),
            b"From nobody Mon\r\nno field\r\n\r\n"
        );
        assert_eq!(header_fields(b"A: 1", &["a"], false), b"A: 1\r\n\r\n");
    }

    #[test]
    fn unfolds() {
        assert_eq!(&*unfold(b" a\r\n\tb\n c \r\n"), b"a\tb c");
    }
}
