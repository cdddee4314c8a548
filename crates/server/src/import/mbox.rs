//! One mbox file, message by message; never more than one message in memory.
//!
//! Four formats share the name, and files do not say which they are in:
//! - **mboxo** quotes body lines that begin with `From ` by a `>`; **mboxrd** quotes those that begin with `>From `,
//!   `>>From `… as well, so that it can be undone;
//! - **mboxcl2** quotes nothing and gives the length of the body in `Content-Length`; **mboxcl** does both.
//!
//! A message whose `Content-Length` leads exactly to the next separator, or to the end of the file, is taken by
//! it, and nothing in it is unquoted: had the writer quoted anything, the length would seldom fit. All others
//! are read line by line and unquoted as mboxrd. A separator is a line `From sender date` behind an empty line,
//! or behind any line if it could not be more like one.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use thiserror::Error;
use types::Timestamp;

use super::date;
use super::flags::fields;

/// How much of a line is looked at once; longer lines come in pieces.
const PIECE: u64 = 64 << 10;
/// The longest separator line.
const SEPARATOR: usize = 1024;

/// How lines that begin with `From ` are told from separators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// By `Content-Length` where it fits, else as mboxrd.
    Auto,
    /// By lines; one `>` is taken from `>From `.
    Mboxo,
    /// By lines; one `>` is taken from `>From `, `>>From `…
    Mboxrd,
    /// By `Content-Length` where it fits, else by lines; nothing is unquoted.
    Mboxcl2,
}

/// Why an mbox cannot be read on.
#[derive(Debug, Error)]
pub(crate) enum MboxError {
    /// The system said no.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line is something else.
    #[error("is no mbox file: it does not begin with a line \"From …\"")]
    NoMbox,
}

/// A message in an mbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Its place in the file, counted from 1.
    pub(crate) number: u64,
    /// The message; `None` if it is longer than the limit.
    pub(crate) raw: Option<Vec<u8>>,
    /// Its size in octets.
    pub(crate) size: u64,
    /// The date in its From_ line.
    pub(crate) date: Option<Timestamp>,
}

/// Reads an mbox.
pub(crate) struct Mbox<R> {
    input: R,
    format: Format,
    limit: usize,
    length: u64,
    number: u64,
    /// The separator of the message that comes next.
    separator: Option<Vec<u8>>,
}

/// A message that is being put together.
struct Growing {
    raw: Vec<u8>,
    size: u64,
    limit: usize,
    /// The last line was empty, and is held back: it may belong to the mbox.
    held: Option<&'static [u8]>,
}

