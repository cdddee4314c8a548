//! Answers on standard output, problems on standard error; as text or as JSON.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::problem::Problem;

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether answers are for programs: nothing else goes to standard output.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Writes an answer: `value` for programs, `text` for people.
    pub(super) fn answer<T: Serialize, D: Display>(self, value: &T, text: impl FnOnce() -> D) {
        let written = if self.json {
            serde_json::to_string_pretty(value).map(|json| json + "\n").unwrap_or_default()
        } else {
            text().to_string()
        };
        write(&written);
    }

    /// Writes why a command failed.
    pub(super) fn problem(self, problem: &Problem) {
        let text = if self.json {
            serde_json::json!({ "error": problem }).to_string()
        } else {
            format!("magpie: {problem}")
        };
        let _nobody_reads = writeln!(std::io::stderr(), "{text}");
    }
}

/// Writes to standard output. That nobody reads it is no failure of the command.
pub(super) fn write(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _nobody_reads = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Asks a question that must be answered with yes. Where nobody can be asked, the answer is no.
pub(super) fn confirm(question: &str) -> Result<(), Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::invalid(format!("{question} Give --yes if you are sure")));
    }
    let _nobody_reads = write!(std::io::stderr(), "{question} Type yes to go on: ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match read {
        Ok(_) if answer.trim().eq_ignore_ascii_case("yes") => Ok(()),
        _ => Err(Problem::invalid("nothing was done")),
    }
}
