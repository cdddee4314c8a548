//! Why a message is still in the queue, and when it is tried next, in words.

use queue::{Entry, Event, EventKind, Leg, LegState, Recipient, RecipientState};
use types::Timestamp;

use crate::text::{count, date_time, span};

/// The sentences about a message.
pub(super) fn explain(entry: &Entry, now: Timestamp) -> Vec<String> {
    let id = entry.id.to_string();
    let mut sentences = Vec::new();
    let entered = entry.legs.first().and_then(|leg| leg.history.first());
    if let Some(Event { at, text, .. }) = entered {
        sentences.push(format!("It was put into the queue at {}, because {text}.", date_time(*at)));
    }
    for leg in &entry.legs {
        let whom = if entry.legs.len() > 1 { format!("For {}: ", whom(leg)) } else { String::new() };
        sentences.push(format!("{whom}{}", state(leg, &id, now)));
        sentences.extend(delivered(leg));
        if leg.released {
            sentences
                .push("An operator has released it: quotas and disabled accounts do not stop it.".into());
        }
    }
    sentences
}

fn state(leg: &Leg, id: &str, now: Timestamp) -> String {
    let next = || match leg.due.since(now).as_secs() {
        0 => "It is due now: it is delivered as soon as a worker is free, and the server runs".to_owned(),
        seconds => format!("It is tried next in {}, at {}", span(seconds), date_time(leg.due)),
    };
    match leg.state {
        LegState::Waiting if leg.attempts == 0 => format!("It has not been tried yet. {}.", next()),
        LegState::Waiting => {
            format!(
                "{} did not get it to everybody: {}. {}.",
                count(leg.attempts.into(), "attempt"),
                said(leg),
                next()
            )
        }
        LegState::Leased => format!(
            "It is being delivered now, in attempt {}, by {}. If that is not heard of by {}, it moves on.",
            leg.attempts,
            leg.holder.as_deref().unwrap_or("a worker"),
            date_time(leg.due)
        ),
        LegState::Held => format!(
            "It is held{}: `magpie queue inbound release {id}` has it delivered, `drop` removes it.",
            leg.history
                .iter()
                .rev()
                .find(|e| e.kind == EventKind::Held)
                .map(|e| format!(", {}", e.text))
                .unwrap_or_default()
        ),
        LegState::Failed => format!(
            "It is in the error queue since {} and is not tried any more: {}. Once the cause is gone, `magpie queue \
             inbound retry {id}` has it tried again; `release` has it delivered even to a full or disabled mailbox; \
             `drop` removes it.",
            date_time(leg.due),
            said(leg)
        ),
    }
}

/// What was said about those who do not have the message.
fn said(leg: &Leg) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for recipient in leg.recipients.iter().filter(|r| r.state != RecipientState::Done) {
        let text = recipient.said.as_deref().unwrap_or("it was not tried");
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join("; ")
}

fn delivered(leg: &Leg) -> Option<String> {
    let done = leg.recipients.iter().filter(|recipient| recipient.state == RecipientState::Done).count();
    let all = leg.recipients.len() as u64;
    (done > 0).then(|| format!("{done} of {} have it already.", count(all, "recipient")))
}

fn whom(leg: &Leg) -> String {
    let named: Vec<&str> = leg.recipients.iter().take(3).map(|r: &Recipient| r.address.as_str()).collect();
    match leg.recipients.len().saturating_sub(named.len()) {
        0 => named.join(", "),
        others => format!("{} and {others} others", named.join(", ")),
    }
}

/// An event in a line.
pub(super) fn event(event: &Event) -> String {
    let what = match event.kind {
        EventKind::Entered => "queued: ",
        EventKind::Tried => "tried, and not delivered to everybody: ",
        EventKind::Lost => "the worker was lost: ",
        EventKind::Failed => "put into the error queue: ",
        EventKind::Retried => "an operator had it tried at once",
        EventKind::Held => "held by an operator: ",
        EventKind::Released => "released by an operator",
    };
    format!("{what}{}", event.text)
}

#[cfg(test)]
mod tests {
    use queue::EntryId;

    use super::*;

    fn leg(state: LegState, attempts: u32, due: u64, said: &str) -> Leg {
        let recipient = |address: &str, state, said: Option<&str>| Recipient {
            address: address.into(),
            state,
            said: said.map(str::to_owned),
            ..Recipient::default()
        };
        let at = Timestamp(1_000_000);
        Leg {
            destination: String::new(),
            recipients: vec![
                recipient("a@b.test", RecipientState::Done, None),
                recipient("c@b.test", RecipientState::Pending, Some(said)),
            ],
            state,
            due: Timestamp(due),
            attempts,
            holder: Some("process 7".into()),
            released: false,
            history: vec![Event { at, kind: EventKind::Entered, text: "the load was over the mark".into() }],
            forgotten: 0,
            plan: queue::Plan::default(),
        }
    }

    fn explained(leg: Leg) -> String {
        let entry = Entry {
            id: EntryId([1; 8]),
            origin: queue::Origin::default(),
            size: 1,
            received: Timestamp(0),
            legs: vec![leg],
        };
        explain(&entry, Timestamp(1_000_000)).join(" ")
    }

    #[test]
    fn every_state_says_what_comes_next() {
        let waits = explained(leg(LegState::Waiting, 2, 1_190_000, "the mailbox is full"));
        assert!(
            waits.starts_with(
                "It was put into the queue at 1970-01-01T00:16:40Z, because the load was over the mark. \
             2 attempts did not get it to everybody: the mailbox is full. It is tried next in 3 min 10 s, at \
             1970-01-01T00:19:50Z. 1 of 2 recipients have it already."
            ),
            "{waits}"
        );
        assert!(explained(leg(LegState::Waiting, 0, 0, "")).contains("not been tried yet. It is due now"));
        assert!(explained(leg(LegState::Leased, 1, 1_060_000, "")).contains("attempt 1, by process 7"));
        assert!(
            explained(leg(LegState::Held, 0, 0, "")).contains("release 0101010101010101` has it delivered")
        );
        let failed = explained(leg(LegState::Failed, 9, 0, "no account"));
        assert!(
            failed.contains("error queue since") && failed.contains("retry 0101010101010101"),
            "{failed}"
        );
    }
}
