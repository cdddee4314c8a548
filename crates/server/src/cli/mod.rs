//! The command line: what can be asked for, and how answers look.

mod account;
mod alias;
mod app_password;
mod dev;
mod dkim;
mod dns;
mod domain;
mod group;
mod import;
mod oauth;
mod output;
mod queue;
mod report;
mod serve;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Builder;

use self::output::Output;
use crate::config::{LogSettings, Settings, USUAL_PLACE};
use crate::data_dir::DataDir;
use crate::log::{self, LogFormat};
use crate::problem::{Kind, Problem};

const AFTER_HELP: &str = "\
Commands other than `serve` and `dev` talk to the server that runs on the data directory, or open the directory
themselves where none runs. Without --data they take the directory that the configuration names: that of --config,
or else /etc/magpie/magpie.toml if it is there.

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
    /// The data directory [default: that of the configuration; else $XDG_STATE_HOME/magpie, or ~/.local/state/magpie]
    #[arg(long, global = true, env = "MAGPIE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration [default: /etc/magpie/magpie.toml]
    #[arg(long, global = true, env = "MAGPIE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Run the server that a configuration describes
    Serve(serve::Arguments),
    /// Domains that the server is responsible for
    #[command(subcommand)]
    Domain(domain::Command),
    /// Keys with which the mail of a domain is signed
    #[command(subcommand)]
    Dkim(dkim::Command),
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
    /// Apps that may ask for access by OAuth, and what they were granted
    #[command(subcommand, name = "oauth")]
    OAuth(oauth::Command),
    /// Mail that is on its way, and what to do about it
    #[command(subcommand)]
    Queue(queue::Command),
    /// What others report about mail in your domains' names, and about TLS on the way to them
    #[command(subcommand)]
    Report(report::Command),
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
    let command = match command {
        Command::Serve(arguments) => return arguments.run(common),
        other => other,
    };
    let filter = common.log.clone().unwrap_or_else(|| {
        let serves = matches!(command, Command::Dev(_));
        if serves { "info" } else { "warn" }.to_owned()
    });
    log::start(&LogSettings { filter, format: LogFormat::Text })?;
    let settings = match &command {
        Command::Domain(domain::Command::Dns(_)) => common.settings()?,
        _ => None,
    };
    let data = match &command {
        // A server to try things out is never that of the configuration.
        Command::Dev(_) => DataDir::choose(common.data)?,
        _ => common.site()?,
    };
    block_on(async {
        match command {
            Command::Dev(arguments) => arguments.run(data).await,
            // Has run above.
            Command::Serve(_) => Ok(()),
            Command::Domain(command) => command.run(&data, settings, output).await,
            Command::Dkim(command) => command.run(&data, output).await,
            Command::Account(command) => command.run(&data, output).await,
            Command::Alias(command) => command.run(&data, output).await,
            Command::Group(command) => command.run(&data, output).await,
            Command::AppPassword(command) => command.run(&data, output).await,
            Command::OAuth(command) => command.run(&data, output).await,
            Command::Queue(command) => command.run(&data, output).await,
            Command::Report(command) => command.run(&data, output).await,
            Command::Import(arguments) => arguments.run(&data, output).await,
            Command::Verify(arguments) => arguments.run(&data, output).await,
        }
    })
}

fn block_on(work: impl Future<Output = Result<(), Problem>>) -> Result<(), Problem> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Problem::new(Kind::Unavailable, format!("cannot start threads: {error}")))?;
    runtime.block_on(work)
}

impl Common {
    /// The settings in the configuration, if there is one; those that are named must be there.
    fn settings(&self) -> Result<Option<Settings>, Problem> {
        let mut settings = match &self.config {
            Some(path) => Settings::load(path)?,
            None if self.data.is_none() && Path::new(USUAL_PLACE).exists() => {
                Settings::load(Path::new(USUAL_PLACE))?
            }
            None => return Ok(None),
        };
        if let Some(data) = &self.data {
            settings.data.clone_from(data);
        }
        Ok(Some(settings))
    }

    /// The data directory that a command is about, and how its services are set up.
    fn site(self) -> Result<DataDir, Problem> {
        match self.settings()? {
            Some(settings) => DataDir::new(&settings.data, settings.node),
            None => DataDir::choose(self.data),
        }
    }
}

#[cfg(test)]
mod tests;
