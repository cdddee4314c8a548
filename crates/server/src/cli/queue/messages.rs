//! `magpie queue list`, `show` and `explain`.

use crate::admin::Desk;
use crate::admin::operation::outbound::{Explanation, Happening, List, Message, Row, State, Still};
use crate::admin::operation::queue::RecipientFate;
use crate::problem::Problem;
use crate::text::{Columns, size};

/// All messages that a filter lets through, oldest first.
pub(super) async fn all(desk: &mut Desk, mut list: List) -> Result<Vec<Row>, Problem> {
    let mut rows = Vec::new();
    loop {
        let part = desk.ask(list.clone()).await?;
        rows.extend(part.items);
        list.after = part.next;
        if list.after.is_none() {
            break;
        }
    }
    rows.sort_by(|a, b| (&a.received, &a.id).cmp(&(&b.received, &b.id)));
    Ok(rows)
}

pub(super) fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Nothing of that kind waits in the outbound queue.\n".to_owned();
    }
    let mut table =
        Columns::new(&["id", "received", "size", "from", "to", "destination", "state", "attempts", "next"]);
    for row in rows {
        for part in &row.parts {
            let to = match part.recipients.as_slice() {
                [] => String::new(),
                [only] => only.clone(),
                [first, others @ ..] => format!("{first} and {} more", others.len()),
            };
            table.row([
                &row.id,
                &row.received,
                &size(row.size),
                shown(&row.sender),
                &to,
                &part.destination,
                &state(part.state, part.line),
                &part.attempts.to_string(),
                part.next.as_deref().unwrap_or("-"),
            ]);
        }
    }
    table.to_string()
}

pub(super) fn details(message: &Message) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Id", &message.id]);
    pairs.row(["From", shown(&message.sender)]);
    pairs.row(["Received", &message.received]);
    pairs.row(["Size", &size(message.size)]);
    let client = &message.client;
    let name = client.name.as_deref().unwrap_or(&client.hello);
    let tls = client.tls.as_deref().map(|tls| format!(", {tls}")).unwrap_or_default();
    let came_from = match (&client.address, name) {
        (Some(address), _) => format!("{name} ({address}{tls})"),
        (None, "") => "this server".to_owned(),
        (None, name) => name.to_owned(),
    };
    pairs.row(["Came from", &came_from]);
    let body =
        if message.smtputf8 { format!("{}, SMTPUTF8", message.transfer) } else { message.transfer.clone() };
    pairs.row(["Body", &body]);
    if message.protection != "usual" {
        pairs.row(["Protection", &message.protection]);
    }
    if let Some(envid) = &message.envid {
        pairs.row(["Envelope id", envid]);
    }
    let mut text = pairs.to_string();
    for part in &message.parts {
        let mut pairs = Columns::pairs();
        pairs.row(["Destination", &part.destination]);
        pairs.row(["State", &state(part.state, part.line)]);
        pairs.row(["Attempts", &part.attempts.to_string()]);
        for (name, value) in [
            ("Next", &part.next),
            ("Worker", &part.worker),
            ("Delay told", part.warned.as_ref().map_or(&part.warn, |_| &part.warned)),
            ("Given up", &part.expires),
        ] {
            if let Some(value) = value {
                pairs.row([name, value]);
            }
        }
        for recipient in &part.recipients {
            let fate = match recipient.state {
                RecipientFate::Pending => String::new(),
                RecipientFate::Delivered => "  (has it)".to_owned(),
                RecipientFate::Failed => "  (cannot get it)".to_owned(),
            };
            let said = recipient.said.as_deref().map(|said| format!("  {said}")).unwrap_or_default();
            pairs.row(["To", &format!("{}{fate}{said}", recipient.address)]);
        }
        text = format!("{text}\n{pairs}\n{}", history(&part.history, ""));
    }
    text
}

pub(super) fn explained(explanation: &Explanation, has_server: bool) -> String {
    let mut text = format!("{}\n", explanation.summary);
    for part in &explanation.parts {
        text.push_str(&format!("\n{} ({}):\n", part.heading, part.state.name()));
        for sentence in &part.sentences {
            text.push_str(&format!("  {sentence}\n"));
        }
        text.push_str(&format!("\n{}", history(&part.history, "  ")));
    }
    if !has_server {
        text.push_str(
            "\nNo server runs: nothing is tried, and no time passes for what waits, until one does.\n",
        );
    }
    text.push_str("\nWhat can be done:\n");
    let mut advice = Columns::pairs();
    for one in &explanation.advice {
        advice.row([&format!("  {}", one.command), &one.effect]);
    }
    text + &advice.to_string()
}

fn history(history: &[Happening], indent: &str) -> String {
    let mut table = Columns::pairs();
    for happening in history {
        let at = if happening.first == happening.last {
            format!("{indent}{}", happening.first)
        } else {
            format!("{indent}{} to {}", happening.first, happening.last)
        };
        let times = if happening.times > 1 && happening.first != happening.last {
            format!("{} times ", happening.times)
        } else {
            String::new()
        };
        table.row([&at, &format!("{times}{}", happening.what)]);
    }
    table.to_string()
}

fn state(state: State, line: Option<Still>) -> String {
    match line {
        Some(line) => format!("{} ({})", state.name(), line.name()),
        None => state.name().to_owned(),
    }
}

/// A sender as it is written in SMTP where it is empty.
pub(super) fn shown(sender: &str) -> &str {
    if sender.is_empty() { "<>" } else { sender }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(first: &str, last: &str, times: u64, what: &str) -> Happening {
        Happening { first: first.into(), last: last.into(), times, what: what.into() }
    }

    #[test]
    fn the_same_several_times_is_one_line() {
        let all = [happening("1", "1", 1, "queued: by alice"), happening("2", "9", 7, "tried: no")];
        assert_eq!(history(&all, "  "), "  1       queued: by alice\n  2 to 9  7 times tried: no\n");
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(table(&[]), "Nothing of that kind waits in the outbound queue.\n");
    }
}
