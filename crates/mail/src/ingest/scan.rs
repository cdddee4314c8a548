//! The MIME structure of a message in one pass over its bytes.
//!
//! The scanner walks from line to line while it is in a header, and from one line that begins with `--` to the
//! next while it is in a body. Open containers stand on a stack of at most [`Limits::depth`]; nothing
//! recurses, no byte is looked at more than a constant number of times, and no more than [`Limits::parts`]
//! parts are made, whatever comes in. What is over a limit stays unopened: it is still delivered.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::Limits;
use super::boundary::Boundaries;
use super::content::read_content;
use super::envelope::{NESTED_FIELDS, kept_fields};
use super::fields::{field_name, is_empty_line, line_len};
use crate::record::metadata::Raw;
use crate::record::metadata_parts::{Part, PartFlags, Structure};

const TEXT_PLAIN: &str = "text/plain";
const MESSAGE: &str = "message/rfc822";

/// The MIME tree of `raw`; the flag says whether [`Limits::parts`] cut it short.
pub fn structure(raw: &[u8], limits: &Limits) -> (Structure, bool) {
    let mut scanner = Scanner {
        raw,
        limits,
        parts: Vec::new(),
        open: Vec::new(),
        boundaries: Boundaries::default(),
        lines: Lines::default(),
        full: false,
    };
    scanner.run();
    (Structure(scanner.parts), scanner.full)
}

struct Scanner<'a> {
    raw: &'a [u8],
    limits: &'a Limits,
    parts: Vec<Part>,
    open: Vec<Open>,
    boundaries: Boundaries,
    lines: Lines,
    full: bool,
}

/// A part whose end has not been seen.
struct Open {
    part: usize,
    /// Line feeds before its body.
    lines_before: u64,
    /// For a multipart, how many boundaries were open outside it.
    outer: Option<usize>,
}

/// Line feeds up to a position that only moves forward.
#[derive(Default)]
struct Lines {
    at: usize,
    count: u64,
}

/// A boundary line.
struct Hit {
    level: usize,
    closes: bool,
    /// Where the part before it ends: without the line end that belongs to the boundary.
    end: usize,
    start: usize,
    next: usize,
}

