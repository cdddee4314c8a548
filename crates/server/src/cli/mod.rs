//! The command line: what can be asked for, and how answers look.

mod account;
mod alias;
mod app_password;
mod dev;
mod domain;
mod group;
mod import;
mod output;
mod queue;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Builder;

use self::output::Output;
use crate::data_dir::DataDir;
use crate::log;
use crate::problem::{Kind, Problem};

const AFTER_HELP: &str = "\
Commands other than `dev` talk to the server that runs on the data directory, or open the directory themselves
where none runs.

Exit codes: 0 done; 1 failed; 2 the command line makes no sense; 3 verify found something wrong; 4 some messages
could not be imported; 5 what was named is not there; 6 it is there already.";

/// Magpie, a mail server
#[derive(Debug, Parser)]
#[command(name = "magpie", version, about, after_help = AFTER_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The data directory [default: $XDG_STATE_HOME/magpie, or ~/.local/state/magpie]
    #[arg(long, global = true, env = "MAGPIE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    /// What is logged to standard error: error, warn, info, debug or trace, or per part as in info,fjall=warn
    #[arg(long, global = true, env = "MAGPIE_LOG", value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a complete server on loopback to try things out, with test accounts
    Dev(dev::Arguments),
    /// Domains that the server is responsible for
    #[command(subcommand)]
    Domain(domain::Command),
    /// Accounts: who has mailboxes and logs in
    #[command(subcommand)]
    Account(account::Command),
    /// Further addresses that lead to accounts and groups
    #[command(subcommand)]
    Alias(alias::Command),
    /// Addresses that distribute to many
    #[command(subcommand)]
    Group(group::Command),
    /// Passwords for single apps and devices
    #[command(subcommand)]
    AppPassword(app_password::Command),
    /// Mail that is on its way, and what to do about it
    #[command(subcommand)]
    Queue(queue::Command),
    /// Import mail from a Maildir or mbox files
    Import(import::Arguments),
    /// Look whether everything that is stored agrees
    Verify(verify::Arguments),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> ExitCode {
        let output = Output::new(self.common.json);
        match run(self.common, self.command, output) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                output.problem(&problem);
                ExitCode::from(problem.exit_code())
            }
        }
    }
}

fn run(common: Common, command: Command, output: Output) -> Result<(), Problem> {
    let serves = matches!(command, Command::Dev(_));
    log::start(common.log.as_deref().unwrap_or(if serves { "info" } else { "warn" }))?;
    let data = DataDir::choose(common.data)?;
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Problem::new(Kind::Unavailable, format!("cannot start threads: {error}")))?;
    runtime.block_on(async {
        match command {
            Command::Dev(arguments) => arguments.run(data).await,
            Command::Domain(command) => command.run(&data, output).await,
            Command::Account(command) => command.run(&data, output).await,
            Command::Alias(command) => command.run(&data, output).await,
            Command::Group(command) => command.run(&data, output).await,
            Command::AppPassword(command) => command.run(&data, output).await,
            Command::Queue(command) => command.run(&data, output).await,
            Command::Import(arguments) => arguments.run(&data, output).await,
            Command::Verify(arguments) => arguments.run(&data, output).await,
        }
    })
}

#[cfg(test)]
mod tests;
