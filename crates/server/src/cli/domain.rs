//! `magpie domain`

use clap::{Args, Subcommand};

use super::dns;
use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::domain::{Change, Create, Delete, List, Show, View};
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::Columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the server responsible for a domain
    Create {
        /// Such as example.com
        name: String,
    },
    /// List all domains
    List,
    /// Show one domain
    Show {
        /// Such as example.com
        name: String,
    },
    /// Change who gets mail for unknown users, or the separator
    Change(ChangeArguments),
    /// Print the DNS records that a domain needs, as a zone file
    Dns(dns::Arguments),
    /// Delete a domain that has no accounts, aliases and groups
    Delete {
        /// Such as example.com
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Such as example.com
    name: String,
    /// Who gets mail for unknown users: an account, alias or group, or none
    #[arg(long, value_name = "ADDRESS")]
    catch_all: Option<String>,
    /// What separates a name from its detail, as in alice+shopping: one of + - _ = ~, or none
    #[arg(long, value_name = "CHARACTER", allow_hyphen_values = true)]
    separator: Option<String>,
}

impl Command {
    pub(super) async fn run(
        self,
        data: &DataDir,
        settings: Option<Settings>,
        output: Output,
    ) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Create { name } => {
                let made = desk.ask(Create { name }).await?;
                output.answer(&made, || created(&made));
            }
            Self::List => {
                let mut domains = Vec::new();
                let mut after = None;
                loop {
                    let part = desk.ask(List { after }).await?;
                    domains.extend(part.items);
                    after = part.next;
                    if after.is_none() {
                        break;
                    }
                }
                output.answer(&domains, || table(&domains));
            }
            Self::Show { name } => {
                let domain = desk.ask(Show { name }).await?;
                output.answer(&domain, || details(&domain));
            }
            Self::Change(arguments) => {
                let none = |text: String| if text == "none" { String::new() } else { text };
                let change = Change {
                    name: arguments.name,
                    catch_all: arguments.catch_all.map(none),
                    separator: arguments.separator.map(none),
                };
                let domain = desk.ask(change).await?;
                output.answer(&domain, || details(&domain));
            }
            Self::Dns(arguments) => arguments.run(&mut desk, data, settings, output).await?,
            Self::Delete { name } => {
                let gone = desk.ask(Delete { name }).await?;
                output.answer(&gone, || format!("Deleted the domain {}.\n", gone.name));
            }
        }
        Ok(())
    }
}

fn created(domain: &View) -> String {
    format!(
        "Created the domain {0}.\nMail to postmaster@{0} leads nowhere yet, and every domain must take it (RFC 5321 \
         §4.5.1):\ncreate an account, then run `magpie alias create postmaster@{0} ADDRESS`.\n",
        domain.name
    )
}

fn table(domains: &[View]) -> String {
    if domains.is_empty() {
        return "There are no domains yet: create one with `magpie domain create NAME`.\n".to_owned();
    }
    let mut table = Columns::new(&["name", "mail for unknown users", "created"]);
    for domain in domains {
        table.row([&domain.name, domain.catch_all.as_deref().unwrap_or("refused"), &domain.created]);
    }
    table.to_string()
}

fn details(domain: &View) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Name", &domain.name]);
    pairs.row(["Mail for unknown users", domain.catch_all.as_deref().unwrap_or("refused")]);
    pairs.row(["Separator", &domain.separator.map_or("none".to_owned(), |c| c.to_string())]);
    pairs.row(["Created", &domain.created]);
    pairs.to_string()
}
