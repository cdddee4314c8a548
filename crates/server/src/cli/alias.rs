//! `magpie alias`

use clap::Subcommand;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::alias::{Change, Create, Delete, List, Show, View};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::Columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an alias
    Create {
        /// The new address
        address: String,
        /// Where its mail goes: accounts, groups or other aliases of this server, or addresses at other servers
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
    },
    /// List aliases
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show one alias
    Show {
        /// Its address
        address: String,
    },
    /// Give an alias other targets
    Change {
        /// Its address
        address: String,
        /// Where its mail goes from now on
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
    },
    /// Delete an alias
    Delete {
        /// Its address
        address: String,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Create { address, targets } => {
                let alias = desk.ask(Create { address, targets }).await?;
                output.answer(&alias, || line("Created", &alias));
            }
            Self::List { domain } => {
                let mut aliases = Vec::new();
                let mut after = None;
                loop {
                    let part = desk.ask(List { domain: domain.clone(), after }).await?;
                    aliases.extend(part.items);
                    after = part.next;
                    if after.is_none() {
                        break;
                    }
                }
                output.answer(&aliases, || table(&aliases));
            }
            Self::Show { address } => {
                let alias = desk.ask(Show { address }).await?;
                output.answer(&alias, || details(&alias));
            }
            Self::Change { address, targets } => {
                let alias = desk.ask(Change { address, targets }).await?;
                output.answer(&alias, || line("Changed", &alias));
            }
            Self::Delete { address } => {
                let alias = desk.ask(Delete { address }).await?;
                output.answer(&alias, || format!("Deleted the alias {}.\n", alias.address));
            }
        }
        Ok(())
    }
}

fn line(done: &str, alias: &View) -> String {
    let targets: Vec<_> =
        alias.targets.iter().map(|target| format!("{target}{}", remark(alias, target))).collect();
    format!("{done} the alias {}: its mail goes to {}.\n", alias.address, targets.join(", "))
}

/// What is to be known about a target.
fn remark(alias: &View, target: &String) -> &'static str {
    if alias.gone.contains(target) {
        return " (gone: no mail goes there)";
    }
    if alias.elsewhere.contains(target) { " (at another server)" } else { "" }
}

fn table(aliases: &[View]) -> String {
    if aliases.is_empty() {
        return "There are no aliases.\n".to_owned();
    }
    let mut table = Columns::new(&["address", "goes to"]);
    for alias in aliases {
        table.row([&alias.address, &alias.targets.join(", ")]);
    }
    table.to_string()
}

fn details(alias: &View) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Address", &alias.address]);
    for target in &alias.targets {
        pairs.row(["Goes to", &format!("{target}{}", remark(alias, target))]);
    }
    pairs.row(["Created", &alias.created]);
    pairs.to_string()
}