impl<R: BufRead + Seek> Mbox<R> {
    /// Opens an mbox; messages longer than `limit` octets are passed over.
    pub(crate) fn open(mut input: R, format: Format, limit: usize) -> Result<Self, MboxError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
        let mut mbox = Self { input, format, limit, length, number: 0, separator: None };
        loop {
            match mbox.piece()? {
                line if is_blank(&line) => {}
                line if line.is_empty() => return Ok(mbox),
                line if line.starts_with(b"From ") => {
                    mbox.separator = Some(line);
                    return Ok(mbox);
                }
                _ => return Err(MboxError::NoMbox),
            }
        }
    }

    /// How far the file has been read, in bytes.
    pub(crate) fn position(&mut self) -> io::Result<u64> {
        self.input.stream_position()
    }

    /// The next message.
    pub(crate) fn read(&mut self) -> Result<Option<Entry>, MboxError> {
        let Some(separator) = self.separator.take() else { return Ok(None) };
        self.number += 1;
        let mut growing = Growing { raw: Vec::new(), size: 0, limit: self.limit, held: None };
        if self.header(&mut growing)? && !self.by_length(&mut growing)? {
            self.by_lines(&mut growing)?;
        }
        let date = date_of(&separator);
        let raw = (growing.size <= self.limit as u64).then_some(growing.raw);
        Ok(Some(Entry { number: self.number, raw, size: growing.size, date }))
    }

    /// Reads the header and the empty line behind it; false if the message ends there.
    fn header(&mut self, growing: &mut Growing) -> io::Result<bool> {
        let mut line_begins = true;
        loop {
            let line = self.piece()?;
            if line.is_empty() {
                return Ok(false);
            }
            if line_begins && growing.held.is_none() && is_blank(&line) {
                growing.hold(&line);
                let next = self.peek()?;
                // An empty line at once followed by a separator is that of the mbox, as at its end.
                if next.is_empty() || is_separator(&next, true) {
                    self.take_separator()?;
                    return Ok(false);
                }
                growing.release();
                return Ok(true);
            }
            if line_begins && is_separator(&line, false) {
                self.separator = Some(line);
                return Ok(false);
            }
            line_begins = line.ends_with(b"\n");
            growing.push(&line);
        }
    }

    /// Takes the body by its `Content-Length`, if that leads to where the message can end.
    fn by_length(&mut self, growing: &mut Growing) -> io::Result<bool> {
        if matches!(self.format, Format::Mboxo | Format::Mboxrd) || growing.size > self.limit as u64 {
            return Ok(false);
        }
        let Some(length) = content_length(&growing.raw) else { return Ok(false) };
        let start = self.input.stream_position()?;
        let Some(end) = start.checked_add(length).filter(|end| *end <= self.length) else { return Ok(false) };
        if growing.size + length > self.limit as u64 {
            return Ok(false);
        }
        self.input.seek(SeekFrom::Start(end))?;
        let fits = self.ends_here(length)?;
        self.input.seek(SeekFrom::Start(start))?;
        if fits {
            let mut body = Vec::new();
            (&mut self.input).take(length).read_to_end(&mut body)?;
            growing.push(&body);
            self.take_separator()?;
        }
        Ok(fits)
    }

    /// Whether the message can end at the present position, behind a body of `length` octets.
    fn ends_here(&mut self, length: u64) -> io::Result<bool> {
        let line = self.piece()?;
        if line.is_empty() {
            return Ok(true);
        }
        if is_blank(&line) {
            let next = self.piece()?;
            return Ok(next.is_empty() || is_separator(&next, true));
        }
        Ok(length > 0 && is_separator(&line, true))
    }

    /// Passes the empty line that belongs to the mbox, and remembers the separator behind it.
    fn take_separator(&mut self) -> io::Result<()> {
        let mut line = self.piece()?;
        if is_blank(&line) {
            line = self.piece()?;
        }
        self.separator = (!line.is_empty()).then_some(line);
        Ok(())
    }

    fn by_lines(&mut self, growing: &mut Growing) -> io::Result<()> {
        let mut line_begins = true;
        loop {
            let line = self.piece()?;
            if line.is_empty() {
                return Ok(());
            }
            if line_begins {
                if is_separator(&line, growing.held.is_some()) {
                    self.separator = Some(line);
                    return Ok(());
                }
                growing.release();
                if is_blank(&line) {
                    growing.hold(&line);
                    continue;
                }
            }
            growing.push(if line_begins { self.unquoted(&line) } else { &line });
            line_begins = line.ends_with(b"\n");
        }
    }

    fn unquoted<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let marks = line.iter().take_while(|b| **b == b'>').count();
        let quoted = line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "));
        let strips = match self.format {
            Format::Auto | Format::Mboxrd => marks > 0,
            Format::Mboxo => marks == 1,
            Format::Mboxcl2 => false,
        };
        if quoted && strips { line.get(1..).unwrap_or_default() } else { line }
    }

    /// The next line with its line feed, or a piece of a long one; empty at the end of the file.
    fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.input).take(PIECE).read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// The next line, which stays where it is.
    fn peek(&mut self) -> io::Result<Vec<u8>> {
        let buffered = self.input.fill_buf()?;
        if let Some(end) = memchr::memchr(b'\n', buffered) {
            return Ok(buffered.get(..=end).unwrap_or_default().to_vec());
        }
        let position = self.input.stream_position()?;
        let line = self.piece()?;
        self.input.seek(SeekFrom::Start(position))?;
        Ok(line)
    }
}

impl Growing {
    fn push(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if self.size <= self.limit as u64 {
            self.raw.extend_from_slice(bytes);
        } else {
            self.raw = Vec::new();
        }
    }

    fn hold(&mut self, line: &[u8]) {
        self.held = Some(if line.len() == 2 { b"\r\n" } else { b"\n" });
    }

    fn release(&mut self) {
        if let Some(line) = self.held.take() {
            self.push(line);
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line == b"\n" || line == b"\r\n"
}

/// Whether a line separates messages. Behind an empty line it takes a date; elsewhere also a sender that looks like
/// one, for a few writers leave the empty line out.
fn is_separator(line: &[u8], behind_empty_line: bool) -> bool {
    if !line.starts_with(b"From ") || line.len() > SEPARATOR || date_of(line).is_none() {
        return false;
    }
    let sender = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
    behind_empty_line
        || sender.contains(&b'@')
        || sender.eq_ignore_ascii_case(b"MAILER-DAEMON")
        || sender == b"-"
}

fn date_of(separator: &[u8]) -> Option<Timestamp> {
    let words = separator.strip_prefix(b"From ")?;
    let after_sender = words.iter().position(|b| *b == b' ').and_then(|at| words.get(at..));
    date::parse(after_sender?)
}

fn content_length(header: &[u8]) -> Option<u64> {
    let (_, value) = fields(header).find(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
