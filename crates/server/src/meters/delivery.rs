//! What becomes of messages.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Histogram, counter, histogram};

use super::Cells;

/// What became of a message for one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Became {
    /// It is in the mailbox.
    Delivered(Why),
    /// It waits in the inbound queue.
    Queued(Why),
    /// Its sender was told that it is not taken.
    Refused(Why),
    /// It stays in the queue and is tried again.
    Deferred(Why),
    /// It is in the error queue.
    Failed(Why),
}

/// Why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// It was meant to.
    New,
    /// It was there already: its sender has sent it again.
    Duplicate,
    /// There was too much to do.
    Load,
    /// The checks took too long.
    SlowChecks,
    /// Its sender wants it to be delivered later.
    Held,
    /// It is for other servers.
    Elsewhere,
    /// The mailbox is full.
    OverQuota,
    /// The message is too large.
    TooLarge,
    /// The account is gone, or disabled.
    NoAccount,
    /// Something of ours failed.
    Failure,
}

/// Why a message was refused whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// The policy of its author's domain; of a submitted message, its authors are not whoever sends it.
    Policy,
    /// Its sender has sent too much.
    Limit,
    /// It could not be found out whether it is what it says.
    Unchecked,
    /// It holds what no message may hold.
    Malformed,
    /// There was no room for it, in memory or on the disk.
    NoRoom,
    /// The store failed.
    Failure,
}

const OUTCOMES: [&str; 5] = ["delivered", "queued", "refused", "deferred", "failed"];
const REASONS: [&str; 10] = [
    "new",
    "duplicate",
    "load",
    "slow_checks",
    "held",
    "elsewhere",
    "over_quota",
    "too_large",
    "no_account",
    "failure",
];
/// By which way messages come.
const WAYS: [&str; 4] = ["smtp", "lmtp", "submission", "queue"];
const REFUSALS: [&str; 6] = ["policy", "limit", "unchecked", "malformed", "no_room", "failure"];

/// Counts a message for one account. `via` is one of `smtp`, `lmtp`, `submission` and `queue`.
pub(crate) fn delivered(via: &'static str, became: Became) {
    static CELLS: Cells<{ WAYS.len() * OUTCOMES.len() * REASONS.len() }> = Cells::new();
    let way = WAYS.iter().position(|way| *way == via).unwrap_or(0);
    let (outcome, why) = match became {
        Became::Delivered(why) => (0, why),
        Became::Queued(why) => (1, why),
        Became::Refused(why) => (2, why),
        Became::Deferred(why) => (3, why),
        Became::Failed(why) => (4, why),
    };
    let reason = why as usize;
    CELLS.count((way * OUTCOMES.len() + outcome) * REASONS.len() + reason, || {
        let (outcome, reason) = (word(&OUTCOMES, outcome), word(&REASONS, reason));
        counter!("magpie_deliveries_total", "via" => via, "outcome" => outcome, "reason" => reason)
    });
}

/// Counts a message that was refused whole.
pub(crate) fn refused(via: &'static str, why: Refused) {
    static CELLS: Cells<{ WAYS.len() * REFUSALS.len() }> = Cells::new();
    let way = WAYS.iter().position(|way| *way == via).unwrap_or(0);
    CELLS.count(way * REFUSALS.len() + why as usize, || {
        let reason = word(&REFUSALS, why as usize);
        counter!("magpie_refused_messages_total", "via" => via, "reason" => reason)
    });
}

/// Notes how long it took from a message's last octet to the answer.
pub(crate) fn took(time: Duration) {
    static TIME: LazyLock<Histogram> = LazyLock::new(|| histogram!("magpie_delivery_seconds"));
    TIME.record(time);
}

fn word(words: &[&'static str], place: usize) -> &'static str {
    words.get(place).copied().unwrap_or("other")
}
