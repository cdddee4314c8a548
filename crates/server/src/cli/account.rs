//! `magpie account`

use std::io::BufRead;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use types::Randomness;

use super::output::{Output, confirm};
use crate::admin::Desk;
use crate::admin::operation::account::{Change, Create, Delete, List, Show, State, View};
use crate::admin::operation::{LimitChange, QuotaView};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::{self, Columns, count, parse_size};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create an account
    Create(CreateArguments),
    /// List accounts
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show one account
    Show {
        /// Its address; where there is one domain, the name alone will do
        account: String,
    },
    /// Set an account's password
    Password {
        /// Its address; where there is one domain, the name alone will do
        account: String,
        #[command(flatten)]
        password: PasswordArguments,
    },
    /// Change an account's limits
    Quota {
        /// Its address; where there is one domain, the name alone will do
        account: String,
        #[command(flatten)]
        limits: LimitArguments,
    },
    /// Change an account's name for people, or what it may do
    Change {
        /// Its address; where there is one domain, the name alone will do
        account: String,
        /// Its owner's name for people; an empty one removes it
        #[arg(long)]
        name: Option<String>,
        /// What it may do
        #[arg(long)]
        state: Option<State>,
    },
    /// Delete an account with all of its mail
    Delete {
        /// Its address; where there is one domain, the name alone will do
        account: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Its address, in a domain that is there
    address: String,
    #[command(flatten)]
    password: PasswordArguments,
    /// Its owner's name for people
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Without any of these a password is made and shown.
#[derive(Debug, Args)]
pub(super) struct PasswordArguments {
    /// The password. Other users of this machine can see it while the command runs: prefer --password-file
    #[arg(long, value_name = "PASSWORD", conflicts_with = "password_file")]
    password: Option<String>,
    /// A file whose first line is the password; - for standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LimitArguments {
    /// How much mail there may be in all, such as 5G or 500M; none for no limit
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    bytes: Option<LimitChange>,
    /// How many messages there may be; none for no limit
    #[arg(long, value_name = "NUMBER", value_parser = messages)]
    messages: Option<LimitChange>,
}

impl LimitArguments {
    /// What is to be changed: bytes and messages.
    fn changes(&self) -> (LimitChange, LimitChange) {
        (self.bytes.unwrap_or_default(), self.messages.unwrap_or_default())
    }
}

fn bytes(text: &str) -> Result<LimitChange, Problem> {
    change(text, parse_size)
}

fn messages(text: &str) -> Result<LimitChange, Problem> {
    change(text, |text| {
        text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no number of messages")))
    })
}

fn change(text: &str, parse: impl FnOnce(&str) -> Result<u64, Problem>) -> Result<LimitChange, Problem> {
    match text {
        "none" => Ok(LimitChange::Remove),
        text => parse(text).map(LimitChange::Set),
    }
}

/// A password, and whether it was made here and has to be shown.
struct Chosen {
    password: String,
    made: bool,
}

impl PasswordArguments {
    fn choose(self) -> Result<Chosen, Problem> {
        let given = match (self.password, self.password_file) {
            (Some(password), _) => password,
            (None, Some(file)) => first_line(&file)?,
            (None, None) => return Ok(Chosen { password: make_password(), made: true }),
        };
        Ok(Chosen { password: given, made: false })
    }
}

fn first_line(file: &std::path::Path) -> Result<String, Problem> {
    let mut line = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().read_line(&mut line)
    } else {
        std::fs::File::open(file).and_then(|file| std::io::BufReader::new(file).read_line(&mut line))
    };
    read.map_err(|error| Problem::unavailable(format!("cannot read {}: {error}", file.display())))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A password that can be read aloud: 80 random bits.
pub(super) fn make_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters = Randomness::bytes::<16>();
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).map_or('a', |letter| char::from(*letter));
    let groups = letters.chunks(4).map(|group| group.iter().map(letter).collect::<String>());
    groups.collect::<Vec<_>>().join("-")
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        match self {
            Self::Create(arguments) => create(arguments, data, output).await,
            Self::List { domain } => list(domain, data, output).await,
            Self::Show { account } => {
                let account = Desk::open(data).await?.ask(Show { name: account }).await?;
                output.answer(&account, || details(&account));
                Ok(())
            }
            Self::Password { account, password } => set_password(account, password, data, output).await,
            Self::Quota { account, limits } => {
                let (bytes, messages) = limits.changes();
                let change = Change { name: account, bytes, messages, ..Change::default() };
                let account = Desk::open(data).await?.ask(change).await?;
                output.answer(&account, || details(&account));
                Ok(())
            }
            Self::Change { account, name, state } => {
                let change = Change { name: account, display_name: name, state, ..Change::default() };
                let account = Desk::open(data).await?.ask(change).await?;
                output.answer(&account, || details(&account));
                Ok(())
            }
            Self::Delete { account, yes } => delete(account, yes, data, output).await,
        }
    }
}

