//! Why a message has not left, in words: whose turn it is, what the other side said, when it is tried next, when its
//! sender hears of that, and what an operator can do.

use std::collections::BTreeMap;
use std::time::Duration;

use queue::{
    Cause, Entry, Event, EventKind, Facts, Leg, LegState, Line, Recipient, RecipientState, Standstill,
};
use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::view::State;
use crate::leaving::destination;
use crate::text::{ago, ahead, count, date_time, lasting, number};

/// What an explanation is made from.
pub(super) struct Scene<'a> {
    pub(super) entry: &'a Entry,
    /// The lines of its destinations that have one.
    pub(super) lines: &'a BTreeMap<String, Line>,
    /// How long the error queue keeps what nobody decides about.
    pub(super) keep_failed: Option<Duration>,
    pub(super) now: Timestamp,
}

/// Why a message is still there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Explanation {
    pub(crate) id: String,
    pub(crate) summary: String,
    pub(crate) parts: Vec<PartWords>,
    /// What an operator can do now.
    pub(crate) advice: Vec<Advice>,
}

/// Why one destination's part of it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PartWords {
    pub(crate) destination: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) state: State,
    /// Whom it is for.
    pub(crate) heading: String,
    pub(crate) sentences: Vec<String>,
    /// What happened, oldest first; the same thing several times in a row is one.
    pub(crate) history: Vec<Happening>,
}

/// Something that happened, once or several times in a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Happening {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) times: u64,
    pub(crate) what: String,
}

/// A command, and what it would do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(crate) struct Advice {
    pub(crate) command: String,
    pub(crate) effect: String,
}

pub(super) fn explain(scene: &Scene<'_>) -> Explanation {
    let entry = scene.entry;
    let lacking = entry.legs.iter().flat_map(|leg| &leg.recipients).filter(|r| lacks(r)).count() as u64;
    let has = if lacking == 1 { "does" } else { "do" };
    Explanation {
        id: entry.id.to_string(),
        summary: format!(
            "Message {} from {} came {}. {} {has} not have it.",
            entry.id,
            shown(&entry.origin.sender),
            ago(entry.received, scene.now),
            count(lacking, "recipient"),
        ),
        parts: entry.legs.iter().map(|leg| scene.part(leg)).collect(),
        advice: scene.advice(),
    }
}

/// A sender as it is written in SMTP where it is empty.
pub(super) fn shown(sender: &str) -> &str {
    if sender.is_empty() { "<>" } else { sender }
}

fn lacks(recipient: &Recipient) -> bool {
    recipient.state != RecipientState::Done
}

