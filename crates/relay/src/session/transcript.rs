//! What was said, for the operator: short, and without secrets.

use std::fmt;

use crate::reply::Reply;

/// The most lines that are kept; the middle is left out.
const LINES: usize = 40;
/// Lines at the beginning that are always kept.
const FIRST: usize = 12;
/// The longest line, in octets.
const LINE: usize = 160;

/// The lines of a conversation, `C:` for ours and `S:` for the peer's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transcript {
    lines: Vec<String>,
    left_out: usize,
}

impl Transcript {
    pub(crate) fn says(&mut self, command: &str) {
        self.push(format!("C: {command}"));
    }

    pub(crate) fn hears(&mut self, reply: &Reply) {
        self.push(format!("S: {reply}"));
    }

    pub(crate) fn notes(&mut self, text: &str) {
        self.push(format!("-- {text}"));
    }

    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    fn push(&mut self, line: String) {
        let end = (0..=LINE.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        self.lines.push(if end < line.len() {
            format!("{}…", line.get(..end).unwrap_or_default())
        } else {
            line
        });
        if self.lines.len() > LINES {
            self.lines.remove(FIRST);
            self.left_out += 1;
        }
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.lines.iter().enumerate() {
            if number == FIRST && self.left_out > 0 {
                writeln!(f, "   ({} lines are left out)", self.left_out)?;
            }
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}
