//! Delivers mail until it is killed, and checks afterwards that nothing acknowledged is lost.
//!
//! ```text
//! deliverer DIR --ack FILE [--threads 16] [--seed N]    runs until it is killed
//! deliverer DIR --check FILE                            0: all there, once, byte for byte · 3: some are lost
//!                                                       4: something is there twice or contradicts itself
//!                                                       5: the stores do not open or cannot be read
//!                                                       2: wrong usage
//! ```
//!
//! FILE must be on a disk that survives. Each line of it is an acknowledged delivery: account, UID, size and BLAKE3.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a test rig prints what it found"
)]
#![allow(clippy::unwrap_used, reason = "the letters of the tests are written by code that cannot fail")]

#[path = "../tests/support/crash.rs"]
mod crash;
#[path = "../tests/support/letter.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod letter;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crash::{AckFile, Audit, Stores};

const USAGE: &str = "usage: deliverer DIR --ack FILE [--threads N] [--seed N] | deliverer DIR --check FILE";

const WRONG_USAGE: u8 = 2;
const LOST: u8 = 3;
const WRONG: u8 = 4;
const UNREADABLE: u8 = 5;

enum Task {
    Deliver { acks: PathBuf },
    Check { acks: PathBuf },
}

struct Command {
    directory: PathBuf,
    task: Task,
    threads: u64,
    seed: u64,
}

impl Command {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let directory = arguments.next()?.into();
        let (mut task, mut threads, mut seed) = (None, 16, 1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next()?;
            match argument.as_str() {
                "--ack" => task = Some(Task::Deliver { acks: value.into() }),
                "--check" => task = Some(Task::Check { acks: value.into() }),
                "--threads" => threads = value.parse().ok()?,
                "--seed" => seed = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(Self { directory, task: task?, threads, seed })
    }

    async fn run(&self) -> Result<ExitCode, String> {
        match &self.task {
            Task::Deliver { acks } => {
                let stores = Stores::open(&self.directory)?;
                let acks =
                    AckFile::append_to(acks).map_err(|error| format!("{}: {error}", acks.display()))?;
                println!("delivering");
                stores.deliver(Arc::new(acks), self.threads, self.seed).await.map(|()| ExitCode::SUCCESS)
            }
            Task::Check { acks } => {
                let acknowledged = AckFile::read(acks)?;
                Stores::open(&self.directory)?.audit(&acknowledged).await.map(|audit| report(&audit))
            }
        }
    }
}

fn report(audit: &Audit) -> ExitCode {
    let Audit { acknowledged, stored, lost, wrong } = audit;
    println!("{acknowledged} acknowledged, {stored} stored, {} lost, {} wrong", lost.len(), wrong.len());
    lost.iter().take(10).for_each(|lost| println!("lost: {lost}"));
    wrong.iter().take(10).for_each(|wrong| println!("wrong: {wrong}"));
    match (lost.is_empty(), wrong.is_empty()) {
        (false, _) => ExitCode::from(LOST),
        (true, false) => ExitCode::from(WRONG),
        (true, true) => ExitCode::SUCCESS,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(command) = Command::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(WRONG_USAGE);
    };
    command.run().await.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(UNREADABLE)
    })
}
