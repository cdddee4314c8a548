//! The inbound queue: what waits in it, why, and what an operator decides about it.

mod words;

use bytes::Bytes;
use queue::{Entry, EntryId, LegState, RecipientState};
use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::Part;
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// A message in the queue, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) id: String,
    /// The address for notifications; empty for `<>`.
    pub(crate) sender: String,
    pub(crate) client: Client,
    pub(crate) size: u64,
    pub(crate) received: String,
    /// What of it waits for what; recipients that share a fate share a part.
    pub(crate) parts: Vec<PartView>,
    /// Why it is still here, and when it is tried next, in words.
    pub(crate) explanation: Vec<String>,
}

/// Who handed a message over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) address: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) hello: String,
    pub(crate) tls: Option<String>,
}

/// Recipients that wait for the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PartView {
    pub(crate) state: State,
    pub(crate) attempts: u32,
    /// When it is tried next, if it waits for that.
    pub(crate) next: Option<String>,
    pub(crate) released: bool,
    pub(crate) recipients: Vec<RecipientView>,
    pub(crate) history: Vec<EventView>,
}

/// What a part waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The time of its next attempt.
    Waiting,
    /// It is being delivered.
    Delivering,
    /// An operator who holds it.
    Held,
    /// An operator: it is in the error queue.
    Failed,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivering => "delivering",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// A recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RecipientView {
    pub(crate) address: String,
    /// Whether it has the message, may get it, or cannot.
    pub(crate) state: RecipientFate,
    /// What was said about it last.
    pub(crate) said: Option<String>,
}

/// What became of a recipient.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecipientFate {
    Pending,
    Delivered,
    Failed,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct EventView {
    pub(crate) at: String,
    pub(crate) what: String,
}

impl Client {
    pub(super) fn of(client: &queue::Client) -> Self {
        Self {
            address: client.address.clone(),
            name: client.name.clone(),
            hello: client.hello.clone(),
            tls: client.tls.clone(),
        }
    }
}

impl RecipientFate {
    pub(super) const fn of(state: RecipientState) -> Self {
        match state {
            RecipientState::Pending => Self::Pending,
            RecipientState::Done => Self::Delivered,
            RecipientState::Failed => Self::Failed,
        }
    }
}

fn view(entry: &Entry, now: Timestamp) -> View {
    View {
        id: entry.id.to_string(),
        sender: entry.origin.sender.clone(),
        client: Client::of(&entry.origin.client),
        size: entry.size,
        received: date_time(entry.received),
        parts: entry.legs.iter().map(part).collect(),
        explanation: words::explain(entry, now),
    }
}

fn part(leg: &queue::Leg) -> PartView {
    let recipients = leg.recipients.iter().map(|recipient| RecipientView {
        address: recipient.address.clone(),
        state: RecipientFate::of(recipient.state),
        said: recipient.said.clone(),
    });
    let history =
        leg.history.iter().map(|event| EventView { at: date_time(event.at), what: words::event(event) });
    PartView {
        state: match leg.state {
            LegState::Waiting => State::Waiting,
            LegState::Leased => State::Delivering,
            LegState::Held => State::Held,
            LegState::Failed => State::Failed,
        },
        attempts: leg.attempts,
        next: (leg.state == LegState::Waiting).then(|| date_time(leg.due)),
        released: leg.released,
        recipients: recipients.collect(),
        history: history.collect(),
    }
}

pub(super) fn entry_id(text: &str) -> Result<EntryId, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{text:?}: {error}")))
}

/// How much of the list one answer holds: each message may have many recipients.
const PAGE: usize = 100;

/// Lists the queue, in no order that means anything.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    /// Only what is in the error queue.
    pub(crate) failed: bool,
    pub(crate) after: Option<String>,
}

impl Operation for List {
    const NAME: &'static str = "queue.inbound.list";
    type Answer = Part<View>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Part<View>, Problem> {
        let after = self.after.as_deref().map(entry_id).transpose()?;
        let now = node.clock.now();
        if !self.failed {
            let page = node.inbound.list(after, PAGE).await?;
            let items = page.entries.iter().map(|entry| view(entry, now)).collect();
            return Ok(Part { items, next: page.next.map(|id| id.to_string()) });
        }
        let failed = node.inbound.failed().await?;
        let mut rest = failed.into_iter().filter(|id| after.is_none_or(|after| *id > after));
        let mut items = Vec::new();
        let mut next = None;
        for id in rest.by_ref().take(PAGE) {
            // It may have been retried since.
            items.extend(node.inbound.show(id).await?.map(|entry| view(&entry, now)));
            next = Some(id.to_string());
        }
        Ok(Part { items, next: next.filter(|_| rest.next().is_some()) })
    }
}

/// Shows one message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) id: String,
}

impl Operation for Show {
    const NAME: &'static str = "queue.inbound.show";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let id = entry_id(&self.id)?;
        let entry = node.inbound.show(id).await?.ok_or(queue::Error::NoSuchEntry(id))?;
        Ok(view(&entry, node.clock.now()))
    }
}

/// Has a message tried at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Retry {
    pub(crate) id: String,
}

impl Operation for Retry {
    const NAME: &'static str = "queue.inbound.retry";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let id = entry_id(&self.id)?;
        let before = node.inbound.show(id).await?.ok_or(queue::Error::NoSuchEntry(id))?;
        if node.inbound.retry(id).await? == 0 {
            let waits = match before.legs.as_slice() {
                legs if legs.iter().all(|leg| leg.state == LegState::Held) => Some("is held"),
                legs if legs.iter().any(|leg| leg.plan.begins.is_some()) => Some("waits for its time"),
                _ => None,
            };
            let released =
                |what| format!("message {id} {what}: `magpie queue inbound release {id}` has it delivered");
            waits.map_or(Ok(()), |what| Err(Problem::invalid(released(what))))?;
        }
        tracing::info!(%id, "retried by an operator");
        Ok(view(&before, node.clock.now()))
    }
}

/// Has a message delivered whatever stands against it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) id: String,
}

impl Operation for Release {
    const NAME: &'static str = "queue.inbound.release";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let id = entry_id(&self.id)?;
        let before = node.inbound.show(id).await?.ok_or(queue::Error::NoSuchEntry(id))?;
        node.inbound.release(id).await?;
        tracing::info!(%id, "released by an operator");
        Ok(view(&before, node.clock.now()))
    }
}

/// Removes a message: nobody gets it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Drop {
    pub(crate) id: String,
}

impl Operation for Drop {
    const NAME: &'static str = "queue.inbound.drop";
    type Answer = View;

    async fn run(self, node: &Node, _: Bytes) -> Result<View, Problem> {
        let id = entry_id(&self.id)?;
        let before = node.inbound.show(id).await?.ok_or(queue::Error::NoSuchEntry(id))?;
        node.inbound.drop_entry(id).await?;
        tracing::warn!(%id, sender = %before.origin.sender, "dropped by an operator");
        Ok(view(&before, node.clock.now()))
    }
}
