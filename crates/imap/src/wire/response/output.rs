//! The bytes on their way out: text is collected, bodies go by reference.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::super::cursor::is_astring_char;
use super::super::name::{Dialect, encode_utf7};

/// A body slice shorter than this is copied: a chunk of its own costs more.
const BY_REFERENCE: usize = 4 * 1024;

/// The longest string that is written in quotation marks; longer ones become literals.
const QUOTED: usize = 1024;

/// Responses as chunks of bytes, in order.
#[derive(Debug)]
pub struct Output {
    chunks: Vec<Bytes>,
    open: BytesMut,
    len: usize,
    /// How many bytes are enough to be taken.
    enough: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self::of(usize::MAX)
    }
}

impl Output {
    /// Nothing yet, and no bound.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing yet. From `enough` bytes on it [`Self::is_full`].
    pub fn of(enough: usize) -> Self {
        Self { chunks: Vec::new(), open: BytesMut::new(), len: 0, enough }
    }

    /// Whether what waits should be taken before more is written.
    pub const fn is_full(&self) -> bool {
        self.len >= self.enough
    }

    /// Bytes waiting to be taken.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Everything written since the last call.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.seal();
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Gives back the memory kept for the next response; for a session that waits. Nothing may wait to be taken.
    pub fn release(&mut self) {
        self.open = BytesMut::new();
    }

    /// Text of the protocol, as it is.
    pub fn put(&mut self, text: &[u8]) {
        self.open.put_slice(text);
        self.len += text.len();
    }

    /// Where the next text goes, for [`Self::repeat`]. Means nothing any more once something else than text was written.
    pub fn mark(&self) -> usize {
        self.open.len()
    }

    /// Writes again what was written between two marks.
    pub fn repeat(&mut self, text: Range<usize>) {
        let end = self.open.len();
        if text.start <= text.end && text.end <= end {
            self.open.resize(end + text.len(), 0);
            self.len += text.len();
            self.open.copy_within(text, end);
        }
    }

    /// A number in decimal digits.
    pub fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        self.put(digits.get(first..).unwrap_or_default());
    }

    /// Text of the protocol with values in it.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.write_fmt(text);
    }

    /// A slice of a body. Large ones are not copied.
    pub fn body(&mut self, bytes: Bytes) {
        if bytes.len() < BY_REFERENCE {
            return self.put(&bytes);
        }
        self.seal();
        self.len += bytes.len();
        self.chunks.push(bytes);
    }

    /// CRLF
    pub fn end_line(&mut self) {
        self.put(b"\r\n");
    }

    /// `{n}` CRLF; exactly `size` bytes must follow by [`Self::body`].
    pub fn literal(&mut self, size: u64) {
        self.print(format_args!("{{{size}}}\r\n"));
    }

    /// `~{n}` CRLF: a literal that may hold NUL.
    pub fn literal8(&mut self, size: u64) {
        self.print(format_args!("~{{{size}}}\r\n"));
    }

    /// `string`: quoted if it can be, a literal if it must be. NUL, which neither can hold, is left out.
    pub fn string(&mut self, bytes: &[u8], dialect: Dialect) {
        if bytes.len() <= QUOTED && is_plain(bytes) {
            self.open.reserve(bytes.len() + 2);
            self.put(b"\"");
            self.put(bytes);
            return self.put(b"\"");
        }
        if memchr(0, bytes).is_some() {
            let without: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0).collect();
            return self.string(&without, dialect);
        }
        let quotable = bytes.len() <= QUOTED
            && memchr2(b'\r', b'\n', bytes).is_none()
            && match dialect {
                Dialect::Rev1 => bytes.is_ascii(),
                Dialect::Utf8 | Dialect::Rev2 => std::str::from_utf8(bytes).is_ok(),
            };
        if !quotable {
            self.literal(bytes.len() as u64);
            return self.put(bytes);
        }
        self.open.reserve(bytes.len() + 2);
        self.put(b"\"");
        let mut rest = bytes;
        while let Some(at) = memchr2(b'"', b'\\', rest) {
            let (plain, special) = rest.split_at(at);
            self.put(plain);
            self.put(b"\\");
            self.put(special.get(..1).unwrap_or_default());
            rest = special.get(1..).unwrap_or_default();
        }
        self.put(rest);
        self.put(b"\"");
    }

    /// `nstring`
    pub fn nstring(&mut self, bytes: Option<&[u8]>, dialect: Dialect) {
        match bytes {
            Some(bytes) => self.string(bytes, dialect),
            None => self.put(b"NIL"),
        }
    }

    /// A mailbox's name in the client's dialect.
    pub fn mailbox(&mut self, name: &str, dialect: Dialect) {
        let coded = match dialect {
            Dialect::Rev1 => Cow::Owned(encode_utf7(name)),
            Dialect::Utf8 | Dialect::Rev2 => Cow::Borrowed(name),
        };
        if is_atom(&coded) { self.put(coded.as_bytes()) } else { self.string(coded.as_bytes(), dialect) }
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let open = self.open.split().freeze();
            self.chunks.push(open);
        }
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// Whether a string can stand between quotation marks as it is, in any dialect: printable ASCII without the two
/// characters that would have to be escaped. Most strings are; it is one pass that never branches.
fn is_plain(bytes: &[u8]) -> bool {
    let special = |byte: u8| !(0x20..0x7f).contains(&byte) | (byte == b'"') | (byte == b'\\');
    !bytes.iter().fold(false, |any, byte| any | special(*byte))
}

/// ASCII text as an `astring`: an atom if it can be, quoted otherwise. Control characters become spaces.
pub fn astring(text: &str) -> Cow<'_, str> {
    if is_atom(text) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(if c.is_control() { ' ' } else { c });
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// `NIL` would be read as the absence of a value; brackets confuse clients that scan for them.
fn is_atom(text: &str) -> bool {
    !text.is_empty()
        && !text.eq_ignore_ascii_case("NIL")
        && text.bytes().all(|b| is_astring_char(b) && !matches!(b, b'[' | b']' | b'&' | b'~' | b'{' | b'}'))
}
