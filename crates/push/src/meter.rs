//! What became of messages to push services.

use metrics::counter;

/// What became of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// The push service has it.
    Sent,
    /// It is tried again later.
    Deferred,
    /// The push service knows the subscription no more.
    Gone,
    /// The address is none that may be connected to.
    Forbidden,
}

/// Counts one.
pub(crate) fn count(fate: Fate) {
    let result = match fate {
        Fate::Sent => "sent",
        Fate::Deferred => "deferred",
        Fate::Gone => "gone",
        Fate::Forbidden => "forbidden",
    };
    counter!("magpie_push_messages_total", "result" => result).increment(1);
}