impl Scene<'_> {
    fn part(&self, leg: &Leg) -> PartWords {
        let lacking: Vec<&Recipient> = leg.recipients.iter().filter(|r| lacks(r)).collect();
        let names = names(lacking.iter().map(|recipient| recipient.address.as_str()));
        let strange = lacking.iter().any(|recipient| destination(&recipient.address) != leg.destination);
        let way = if strange { format!(", by way of {}", leg.destination) } else { String::new() };
        let mut sentences = self.turn(leg);
        sentences.extend(self.said(leg));
        sentences.extend(outcomes(leg));
        sentences.extend(self.sender_hears(leg));
        if leg.released {
            sentences.push("An operator has released it: it does not wait for its destination.".into());
        }
        PartWords {
            destination: leg.destination.clone(),
            recipients: lacking.iter().map(|recipient| recipient.address.clone()).collect(),
            state: State::of(leg),
            heading: format!("For {names}{way}"),
            sentences,
            history: happenings(leg),
        }
    }

    fn line(&self, leg: &Leg) -> Option<&Line> {
        self.lines.get(&leg.destination)
    }

    /// Whose turn it is, and when it is tried next.
    fn turn(&self, leg: &Leg) -> Vec<String> {
        let now = self.now;
        match leg.state {
            LegState::Waiting if leg.plan.in_line => self.in_line(leg),
            LegState::Waiting => self.waiting(leg),
            LegState::Leased => vec![format!(
                "It is being sent now, in attempt {}, by {}. If that is not heard of again, another worker takes it {}.",
                leg.attempts,
                leg.holder.as_deref().unwrap_or("a worker"),
                ahead(leg.due, now)
            )],
            LegState::Held => {
                let held = leg.history.iter().rev().find(|event| event.kind == EventKind::Held);
                let since = held.map(|event| format!(" {}{}", lasting(event.at, now), by(&event.text)));
                vec![
                    closed(format!("It has been held{}", since.unwrap_or_default())),
                    "Until it is released it is not tried, it is not given up, and its sender hears nothing."
                        .to_owned(),
                ]
            }
            LegState::Failed => {
                let failed = leg.history.iter().rev().find(|event| event.kind == EventKind::Failed);
                let why = failed.map(|event| format!(": {}", sentence_end(&event.text))).unwrap_or_default();
                let told = if self.entry.origin.sender.is_empty() {
                    "It has no sender who could be told."
                } else {
                    "Its sender has not been told."
                };
                let kept = self.keep_failed.map(|keep| {
                    let end = leg.due.plus(keep);
                    format!(" It is kept for an operator to decide, and dropped {}.", ahead(end, now))
                });
                vec![format!(
                    "It has been in the error queue {}, and is not tried any more{why}. {told}{}",
                    lasting(leg.due, now),
                    kept.unwrap_or_default()
                )]
            }
        }
    }

    fn in_line(&self, leg: &Leg) -> Vec<String> {
        let name = &leg.destination;
        let Some(line) = self.line(leg) else {
            return vec![format!(
                "{name} takes mail again: it is sent as soon as a worker is free, and the server runs."
            )];
        };
        let mut sentences = vec![closed(format!("It stands in line: {}", standstill(line, self.now)))];
        let next = line.next.map_or_else(|| "now".to_owned(), |next| ahead(next, self.now));
        match line.why {
            Standstill::Failing => {
                let who = match line.depth {
                    0 | 1 => "it".to_owned(),
                    depth => format!("one of the {} messages in that line", number(depth)),
                };
                let then =
                    if line.depth > 1 { "; as soon as one gets through, the others follow" } else { "" };
                let failures = match line.attempts {
                    0 | 1 => "a failure".to_owned(),
                    some => format!("{} failures in a row", number(some.into())),
                };
                sentences.push(format!("After {failures}, {who} is tried {next}{then}."));
            }
            Standstill::Busy => sentences.push(match line.depth {
                0 | 1 => "It goes as soon as a connection is free.".into(),
                depth => format!(
                    "The {} messages in that line go in turn, as connections become free.",
                    number(depth)
                ),
            }),
            Standstill::Held => {
                sentences.push(format!("Nothing is sent there until an operator releases {name}."));
            }
        }
        sentences
    }

    fn waiting(&self, leg: &Leg) -> Vec<String> {
        let next = leg.plan.next.unwrap_or(leg.due);
        let due = next.since(self.now) == Duration::ZERO;
        let mut sentences = vec![match (leg.attempts, due) {
            (_, true) => {
                "It is due now: it is tried as soon as a worker is free, and the server runs.".to_owned()
            }
            (0, false) => format!("It is not to be tried before its time: {}.", ahead(next, self.now)),
            (1, false) => {
                format!(
                    "It was tried once, and refused for now. It is tried again {}.",
                    ahead(next, self.now)
                )
            }
            (attempts, false) => format!(
                "It was tried {} times, and refused for now. It is tried again {}.",
                number(attempts.into()),
                ahead(next, self.now)
            ),
        }];
        if let Some(line) = self.line(leg).filter(|line| line.why != Standstill::Busy && !leg.released) {
            let standstill = standstill(line, self.now);
            sentences.push(format!("{standstill}; if that is still so then, it goes into line."));
        }
        sentences
    }

    /// What was said about those who may still get it.
    fn said(&self, leg: &Leg) -> Vec<String> {
        let pending = || leg.recipients.iter().filter(|r| r.state == RecipientState::Pending);
        let of_line = self.line(leg).filter(|line| leg.plan.in_line && line.why == Standstill::Failing);
        let mut sentences = Vec::new();
        if let Some(line) = of_line.filter(|line| !line.said.is_empty()) {
            sentences.push(format!("Last attempt: {}.", answer(&line.said, line.facts.as_ref(), self.now)));
        }
        let mut told: Vec<(&str, Option<&Facts>, Vec<&str>)> = Vec::new();
        for recipient in pending() {
            let Some(said) = recipient.said.as_deref() else { continue };
            if of_line.is_some_and(|line| line.said == said) {
                continue;
            }
            match told.iter_mut().find(|(text, _, _)| *text == said) {
                Some((_, _, whom)) => whom.push(&recipient.address),
                None => told.push((said, recipient.facts.as_ref(), vec![&recipient.address])),
            }
        }
        let alone = told.len() == 1;
        for (said, facts, whom) in told {
            let whom =
                if alone { "Last attempt".to_owned() } else { format!("About {}", names(whom.into_iter())) };
            sentences.push(format!("{whom}: {}.", answer(said, facts, self.now)));
        }
        sentences
    }

    /// When the sender hears that it is late, and that it was given up.
    fn sender_hears(&self, leg: &Leg) -> Option<String> {
        if !matches!(leg.state, LegState::Waiting | LegState::Leased) {
            return None;
        }
        let (plan, now) = (leg.plan, self.now);
        let held = self.line(leg).is_some_and(|line| line.why == Standstill::Held) && !leg.released;
        let over = match plan.expires {
            _ if held => Some("is not given up while its destination is held".to_owned()),
            Some(at) if at.since(now) == Duration::ZERO => Some(
                if plan.in_line { "is given up now" } else { "is tried for the last time now" }.to_owned(),
            ),
            Some(at) => Some(format!("is given up {}", ahead(at, now))),
            None => None,
        };
        if self.entry.origin.sender.is_empty() {
            let over = over.map(|over| format!(" It {over}; then it goes to the error queue."));
            let over = over.filter(|_| !held).unwrap_or_default();
            return Some(format!("It has no sender who could be told (<>).{over}"));
        }
        let wants = |event: u8| {
            let mut pending = leg.recipients.iter().filter(|r| r.state == RecipientState::Pending);
            // Who asked for nothing hears of failures and delays (RFC 3461 §4.1).
            pending.any(|recipient| recipient.notify.unwrap_or(FAILURE | DELAY) & event != 0)
        };
        let delay = match (plan.warned, plan.warn) {
            _ if !wants(DELAY) => "Its sender does not want to hear of delays".to_owned(),
            (Some(at), _) => format!("Its sender heard of the delay {}", ago(at, now)),
            (None, Some(at)) => format!("Its sender hears of the delay {}", ahead(at, now)),
            (None, None) => "Its sender does not hear of delays".to_owned(),
        };
        let over = over.map(|over| match wants(FAILURE) {
            _ if held => format!("; it {over}"),
            true => format!("; it {over}, and its sender is told"),
            false => format!("; it {over}, and its sender does not want to hear of that"),
        });
        Some(format!("{delay}{}.", over.unwrap_or_default()))
    }

    /// What an operator can do now, the likeliest first.
    fn advice(&self) -> Vec<Advice> {
        let id = self.entry.id;
        let mut advice: Vec<Advice> = Vec::new();
        let mut add = |command: String, effect: &str| {
            let command = format!("magpie queue {command}");
            if !advice.iter().any(|other| other.command == command) {
                advice.push(Advice { command, effect: effect.to_owned() });
            }
        };
        for leg in &self.entry.legs {
            let name = &leg.destination;
            let line = self.line(leg).map(|line| line.why);
            match (leg.state, line) {
                (LegState::Held, _) => add(format!("release {id}"), "send it, whatever stands against it"),
                (LegState::Leased, _) => add(format!("hold {id}"), "keep it from being tried again"),
                (LegState::Failed, _) => {
                    add(format!("retry {id}"), "try it again, once the cause is gone");
                    add(format!("reroute {id} --to HOST"), "send it by way of another server");
                }
                (LegState::Waiting, _) if leg.plan.begins.is_some() => {
                    add(format!("release {id}"), "send it now, before its time");
                    add(format!("hold {id}"), "keep it from being sent at its time");
                }
                (LegState::Waiting, Some(Standstill::Held)) => {
                    add(format!("release --destination {name}"), "send everything that waits for it");
                    add(format!("release {id}"), "send only this, though its destination is held");
                }
                (LegState::Waiting, Some(Standstill::Failing)) => {
                    add(format!("retry --destination {name}"), "try one message for all in that line now");
                    add(format!("retry {id}"), "try this one now");
                    add(format!("reroute {id} --to HOST"), "send it by way of another server");
                }
                (LegState::Waiting, _) => {
                    add(format!("retry {id}"), "try it now");
                    add(format!("hold {id}"), "keep it from being tried");
                }
            }
        }
        add(format!("drop {id}"), "remove it: nobody gets it, and its sender is not told");
        advice
    }
}