async fn create(arguments: CreateArguments, data: &DataDir, output: Output) -> Result<(), Problem> {
    let Chosen { password, made } = arguments.password.choose()?;
    let limit = |change| match change {
        LimitChange::Set(limit) => Some(limit),
        LimitChange::Keep | LimitChange::Remove => None,
    };
    let (bytes, messages) = arguments.limits.changes();
    let create = Create {
        address: arguments.address,
        password: Some(password.clone()),
        display_name: arguments.name,
        quota: QuotaView { bytes: limit(bytes), messages: limit(messages) },
    };
    let account = Desk::open(data).await?.ask(create).await?;
    answer_with_password(output, &account, made.then_some(&password), || {
        format!("Created the account {}.\n", account.address)
    });
    Ok(())
}

async fn set_password(
    account: String,
    password: PasswordArguments,
    data: &DataDir,
    output: Output,
) -> Result<(), Problem> {
    let Chosen { password, made } = password.choose()?;
    let change = Change { name: account, password: Some(password.clone()), ..Change::default() };
    let account = Desk::open(data).await?.ask(change).await?;
    answer_with_password(output, &account, made.then_some(&password), || {
        format!("The password of {} is changed.\n", account.address)
    });
    Ok(())
}

#[derive(Serialize)]
struct WithPassword<'a> {
    #[serde(flatten)]
    account: &'a View,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a String>,
}

/// The account, and the password if it was made here: nobody else knows it.
fn answer_with_password(
    output: Output,
    account: &View,
    made: Option<&String>,
    text: impl FnOnce() -> String,
) {
    output.answer(&WithPassword { account, password: made }, || match made {
        Some(password) => format!("{}Its password is {password}\n", text()),
        None => text(),
    });
}

async fn list(domain: Option<String>, data: &DataDir, output: Output) -> Result<(), Problem> {
    let accounts = all(&mut Desk::open(data).await?, domain).await?;
    output.answer(&accounts, || {
        if accounts.is_empty() {
            return "There are no accounts yet: create one with `magpie account create ADDRESS`.\n"
                .to_owned();
        }
        let mut table = Columns::new(&["address", "name", "messages", "size", "limits", "state"]);
        for account in &accounts {
            table.row([
                &account.address,
                account.display_name.as_deref().unwrap_or(""),
                &text::number(account.usage.messages),
                &text::size(account.usage.bytes),
                &limits(&account.quota),
                state(account.state),
            ]);
        }
        table.to_string()
    });
    Ok(())
}

/// All accounts, or those of one domain.
pub(super) async fn all(desk: &mut Desk, domain: Option<String>) -> Result<Vec<View>, Problem> {
    let mut accounts = Vec::new();
    let mut after = None;
    loop {
        let part = desk.ask(List { domain: domain.clone(), after }).await?;
        accounts.extend(part.items);
        after = part.next;
        if after.is_none() {
            return Ok(accounts);
        }
    }
}

async fn delete(account: String, yes: bool, data: &DataDir, output: Output) -> Result<(), Problem> {
    let mut desk = Desk::open(data).await?;
    let found = desk.ask(Show { name: account }).await?;
    if !yes {
        confirm(&format!(
            "This deletes {} with {} for good.",
            found.address,
            count(found.usage.messages, "message")
        ))?;
    }
    let gone = desk.ask(Delete { name: found.address }).await?;
    output.answer(&gone, || {
        format!("Deleted the account {} and {}.\n", gone.address, count(gone.usage.messages, "message"))
    });
    Ok(())
}

fn details(account: &View) -> String {
    let mut pairs = Columns::pairs();
    pairs.row(["Address", &account.address]);
    pairs.row(["Name", account.display_name.as_deref().unwrap_or("none")]);
    pairs.row(["State", state(account.state)]);
    let usage = format!("{}, {}", count(account.usage.messages, "message"), text::size(account.usage.bytes));
    pairs.row(["Holds", &usage]);
    pairs.row(["Limits", &limits(&account.quota)]);
    pairs.row(["Created", &account.created]);
    pairs.row(["Number", &account.id.to_string()]);
    pairs.to_string()
}

/// Limits in words.
fn limits(quota: &QuotaView) -> String {
    match (quota.bytes, quota.messages) {
        (None, None) => "none".to_owned(),
        (Some(bytes), None) => text::size(bytes),
        (None, Some(messages)) => count(messages, "message"),
        (Some(bytes), Some(messages)) => format!("{}, {}", text::size(bytes), count(messages, "message")),
    }
}

const fn state(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Disabled => "disabled",
        State::ReceiveOnly => "receive-only",
    }
}
