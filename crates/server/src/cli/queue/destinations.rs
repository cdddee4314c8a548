//! `magpie queue destinations`

use std::collections::BTreeMap;

use serde::Serialize;

use crate::admin::Desk;
use crate::admin::operation::outbound::{LineView, Lines, State, Survey, Tally};
use crate::problem::Problem;
use crate::text::{Columns, number};

/// A destination for which something waits, or that has a line. This is the shape of `--json`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Destination {
    destination: String,
    /// `working`, or why it has a line: `failing`, `busy` or `held`.
    state: &'static str,
    since: Option<String>,
    cause: Option<String>,
    failures: u32,
    next: Option<String>,
    said: String,
    host: Option<String>,
    reply: Option<u16>,
    status: Option<String>,
    /// Parts of messages in its line.
    in_line: u64,
    /// Those that wait for their own time, outside the line.
    waiting: u64,
    sending: u64,
    /// Held by themselves.
    held: u64,
    failed: u64,
    oldest: Option<String>,
}

/// All destinations, those for which the most waits first.
pub(super) async fn all(desk: &mut Desk) -> Result<Vec<Destination>, Problem> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let part = desk.ask(Lines { after }).await?;
        lines.extend(part.items);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    let mut tallies = Vec::new();
    loop {
        let part = desk.ask(Survey { after }).await?;
        tallies.extend(part.items);
        after = part.next;
        if after.is_none() {
            return Ok(summed(lines, tallies));
        }
    }
}

fn summed(lines: Vec<LineView>, tallies: Vec<Tally>) -> Vec<Destination> {
    let mut all: BTreeMap<String, Destination> = BTreeMap::new();
    for line in lines {
        all.insert(line.destination.clone(), Destination::of(line));
    }
    for tally in tallies {
        let destination = all.entry(tally.destination.clone()).or_insert_with(|| Destination {
            destination: tally.destination,
            state: "working",
            ..Destination::default()
        });
        match tally.state {
            State::Waiting | State::InLine => destination.waiting += tally.parts,
            State::Sending => destination.sending += tally.parts,
            State::Held => destination.held += tally.parts,
            State::Failed => destination.failed += tally.parts,
        }
        if destination.oldest.as_ref().is_none_or(|oldest| *oldest > tally.oldest) {
            destination.oldest = Some(tally.oldest);
        }
    }
    let mut all: Vec<Destination> = all.into_values().collect();
    for destination in &mut all {
        // What stands in line was counted as waiting too, a moment later.
        destination.waiting = destination.waiting.saturating_sub(destination.in_line);
    }
    all.sort_by_key(|destination| std::cmp::Reverse(destination.all()));
    all
}

impl Destination {
    fn of(line: LineView) -> Self {
        Self {
            destination: line.destination,
            state: line.state.name(),
            since: Some(line.since),
            cause: line.cause,
            failures: line.failures,
            next: line.next,
            said: line.said,
            host: line.host,
            reply: line.reply,
            status: line.status,
            in_line: line.waiting,
            oldest: line.oldest,
            ..Self::default()
        }
    }

    const fn all(&self) -> u64 {
        self.in_line + self.waiting + self.sending + self.held + self.failed
    }
}

pub(super) fn table(all: &[Destination]) -> String {
    if all.is_empty() {
        return "Nothing waits for any destination, and none is held.\n".to_owned();
    }
    let mut table = Columns::new(&[
        "destination",
        "state",
        "in line",
        "waiting",
        "sending",
        "held",
        "failed",
        "oldest",
        "since",
        "next",
        "cause",
        "said",
    ]);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for destination in all {
        let count = |many| number(many);
        table.row([
            &destination.destination,
            destination.state,
            &count(destination.in_line),
            &count(destination.waiting),
            &count(destination.sending),
            &count(destination.held),
            &count(destination.failed),
            &or_none(&destination.oldest),
            &or_none(&destination.since),
            &or_none(&destination.next),
            &or_none(&destination.cause),
            if destination.said.is_empty() { "-" } else { &destination.said },
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::operation::outbound::Still;

    fn line(destination: &str, waiting: u64) -> LineView {
        LineView {
            destination: destination.into(),
            state: Still::Failing,
            since: "2026-11-22T14:00:00Z".into(),
            cause: Some("connection".into()),
            failures: 3,
            next: Some("2026-11-22T15:00:00Z".into()),
            said: "connection refused".into(),
            host: None,
            reply: None,
            status: None,
            waiting,
            oldest: Some("2026-11-22T13:00:00Z".into()),
        }
    }

    fn tally(destination: &str, state: State, parts: u64, oldest: &str) -> Tally {
        Tally { destination: destination.into(), state, parts, oldest: oldest.into() }
    }

    #[test]
    fn lines_and_what_waits_outside_make_one_row_each() {
        let tallies = vec![
            tally("dead.example", State::Waiting, 45, "2026-11-22T13:00:00Z"),
            tally("dead.example", State::Sending, 1, "2026-11-22T12:00:00Z"),
            tally("well.example", State::Sending, 2, "2026-11-22T14:59:00Z"),
            // The same in another part of the survey.
            tally("well.example", State::Sending, 100, "2026-11-22T14:58:00Z"),
        ];
        let all = summed(vec![line("dead.example", 41), line("empty.example", 0)], tallies);
        let names: Vec<&str> = all.iter().map(|one| one.destination.as_str()).collect();
        assert_eq!(names, ["well.example", "dead.example", "empty.example"]);
        assert_eq!((all[1].in_line, all[1].waiting, all[1].sending), (41, 4, 1));
        assert_eq!(all[1].oldest.as_deref(), Some("2026-11-22T12:00:00Z"));
        assert_eq!((all[0].state, all[0].sending), ("working", 102));
        assert_eq!(all[0].oldest.as_deref(), Some("2026-11-22T14:58:00Z"));
        let text = table(&all);
        assert!(text.lines().nth(2).unwrap().ends_with("connection  connection refused"), "{text}");
    }
}
