//! What becomes of mail for other servers.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Histogram, counter, histogram};
use queue::{Answer, Cause, Outcome};
use relay::Try;

use super::Cells;

const OUTCOMES: [&str; 4] = ["relayed", "deferred", "failed", "blocked"];
/// Why: what the other side has answered, what stood in the way of all mail to it, or what we found out ourselves.
const REASONS: [&str; 8] =
    ["accepted", "answer", "name", "connection", "security", "refusal", "local", "other"];
const ACCEPTED: usize = 0;
const ANSWER: usize = 1;
const OTHER: usize = 7;

const CONNECTIONS: [&str; 3] = ["ok", "reused", "failed"];
const WAYS: [&str; 3] = ["here", "elsewhere", "nowhere"];

/// Where a report on a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Into a mailbox here.
    Here,
    /// To another server.
    Elsewhere,
    /// Nowhere: its sender cannot be found any more.
    Nowhere,
}

/// Counts what became of a recipient.
pub(crate) fn relayed(outcome: &Outcome) {
    let reason = |answer: &Answer| if answer.facts.reply.is_some() { ANSWER } else { OTHER };
    match outcome {
        Outcome::Done | Outcome::Passed(..) => count(0, ACCEPTED, 1),
        Outcome::Later(answer) => count(1, reason(answer), 1),
        Outcome::Never(answer) => count(2, reason(answer), 1),
    }
}

/// Counts recipients whose destination could not be reached.
pub(crate) fn blocked(cause: Cause, recipients: usize) {
    let reason = match cause {
        Cause::Name => 2,
        Cause::Connection => 3,
        Cause::Security => 4,
        Cause::Refusal => 5,
        Cause::Local => 6,
    };
    count(3, reason, recipients);
}

/// Notes how long after it came a message was with another server.
pub(crate) fn relayed_after(time: Duration) {
    static TIME: LazyLock<Histogram> = LazyLock::new(|| histogram!("magpie_relay_seconds"));
    TIME.record(time);
}

/// Counts the connections of an attempt.
pub(crate) fn connected(tries: &[Try]) {
    static CELLS: Cells<{ CONNECTIONS.len() }> = Cells::new();
    for one in tries.iter().filter(|one| one.address.is_some()) {
        let place = match (&one.failure, one.reused) {
            (None, false) => 0,
            (None, true) => 1,
            (Some(_), _) => 2,
        };
        CELLS.count(place, || {
            let result = CONNECTIONS.get(place).copied().unwrap_or("other");
            counter!("magpie_relay_connections_total", "result" => result)
        });
    }
}

/// Counts a report to a sender.
pub(crate) fn told(way: Told) {
    static CELLS: Cells<{ WAYS.len() }> = Cells::new();
    let place = way as usize;
    CELLS.count(place, || {
        let to = WAYS.get(place).copied().unwrap_or("other");
        counter!("magpie_delivery_reports_total", "to" => to)
    });
}

/// Counts an answer of somebody who is away, or one that was not given.
pub(crate) fn answered(sent: bool) {
    static CELLS: Cells<2> = Cells::new();
    let result = if sent { "sent" } else { "withheld" };
    CELLS.count(usize::from(sent), || counter!("magpie_answers_total", "result" => result));
}

fn count(outcome: usize, reason: usize, times: usize) {
    static CELLS: Cells<{ OUTCOMES.len() * REASONS.len() }> = Cells::new();
    for _ in 0..times {
        CELLS.count(outcome * REASONS.len() + reason, || {
            let outcome = OUTCOMES.get(outcome).copied().unwrap_or("other");
            let reason = REASONS.get(reason).copied().unwrap_or("other");
            counter!("magpie_relayed_recipients_total", "outcome" => outcome, "reason" => reason)
        });
    }
}
