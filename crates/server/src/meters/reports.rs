//! Reports that are sent and received.

use std::sync::LazyLock;

use metrics::{Counter, counter};

use super::Cells;

const KINDS: [&str; 3] = ["unknown", "tls", "dmarc"];
const SENT: [&str; 5] = ["sent", "unwanted", "empty", "too_large", "given_up"];
const RECEIVED: [&str; 8] = ["kept", "known", "not_ours", "out_of_time", "full", "unread", "busy", "failed"];

/// Counts a report that needs nothing more.
pub(crate) fn report_sent(kind: &str, outcome: &str) {
    static CELLS: Cells<{ KINDS.len() * SENT.len() }> = Cells::new();
    count(&CELLS, "magpie_reports_sent_total", (kind, outcome), &SENT);
}

/// Counts a report that has come, or what was not taken for one.
pub(crate) fn report_received(kind: &str, outcome: &str) {
    static CELLS: Cells<{ KINDS.len() * RECEIVED.len() }> = Cells::new();
    count(&CELLS, "magpie_reports_received_total", (kind, outcome), &RECEIVED);
}

/// Counts what there was no room for.
pub(crate) fn reports_dropped(observations: u64) {
    static DROPPED: LazyLock<Counter> =
        LazyLock::new(|| counter!("magpie_report_observations_dropped_total"));
    DROPPED.increment(observations);
}

fn count<const N: usize>(
    cells: &Cells<N>,
    name: &'static str,
    (kind, outcome): (&str, &str),
    outcomes: &'static [&'static str],
) {
    let place = |words: &[&str], word| words.iter().position(|other| *other == word).unwrap_or(0);
    let (kind, outcome) = (place(&KINDS, kind), place(outcomes, outcome));
    cells.count(kind * outcomes.len() + outcome, || {
        let word = |words: &[&'static str], place: usize| words.get(place).copied().unwrap_or("other");
        counter!(name, "kind" => word(&KINDS, kind), "outcome" => word(outcomes, outcome))
    });
}
