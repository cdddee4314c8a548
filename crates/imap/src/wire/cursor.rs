//! The one reader of command grammar: a bounded walk over a [`Frame`] that cannot leave it.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use types::ModSeq;

use super::frame::{Frame, Piece};
use super::limits::Limits;

/// What stands where the grammar wants something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected {expected} at byte {at}")]
pub struct Syntax {
    /// What the grammar wants.
    pub expected: &'static str,
    /// How many bytes of the command's text come before.
    pub at: usize,
}

/// A position in a [`Frame`].
#[derive(Debug)]
pub struct Cursor<'a> {
    text: &'a Bytes,
    at: usize,
    rest: &'a [Piece],
    before: usize,
    depth: u8,
}

static NOTHING: Bytes = Bytes::new();

impl<'a> Cursor<'a> {
    /// At the beginning of `frame`.
    pub fn new(frame: &'a Frame) -> Self {
        match frame.pieces() {
            [Piece::Text(text), rest @ ..] => Self { text, at: 0, rest, before: 0, depth: 0 },
            rest => Self { text: &NOTHING, at: 0, rest, before: 0, depth: 0 },
        }
    }

    /// The error that the grammar wants `expected` here.
    pub fn expected(&self, expected: &'static str) -> Syntax {
        Syntax { expected, at: self.before + self.at }
    }

    /// The next byte of text; `None` before a literal and at the end.
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Whether a literal comes next.
    pub fn at_literal(&self) -> bool {
        self.at >= self.text.len()
            && matches!(self.rest.first(), Some(Piece::Literal(_) | Piece::Literal8(_)))
    }

    /// The end of the command.
    pub fn end(&self) -> Result<(), Syntax> {
        let over = self.at >= self.text.len() && self.rest.is_empty();
        if over { Ok(()) } else { Err(self.expected("the end of the command")) }
    }

    /// Takes `byte` if it comes next.
    pub fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Demands `byte`; `name` says what it is.
    pub fn demand(&mut self, byte: u8, name: &'static str) -> Result<(), Syntax> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(name)) }
    }

    /// Demands one space.
    pub fn space(&mut self) -> Result<(), Syntax> {
        self.demand(b' ', "a space")
    }

    /// Takes `word`, in any case, if the text goes on with it.
    pub fn take_word(&mut self, word: &str) -> bool {
        let here = self.text.get(self.at..self.at + word.len());
        let here = here.is_some_and(|h| h.eq_ignore_ascii_case(word.as_bytes()));
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// The longest run of bytes for which `is` holds; may be empty.
    pub fn run(&mut self, is: impl Fn(u8) -> bool) -> Bytes {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| is(**b)).count();
        let run = self.text.slice(self.at..self.at + length);
        self.at += length;
        run
    }

