//! Messages and destinations as they are shown. These are the shapes of `--json`: fields are added, never changed.

use std::collections::BTreeMap;

use queue::{Cause, Entry, Leg, LegState, Line, Protection, RecipientState, Return, Standstill, Transfer};
use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::words::{self, Happening};
use crate::admin::operation::queue::{Client, RecipientFate};
use crate::text::date_time;

/// A message in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// The address for notifications; empty for `<>`.
    pub(crate) sender: String,
    pub(crate) received: String,
    pub(crate) size: u64,
    /// One for each destination and schedule.
    pub(crate) parts: Vec<RowPart>,
}

/// What is left of a message for one destination.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RowPart {
    pub(crate) destination: String,
    pub(crate) state: State,
    /// Why its destination has a line, if it stands there.
    pub(crate) line: Option<Still>,
    pub(crate) attempts: u32,
    /// When it is tried next; of what stands in line, when somebody in that line is.
    pub(crate) next: Option<String>,
    /// Who does not have the message.
    pub(crate) recipients: Vec<String>,
}

/// A message with all that is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) sender: String,
    pub(crate) client: Client,
    pub(crate) size: u64,
    pub(crate) received: String,
    /// `7bit`, `8bit` or `binary`.
    pub(crate) transfer: String,
    pub(crate) smtputf8: bool,
    /// How much of it a notification returns: `full` or `headers`, if the sender said so.
    pub(crate) ret: Option<String>,
    pub(crate) envid: Option<String>,
    /// What its sender wants of the protection on the way: `usual`, `required` or `dispensable`.
    pub(crate) protection: String,
    pub(crate) parts: Vec<Part>,
}

/// Its recipients at one destination.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) destination: String,
    pub(crate) state: State,
    pub(crate) line: Option<Still>,
    pub(crate) attempts: u32,
    pub(crate) next: Option<String>,
    /// Who sends it now.
    pub(crate) worker: Option<String>,
    pub(crate) released: bool,
    /// When its sender is to be told that it is late, or was.
    pub(crate) warn: Option<String>,
    pub(crate) warned: Option<String>,
    /// When it is given up.
    pub(crate) expires: Option<String>,
    pub(crate) recipients: Vec<Receiver>,
    pub(crate) history: Vec<Happening>,
}

/// A recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Receiver {
    pub(crate) address: String,
    pub(crate) state: RecipientFate,
    /// What was said about it last, by whom, and with which codes.
    pub(crate) said: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) reply: Option<u16>,
    pub(crate) status: Option<String>,
}

/// What a part waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The time of its own next attempt.
    Waiting,
    /// Its destination.
    InLine,
    /// It is being sent.
    Sending,
    /// An operator who holds it.
    Held,
    /// An operator: it is in the error queue.
    Failed,
}

/// Why a destination has a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Still {
    /// It takes no mail: one message at a time is tried.
    Failing,
    /// It takes no more at a time.
    Busy,
    /// An operator holds it.
    Held,
}

/// A destination that has a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct LineView {
    pub(crate) destination: String,
    pub(crate) state: Still,
    pub(crate) since: String,
    /// `name`, `connection`, `security`, `refusal` or `local`, if it fails.
    pub(crate) cause: Option<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// When somebody in its line is tried.
    pub(crate) next: Option<String>,
    /// What it said, or who holds it and why.
    pub(crate) said: String,
    pub(crate) host: Option<String>,
    pub(crate) reply: Option<u16>,
    pub(crate) status: Option<String>,
    /// Parts of messages in its line.
    pub(crate) waiting: u64,
    /// Since when the oldest of them has waited.
    pub(crate) oldest: Option<String>,
}

