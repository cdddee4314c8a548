//! How many commands there are, and how they are answered.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use crate::wire::response::Condition;
use crate::wire::{Frame, Piece};

/// The commands that have counters of their own; the others share the first.
const NAMES: [&str; 45] = [
    "unknown",
    "append",
    "authenticate",
    "capability",
    "check",
    "close",
    "compress",
    "copy",
    "create",
    "delete",
    "deleteacl",
    "enable",
    "examine",
    "expunge",
    "fetch",
    "getacl",
    "getmetadata",
    "getquota",
    "getquotaroot",
    "id",
    "idle",
    "list",
    "listrights",
    "login",
    "logout",
    "lsub",
    "move",
    "myrights",
    "namespace",
    "noop",
    "notify",
    "rename",
    "replace",
    "search",
    "select",
    "setacl",
    "setmetadata",
    "setquota",
    "sort",
    "starttls",
    "status",
    "store",
    "subscribe",
    "thread",
    "unsubscribe",
];
const RESULTS: [&str; 3] = ["ok", "no", "bad"];

/// The command that is being answered, by its place among the names.
#[derive(Clone, Copy, Default)]
pub(super) struct Meter(usize);

impl Meter {
    /// The command of this frame.
    pub(super) fn of(frame: &Frame) -> Self {
        let Some(Piece::Text(text)) = frame.pieces().first() else { return Self::default() };
        let mut words = text.split(|byte| *byte == b' ').skip(1);
        let mut word = words.next().unwrap_or_default();
        if word.eq_ignore_ascii_case(b"UID") {
            word = words.next().unwrap_or_default();
        }
        let place = NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
        Self(place.unwrap_or(0))
    }

    /// It was answered.
    pub(super) fn answered(self, condition: Condition) {
        static COUNTERS: [[OnceLock<Counter>; RESULTS.len()]; NAMES.len()] =
            [const { [const { OnceLock::new() }; RESULTS.len()] }; NAMES.len()];
        let result = match condition {
            Condition::No => 1,
            Condition::Bad => 2,
            _ => 0,
        };
        let cell = COUNTERS.get(self.0).and_then(|results| results.get(result));
        let (Some(cell), Some(name), Some(result)) = (cell, NAMES.get(self.0), RESULTS.get(result)) else {
            return;
        };
        let make = || counter!("magpie_commands_total", "protocol" => "imap", "command" => *name, "result" => *result);
        cell.get_or_init(make).increment(1);
    }
}
