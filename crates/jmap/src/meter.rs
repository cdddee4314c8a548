//! How many method calls there are, and how they are answered.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use crate::method::METHODS;

/// Counters of one method.
struct Row {
    ok: Counter,
    error: Counter,
}

/// Counts a call of a method; what is none is `unknown`.
pub(crate) fn count(method: &str, is_error: bool) {
    static ROWS: OnceLock<(Row, Vec<Row>)> = OnceLock::new();
    let (unknown, known) = ROWS.get_or_init(|| {
        let row = |name: &str| {
            let cell = |result| {
                let command = name.to_ascii_lowercase();
                counter!("magpie_commands_total", "protocol" => "jmap", "command" => command, "result" => result)
            };
            Row { ok: cell("ok"), error: cell("error") }
        };
        (row("unknown"), METHODS.iter().map(|method| row(method.name)).collect())
    });
    let at = METHODS.iter().position(|known| known.name == method);
    let row = at.and_then(|at| known.get(at)).unwrap_or(unknown);
    if is_error { &row.error } else { &row.ok }.increment(1);
}
