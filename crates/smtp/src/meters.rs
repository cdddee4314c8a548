//! How many commands there are, and how they are answered.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use crate::command::Verb;
use crate::config::Protocol;
use crate::reply::Reply;

const RESULTS: [&str; 3] = ["ok", "deferred", "refused"];

/// A command got a reply. Over LMTP, the end of a message gets one for each recipient.
pub(crate) fn count(protocol: Protocol, verb: Option<Verb>, reply: &Reply) {
    static COUNTERS: [[[OnceLock<Counter>; RESULTS.len()]; Verb::COUNT]; 3] =
        [const { [const { [const { OnceLock::new() }; RESULTS.len()] }; Verb::COUNT] }; 3];
    let (protocol, name) = match protocol {
        Protocol::Smtp => (0, "smtp"),
        Protocol::Lmtp => (1, "lmtp"),
        Protocol::Submission => (2, "submission"),
    };
    let result = if reply.is_permanent() { 2 } else { usize::from(reply.is_refusal()) };
    let verbs = COUNTERS.get(protocol);
    let cell = verbs.and_then(|verbs| verbs.get(Verb::place(verb))).and_then(|results| results.get(result));
    let (Some(cell), Some(result)) = (cell, RESULTS.get(result)) else { return };
    let make = || {
        let command = verb.map_or("unknown", Verb::word);
        counter!("magpie_commands_total", "protocol" => name, "command" => command, "result" => *result)
    };
    cell.get_or_init(make).increment(1);
}
