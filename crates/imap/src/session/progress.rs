//! How far a long command has come (RFC 9585), told to a client that hears nothing else meanwhile.

use std::time::Duration;

use types::Timestamp;

use crate::wire::command::Tag;
use crate::wire::response::{Code, Reply};

/// How often the client is told (RFC 9585 §3 recommends no more than every ten seconds).
const EVERY: Duration = Duration::from_secs(10);

/// One command's progress.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    told: Timestamp,
    goal: usize,
}

impl Progress {
    /// A command that has `left` messages to look at; none if its answer shows how far it is.
    pub(crate) fn begin(left: Option<usize>, now: Timestamp) -> Self {
        Self { told: now, goal: left.unwrap_or(0) }
    }

    /// What the client is told, if it is time to.
    pub(crate) fn report(&mut self, tag: &Tag, left: Option<usize>, now: Timestamp) -> Option<Reply> {
        let done = self.goal.saturating_sub(left?);
        if self.goal == 0 || now.since(self.told) < EVERY {
            return None;
        }
        self.told = now;
        let tag = String::from_utf8_lossy(tag.as_bytes()).into_owned();
        let text = format!("{done} of {} messages", self.goal);
        Some(Reply::ok(text).code(Code::InProgress(tag, done as u64, self.goal as u64)))
    }
}
