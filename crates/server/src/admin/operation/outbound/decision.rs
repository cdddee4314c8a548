//! What an operator decides about messages in the outbound queue: some by their ids, all for a destination or from a
//! sender, or what is in the error queue.

use std::collections::BTreeSet;

use bytes::Bytes;
use queue::{Action, Entry, EntryId, LegState, Line, Standstill, Whose};
use serde::{Deserialize, Serialize};

use super::words::names;
use super::{look_up, place};
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::count;

/// Which messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Selection {
    /// These.
    Ids(Vec<String>),
    /// What of them is for a destination, and the destination itself.
    Destination(String),
    /// Those that a sender has sent; empty for `<>`.
    Sender(String),
    /// What of them is in the error queue.
    Failed,
}

/// What is to be done with them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Tried now.
    Retry,
    /// Held back, for this reason.
    Hold { why: String },
    /// Sent whatever stands against it; of a destination: its holding ends.
    Release,
    /// Sent by way of another destination; only what was for `from`, if that is given.
    Reroute { to: String, from: Option<String> },
    /// Removed.
    Drop,
}

/// Does it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decide {
    pub(crate) selection: Selection,
    pub(crate) decision: Decision,
}

/// What came of it. This is the shape of `--json`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// `retry`, `hold`, `release`, `reroute` or `drop`.
    pub(crate) action: String,
    /// Messages of which something was changed.
    pub(crate) messages: u64,
    /// Their parts that were changed: each is up to 50 recipients at one destination.
    pub(crate) parts: u64,
    /// The destination that was held, released or tried as a whole.
    pub(crate) destination: Option<String>,
    /// What stands in its line.
    pub(crate) waiting: Option<u64>,
    /// What else there is to know, in words.
    pub(crate) notes: Vec<String>,
}

impl Operation for Decide {
    const NAME: &'static str = "queue.outbound.decide";
    type Answer = Decided;

    async fn run(self, node: &Node, _: Bytes) -> Result<Decided, Problem> {
        let Self { selection, decision } = self;
        let mut decided = match &selection {
            Selection::Ids(ids) => by_ids(node, ids, &decision).await?,
            Selection::Destination(name) => destination(node, &place(name), &decision).await?,
            Selection::Sender(sender) => {
                let sender = sender.trim_matches(['<', '>']);
                let mut swept = sweep(node, &Whose::Sender(sender.to_owned()), &decision).await?;
                if matches!(decision, Decision::Hold { .. }) {
                    swept.notes.push("What comes from this sender later is not held.".into());
                }
                swept
            }
            Selection::Failed => sweep(node, &Whose::Failed, &decision).await?,
        };
        decision.name().clone_into(&mut decided.action);
        tracing::info!(
            ?selection,
            ?decision,
            messages = decided.messages,
            parts = decided.parts,
            "an operator decided"
        );
        Ok(decided)
    }
}

impl Decision {
    const fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold { .. } => "hold",
            Self::Release => "release",
            Self::Reroute { .. } => "reroute",
            Self::Drop => "drop",
        }
    }

    fn action(&self) -> Action {
        match self {
            Self::Retry => Action::Retry,
            Self::Hold { why } => Action::Hold(why.clone()),
            Self::Release => Action::Release,
            Self::Reroute { to, .. } => Action::Reroute(place(to)),
            Self::Drop => Action::Drop,
        }
    }
}

