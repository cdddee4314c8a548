//! `magpie import`

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::import::{Begin, SourceId};
use crate::data_dir::DataDir;
use crate::import::{Carrier, Extent, Source, Tally};
use crate::problem::{Kind, Problem};
use crate::progress::Progress;
use crate::text::{count, number, size};

/// Can be stopped and run again at any time: what is in already is passed over. So a second run some days later
/// brings what is new.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose mail it becomes
    #[arg(long)]
    account: String,
    /// maildir:PATH, or mbox:PATH for a file or a folder of files
    source: String,
    /// Put everything below this mailbox instead of sorting it into INBOX, Sent and so on
    #[arg(long, value_name = "FOLDER")]
    into: Option<String>,
    /// Forget what was imported from this source before, and import all of it again
    #[arg(long)]
    again: bool,
}

/// How many failures are listed one by one for people.
const FAILURES: usize = 100;

#[derive(Serialize)]
struct Summary<'a> {
    account: &'a str,
    #[serde(flatten)]
    tally: &'a Tally,
    seconds: f64,
}

impl Arguments {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let source: Source = self.source.parse()?;
        let id = SourceId(source.id(self.into.as_deref())?);
        let mut desk = Desk::open(data).await?;
        let target = desk.ask(Begin { account: self.account, source: id, again: self.again }).await?;
        let looking = source.clone();
        let extent = tokio::task::spawn_blocking(move || looking.extent()).await;
        let extent = extent.map_err(|error| Problem::new(Kind::Internal, error.to_string()))??;
        let (Extent::Messages(total) | Extent::Bytes(total)) = extent;
        let mut progress = Progress::new(total, output.is_json());
        let began = Instant::now();
        let address = target.address.clone();
        let carrier = Carrier {
            desk: &mut desk,
            target,
            source: id,
            into: self.into,
            limit: data.node_options().message_size,
        };
        let carried = carrier
            .run(source, |tally| progress.at(tally.progress, tally.imported + tally.known, "messages"))
            .await;
        progress.finish();
        let tally = carried.map_err(|problem| Problem {
            message: format!(
                "{problem}. Nothing that was imported so far is lost: run the same command again to go on"
            ),
            ..problem
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let summary = Summary { account: &address, tally: &tally, seconds };
        output.answer(&summary, || text(&summary));
        match tally.failed.len() as u64 {
            0 => Ok(()),
            failed => Err(Problem::new(
                Kind::Incomplete,
                format!("{} could not be imported; the others are in", count(failed, "message")),
            )),
        }
    }
}

fn text(summary: &Summary<'_>) -> String {
    let Summary { account, tally, seconds } = summary;
    let mut text = format!("Imported {} ({})", count(tally.imported, "message"), size(tally.bytes));
    let folders = count(tally.folders.len() as u64, "folder");
    text.push_str(&format!(" from {folders} into {account} in {seconds:.1} s"));
    if tally.imported > 0 && *seconds > 0.0 {
        text.push_str(&format!(", {} per second", number((tally.imported as f64 / seconds) as u64)));
    }
    text.push_str(".\n");
    if tally.known > 0 {
        text.push_str(&format!(
            "{} had been imported before; --again would import them once more.\n",
            count(tally.known, "message")
        ));
    }
    for moved in tally.folders.iter().filter(|moved| moved.folder != moved.mailbox) {
        text.push_str(&format!("  {} went to {}\n", moved.folder, moved.mailbox));
    }
    for failed in tally.failed.iter().take(FAILURES) {
        text.push_str(&format!("  {}: {}\n", failed.place, failed.reason));
    }
    if tally.failed.len() > FAILURES {
        let more = number((tally.failed.len() - FAILURES) as u64);
        text.push_str(&format!("  and {more} more: --json lists all of them\n"));
    }
    text
}
