//! Reads transcripts.
//!
//! ```text
//! # comment
//! C: a NOOP            the first client says; C2: the second one; C*9: the same nine times
//! C| STAT\n            … without adding CRLF
//! C+: a APPEND INBOX   … with a literal of the lines that follow
//! | Subject: x
//! M: Subject: x\r\n    a message arrives
//! S: a OK ..           the server answers; `..` is anything; S?: it may say that, or not; S2, S*9: as above
//! ! close 1            an order: what happens besides
//! ```
//!
//! In what clients say and in messages, `\r`, `\n` and `\xNN` are for what a text file cannot hold.

use std::path::{Path, PathBuf};

/// A line of a transcript; clients count from 0.
pub enum Line {
    /// A client says this.
    Says(usize, Vec<u8>),
    /// A client hears a line like this.
    Hears(usize, Heard),
    /// A message arrives.
    Arrives(Vec<u8>),
    /// Something else happens.
    Order(String),
}

/// A line that a client hears.
#[derive(Clone)]
pub struct Heard {
    /// The line, in which `..` stands for anything.
    pub text: String,
    /// Whether it may also be missing.
    pub optional: bool,
}

/// The transcripts in `tests/transcripts` of a crate, or those of them that the variable TRANSCRIPT picks by name.
pub fn transcripts(manifest: &str) -> Vec<PathBuf> {
    let folder = Path::new(manifest).join("tests/transcripts");
    let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let only = std::env::var("TRANSCRIPT").unwrap_or_default();
    paths.retain(|path| path.to_string_lossy().contains(&only));
    assert!(!paths.is_empty(), "no transcript in {} has {only:?} in its name", folder.display());
    paths
}

/// The lines of a transcript.
pub fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut literal: Option<Literal> = None;
    for line in text.lines() {
        if let Some(part) = line.strip_prefix("| ").or_else(|| (line == "|").then_some("")) {
            literal.as_mut().expect("a literal belongs to a line with C+:").lines.push(part);
            continue;
        }
        lines.extend(literal.take().map(Literal::says));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(order) = line.strip_prefix("! ") {
            lines.push(Line::Order(order.to_owned()));
            continue;
        }
        let at = line.find([':', '|']).unwrap_or_else(|| panic!("what is {line:?}?"));
        let (who, what) = (&line[..at], &line[at + 1..]);
        let what = what.strip_prefix(' ').unwrap_or(what);
        let (who, times) = who.split_once('*').map_or((who, 1), |(who, n)| (who, n.parse().unwrap()));
        let client = usize::from(who.contains('2'));
        let ending: &[u8] = if line.as_bytes()[at] == b'|' { b"" } else { b"\r\n" };
        let hears = |optional| Line::Hears(client, Heard { text: what.to_owned(), optional });
        match who.replace('2', "").as_str() {
            "C" => lines.push(Line::Says(client, [&unescape(what)[..], ending].concat().repeat(times))),
            "C+" => literal = Some(Literal { client, command: what, lines: Vec::new() }),
            "M" => lines.push(Line::Arrives(unescape(what))),
            "S" => lines.extend((0..times).map(|_| hears(false))),
            "S?" => lines.extend((0..times).map(|_| hears(true))),
            _ => panic!("what is {line:?}?"),
        }
    }
    lines.extend(literal.take().map(Literal::says));
    lines
}

/// A command whose last argument is a literal.
struct Literal<'t> {
    client: usize,
    command: &'t str,
    lines: Vec<&'t str>,
}

impl Literal<'_> {
    fn says(self) -> Line {
        let body: String = self.lines.iter().map(|line| format!("{line}\r\n")).collect();
        let said = format!("{} {{{}+}}\r\n{body}\r\n", self.command, body.len());
        Line::Says(self.client, said.into_bytes())
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        octets.extend_from_slice(before.as_bytes());
        let (octet, length) = match after.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'x', ..] => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
            _ => (b'\\', 0),
        };
        octets.push(octet);
        rest = &after[length..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

/// Whether a text is as a pattern says, in which `..` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split("..");
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