const FAILURE: u8 = 2;
const DELAY: u8 = 4;

/// Why there is a line.
fn standstill(line: &Line, now: Timestamp) -> String {
    let name = &line.destination;
    let since = lasting(line.since, now);
    match line.why {
        Standstill::Failing => {
            let cause = line.cause.map(|cause| format!(" ({})", cause_words(cause))).unwrap_or_default();
            format!("{name} has not taken mail {since}{cause}")
        }
        Standstill::Busy => format!("{name} has had no room for more at a time {since}"),
        Standstill::Held => format!("{name} has been held {since}{}", by(&line.said)),
    }
}

/// What keeps a destination from being reached.
const fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Name => "its mail servers cannot be found out",
        Cause::Connection => "no connection to any of its servers works",
        Cause::Security => "no connection is as safe as it has to be",
        Cause::Refusal => "its server answers, but takes no mail from here for now",
        Cause::Local => "for a reason on this side",
    }
}

/// Who holds something, and why, as the command line writes it: `by alice: they are moving`.
fn by(why: &str) -> String {
    match why {
        "" => String::new(),
        _ if why.starts_with("by ") => format!(", {}", sentence_end(why)),
        _ => format!(", because: {}", sentence_end(why)),
    }
}

/// An answer, with who gave it when, and the codes that it does not show itself.
fn answer(said: &str, facts: Option<&Facts>, now: Timestamp) -> String {
    let text = sentence_end(said);
    let Some(facts) = facts else { return text.to_owned() };
    let reply = facts.reply.map(|reply| reply.to_string());
    let known = [reply.as_deref(), facts.status.as_deref(), facts.host.as_deref()];
    let new: Vec<&str> = known.into_iter().flatten().filter(|fact| !said.contains(*fact)).collect();
    let new = if new.is_empty() { String::new() } else { format!(" ({})", new.join(", ")) };
    let at = facts.at.map(|at| format!(", {}", ago(at, now))).unwrap_or_default();
    format!("{text}{new}{at}")
}

