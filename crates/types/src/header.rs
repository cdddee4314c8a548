//! A message's header fields as they stand, and the addresses in them.

use std::ops::Range;

use memchr::memchr;

/// The fields of a header, and where the body begins. Every octet before that belongs to one field.
#[derive(Debug)]
pub struct Header<'a> {
    fields: Vec<Field<'a>>,
    /// Where the body begins, behind the empty line; the length of the message if there is none.
    pub body: usize,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name; empty for a line that has none.
    pub name: &'a [u8],
    /// All of it, with the CRLF at its end.
    pub raw: &'a [u8],
    /// Where it stands in the message.
    pub start: usize,
}

impl<'a> Header<'a> {
    /// Takes a message apart. A line without a colon is a field without a name, and the header goes on behind it:
    /// nobody should be able to hide fields from the checks that a mail program shows.
    pub fn parse(message: &'a [u8]) -> Self {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut at = 0;
        while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with(b"\r\n") {
                return Self { fields, body: at + 2 };
            }
            if rest.starts_with(b"\n") {
                return Self { fields, body: at + 1 };
            }
            let length = field_length(rest);
            let raw = rest.get(..length).unwrap_or_default();
            fields.push(Field { name: name(raw), raw, start: at });
            at += length;
        }
        Self { fields, body: message.len() }
    }

    /// All fields, from the top.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The fields of a name, from the top.
    pub fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields.iter().filter(move |field| field.is(name))
    }
}

impl<'a> Field<'a> {
    /// Whether this is its name; names have no case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands behind the colon, with the CRLF at its end.
    pub fn value(&self) -> &'a [u8] {
        let colon = memchr(b':', self.raw).map_or(0, |at| at + 1);
        self.raw.get(colon..).unwrap_or_default()
    }

    /// Where it stands in the message.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.raw.len()
    }
}

/// The first line and those that continue it.
fn field_length(rest: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let line = rest.get(length..).unwrap_or_default();
        length += memchr(b'\n', line).map_or(line.len(), |at| at + 1);
        if !matches!(rest.get(length), Some(b' ' | b'\t')) {
            return length;
        }
    }
}

/// What stands before the colon, without the white space that old software left there (RFC 5322 §4.5).
fn name(raw: &[u8]) -> &[u8] {
    let name = memchr(b':', raw).and_then(|at| raw.get(..at)).unwrap_or_default();
    let name = name.trim_ascii_end();
    if name.iter().all(u8::is_ascii_graphic) { name } else { b"" }
}

/// The addresses in the value of a field (RFC 5322 §3.4), without names, comments, groups and routes around them.
///
/// What stands in angle brackets is an address, each time; without brackets it is all that is neither comment nor
/// quoted name. Nothing is refused and nothing decoded here: what is no address at all stays what it is.
pub fn addresses(value: &str) -> Vec<String> {
    let (mut found, mut plain, mut angle) = (Vec::new(), String::new(), None::<String>);
    let (mut comments, mut quoted, mut had_angle) = (0usize, false, false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let outside = comments == 0 && !quoted;
        match c {
            '\\' if comments > 0 => {
                chars.next();
            }
            '\\' if quoted => {
                angle.as_mut().unwrap_or(&mut plain).extend([c].into_iter().chain(chars.next()))
            }
            '"' if comments == 0 => {
                quoted = !quoted;
                angle.as_mut().unwrap_or(&mut plain).push(c);
            }
            '(' if !quoted => comments += 1,
            ')' if !quoted => comments = comments.saturating_sub(1),
            '<' if outside => angle = Some(String::new()),
            '>' if outside => {
                found.extend(angle.take());
                had_angle = true;
            }
            ',' | ';' if outside && angle.is_none() => {
                let address = std::mem::take(&mut plain);
                if !std::mem::take(&mut had_angle) {
                    found.push(address);
                }
            }
            // The name of a group ends.
            ':' if outside && angle.is_none() => plain.clear(),
            _ if comments == 0 => angle.as_mut().unwrap_or(&mut plain).push(c),
            _ => {}
        }
    }
    found.extend(angle);
    if !had_angle {
        found.push(plain);
    }
    found
        .iter()
        .map(|address| bare(address))
        .filter(|address| address.contains('@'))
        .map(str::to_owned)
        .collect()
}

/// Without the route that old software wrote before an address (RFC 5322 §4.4).
fn bare(address: &str) -> &str {
    let address = address.trim();
    match address.strip_prefix('@').and_then(|routed| routed.split_once(':')) {
        Some((_, address)) => address.trim(),
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_belongs_to_a_field() {
        let message = b"A: 1\r\nB : 2\r\n\t3\r\nno colon\r\n C\r\nD:4\r\n\r\nbody: x\r\n";
        let header = Header::parse(message);
        let names: Vec<_> = header.fields().iter().map(|f| String::from_utf8_lossy(f.name)).collect();
        assert_eq!(names, ["A", "B", "", "D"]);
        assert_eq!(header.named("b").next().unwrap().value(), b" 2\r\n\t3\r\n");
        assert_eq!(message.get(header.body..).unwrap(), b"body: x\r\n");
        let joined: Vec<u8> = header.fields().iter().flat_map(|f| f.raw.to_vec()).collect();
        assert_eq!(joined.len(), header.body - 2);
        for message in [&b""[..], b"\r\n", b"x", b"A: 1", b"A: 1\r\n", b"\n\n", b" \r\n"] {
            assert!(Header::parse(message).body <= message.len());
        }
    }

    #[test]
    fn addresses_stand_in_many_places() {
        let table: [(&str, &[&str]); 12] = [
            ("a@x.test", &["a@x.test"]),
            ("A <a@X.test>", &["a@X.test"]),
            ("\"ceo@bank.test\" <a@x.test>", &["a@x.test"]),
            ("ceo@bank.test <a@x.test>", &["a@x.test"]),
            ("a@x.test (ceo@bank.test)", &["a@x.test"]),
            ("a@x.test, B <b@y.test>", &["a@x.test", "b@y.test"]),
            ("<a@x.test> <b@y.test>", &["a@x.test", "b@y.test"]),
            ("team: a@x.test, b@y.test;", &["a@x.test", "b@y.test"]),
            ("<@route.test:a@x.test>", &["a@x.test"]),
            ("\"a b\"@x.test", &["\"a b\"@x.test"]),
            ("\"a\\\" <b\"@x.test", &["\"a\\\" <b\"@x.test"]),
            ("nobody", &[]),
        ];
        for (value, found) in table {
            assert_eq!(addresses(value), found, "{value}");
        }
    }
}