/// All of them must be there, or nothing is done.
async fn by_ids(node: &Node, ids: &[String], decision: &Decision) -> Result<Decided, Problem> {
    let mut entries = Vec::new();
    for id in ids {
        let (entry, _) = look_up(node, id).await?;
        entries.push(entry);
    }
    let mut decided = Decided::default();
    for entry in &entries {
        let changed = match one(node, entry, decision).await {
            Ok(changed) => changed,
            Err(queue::Error::NoSuchEntry(id)) => {
                decided.notes.push(format!("Message {id} has left the queue meanwhile."));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        decided.parts += changed as u64;
        decided.messages += u64::from(changed > 0);
        decided.notes.extend(unchanged(entry, decision));
    }
    if matches!(decision, Decision::Retry) {
        decided.notes.extend(held_destinations(node, &entries).await?);
    }
    Ok(decided)
}

async fn one(node: &Node, entry: &Entry, decision: &Decision) -> Result<usize, queue::Error> {
    let id: EntryId = entry.id;
    match decision {
        Decision::Retry => node.outbound.retry(id).await,
        Decision::Hold { why } => node.outbound.hold(id, why).await,
        Decision::Release => node.outbound.release(id).await,
        Decision::Drop => node.outbound.drop_entry(id).await.map(|()| entry.legs.len()),
        Decision::Reroute { to, from } => {
            let (to, from) = (place(to), from.as_deref().map(place));
            let all: BTreeSet<&str> = entry.legs.iter().map(|leg| leg.destination.as_str()).collect();
            let wanted = all.into_iter().filter(|name| from.as_ref().is_none_or(|from| from == name));
            let mut changed = 0;
            for name in wanted.filter(|name| *name != to) {
                changed += node.outbound.reroute(id, name, &to).await?;
            }
            Ok(changed)
        }
    }
}

/// What of a message a decision does not change, and what it cannot call back.
fn unchanged(entry: &Entry, decision: &Decision) -> Option<String> {
    let id = entry.id;
    let is = |state: LegState| entry.legs.iter().any(|leg| leg.state == state);
    let sending = is(LegState::Leased);
    let later = entry.legs.iter().any(|leg| leg.plan.begins.is_some());
    match decision {
        Decision::Retry if is(LegState::Held) => {
            Some(format!("Message {id} is held: `magpie queue release {id}` has it sent."))
        }
        Decision::Retry if later => Some(format!(
            "Message {id} is not to be sent before its time: `magpie queue release {id}` has it sent now."
        )),
        Decision::Reroute { .. } if later => {
            Some(format!("Message {id} goes there at its time: it is not to be sent before."))
        }
        Decision::Reroute { .. } if is(LegState::Held) => Some(format!("Message {id} stays held.")),
        Decision::Retry | Decision::Release | Decision::Reroute { .. } if sending => {
            Some(format!("Message {id} is being sent already; that is left to its worker."))
        }
        Decision::Hold { .. } | Decision::Drop if sending => {
            Some(format!("Message {id} was being sent at that moment: it may arrive nevertheless."))
        }
        _ => None,
    }
}

/// What is said of parts of messages that were not tried because their time has not begun.
fn not_yet(parts: u64) -> Option<String> {
    let (wait, are) = if parts == 1 { ("waits", "is") } else { ("wait", "are") };
    let what = count(parts, "part");
    let note = format!(
        "{what} {wait} for a time that the sender has set, and {are} not tried before; `magpie queue release ID` \
         does not wait for that."
    );
    (parts > 0).then_some(note)
}

/// What is tried waits there all the same.
async fn held_destinations(node: &Node, entries: &[Entry]) -> Result<Vec<String>, Problem> {
    let all: BTreeSet<&str> =
        entries.iter().flat_map(|entry| &entry.legs).map(|leg| leg.destination.as_str()).collect();
    let mut held = Vec::new();
    for name in all {
        if line(node, name).await?.is_some_and(|line| line.why == Standstill::Held) {
            held.push(name);
        }
    }
    let names = names(held.iter().copied());
    let is = if held.len() == 1 { "is" } else { "are" };
    let note =
        format!("{names} {is} held: what is for it waits until that is released, or the message itself.");
    Ok(if held.is_empty() { Vec::new() } else { vec![note] })
}

async fn line(node: &Node, name: &str) -> Result<Option<Line>, Problem> {
    Ok(node.outbound.line_of(name).await?)
}

/// Decides about a destination as a whole, what comes later included, where there is such a thing.
async fn destination(node: &Node, name: &str, decision: &Decision) -> Result<Decided, Problem> {
    let held = line(node, name).await?.is_some_and(|line| line.why == Standstill::Held);
    let mut decided = Decided::default();
    match decision {
        Decision::Hold { why } => {
            node.outbound.hold_destination(name, why).await?;
            decided.notes.push("What a worker has in hand is not called back.".into());
        }
        Decision::Release => {
            if !node.outbound.release_destination(name).await? {
                return Err(Problem::invalid(format!(
                    "{name} is not held: `magpie queue destinations` shows what is; messages that are held by \
                     themselves are released by their ids"
                )));
            }
            decided.notes.push("Messages that are held by themselves stay held.".into());
        }
        Decision::Retry if held => {
            return Err(Problem::invalid(format!(
                "{name} is held: `magpie queue release --destination {name}` has everything for it sent"
            )));
        }
        Decision::Retry => {
            let has_line = node.outbound.retry_destination(name).await?;
            decided = sweep(node, &Whose::Outside(name.to_owned()), decision).await?;
            if !has_line {
                return Ok(decided);
            }
        }
        Decision::Reroute { to, .. } => {
            if place(to) == name {
                return Err(Problem::invalid(format!("{name} is where it goes already")));
            }
            let mut swept = sweep(node, &Whose::Destination(name.to_owned()), decision).await?;
            swept.notes.push(format!("What comes for {name} later goes there as before."));
            return Ok(swept);
        }
        Decision::Drop => return sweep(node, &Whose::Destination(name.to_owned()), decision).await,
    }
    decided.destination = Some(name.to_owned());
    decided.waiting = Some(line(node, name).await?.map_or(0, |line| line.depth));
    Ok(decided)
}

/// Does it to all that there is of somebody's, a bounded part at a time. Whoever repeats it after a failure does the rest.
async fn sweep(node: &Node, whose: &Whose, decision: &Decision) -> Result<Decided, Problem> {
    let action = decision.action();
    let mut decided = Decided::default();
    let (mut after, mut last, mut later) = (None, None, 0);
    loop {
        let swept = node.outbound.sweep(whose, &action, after).await.map_err(|error| {
            let done = count(decided.parts, "part");
            let problem = Problem::from(error);
            Problem::new(problem.kind, format!("{} were done, then: {}", done, problem.message))
        })?;
        decided.parts += swept.changed as u64;
        later += swept.later as u64;
        // A message may reach over the end of a part.
        let again = swept.messages.first().is_some_and(|first| last == Some(*first));
        decided.messages += swept.messages.len() as u64 - u64::from(again);
        last = swept.messages.last().copied().or(last);
        after = swept.next;
        if after.is_none() {
            decided.notes.extend(not_yet(later));
            return Ok(decided);
        }
    }
}
