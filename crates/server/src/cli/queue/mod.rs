//! `magpie queue`: the outbound queue, and below `inbound` the other one.

mod decisions;
mod destinations;
mod inbound;
mod messages;

use clap::{Args, Subcommand};

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::outbound::{Decision, Explain, List, Selection, Show};
use crate::admin::operation::queue::Client;
use crate::data_dir::DataDir;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List what waits for other servers, oldest first
    List(Filter),
    /// Show all that is known of a message for other servers
    Show {
        /// Its id, as in the reply to its sender, in its Received field and in the log
        id: String,
    },
    /// Say in words why a message has not left, when it is tried next, and what can be done
    Explain {
        /// Its id
        id: String,
    },
    /// Try messages now, but none before its time; of a destination that fails, one message for all in its line
    Retry(Chosen),
    /// Keep messages from being sent; of a destination, what comes later too
    Hold {
        #[command(flatten)]
        chosen: Chosen,
        /// Why, for those who look at it later
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Send messages whatever stands against them, also before their time; of a destination, end its holding
    Release(Chosen),
    /// Remove messages for other servers: nobody gets them, and their senders are not told
    Drop {
        #[command(flatten)]
        chosen: Chosen,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Send messages by way of another destination than that of their recipients
    Reroute {
        #[command(flatten)]
        chosen: Chosen,
        /// Where they go: the name of a domain or a host
        #[arg(long, value_name = "HOST")]
        to: String,
        /// Of messages with several destinations, only what is for this one
        #[arg(long, value_name = "DOMAIN", conflicts_with_all = ["destination", "sender", "failed"])]
        from: Option<String>,
    },
    /// List destinations: which fail, are busy or held, since when and why, and what waits for each
    Destinations,
    /// Mail that was accepted and is not in its mailboxes yet
    #[command(subcommand)]
    Inbound(inbound::Command),
}

/// Which messages are listed: those that meet all of it.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only what this address has sent; <> for notifications
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Only what is for this destination
    #[arg(long, value_name = "DOMAIN")]
    destination: Option<String>,
    /// Only the error queue: what failed, and has no sender who could be told
    #[arg(long)]
    failed: bool,
    /// Only what an operator holds, by itself or with its destination
    #[arg(long)]
    held: bool,
}

/// Which messages something is done with.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Chosen {
    /// Their ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that is for a destination
    #[arg(long, value_name = "DOMAIN")]
    destination: Option<String>,
    /// All that an address has sent; <> for notifications
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// All that is in the error queue
    #[arg(long)]
    failed: bool,
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        let (chosen, decision) = match self {
            Self::Inbound(command) => return command.run(desk, output).await,
            Self::List(filter) => {
                let rows = messages::all(&mut desk, filter.list()).await?;
                output.answer(&rows, || messages::table(&rows));
                return Ok(());
            }
            Self::Show { id } => {
                let message = desk.ask(Show { id }).await?;
                output.answer(&message, || messages::details(&message));
                return Ok(());
            }
            Self::Explain { id } => {
                let explanation = desk.ask(Explain { id }).await?;
                output.answer(&explanation, || messages::explained(&explanation, desk.has_server()));
                return Ok(());
            }
            Self::Destinations => {
                let all = destinations::all(&mut desk).await?;
                output.answer(&all, || destinations::table(&all));
                return Ok(());
            }
            Self::Drop { chosen, yes } => {
                let selection = chosen.selection();
                decisions::may_drop(&mut desk, &selection, yes).await?;
                (selection, Decision::Drop)
            }
            Self::Retry(chosen) => (chosen.selection(), Decision::Retry),
            Self::Hold { chosen, why } => {
                (chosen.selection(), Decision::Hold { why: decisions::signed(why.as_deref()) })
            }
            Self::Release(chosen) => (chosen.selection(), Decision::Release),
            Self::Reroute { chosen, to, from } => (chosen.selection(), Decision::Reroute { to, from }),
        };
        decisions::take(&mut desk, chosen, decision, output).await
    }
}

impl Filter {
    fn list(self) -> List {
        let Self { sender, destination, failed, held } = self;
        List { sender, destination, failed, held, after: None }
    }
}

impl Chosen {
    fn selection(self) -> Selection {
        match self {
            Self { destination: Some(name), .. } => Selection::Destination(name),
            Self { sender: Some(sender), .. } => Selection::Sender(sender),
            Self { failed: true, .. } => Selection::Failed,
            Self { ids, .. } => Selection::Ids(ids),
        }
    }
}

/// From where a message came.
fn came_from(client: &Client) -> String {
    let name = client.name.as_deref().unwrap_or(&client.hello);
    match (&client.address, name) {
        (Some(address), _) => {
            let tls = client.tls.as_deref().map(|tls| format!(", {tls}")).unwrap_or_default();
            format!("{name} ({address}{tls})")
        }
        (None, "") => "this server".to_owned(),
        (None, _) => format!("{name} (a local socket)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_messages_come_from() {
        let client = |address: Option<&str>, hello: &str, tls: Option<&str>| Client {
            address: address.map(str::to_owned),
            name: None,
            hello: hello.to_owned(),
            tls: tls.map(str::to_owned),
        };
        let table = [
            (client(Some("192.0.2.1"), "a.test", Some("TLSv1.3")), "a.test (192.0.2.1, TLSv1.3)"),
            (client(Some("192.0.2.1"), "a.test", None), "a.test (192.0.2.1)"),
            (client(None, "a.test", None), "a.test (a local socket)"),
            (client(None, "", None), "this server"),
        ];
        for (client, wanted) in table {
            assert_eq!(came_from(&client), wanted);
        }
    }
}