    /// `atom` (RFC 9051 §9), as text.
    pub fn atom(&mut self, expected: &'static str) -> Result<&'a str, Syntax> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| is_atom_char(**b)).count();
        let atom = rest.get(..length).and_then(|a| std::str::from_utf8(a).ok()).unwrap_or_default();
        if atom.is_empty() {
            return Err(self.expected(expected));
        }
        self.at += length;
        Ok(atom)
    }

    /// `number`, at most 2^32 - 1.
    pub fn number(&mut self) -> Result<u32, Syntax> {
        u32::try_from(self.number64()?).map_err(|_| self.expected("a number below 4294967296"))
    }

    /// `nz-number`.
    pub fn positive(&mut self) -> Result<u32, Syntax> {
        match self.number()? {
            0 => Err(self.expected("a number above zero")),
            n => Ok(n),
        }
    }

    /// `number64`: below 2^63.
    pub fn number64(&mut self) -> Result<u64, Syntax> {
        let digits = self.run(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.expected("a number"));
        }
        let value = digits.iter().try_fold(0_u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')));
        value.filter(|n| *n < 1 << 63).ok_or_else(|| self.expected("a number below 2^63"))
    }

    /// `mod-sequence-valzer` (RFC 7162 §7).
    pub fn modseq(&mut self) -> Result<ModSeq, Syntax> {
        self.number64().map(ModSeq)
    }

    /// `astring`: an atom in which `]` is allowed too, or a string.
    pub fn astring(&mut self) -> Result<Bytes, Syntax> {
        match self.peek() {
            Some(byte) if is_astring_char(byte) => Ok(self.run(is_astring_char)),
            _ => self.string(),
        }
    }

    /// `string`: quoted or literal. A quoted string may hold 8-bit bytes if they are UTF-8, as IMAP4rev2 has it.
    pub fn string(&mut self) -> Result<Bytes, Syntax> {
        if self.peek() == Some(b'"') { self.quoted() } else { self.literal() }
    }

    /// `nstring`: a string, or `NIL` for none.
    pub fn nstring(&mut self) -> Result<Option<Bytes>, Syntax> {
        if self.take_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// `literal` or `literal8`.
    pub fn literal(&mut self) -> Result<Bytes, Syntax> {
        if self.at < self.text.len() {
            return Err(self.expected("a string"));
        }
        let (bytes, rest) = match self.rest {
            [Piece::Literal(bytes) | Piece::Literal8(bytes), rest @ ..] => (bytes, rest),
            _ => return Err(self.expected("a string")),
        };
        self.before += self.text.len();
        self.at = 0;
        (self.text, self.rest) = match rest {
            [Piece::Text(text), rest @ ..] => (text, rest),
            rest => (&NOTHING, rest),
        };
        Ok(bytes.clone())
    }

    /// `quoted`.
    pub fn quoted(&mut self) -> Result<Bytes, Syntax> {
        self.demand(b'"', "a quotation mark")?;
        let plain = self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        if self.take(b'"') {
            return self.utf8(plain);
        }
        let mut text = BytesMut::from(&plain[..]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return self.utf8(text.freeze());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.peek().filter(|b| matches!(b, b'"' | b'\\'));
                    text.put_u8(escaped.ok_or_else(|| self.expected("\\\" or \\\\"))?);
                    self.at += 1;
                }
                None | Some(b'\r' | b'\n' | 0) => return Err(self.expected("a closing quotation mark")),
                Some(_) => {
                    text.extend_from_slice(&self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)))
                }
            }
        }
    }

    fn utf8(&self, bytes: Bytes) -> Result<Bytes, Syntax> {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(self.expected("UTF-8 in a quoted string")),
        }
    }

    /// `"(" [item *(SP item)] ")"`.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Syntax>,
    ) -> Result<Vec<T>, Syntax> {
        self.demand(b'(', "an opening parenthesis")?;
        let mut items = Vec::new();
        if self.take(b')') {
            return Ok(items);
        }
        loop {
            items.push(self.nested(&mut item)?);
            if self.take(b')') {
                return Ok(items);
            }
            self.demand(b' ', "a space or a closing parenthesis")?;
        }
    }

    /// A [`list`](Self::list) of one item or more.
    pub fn list1<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T, Syntax>) -> Result<Vec<T>, Syntax> {
        let items = self.list(item)?;
        if items.is_empty() { Err(self.expected("at least one item in the list")) } else { Ok(items) }
    }

    /// Runs `parse` one level deeper, and refuses to go below [`Limits::NESTING`].
    pub fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Syntax>) -> Result<T, Syntax> {
        if self.depth >= Limits::NESTING {
            return Err(self.expected("at most 50 levels of nesting"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }
}

/// `ATOM-CHAR`.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// `ASTRING-CHAR`.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']'
}

/// A character of a tag.
pub(crate) fn is_tag_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b'+'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_in_their_forms() {
        let frame = Frame::line(r#"atom] "quo\"te\\d" "" "ü""#);
        let mut c = Cursor::new(&frame);
        let mut next = || {
            let s = c.astring();
            let _ = c.take(b' ');
            s
        };
        assert_eq!(next().unwrap(), "atom]");
        assert_eq!(next().unwrap(), "quo\"te\\d");
        assert_eq!(next().unwrap(), "");
        assert_eq!(next().unwrap(), "ü");
        assert!(next().is_err());
    }

    #[test]
    fn bad_strings_are_refused() {
        for bad in [&b"\"open"[..], b"\"a\\b\"", b"\"\xff\"", b"\"a\rb\"", b"(", b"", b"{5}"] {
            let frame = Frame::line(Bytes::copy_from_slice(bad));
            assert!(Cursor::new(&frame).astring().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        let number = |s: &'static str| Cursor::new(&Frame::line(s)).number();
        assert_eq!(number("4294967295"), Ok(u32::MAX));
        assert!(number("4294967296").is_err());
        assert!(number("99999999999999999999999999").is_err());
        assert!(Cursor::new(&Frame::line("0")).positive().is_err());
    }
}
