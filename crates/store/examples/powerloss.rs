//! Writes to a store until it is killed, and checks afterwards that nothing acknowledged is lost.
//!
//! ```text
//! powerloss write DIR --ack FILE [--no-fsync]    runs until it is killed
//! powerloss check DIR --ack FILE                 0: all there · 3: some are lost
//!                                                4: none is, but parts of transactions are there
//!                                                5: the store does not open, or cannot be read
//!                                                2: wrong usage
//! ```
//!
//! FILE must be on a disk that survives. `--no-fsync` is the negative control: the check must then find losses.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a test rig prints what it found"
)]

#[path = "../tests/kv/ledger.rs"]
mod ledger;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ledger::{AckFile, Audit, Ledger};

const TASKS: u32 = 16;
const USAGE: &str = "usage: powerloss write DIR --ack FILE [--no-fsync] | powerloss check DIR --ack FILE";

const WRONG_USAGE: u8 = 2;
const LOST: u8 = 3;
const TORN: u8 = 4;
const UNREADABLE: u8 = 5;

enum Task {
    Write { sync: bool },
    Check,
}

struct Command {
    task: Task,
    directory: PathBuf,
    acks: PathBuf,
}

impl Command {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut task = match arguments.next()?.as_str() {
            "write" => Task::Write { sync: true },
            "check" => Task::Check,
            _ => return None,
        };
        let directory = arguments.next()?.into();
        let mut acks = None;
        while let Some(argument) = arguments.next() {
            match (argument.as_str(), &mut task) {
                ("--ack", _) => acks = Some(arguments.next()?.into()),
                ("--no-fsync", Task::Write { sync }) => *sync = false,
                _ => return None,
            }
        }
        Some(Self { task, directory, acks: acks? })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(command) = Command::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(WRONG_USAGE);
    };
    let done = match command.task {
        Task::Write { sync } => write(&command.directory, &command.acks, sync).await,
        Task::Check => check(&command.directory, &command.acks).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(UNREADABLE)
    })
}

async fn write(directory: &Path, acks: &Path, sync: bool) -> Result<ExitCode, String> {
    let ledger = Ledger::open(directory, sync).map_err(|error| error.to_string())?;
    let acks = AckFile::append_to(acks).map_err(|error| format!("{}: {error}", acks.display()))?;
    println!("writing");
    ledger::write(ledger, Arc::new(acks), TASKS).await.map(|()| ExitCode::SUCCESS)
}

async fn check(directory: &Path, acks: &Path) -> Result<ExitCode, String> {
    let acknowledged = AckFile::read(acks)?;
    let ledger = Ledger::open(directory, true).map_err(|error| error.to_string())?;
    let Audit { entries, acknowledged, lost, torn } =
        ledger.audit(&acknowledged).await.map_err(|error| error.to_string())?;
    println!("{acknowledged} acknowledged, {entries} stored, {} lost, {} torn", lost.len(), torn.len());
    lost.iter().take(10).for_each(|lost| println!("lost: {lost}"));
    torn.iter().take(10).for_each(|torn| println!("torn: {torn}"));
    Ok(match (lost.is_empty(), torn.is_empty()) {
        (false, _) => ExitCode::from(LOST),
        (true, false) => ExitCode::from(TORN),
        (true, true) => ExitCode::SUCCESS,
    })
}
