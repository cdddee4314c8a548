//! A message's structure, line by line as it streams past (RFC 2045, RFC 2046), without holding it.
//!
//! What is looked for is only what a conversion to seven bits needs: where each header is, where each part's content
//! begins and ends, and what stands under a signature. Structure that exceeds the bounds is content of the part that it
//! is in.

/// Entities in one another, beyond which nothing is looked for.
const DEPTH: usize = 100;
/// The longest header that is read, in octets; a longer one says nothing.
const HEADER: usize = 256 << 10;
/// The longest boundary (RFC 2046 §5.1.1), and some more for those who do not count.
const BOUNDARY: usize = 200;
/// A line longer than this comes in pieces.
const LINE: usize = 64 << 10;

/// What a header says that matters for conversion.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Entity {
    /// `text`, `multipart`, …; empty where nothing is said, which means `text`.
    pub(super) kind: String,
    /// `plain`, `signed`, …
    pub(super) subkind: String,
    pub(super) boundary: Option<Vec<u8>>,
    /// The transfer encoding, in lower case; empty for none.
    pub(super) encoding: String,
    /// It stands in something that must not be changed.
    pub(super) sealed: bool,
}

/// Is told what passes.
pub(super) trait Listener {
    /// A header, with the empty line behind it if there is one.
    fn header(&mut self, header: &[u8], entity: &Entity);
    /// A line of an entity's content, with its end; or a piece of one that is too long.
    fn content(&mut self, line: &[u8]);
    /// A line that belongs to no entity: boundaries, and what stands before the first and after the last.
    fn between(&mut self, line: &[u8]);
}

/// Finds the structure.
pub(super) struct Walker {
    enclosing: Vec<Enclosing>,
    place: Place,
    line: Vec<u8>,
    /// The line has begun in an earlier piece, so no boundary can be in it.
    amid: bool,
    sealed: bool,
}

struct Enclosing {
    boundary: Vec<u8>,
    /// What is inside is sealed.
    sealed: bool,
}

enum Place {
    Header(Vec<u8>),
    Content,
    Between,
}

impl Walker {
    pub(super) fn new() -> Self {
        let place = Place::Header(Vec::new());
        Self { enclosing: Vec::new(), place, line: Vec::new(), amid: false, sealed: false }
    }

    /// Goes through a piece of the message.
    pub(super) fn walk(&mut self, mut piece: &[u8], listener: &mut impl Listener) {
        while !piece.is_empty() {
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            let room = LINE.saturating_sub(self.line.len()).max(1);
            let (taken, rest) = piece.split_at(end.min(room));
            self.line.extend_from_slice(taken);
            piece = rest;
            if self.line.ends_with(b"\n") || self.line.len() >= LINE {
                self.pass(listener);
            }
        }
    }

    /// The message is over.
    pub(super) fn finish(&mut self, listener: &mut impl Listener) {
        if !self.line.is_empty() {
            self.pass(listener);
        }
        if let Place::Header(header) = &mut self.place {
            let header = std::mem::take(header);
            self.end_header(&header, listener);
        }
    }

    fn pass(&mut self, listener: &mut impl Listener) {
        let line = std::mem::take(&mut self.line);
        let whole = line.ends_with(b"\n");
        let begins = !std::mem::replace(&mut self.amid, !whole);
        if begins && let Some((level, closes)) = self.boundary(&line) {
            if let Place::Header(header) = &mut self.place {
                let header = std::mem::take(header);
                self.end_header(&header, listener);
            }
            listener.between(&line);
            self.enclosing.truncate(if closes { level } else { level + 1 });
            self.sealed = self.enclosing.iter().any(|one| one.sealed);
            self.place = if closes { Place::Between } else { Place::Header(Vec::new()) };
        } else {
            match &mut self.place {
                Place::Header(header) => {
                    let empty = begins && matches!(&line[..], b"\n" | b"\r\n");
                    header.extend_from_slice(&line);
                    if empty || header.len() > HEADER {
                        let header = std::mem::take(header);
                        self.end_header(&header, listener);
                    }
                }
                Place::Content => listener.content(&line),
                Place::Between => listener.between(&line),
            }
        }
        self.line = line;
        self.line.clear();
    }

    /// Whether a line is a boundary: of which level, and whether the last one.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        let levels = self.enclosing.iter().enumerate().rev();
        levels.into_iter().find_map(|(level, one)| {
            let rest = text.strip_prefix(&one.boundary[..])?;
            let (closes, rest) = rest.strip_prefix(b"--").map_or((false, rest), |rest| (true, rest));
            rest.iter().all(u8::is_ascii_whitespace).then_some((level, closes))
        })
    }

    fn end_header(&mut self, header: &[u8], listener: &mut impl Listener) {
        let mut entity = if header.len() > HEADER { Entity::default() } else { read(header) };
        entity.sealed = self.sealed;
        listener.header(header, &entity);
        let deep = self.enclosing.len() >= DEPTH;
        self.place = match (entity.kind.as_str(), entity.boundary) {
            ("multipart", Some(boundary)) if !deep => {
                let sealed = matches!(entity.subkind.as_str(), "signed" | "encrypted");
                self.sealed |= sealed;
                self.enclosing.push(Enclosing { boundary, sealed });
                Place::Between
            }
            // A message in a message, unless it is encoded. How deep these go costs nothing.
            ("message", _) if is_message(&entity.subkind) && is_identity(&entity.encoding) => {
                Place::Header(Vec::new())
            }
            _ => Place::Content,
        };
    }
}