/// What has come of the others.
fn outcomes(leg: &Leg) -> Vec<String> {
    let mut sentences = Vec::new();
    let refused = leg.recipients.iter().filter(|r| r.state == RecipientState::Failed);
    for recipient in refused.filter(|_| leg.state != LegState::Failed) {
        let said = recipient.said.as_deref().map(|said| format!(": {}", sentence_end(said)));
        let told = if recipient.reported { "; its sender has been told" } else { "" };
        sentences.push(format!("{} cannot get it{}{told}.", recipient.address, said.unwrap_or_default()));
    }
    let done = leg.recipients.iter().filter(|recipient| !lacks(recipient)).count() as u64;
    if done > 0 {
        let have = if done == 1 { "has" } else { "have" };
        sentences.push(format!("{} for it here {have} it already.", count(done, "recipient")));
    }
    sentences
}

/// What happened, where the same several times in a row is told once.
pub(super) fn happenings(leg: &Leg) -> Vec<Happening> {
    let mut happenings: Vec<Happening> = Vec::new();
    for (position, event) in leg.history.iter().enumerate() {
        let (at, what) = (date_time(event.at), happened(event));
        // What was forgotten stood behind the second.
        if position == 2 && leg.forgotten > 0 {
            let what = format!("{} that are not kept", count(leg.forgotten.into(), "event"));
            let (first, times) = (at.clone(), leg.forgotten.into());
            happenings.push(Happening { first, last: at.clone(), times, what });
        }
        match happenings.last_mut().filter(|last| last.what == what) {
            Some(last) => (last.last, last.times) = (at, last.times + 1),
            None => happenings.push(Happening { first: at.clone(), last: at, times: 1, what }),
        }
    }
    happenings
}

fn happened(event: &Event) -> String {
    let (what, text) = (event.kind, event.text.trim_start_matches(", "));
    let what = match what {
        EventKind::Entered => "queued",
        EventKind::Tried => "tried",
        EventKind::Lost => "its worker was lost",
        EventKind::Failed => "put into the error queue",
        EventKind::Retried => "an operator had it tried",
        EventKind::Held => "held",
        EventKind::Released => "released by an operator",
    };
    match text {
        "" => what.to_owned(),
        _ if text.starts_with("by ") => format!("{what} {text}"),
        _ => format!("{what}: {text}"),
    }
}

/// A sentence with its end.
fn closed(text: String) -> String {
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}

/// A text without the full stop that it may end with.
fn sentence_end(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
}

/// `a, b and 4 others`
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.collect();
    match all.as_slice() {
        [] => "nobody".to_owned(),
        [only] => (*only).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [first, second, third] => format!("{first}, {second} and {third}"),
        [first, second, others @ ..] => format!("{first}, {second} and {} others", others.len()),
    }
}

#[cfg(test)]
mod tests;
