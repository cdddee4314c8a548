//! How many commands there are, and how they are answered.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use crate::command::Verb;

/// A command was answered; none is one that nobody knows.
pub(crate) fn count(verb: Option<Verb>, ok: bool) {
    static COUNTERS: [[OnceLock<Counter>; 2]; Verb::NAMES.len() + 1] =
        [const { [const { OnceLock::new() }; 2] }; Verb::NAMES.len() + 1];
    let place = verb.and_then(|verb| Verb::NAMES.iter().position(|(_, other)| *other == verb));
    let cell = COUNTERS.get(place.map_or(0, |place| place + 1)).and_then(|all| all.get(usize::from(ok)));
    let make = || {
        let command = place.and_then(|place| Verb::NAMES.get(place)).map_or("unknown", |(name, _)| *name);
        let (command, result) = (command.to_ascii_lowercase(), if ok { "ok" } else { "refused" });
        counter!("magpie_commands_total", "protocol" => "pop3", "command" => command, "result" => result)
    };
    if let Some(cell) = cell {
        cell.get_or_init(make).increment(1);
    }
}
