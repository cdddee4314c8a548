//! The outbound queue: what waits in it for other servers, why, and how their destinations stand.

mod decision;
mod view;
mod words;

use bytes::Bytes;
use queue::{Cursor, Entry, EntryId, LegState};
use serde::{Deserialize, Serialize};

use self::view::{KnownLines, still};
use super::Part as PartOf;
use super::queue::entry_id;
use crate::admin::Operation;
use crate::node::Node;
use crate::outbound;
use crate::problem::Problem;
use crate::text::date_time;

pub(crate) use self::decision::{Decide, Decided, Decision, Selection};
pub(crate) use self::view::{LineView, Message, Row, State, Still, cause_name};
pub(crate) use self::words::{Explanation, Happening};

/// How much of the list one answer looks at, and how many recipients it names before it ends: a message may have ten
/// thousand.
const PAGE: usize = 100;
const RECIPIENTS: usize = 20_000;
/// How many lines one answer holds.
const LINES: usize = 500;

/// Lists the queue, in no order that means anything. What is in the error queue is found without reading the rest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct List {
    /// Only what this sender has sent; empty for `<>`.
    pub(crate) sender: Option<String>,
    /// Only what is for this destination.
    pub(crate) destination: Option<String>,
    /// Only what is in the error queue.
    pub(crate) failed: bool,
    /// Only what an operator holds, by itself or with its destination.
    pub(crate) held: bool,
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "queue.outbound.list";
    type Answer = PartOf<Row>;

    async fn run(self, node: &Node, _: Bytes) -> Result<PartOf<Row>, Problem> {
        let after = self.after.as_deref().map(entry_id).transpose()?;
        let (entries, mut next) = if self.failed {
            failed(node, after).await?
        } else {
            let page = node.outbound.list(after, PAGE).await?;
            (page.entries, page.next)
        };
        let destination = self.destination.as_deref().map(place);
        let sender = self.sender.as_deref().map(|sender| sender.trim_matches(['<', '>']));
        let mut lines = KnownLines::new();
        let mut items = Vec::new();
        let mut named = 0;
        for entry in entries {
            if sender.is_some_and(|sender| !entry.origin.is_from(sender)) {
                continue;
            }
            learn(node, &entry, &mut lines).await?;
            let wanted = |leg: &&queue::Leg| {
                let held = leg.state == LegState::Held || still(leg, &lines) == Some(Still::Held);
                destination.as_ref().is_none_or(|name| leg.destination == *name)
                    && (!self.failed || leg.state == LegState::Failed)
                    && (!self.held || held)
            };
            let legs: Vec<&queue::Leg> = entry.legs.iter().filter(wanted).collect();
            if !legs.is_empty() {
                let row = Row::of(&entry, &legs, &lines);
                named += row.parts.iter().map(|part| part.recipients.len()).sum::<usize>();
                items.push(row);
            }
            if named > RECIPIENTS {
                next = Some(entry.id);
                break;
            }
        }
        Ok(PartOf { items, next: next.map(|id| id.to_string()) })
    }
}

/// Messages of which something is in the error queue.
async fn failed(node: &Node, after: Option<EntryId>) -> Result<(Vec<Entry>, Option<EntryId>), Problem> {
    let ids = node.outbound.failed().await?;
    let mut rest = ids.into_iter().filter(|id| after.is_none_or(|after| *id > after));
    let (mut entries, mut next) = (Vec::new(), None);
    for id in rest.by_ref().take(PAGE) {
        // It may have been retried since.
        entries.extend(node.outbound.show(id).await?);
        next = Some(id);
    }
    Ok((entries, next.filter(|_| rest.next().is_some())))
}

/// Shows one message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) id: String,
}

impl Operation for Show {
    const NAME: &'static str = "queue.outbound.show";
    type Answer = Message;

    async fn run(self, node: &Node, _: Bytes) -> Result<Message, Problem> {
        let (entry, lines) = look_up(node, &self.id).await?;
        Ok(Message::of(&entry, &lines))
    }
}

/// Says in words why a message is still there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Explain {
    pub(crate) id: String,
}

impl Operation for Explain {
    const NAME: &'static str = "queue.outbound.explain";
    type Answer = Explanation;

    async fn run(self, node: &Node, _: Bytes) -> Result<Explanation, Problem> {
        let (entry, lines) = look_up(node, &self.id).await?;
        Ok(words::explain(&words::Scene {
            entry: &entry,
            lines: &lines,
            keep_failed: node.outbound.options().keep_failed,
            now: node.clock.now(),
        }))
    }
}

/// Lists the destinations that have a line, by their names.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lines {
    pub(crate) after: Option<String>,
}

impl Operation for Lines {
    const NAME: &'static str = "queue.outbound.lines";
    type Answer = PartOf<LineView>;

    async fn run(self, node: &Node, _: Bytes) -> Result<PartOf<LineView>, Problem> {
        let page = node.outbound.lines(self.after.as_deref(), LINES).await?;
        Ok(PartOf { items: page.lines.into_iter().map(LineView::of).collect(), next: page.next })
    }
}

/// Counts what waits for each destination, in its line and outside, by reading through the queue: 500 parts of messages an
/// answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Survey {
    pub(crate) after: Option<String>,
}

/// How many parts of messages for a destination are in a state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) destination: String,
    /// What stands in line counts as waiting.
    pub(crate) state: State,
    pub(crate) parts: u64,
    /// Since when the oldest has waited.
    pub(crate) oldest: String,
}

impl Operation for Survey {
    const NAME: &'static str = "queue.outbound.survey";
    type Answer = PartOf<Tally>;

    async fn run(self, node: &Node, _: Bytes) -> Result<PartOf<Tally>, Problem> {
        let after = self.after.as_deref().map(|text| {
            text.parse::<Cursor>().map_err(|error| Problem::invalid(format!("{text:?}: {error}")))
        });
        let now = node.outbound.now().await?;
        let survey = node.outbound.survey(after.transpose()?).await?;
        let items = survey.tallies.into_iter().map(|((destination, state), tally)| Tally {
            destination,
            state: match state {
                LegState::Waiting => State::Waiting,
                LegState::Leased => State::Sending,
                LegState::Held => State::Held,
                LegState::Failed => State::Failed,
            },
            parts: tally.legs,
            oldest: date_time(node.outbound.on_the_wall(tally.oldest, now)),
        });
        Ok(PartOf { items: items.collect(), next: survey.next.map(|cursor| cursor.to_string()) })
    }
}

/// A message and the lines of its destinations.
async fn look_up(node: &Node, id: &str) -> Result<(Entry, KnownLines), Problem> {
    let id = entry_id(id)?;
    let entry = node.outbound.show(id).await?.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no message {id} in the outbound queue: it may have left or been dropped since"
        ))
    })?;
    let mut lines = KnownLines::new();
    learn(node, &entry, &mut lines).await?;
    Ok((entry, lines))
}

/// Looks at the lines of a message's destinations that are not known yet.
async fn learn(node: &Node, entry: &Entry, lines: &mut KnownLines) -> Result<(), Problem> {
    for leg in &entry.legs {
        if !lines.contains_key(&leg.destination)
            && let Some(line) = node.outbound.line_of(&leg.destination).await?
        {
            lines.insert(leg.destination.clone(), line);
        }
    }
    Ok(())
}

/// A destination as the queue names it.
fn place(text: &str) -> String {
    outbound::destination(text)
}

#[cfg(test)]
mod tests;
