//! `magpie dkim`

use clap::Subcommand;

use super::dns;
use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::dkim::{Change, Create, List, Step, View};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::Columns;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make keys for a domain; they sign nothing until they are activated
    Create {
        /// Such as example.com
        domain: String,
        /// The key's name in DNS [default: the month and the algorithm, such as 202611-rsa]
        #[arg(long, requires = "algorithm")]
        selector: Option<String>,
        /// rsa, ed25519 [default: one of each]
        #[arg(long, value_delimiter = ',')]
        algorithm: Vec<String>,
    },
    /// List a domain's keys
    List {
        /// Such as example.com
        domain: String,
    },
    /// Sign with a key from now on; the one of its algorithm that did so far is retired
    Activate {
        /// Such as example.com
        domain: String,
        /// The key's name in DNS
        selector: String,
    },
    /// Sign with a key no more; its private half is erased
    Retire {
        /// Such as example.com
        domain: String,
        /// The key's name in DNS
        selector: String,
    },
    /// Forget a key that does not sign
    Remove {
        /// Such as example.com
        domain: String,
        /// The key's name in DNS
        selector: String,
    },
    /// Print the DNS records of a domain's keys, as a zone file
    Dns {
        /// Such as example.com
        domain: String,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::Create { domain, selector, algorithm } => {
                let made = desk.ask(Create { domain, selector, algorithms: algorithm }).await?;
                output.answer(&made, || created(&made));
            }
            Self::List { domain } => {
                let keys = desk.ask(List { domain: domain.clone() }).await?;
                output.answer(&keys, || table(&domain, &keys));
            }
            Self::Activate { domain, selector } => {
                let key = desk.ask(Change { domain, selector, step: Step::Activate }).await?;
                output.answer(&key, || format!("Mail of {} is signed with {}.\n", key.domain, key.selector));
            }
            Self::Retire { domain, selector } => {
                let key = desk.ask(Change { domain, selector, step: Step::Retire }).await?;
                output.answer(&key, || {
                    format!(
                        "Retired {0}: nothing is signed with it any more. Mail signed with it is verified for days, so \
                         leave {1} in DNS for a week, then run `magpie dkim remove {2} {0}`.\n",
                        key.selector, key.name, key.domain
                    )
                });
            }
            Self::Remove { domain, selector } => {
                let key = desk.ask(Change { domain, selector, step: Step::Remove }).await?;
                output
                    .answer(&key, || format!("Forgot {}. Remove {} from DNS too.\n", key.selector, key.name));
            }
            Self::Dns { domain } => {
                let keys = desk.ask(List { domain: domain.clone() }).await?;
                dns::print_keys(&domain, keys, output)?;
            }
        }
        Ok(())
    }
}

fn created(keys: &[View]) -> String {
    let mut text = String::new();
    for key in keys {
        text += &format!("Created the {} key {}.\n", key.algorithm, key.selector);
    }
    if let Some(View { domain, .. }) = keys.first() {
        text += &format!("Put what `magpie dkim dns {domain}` prints into DNS; when it is there, run:\n");
    }
    for key in keys {
        text += &format!("  magpie dkim activate {} {}\n", key.domain, key.selector);
    }
    text
}

fn table(domain: &str, keys: &[View]) -> String {
    if keys.is_empty() {
        return format!("{domain} has no DKIM keys yet: create them with `magpie dkim create {domain}`.\n");
    }
    let mut table = Columns::new(&["selector", "algorithm", "state", "created", "activated", "retired"]);
    for key in keys {
        table.row([
            &key.selector,
            &key.algorithm,
            &key.state,
            &key.created,
            key.activated.as_deref().unwrap_or("never"),
            key.retired.as_deref().unwrap_or(""),
        ]);
    }
    table.to_string()
}