pub(super) fn is_message(subkind: &str) -> bool {
    matches!(subkind, "rfc822" | "global")
}

/// Whether a transfer encoding changes nothing (RFC 2045 §6.2).
pub(super) fn is_identity(encoding: &str) -> bool {
    matches!(encoding, "" | "7bit" | "8bit" | "binary")
}

/// A header's fields, each with its continuation lines.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        loop {
            end = memchr::memchr(b'\n', rest.get(end..).unwrap_or_default())
                .map_or(rest.len(), |at| end + at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, after) = rest.split_at(end);
        rest = after;
        Some(field)
    })
}

/// A field's value if this is its name.
pub(super) fn value_of<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let colon = memchr::memchr(b':', field)?;
    let (label, value) = field.split_at(colon);
    label.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(value.get(1..).unwrap_or_default())
}

fn read(header: &[u8]) -> Entity {
    let mut entity = Entity::default();
    for field in fields(header) {
        if let Some(value) = value_of(field, "Content-Type") {
            let mut tokens = Tokens(value);
            entity.kind = tokens.next().unwrap_or_default().to_ascii_lowercase();
            if tokens.next().as_deref() == Some("/") {
                entity.subkind = tokens.next().unwrap_or_default().to_ascii_lowercase();
            }
            while let Some(token) = tokens.next() {
                if token.eq_ignore_ascii_case("boundary") && tokens.next().as_deref() == Some("=") {
                    let boundary = tokens.next().map(|text| text.trim_end().as_bytes().to_vec());
                    entity.boundary = boundary.filter(|text| (1..=BOUNDARY).contains(&text.len()));
                    break;
                }
            }
        } else if let Some(value) = value_of(field, "Content-Transfer-Encoding") {
            entity.encoding = Tokens(value).next().unwrap_or_default().to_ascii_lowercase();
        }
    }
    entity
}

/// The words of a structured field (RFC 2045 §5.1): tokens, quoted strings, and single characters between them.
struct Tokens<'a>(&'a [u8]);

impl Iterator for Tokens<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.skip();
        let (&first, rest) = self.0.split_first()?;
        if first == b'"' {
            return Some(self.quoted());
        }
        let special = |b: &u8| {
            matches!(
                b,
                b'(' | b')'
                    | b'<'
                    | b'>'
                    | b'@'
                    | b','
                    | b';'
                    | b':'
                    | b'\\'
                    | b'"'
                    | b'/'
                    | b'['
                    | b']'
                    | b'?'
                    | b'='
            )
        };
        if special(&first) {
            self.0 = rest;
            return Some(char::from(first).to_string());
        }
        let end = self.0.iter().position(|b| special(b) || b.is_ascii_whitespace()).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(String::from_utf8_lossy(token).into_owned())
    }
}

impl Tokens<'_> {
    /// Passes white space and comments, which may stand in one another.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        let mut bytes = self.0.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    bytes.next();
                }
                b if depth > 0 || b.is_ascii_whitespace() => {}
                _ => {
                    self.0 = self.0.get(at..).unwrap_or_default();
                    return;
                }
            }
        }
        self.0 = &[];
    }

    fn quoted(&mut self) -> String {
        let mut text = Vec::new();
        let mut bytes = self.0.iter().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.0 = self.0.get(at + 1..).unwrap_or_default();
                    return String::from_utf8_lossy(&text).into_owned();
                }
                b'\\' => text.extend(bytes.next().map(|(_, byte)| *byte)),
                b'\r' | b'\n' => {}
                other => text.push(*other),
            }
        }
        self.0 = &[];
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_people_write_them() {
        let table = [
            ("Content-Type: text/plain\r\n", "text/plain", None, ""),
            ("Content-type : MULTIPART/Mixed;\r\n\tboundary=\"a b\"\r\n", "multipart/mixed", Some("a b"), ""),
            ("Content-Type: multipart/signed; x=y; boundary=abc; z=1\n", "multipart/signed", Some("abc"), ""),
            (
                "Content-Type: (a (b) \\( c) text / html (x)\r\nContent-Transfer-Encoding: 8BIT (y)\r\n",
                "text/html",
                None,
                "8bit",
            ),
            ("X: boundary=no\r\nContent-Type: multipart/mixed; boundary=\r\n", "multipart/mixed", None, ""),
            ("Content-Type: multipart/x; boundary=\"a\\\"b", "multipart/x", Some("a\"b"), ""),
            ("Content-Type:\r\n", "/", None, ""),
            ("", "/", None, ""),
        ];
        for (header, kind, boundary, encoding) in table {
            let entity = read(header.as_bytes());
            assert_eq!(format!("{}/{}", entity.kind, entity.subkind), kind, "{header:?}");
            assert_eq!(entity.boundary.as_deref(), boundary.map(str::as_bytes), "{header:?}");
            assert_eq!(entity.encoding, encoding, "{header:?}");
        }
    }

    #[test]
    fn fields_have_their_continuations() {
        let all: Vec<&[u8]> = fields(b"A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n").collect();
        assert_eq!(all, [&b"A: 1\r\n 2\r\n\t3\r\n"[..], b"B: 4\r\n", b"\r\n"]);
    }
}
