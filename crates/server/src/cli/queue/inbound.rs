//! `magpie queue inbound`

use clap::{Args, Subcommand};

use crate::admin::Desk;
use crate::admin::operation::queue::{Drop, List, RecipientFate, Release, Retry, Show, View};
use crate::cli::output::{Output, confirm};
use crate::problem::Problem;
use crate::text::{Columns, count, size};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List what waits, oldest first
    List {
        /// Only the error queue: what cannot be delivered
        #[arg(long)]
        failed: bool,
    },
    /// Show one message: why it is still there, and when it is tried next
    Show {
        /// Its id, as in the reply to the sender, in its Received field and in the log
        id: String,
    },
    /// Try messages again at once, those of the error queue too
    Retry(Chosen),
    /// Deliver messages at once, even to full or disabled mailboxes
    Release(Chosen),
    /// Remove messages: nobody gets them, and their senders are not told
    Drop {
        #[command(flatten)]
        chosen: Chosen,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which messages.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Chosen {
    /// Their ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that are in the error queue
    #[arg(long)]
    failed: bool,
}

impl Command {
    pub(super) async fn run(self, mut desk: Desk, output: Output) -> Result<(), Problem> {
        match self {
            Self::List { failed } => {
                let messages = all(&mut desk, failed).await?;
                output.answer(&messages, || table(&messages, failed));
            }
            Self::Show { id } => {
                let message = desk.ask(Show { id }).await?;
                output.answer(&message, || details(&message));
            }
            Self::Retry(chosen) => {
                let mut done = Vec::new();
                for id in chosen.ids(&mut desk).await? {
                    done.push(desk.ask(Retry { id }).await?);
                }
                output.answer(&done, || told(&done, "is tried now"));
            }
            Self::Release(chosen) => {
                let mut done = Vec::new();
                for id in chosen.ids(&mut desk).await? {
                    done.push(desk.ask(Release { id }).await?);
                }
                output.answer(&done, || told(&done, "is delivered now"));
            }
            Self::Drop { chosen, yes } => {
                let ids = chosen.ids(&mut desk).await?;
                if !yes && !ids.is_empty() {
                    let many = count(ids.len() as u64, "message");
                    confirm(&format!("This removes {many} for good; nobody gets them."))?;
                }
                let mut done = Vec::new();
                for id in ids {
                    done.push(desk.ask(Drop { id }).await?);
                }
                output.answer(&done, || told(&done, "is dropped"));
            }
        }
        Ok(())
    }
}

impl Chosen {
    async fn ids(self, desk: &mut Desk) -> Result<Vec<String>, Problem> {
        if !self.failed {
            return Ok(self.ids);
        }
        Ok(all(desk, true).await?.into_iter().map(|message| message.id).collect())
    }
}

/// The whole queue, or the error queue, oldest first.
async fn all(desk: &mut Desk, failed: bool) -> Result<Vec<View>, Problem> {
    let mut messages = Vec::new();
    let mut after = None;
    loop {
        let part = desk.ask(List { failed, after }).await?;
        messages.extend(part.items);
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    messages.sort_by(|a, b| (&a.received, &a.id).cmp(&(&b.received, &b.id)));
    Ok(messages)
}

fn table(messages: &[View], failed: bool) -> String {
    if messages.is_empty() {
        let which = if failed { "error queue" } else { "inbound queue" };
        return format!("The {which} is empty.\n");
    }
    let mut table = Columns::new(&["id", "received", "size", "from", "to", "state", "attempts", "next"]);
    for message in messages {
        for part in &message.parts {
            let left = part.recipients.iter().filter(|r| r.state != RecipientFate::Delivered);
            let left: Vec<&str> = left.map(|recipient| recipient.address.as_str()).collect();
            let to = match left.as_slice() {
                [] => String::new(),
                [only] => (*only).to_owned(),
                [first, others @ ..] => format!("{first} and {} more", others.len()),
            };
            table.row([
                &message.id,
                &message.received,
                &size(message.size),
                &sender(message),
                &to,
                part.state.name(),
                &part.attempts.to_string(),
                part.next.as_deref().unwrap_or("-"),
            ]);
        }
    }
    table.to_string()
}

fn details(message: &View) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Id", &message.id]);
    pairs.row(["From", &sender(message)]);
    pairs.row(["Received", &message.received]);
    pairs.row(["Size", &size(message.size)]);
    let client = &message.client;
    let name = client.name.as_deref().unwrap_or(&client.hello);
    let address = client.address.as_deref().unwrap_or("a local socket");
    let tls = client.tls.as_deref().map(|tls| format!(", {tls}")).unwrap_or_default();
    pairs.row(["Came from", &format!("{name} ({address}{tls})")]);
    for part in &message.parts {
        for recipient in &part.recipients {
            let fate = match recipient.state {
                RecipientFate::Pending => part.state.name(),
                RecipientFate::Delivered => "delivered",
                RecipientFate::Failed => "failed",
            };
            pairs.row(["To", &format!("{}  ({fate})", recipient.address)]);
        }
    }
    let mut text = format!("{pairs}\n");
    for sentence in &message.explanation {
        text.push_str(sentence);
        text.push('\n');
    }
    text.push('\n');
    let mut history = Columns::pairs();
    for event in message.parts.iter().flat_map(|part| &part.history) {
        history.row([&event.at, &event.what]);
    }
    text + &history.to_string()
}

fn sender(message: &View) -> String {
    if message.sender.is_empty() { "<>".to_owned() } else { message.sender.clone() }
}

fn told(messages: &[View], what: &str) -> String {
    if messages.is_empty() {
        return "The error queue is empty.\n".to_owned();
    }
    messages
        .iter()
        .map(|message| format!("Message {} from {} {what}.\n", message.id, sender(message)))
        .collect()
}