impl State {
    pub(super) const fn of(leg: &Leg) -> Self {
        match leg.state {
            LegState::Waiting if leg.plan.in_line => Self::InLine,
            LegState::Waiting => Self::Waiting,
            LegState::Leased => Self::Sending,
            LegState::Held => Self::Held,
            LegState::Failed => Self::Failed,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::InLine => "in line",
            Self::Sending => "sending",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

impl Still {
    pub(super) const fn of(why: Standstill) -> Self {
        match why {
            Standstill::Failing => Self::Failing,
            Standstill::Busy => Self::Busy,
            Standstill::Held => Self::Held,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Busy => "busy",
            Self::Held => "held",
        }
    }
}

/// The lines of destinations that have one.
pub(super) type KnownLines = BTreeMap<String, Line>;

impl Row {
    pub(super) fn of(entry: &Entry, legs: &[&Leg], lines: &KnownLines) -> Self {
        let part = |leg: &&Leg| RowPart {
            destination: leg.destination.clone(),
            state: State::of(leg),
            line: still(leg, lines),
            attempts: leg.attempts,
            next: next(leg, lines).map(date_time),
            recipients: lacking(leg),
        };
        Self {
            id: entry.id.to_string(),
            sender: entry.origin.sender.clone(),
            received: date_time(entry.received),
            size: entry.size,
            parts: legs.iter().map(part).collect(),
        }
    }
}

impl Message {
    pub(super) fn of(entry: &Entry, lines: &KnownLines) -> Self {
        let origin = &entry.origin;
        let transfer = match origin.transfer {
            Transfer::SevenBit => "7bit",
            Transfer::EightBit => "8bit",
            Transfer::Binary => "binary",
        };
        let ret = origin.ret.map(|ret| match ret {
            Return::Full => "full",
            Return::Headers => "headers",
        });
        let protection = match origin.protection {
            Protection::Usual => "usual",
            Protection::Required => "required",
            Protection::Dispensable => "dispensable",
        };
        Self {
            id: entry.id.to_string(),
            sender: origin.sender.clone(),
            client: Client::of(&origin.client),
            size: entry.size,
            received: date_time(entry.received),
            transfer: transfer.to_owned(),
            smtputf8: origin.smtputf8,
            ret: ret.map(str::to_owned),
            envid: origin.envid.clone(),
            protection: protection.to_owned(),
            parts: entry.legs.iter().map(|leg| Part::of(leg, lines)).collect(),
        }
    }
}

impl Part {
    fn of(leg: &Leg, lines: &KnownLines) -> Self {
        let recipients = leg.recipients.iter().map(|recipient| {
            let facts = recipient.facts.clone().unwrap_or_default();
            Receiver {
                address: recipient.address.clone(),
                state: RecipientFate::of(recipient.state),
                said: recipient.said.clone(),
                host: facts.host,
                reply: facts.reply,
                status: facts.status,
            }
        });
        let plan = &leg.plan;
        Self {
            destination: leg.destination.clone(),
            state: State::of(leg),
            line: still(leg, lines),
            attempts: leg.attempts,
            next: next(leg, lines).map(date_time),
            worker: leg.holder.clone(),
            released: leg.released,
            warn: plan.warn.map(date_time),
            warned: plan.warned.map(date_time),
            expires: plan.expires.map(date_time),
            recipients: recipients.collect(),
            history: words::happenings(leg),
        }
    }
}

impl LineView {
    pub(super) fn of(line: Line) -> Self {
        let facts = line.facts.unwrap_or_default();
        Self {
            destination: line.destination,
            state: Still::of(line.why),
            since: date_time(line.since),
            cause: line
                .cause
                .filter(|_| line.why == Standstill::Failing)
                .map(|cause| cause_name(cause).to_owned()),
            failures: line.attempts,
            next: line.next.map(date_time),
            said: line.said,
            host: facts.host,
            reply: facts.reply,
            status: facts.status,
            waiting: line.depth,
            oldest: line.oldest.map(date_time),
        }
    }
}

/// A cause in a word, as in metrics and in JSON.
pub(crate) const fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Name => "name",
        Cause::Connection => "connection",
        Cause::Security => "security",
        Cause::Refusal => "refusal",
        Cause::Local => "local",
    }
}

/// Why the destination of a leg that stands in line has one.
pub(super) fn still(leg: &Leg, lines: &KnownLines) -> Option<Still> {
    let line = lines.get(&leg.destination).filter(|_| State::of(leg) == State::InLine)?;
    Some(Still::of(line.why))
}

fn next(leg: &Leg, lines: &KnownLines) -> Option<Timestamp> {
    match State::of(leg) {
        State::Waiting => Some(leg.plan.next.unwrap_or(leg.due)),
        State::InLine => lines.get(&leg.destination).and_then(|line| line.next),
        State::Sending | State::Held | State::Failed => None,
    }
}

fn lacking(leg: &Leg) -> Vec<String> {
    let lacking = leg.recipients.iter().filter(|recipient| recipient.state != RecipientState::Done);
    lacking.map(|recipient| recipient.address.clone()).collect()
}
