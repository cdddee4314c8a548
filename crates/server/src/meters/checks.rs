//! What the checks of incoming mail find.

use std::sync::LazyLock;
use std::time::Duration;

use checks::{Action, Results, SpfResult};
use metrics::{Histogram, counter, histogram};

use super::Cells;

/// The words of all checks (RFC 8601 §2.7).
const RESULTS: [&str; 9] =
    ["other", "none", "neutral", "pass", "fail", "softfail", "policy", "temperror", "permerror"];
const CHECKS: [&str; 5] = ["iprev", "spf", "dkim", "dmarc", "arc"];
const ACTIONS: [&str; 4] = ["accept", "quarantine", "reject", "defer"];

/// Counts what was found out about a message: one result of SPF, and one for each signature and each author.
pub(crate) fn checked(results: &Results) {
    found(0, results.iprev.result.as_str());
    let spf = results.spf_sender.as_ref().or(results.spf_hello.as_ref());
    found(1, spf.map_or(SpfResult::None, |(_, result)| *result).as_str());
    if results.dkim.is_empty() {
        found(2, "none");
    }
    results.dkim.iter().for_each(|check| found(2, check.result.as_str()));
    if results.dmarc.is_empty() {
        found(3, "none");
    }
    results.dmarc.iter().for_each(|check| found(3, check.result.as_str()));
    found(4, results.arc.result.as_str());
}

/// Counts what follows from that, and how long the message had to wait for it.
pub(crate) fn judged(action: &Action, time: Duration) {
    static CELLS: Cells<{ ACTIONS.len() }> = Cells::new();
    static TIME: LazyLock<Histogram> = LazyLock::new(|| histogram!("magpie_check_seconds"));
    TIME.record(time);
    let place = match action {
        Action::Accept => 0,
        Action::Quarantine => 1,
        Action::Reject(_) => 2,
        Action::Defer(_) => 3,
    };
    let make = || {
        let action = ACTIONS.get(place).copied().unwrap_or("other");
        counter!("magpie_check_verdicts_total", "action" => action)
    };
    CELLS.count(place, make);
}

fn found(check: usize, result: &str) {
    static CELLS: Cells<{ CHECKS.len() * RESULTS.len() }> = Cells::new();
    let place = RESULTS.iter().position(|word| *word == result).unwrap_or(0);
    CELLS.count(check * RESULTS.len() + place, || {
        let check = CHECKS.get(check).copied().unwrap_or("other");
        let result = RESULTS.get(place).copied().unwrap_or("other");
        counter!("magpie_checks_total", "check" => check, "result" => result)
    });
}
