//! `magpie oauth`

use clap::Subcommand;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::oauth::{
    AddClient, ClientView, GrantView, ListClients, ListGrants, RemoveClient, RevokeGrant,
};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::Columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Apps that may ask for access
    #[command(subcommand)]
    Client(ClientCommand),
    /// What the owner of an account has granted to apps
    #[command(subcommand)]
    Grant(GrantCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Register an app
    Add {
        /// What people are shown, such as "My mail app"
        name: String,
        /// Where answers may go, such as https://app.example.com/callback, http://127.0.0.1/callback or com.example.app:/callback;
        /// may be given several times
        #[arg(long = "redirect", value_name = "URI")]
        redirects: Vec<String>,
        /// What the app calls itself [default: made up]
        #[arg(long)]
        id: Option<String>,
        /// The app may run on devices without a browser
        #[arg(long)]
        device: bool,
    },
    /// List the apps
    List,
    /// Remove an app; what it was granted ends
    Remove {
        /// What the app calls itself
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// List what an account's owner has granted
    List {
        /// Whose
        account: String,
    },
    /// Take back what was granted: the app's tokens are refused from now on
    Revoke {
        /// Whose
        account: String,
        /// Its id in the list
        id: String,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Client(ClientCommand::Add { name, redirects, id, device }) => {
                let client = desk.ask(AddClient { id, name, redirects, device }).await?;
                output.answer(&client, || {
                    format!("Registered {}. Its client_id: {}\n", client.name, client.id)
                });
            }
            Self::Client(ClientCommand::List) => {
                let clients = desk.ask(ListClients {}).await?;
                output.answer(&clients, || client_table(&clients));
            }
            Self::Client(ClientCommand::Remove { id }) => {
                let client = desk.ask(RemoveClient { id }).await?;
                output
                    .answer(&client, || format!("Removed {}. What it was granted has ended.\n", client.name));
            }
            Self::Grant(GrantCommand::List { account }) => {
                let grants = desk.ask(ListGrants { account }).await?;
                output.answer(&grants, || grant_table(&grants));
            }
            Self::Grant(GrantCommand::Revoke { account, id }) => {
                desk.ask(RevokeGrant { account, id: id.clone() }).await?;
                output.answer(&serde_json::json!({ "revoked": id }), || format!("Took back grant {id}.\n"));
            }
        }
        Ok(())
    }
}

fn client_table(clients: &[ClientView]) -> String {
    if clients.is_empty() {
        return "No app may ask for access yet: register one with `magpie oauth client add`.\n".to_owned();
    }
    let mut table = Columns::new(&["id", "name", "redirects", "devices", "registered", "created"]);
    for client in clients {
        let devices = if client.device { "yes" } else { "no" };
        let by = if client.stranger { "by itself" } else { "here" };
        table.row([&client.id, &client.name, &client.redirects.join(" "), devices, by, &client.created]);
    }
    table.to_string()
}

fn grant_table(grants: &[GrantView]) -> String {
    if grants.is_empty() {
        return "Nothing is granted to apps.\n".to_owned();
    }
    let mut table = Columns::new(&["id", "app", "since", "refreshed", "until"]);
    for grant in grants {
        let app = match &grant.client_name {
            Some(name) => format!("{name} ({})", grant.client),
            None => format!("{} (removed)", grant.client),
        };
        table.row([&grant.id, &app, &grant.created, &grant.refreshed, &grant.expires]);
    }
    table.to_string()
}
