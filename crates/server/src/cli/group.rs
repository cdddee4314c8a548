//! `magpie group`

use clap::Subcommand;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::group::{Change, Create, Delete, List, Show, View};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::{Columns, count};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a group
    Create {
        /// Its address
        address: String,
        /// Its first members: accounts, aliases or other groups of this server, or addresses at other servers
        #[arg(value_name = "MEMBER")]
        members: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
    },
    /// List groups
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show one group and its members
    Show {
        /// Its address
        address: String,
    },
    /// Add members
    Add {
        /// The group's address
        address: String,
        /// Accounts, aliases or other groups of this server, or addresses at other servers
        #[arg(required = true, value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// Remove members
    Remove {
        /// The group's address
        address: String,
        /// Who is to leave
        #[arg(required = true, value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// Delete a group; its members stay
    Delete {
        /// Its address
        address: String,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Create { address, members, description } => {
                let group = desk.ask(Create { address, description, members }).await?;
                let members = count(u64::from(group.member_count), "member");
                output.answer(&group, || format!("Created the group {} with {members}.\n", group.address));
            }
            Self::List { domain } => {
                let mut groups = Vec::new();
                let mut after = None;
                loop {
                    let part = desk.ask(List { domain: domain.clone(), after }).await?;
                    groups.extend(part.items);
                    after = part.next;
                    if after.is_none() {
                        break;
                    }
                }
                output.answer(&groups, || table(&groups));
            }
            Self::Show { address } => {
                let group = desk.ask(Show { address }).await?;
                output.answer(&group, || details(&group));
            }
            Self::Add { address, members } => {
                let group = desk.ask(Change { address, add: members, remove: Vec::new() }).await?;
                output.answer(&group, || details(&group));
            }
            Self::Remove { address, members } => {
                let group = desk.ask(Change { address, add: Vec::new(), remove: members }).await?;
                output.answer(&group, || details(&group));
            }
            Self::Delete { address } => {
                let group = desk.ask(Delete { address }).await?;
                output.answer(&group, || format!("Deleted the group {}.\n", group.address));
            }
        }
        Ok(())
    }
}

fn table(groups: &[View]) -> String {
    if groups.is_empty() {
        return "There are no groups.\n".to_owned();
    }
    let mut table = Columns::new(&["address", "members", "description"]);
    for group in groups {
        let description = group.description.as_deref().unwrap_or("");
        table.row([&group.address, &group.member_count.to_string(), description]);
    }
    table.to_string()
}

fn details(group: &View) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Address", &group.address]);
    if let Some(description) = &group.description {
        pairs.row(["For", description]);
    }
    for member in group.members.iter().flatten() {
        let remark = match (group.gone.contains(member), group.elsewhere.contains(member)) {
            (true, _) => " (gone: no mail goes there)",
            (false, true) => " (at another server)",
            (false, false) => "",
        };
        pairs.row(["Member", &format!("{member}{remark}")]);
    }
    pairs.row(["Created", &group.created]);
    pairs.to_string()
}