struct Header {
    body: usize,
    /// The boundary line that ended the header before an empty line did.
    hit: Option<Hit>,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut next = Some((0, TEXT_PLAIN));
        while let Some((at, default_type)) = next {
            let hit = self.part(at, default_type);
            next = hit.and_then(|hit| self.after(hit));
        }
        self.close(0, self.raw.len());
    }

    /// Reads a part that begins at `at`, and those that begin with its body, up to the next boundary line.
    fn part(&mut self, at: usize, default_type: &'static str) -> Option<Hit> {
        let (mut at, mut default_type) = (at, default_type);
        loop {
            let Header { body, hit } = self.header(at);
            let index = self.parts.len();
            self.add(at, body, default_type);
            let room = hit.is_none() && self.parts.len() < self.limits.parts;
            if !self.enter(index, room) {
                return hit.or_else(|| self.next_hit(body));
            }
            (at, default_type) = (body, TEXT_PLAIN);
        }
    }

    fn add(&mut self, header: usize, body: usize, default_type: &str) {
        let block =
            self.raw.get(header..body.min(header.saturating_add(self.limits.header))).unwrap_or_default();
        let mut part = Part { header: header as u64, body: body as u64, ..Part::default() };
        read_content(block, default_type, &mut part);
        if body - header > self.limits.header {
            part.flags.insert(PartFlags::CUT);
        }
        if let Some(open) = self.open.last()
            && let Some(message) = self.parts.get_mut(open.part)
            && message.media_type.starts_with("message/")
        {
            let (kept, cut) = kept_fields(block, NESTED_FIELDS, self.limits.nested_envelope);
            message.envelope = Some(Raw(kept));
            if cut {
                message.flags.insert(PartFlags::CUT);
            }
        }
        self.parts.push(part);
    }

    /// Puts part `index` on the stack; true if its body is a message to be read as a part of its own, for which
    /// there must be `room`.
    fn enter(&mut self, index: usize, room: bool) -> bool {
        let Some(part) = self.parts.get_mut(index) else { return false };
        let lines_before = self.lines.up_to(self.raw, part.body as usize);
        let mut open = Open { part: index, lines_before, outer: None };
        let deep = self.open.len() >= self.limits.depth;
        let message = matches!(part.media_type.as_str(), MESSAGE | "message/global");
        let mut embedded = false;
        if part.is_multipart() {
            let boundary = part.boundary().unwrap_or_default();
            let fits = !deep && boundary.len() <= Boundaries::MAX_LEN;
            if fits && !boundary.is_empty() {
                open.outer = Some(self.boundaries.len());
                self.boundaries.push(&boundary);
            }
            if !fits {
                part.flags.insert(PartFlags::OPAQUE);
            }
        } else if message {
            embedded = room && !deep && matches!(part.encoding.as_str(), "" | "7bit" | "8bit" | "binary");
            if !embedded {
                part.flags.insert(PartFlags::OPAQUE);
            }
        }
        self.open.push(open);
        embedded
    }

    /// What follows a boundary line: the start of another part, or nothing more.
    fn after(&mut self, hit: Hit) -> Option<(usize, &'static str)> {
        let mut hit = hit;
        loop {
            let container = self.open.iter().rposition(|open| open.outer == Some(hit.level))?;
            self.close(container + 1, hit.end);
            if hit.closes {
                self.boundaries.truncate(hit.level);
                if let Some(open) = self.open.get_mut(container) {
                    open.outer = None;
                }
                hit = self.next_hit(hit.next)?;
                continue;
            }
            if self.parts.len() >= self.limits.parts {
                self.full = true;
                return None;
            }
            let part = self.open.get(container).and_then(|open| self.parts.get(open.part))?;
            let digest = part.media_type == "multipart/digest";
            return Some((hit.next, if digest { MESSAGE } else { TEXT_PLAIN }));
        }
    }

    /// Ends all open parts from stack position `from` on at `end`.
    fn close(&mut self, from: usize, end: usize) {
        let lines = self.lines.up_to(self.raw, end);
        let count = self.parts.len();
        let mut last = end as u64;
        for open in self.open.drain(from.min(self.open.len())..).rev() {
            if let Some(outer) = open.outer {
                self.boundaries.truncate(outer);
            }
            let Some(part) = self.parts.get_mut(open.part) else { continue };
            // An empty part directly before an outer boundary begins behind the line end that the boundary
            // claims; what holds it then ends there as well.
            last = last.max(part.body);
            part.end = last;
            part.descendants = u32::try_from(count - open.part - 1).unwrap_or(u32::MAX);
            if part.descendants == 0 && part.is_multipart() {
                rename_childless(part, self.full);
            }
            if part.media_type.starts_with("text/") || part.media_type.starts_with("message/") {
                part.lines = lines.saturating_sub(open.lines_before);
            }
        }
    }

    /// Walks the header that begins at `at`: to its empty line, to a boundary line, or to the end. A header
    /// without an empty line ends before its first line that is no field, so that text sent without any
    /// header is not lost in one.
    fn header(&self, at: usize) -> Header {
        let mut pos = at;
        let mut stray = None;
        while let Some(rest) = self.raw.get(pos..).filter(|rest| !rest.is_empty()) {
            let len = line_len(rest);
            if is_empty_line(rest) {
                return Header { body: pos + len, hit: None };
            }
            let line = rest.get(..len).unwrap_or_default();
            if let Some(hit) = self.hit(pos, line) {
                return Header { body: stray.unwrap_or(hit.start).min(hit.end.max(at)), hit: Some(hit) };
            }
            if stray.is_none() && !is_header_line(line, pos == at) {
                if self.declares(at..pos, line) {
                    return Header { body: pos, hit: None };
                }
                stray = Some(pos);
            }
            pos += len;
        }
        Header { body: stray.unwrap_or(pos), hit: None }
    }

    /// Whether `line` is a boundary that the header in `block` has just declared: the empty line is missing.
    fn declares(&self, block: Range<usize>, line: &[u8]) -> bool {
        if !line.starts_with(b"--") || block.len() > self.limits.header {
            return false;
        }
        let mut part = Part::default();
        read_content(self.raw.get(block).unwrap_or_default(), TEXT_PLAIN, &mut part);
        let boundary = part.boundary().unwrap_or_default();
        part.is_multipart()
            && !boundary.is_empty()
            && line.get(2..).map(<[u8]>::trim_ascii_end) == Some(&boundary)
    }

    /// The next boundary line at or after `from`, which is the start of a line.
    fn next_hit(&self, from: usize) -> Option<Hit> {
        if self.boundaries.is_empty() {
            return None;
        }
        let mut pos = from;
        if !self.raw.get(pos..)?.starts_with(b"--") {
            pos += memmem::find(self.raw.get(pos..)?, b"\n--")? + 1;
        }
        loop {
            let rest = self.raw.get(pos..)?;
            let line = rest.get(..line_len(rest))?;
            if let Some(hit) = self.hit(pos, line) {
                return Some(hit);
            }
            // The line's own line feed may be the one before the next candidate.
            pos += line.len().saturating_sub(1);
            pos += memmem::find(self.raw.get(pos..)?, b"\n--")? + 1;
        }
    }

    fn hit(&self, pos: usize, line: &[u8]) -> Option<Hit> {
        if self.boundaries.is_empty() || !line.starts_with(b"--") {
            return None;
        }
        let delimiter = self.boundaries.find(line)?;
        let before = self.raw.get(..pos)?;
        let line_end = if before.ends_with(b"\r\n") { 2 } else { usize::from(before.ends_with(b"\n")) };
        Some(Hit {
            level: delimiter.level,
            closes: delimiter.closes,
            end: pos - line_end,
            start: pos,
            next: pos + line.len(),
        })
    }
}

impl Lines {
    /// How many line feeds there are before `at`. Parts are closed and opened in ascending order, but for the
    /// one line end before a boundary, which is counted back.
    fn up_to(&mut self, raw: &[u8], at: usize) -> u64 {
        if at >= self.at {
            self.count += memchr_iter(b'\n', raw.get(self.at..at).unwrap_or_default()).count() as u64;
        } else {
            self.count -= memchr_iter(b'\n', raw.get(at..self.at).unwrap_or_default()).count() as u64;
        }
        self.at = at;
        self.count
    }
}

/// A multipart without parts is none (RFC 2045 §5.2), and no protocol can express one. Where no boundary line
/// came, it is text to be shown; where the parts were not looked for, it is data.
fn rename_childless(part: &mut Part, full: bool) {
    let opaque = full || part.flags.contains(PartFlags::OPAQUE);
    part.media_type = if opaque { "application/octet-stream" } else { TEXT_PLAIN }.into();
}

fn is_header_line(line: &[u8], first: bool) -> bool {
    let envelope_line = first && (line.starts_with(b"From ") || line.starts_with(b">From "));
    matches!(line.first(), Some(b' ' | b'\t')) || envelope_line || field_name(line).is_some()
}
