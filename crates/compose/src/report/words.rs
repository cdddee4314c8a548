//! What a report says to a person: what happened, to whom, why, and what to do.

use super::{Action, Outcome, Report, Status};
use crate::report::content::clean;

/// The subject of a report.
pub(super) const fn subject(action: Action) -> &'static str {
    match action {
        Action::Failed => "Your message could not be delivered",
        Action::Delayed => "Your message is delayed",
        Action::Delivered => "Your message was delivered",
        Action::Relayed => "Your message was passed on",
        Action::Expanded => "Your message was passed on to several people",
    }
}

/// The text, in lines of up to some 76 characters that end in CRLF.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut paragraph = |words: &str, indent: usize| {
        wrap(words, indent, &mut text);
    };
    paragraph(&format!("This is the mail server {}.", clean(&report.host)), 0);
    let order = [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded];
    for action in order {
        let outcomes: Vec<&Outcome> = report.outcomes.iter().filter(|one| one.action == action).collect();
        if outcomes.is_empty() {
            continue;
        }
        paragraph(&opening(action, report, outcomes.len()), 0);
        for outcome in outcomes {
            paragraph(&format!("<{}>", clean(&outcome.address)), 2);
            for sentence in explain(outcome) {
                paragraph(&sentence, 6);
            }
        }
    }
    text
}

fn opening(action: Action, report: &Report, count: usize) -> String {
    let arrived = report.arrived.rfc5322();
    let whom = if count == 1 { "this recipient" } else { "these recipients" };
    match action {
        Action::Failed => {
            format!("Your message of {arrived} could not be delivered to {whom}. It will not be tried again.")
        }
        Action::Delayed => format!(
            "Your message of {arrived} could not be delivered to {whom} yet. You need not do anything: it is tried again \
             by itself."
        ),
        Action::Delivered => format!("Your message of {arrived} has been delivered to {whom}."),
        Action::Relayed => format!(
            "Your message of {arrived} has been passed on towards {whom}, to a server that does not say whether it \
             arrives."
        ),
        Action::Expanded => {
            format!(
                "Your message of {arrived} has been passed on to the members of {whom}; no more is told of them."
            )
        }
    }
}

/// Why, what was said, and what to do.
fn explain(outcome: &Outcome) -> Vec<String> {
    if !matches!(outcome.action, Action::Failed | Action::Delayed) {
        return Vec::new();
    }
    let (why, what_to_do) = advice(outcome.status);
    let mut sentences = vec![match outcome.action {
        Action::Failed => format!("{why} {what_to_do}"),
        _ => why.to_owned(),
    }];
    if let Some(cause) = &outcome.cause {
        sentences.push(clean(cause));
    }
    if let Some(reply) = &outcome.reply {
        sentences.push(format!("The server {} said: {}", clean(&reply.server), clean(&reply.text)));
    }
    if let Some(until) = outcome.until.filter(|_| outcome.action == Action::Delayed) {
        sentences.push(format!(
            "It is tried until {}; if it has not arrived by then, you are told.",
            until.rfc5322()
        ));
    }
    sentences
}

/// Why a message was not delivered, and what its sender may do, by the status (RFC 3463, RFC 5248 and its registry).
const fn advice(status: Status) -> (&'static str, &'static str) {
    match (status.subject, status.detail) {
        (1, 1) => {
            ("There is no mailbox of this name.", "Check the part before the @ for a mistake in writing.")
        }
        (1, 2) => (
            "There is no such domain, or it takes no mail.",
            "Check the part behind the @ for a mistake in writing.",
        ),
        (1, 3) => ("This is not a valid address.", "Check it for a mistake in writing."),
        (1, 6) => ("The owner of this mailbox has moved.", "Ask for the new address in another way."),
        (1, 10) => {
            ("This domain takes no mail at all.", "Check the part behind the @ for a mistake in writing.")
        }
        (1, 7 | 8) | (7, 27) => (
            "The other server refuses your own address.",
            "Send from another address, or ask whoever runs your mail.",
        ),
        (2, 1) => ("This mailbox is closed.", "Reach its owner in another way."),
        (2, 2) => ("This mailbox is full.", "Try again in some days, or tell its owner in another way."),
        (2, 3) | (3, 4) => (
            "The message is too large for the other side.",
            "Send it with smaller attachments, or send a link to them.",
        ),
        (3, 1 | 2) => ("The other server is out of room or out of order.", "Try again later."),
        (4, 1 | 2) => (
            "The other server could not be reached.",
            "Try again later; if it lasts, tell its owner in another way.",
        ),
        (4, 3 | 4) => (
            "The way to this domain's mail server could not be found.",
            "Check the part behind the @, and try again later.",
        ),
        (4, 6) => ("The message went in a circle.", "Tell whoever runs the mail of this address."),
        (4, 7) => ("It could not be delivered in time.", "If it still matters, send it again."),
        (6, 7 | 9) => (
            "The other side cannot handle addresses with letters beyond English.",
            "Use another address of the same person.",
        ),
        (6, _) => (
            "The other side cannot handle the form of the message.",
            "Send it as plain text, without attachments.",
        ),
        (7, 10 | 11 | 30) => (
            "The way to the other server is not as safe as was asked for.",
            "Whoever runs your mail can find out more.",
        ),
        (7, 20..=26) => (
            "The other server could not verify that the message is yours.",
            "Whoever runs your mail has to look at this.",
        ),
        (7, _) => (
            "The other server refuses the message by its rules.",
            "Its words below may say more; or ask its owner in another way.",
        ),
        (1, _) => ("The address was refused.", "Check it for a mistake in writing."),
        (2, _) => {
            ("The mailbox cannot take the message.", "Try again later, or reach its owner in another way.")
        }
        _ => ("The other server did not take the message.", "Its words below may say more."),
    }
}

/// Appends a paragraph and an empty line.
fn wrap(words: &str, indent: usize, out: &mut String) {
    let blanks = " ".repeat(indent);
    let mut column = 0;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 76 {
            out.push_str("\r\n");
            column = 0;
        }
        if column == 0 {
            out.push_str(&blanks);
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        // A word without end would make a line that no server takes.
        for (number, c) in word.chars().enumerate() {
            if number > 0 && number % 200 == 0 {
                out.push_str("\r\n");
                out.push_str(&blanks);
            }
            out.push(c);
        }
        column += width;
    }
    out.push_str("\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_have_short_lines() {
        let mut out = String::new();
        wrap(&format!("a {} {}", "word ".repeat(40), "x".repeat(1_000)), 6, &mut out);
        assert!(out.ends_with("\r\n\r\n") && out.lines().all(|line| line.len() <= 210), "{out}");
        assert!(out.lines().take(3).all(|line| line.starts_with("      ") && line.len() <= 76), "{out}");
    }
}
