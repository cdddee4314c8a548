//! `magpie app-password`

use clap::Subcommand;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::app_password::{Create, List, Revoke, View};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::Columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an app password; it is shown once
    Create {
        /// Whose it is
        account: String,
        /// What it is for, such as "mail on my phone"
        #[arg(long, default_value = "app")]
        label: String,
        /// What it is good for, separated by commas: imap, pop3, submission, managesieve, jmap
        /// [default: all that a mail app needs]
        #[arg(long = "for", value_name = "PROTOCOLS", value_delimiter = ',')]
        protocols: Vec<String>,
    },
    /// List an account's app passwords
    List {
        /// Whose they are
        account: String,
    },
    /// Take an app password back: it is refused from the next login on
    Revoke {
        /// Whose it is
        account: String,
        /// Its number in the list
        id: u32,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Create { account, label, protocols } => {
                let made = desk.ask(Create { account, label, protocols }).await?;
                output.answer(&made, || {
                    let password = made.password.as_deref().unwrap_or_default();
                    let protocols = made.protocols.join(", ");
                    format!("App password {} for {protocols}. It is shown this once:\n{password}\n", made.id)
                });
            }
            Self::List { account } => {
                let passwords = desk.ask(List { account }).await?;
                output.answer(&passwords, || table(&passwords));
            }
            Self::Revoke { account, id } => {
                desk.ask(Revoke { account, id }).await?;
                output.answer(&serde_json::json!({ "revoked": id }), || {
                    format!("Revoked app password {id}.\n")
                });
            }
        }
        Ok(())
    }
}

fn table(passwords: &[View]) -> String {
    if passwords.is_empty() {
        return "There are no app passwords.\n".to_owned();
    }
    let mut table = Columns::new(&["number", "label", "for", "created", "last used"]);
    for password in passwords {
        table.row([
            &password.id.to_string(),
            &password.label,
            &password.protocols.join(", "),
            password.created.as_deref().unwrap_or(""),
            password.last_used.as_deref().unwrap_or("never"),
        ]);
    }
    table.to_string()
}
