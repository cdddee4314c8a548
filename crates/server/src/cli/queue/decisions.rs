//! `magpie queue retry`, `hold`, `release`, `reroute` and `drop`.

use std::collections::BTreeSet;

use super::messages::{all, shown};
use crate::admin::Desk;
use crate::admin::operation::outbound::{Decide, Decided, Decision, List, Selection, Show, State};
use crate::admin::operation::queue::RecipientFate;
use crate::cli::output::{Output, confirm};
use crate::problem::Problem;
use crate::text::{count, number};

/// Has it done, and says what came of it.
pub(super) async fn take(
    desk: &mut Desk,
    selection: Selection,
    decision: Decision,
    output: Output,
) -> Result<(), Problem> {
    let decided = desk.ask(Decide { selection, decision: decision.clone() }).await?;
    output.answer(&decided, || told(&decided, &decision));
    Ok(())
}

/// Why something is held, with who says so.
pub(super) fn signed(why: Option<&str>) -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let name = names.into_iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let name =
        name.unwrap_or_else(|| format!("the user with the number {}", rustix::process::geteuid().as_raw()));
    why.map_or_else(|| format!("by {name}"), |why| format!("by {name}: {why}"))
}

/// Asks whether messages may be removed, unless that is known.
pub(super) async fn may_drop(desk: &mut Desk, selection: &Selection, yes: bool) -> Result<(), Problem> {
    if yes {
        return Ok(());
    }
    let weight = Weight::of(desk, selection).await?;
    if weight.messages == 0 {
        return Ok(());
    }
    confirm(&weight.question())
}

/// How much would be removed.
#[derive(Default)]
struct Weight {
    messages: u64,
    recipients: u64,
    sending: u64,
    senders: BTreeSet<String>,
}

impl Weight {
    async fn of(desk: &mut Desk, selection: &Selection) -> Result<Self, Problem> {
        let mut weight = Self::default();
        let list = match selection {
            Selection::Ids(ids) => {
                for id in ids {
                    let message = desk.ask(Show { id: id.clone() }).await?;
                    let parts = message.parts.iter().map(|part| {
                        let lacking = part.recipients.iter().filter(|r| r.state != RecipientFate::Delivered);
                        (part.state, lacking.count())
                    });
                    weight.add(&message.sender, parts);
                }
                return Ok(weight);
            }
            Selection::Destination(name) => List { destination: Some(name.clone()), ..List::default() },
            Selection::Sender(sender) => List { sender: Some(sender.clone()), ..List::default() },
            Selection::Failed => List { failed: true, ..List::default() },
        };
        for row in all(desk, list).await? {
            weight.add(&row.sender, row.parts.iter().map(|part| (part.state, part.recipients.len())));
        }
        Ok(weight)
    }

    fn add(&mut self, sender: &str, parts: impl Iterator<Item = (State, usize)>) {
        self.messages += 1;
        self.senders.insert(sender.to_owned());
        for (state, recipients) in parts {
            self.recipients += recipients as u64;
            self.sending += u64::from(state == State::Sending);
        }
    }

    fn question(&self) -> String {
        let sending = match self.sending {
            0 => String::new(),
            1 => " 1 is being sent now, and may arrive nevertheless.".to_owned(),
            some => format!(" {} are being sent now, and may arrive nevertheless.", number(some)),
        };
        let senders = match self.senders.iter().map(|sender| shown(sender)).collect::<Vec<_>>().as_slice() {
            ["<>"] => "they have no sender who could be told".to_owned(),
            [only] => format!("their sender {only} is not told"),
            some => format!("their {} senders are not told", number(some.len() as u64)),
        };
        format!(
            "This removes {} for {} for good: nobody gets them, and {senders}.{sending}",
            count(self.messages, "message"),
            count(self.recipients, "recipient")
        )
    }
}

fn told(decided: &Decided, decision: &Decision) -> String {
    let mut text = match (&decided.destination, decision) {
        (Some(name), decision) => destination(name, decided, decision),
        (None, _) if decided.messages == 0 => "No message was changed.\n".to_owned(),
        (None, decision) => messages(decided.messages, decision),
    };
    for note in &decided.notes {
        text.push_str(note);
        text.push('\n');
    }
    text
}

fn messages(many: u64, decision: &Decision) -> String {
    let is = if many == 1 { "is" } else { "are" };
    let what = match decision {
        Decision::Retry => format!("{is} tried now"),
        Decision::Hold { .. } => format!("{is} held"),
        Decision::Release => format!("{is} sent now, whatever stands against that"),
        Decision::Reroute { to, .. } => format!("{is} sent by way of {to} now"),
        Decision::Drop => format!("{is} removed; nobody is told"),
    };
    format!("{} {what}.\n", count(many, "message"))
}

fn destination(name: &str, decided: &Decided, decision: &Decision) -> String {
    let waiting = decided.waiting.unwrap_or(0);
    let stand = if waiting == 1 { "stands" } else { "stand" };
    let line = format!("{} {stand} in its line", number(waiting));
    match decision {
        Decision::Hold { .. } => format!("{name} is held, and what comes for it later; {line}.\n"),
        Decision::Release => {
            format!("{name} is released; {line}, and {} sent as there is room.\n", are(waiting))
        }
        _ => {
            let outside = match decided.messages {
                0 => String::new(),
                some => messages(some, decision).replace(" tried now", " tried now outside its line"),
            };
            format!(
                "{name} is tried now, with one message; {line}, and {} as soon as one gets through.\n{outside}",
                if waiting == 1 { "follows" } else { "follow" }
            )
        }
    }
}

const fn are(many: u64) -> &'static str {
    if many == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_said_before() {
        let mut weight = Weight::default();
        weight.add("alice@example.test", [(State::InLine, 2), (State::Sending, 1)].into_iter());
        assert_eq!(
            weight.question(),
            "This removes 1 message for 3 recipients for good: nobody gets them, and their sender \
             alice@example.test is not told. 1 is being sent now, and may arrive nevertheless."
        );
        weight.add("", [(State::Failed, 1)].into_iter());
        assert!(weight.question().contains("2 messages for 4 recipients"), "{}", weight.question());
        assert!(weight.question().contains("their 2 senders are not told"), "{}", weight.question());
    }

    #[test]
    fn what_was_done_is_said() {
        let decided = |messages, destination: Option<&str>, waiting| Decided {
            messages,
            destination: destination.map(str::to_owned),
            waiting,
            ..Decided::default()
        };
        let hold = Decision::Hold { why: "by alice".into() };
        let reroute = Decision::Reroute { to: "relay.example".into(), from: None };
        for (decided, decision, text) in [
            (decided(0, None, None), &Decision::Retry, "No message was changed.\n"),
            (decided(1, None, None), &Decision::Retry, "1 message is tried now.\n"),
            (decided(2000, None, None), &Decision::Drop, "2,000 messages are removed; nobody is told.\n"),
            (decided(2, None, None), &reroute, "2 messages are sent by way of relay.example now.\n"),
            (
                decided(0, Some("a.example"), Some(41)),
                &hold,
                "a.example is held, and what comes for it later; 41 stand in its line.\n",
            ),
            (
                decided(0, Some("a.example"), Some(1)),
                &Decision::Release,
                "a.example is released; 1 stands in its line, and is sent as there is room.\n",
            ),
            (
                decided(2, Some("a.example"), Some(41)),
                &Decision::Retry,
                "a.example is tried now, with one message; 41 stand in its line, and follow as soon as one gets \
                 through.\n2 messages are tried now outside its line.\n",
            ),
        ] {
            assert_eq!(told(&decided, decision), text);
        }
    }
}
