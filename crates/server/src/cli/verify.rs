//! `magpie verify`

use clap::Args;
use serde::Serialize;

use super::account::all;
use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::account::Show;
use crate::admin::operation::verify::{Account, Blobs, Finding};
use crate::data_dir::DataDir;
use crate::problem::{Kind, Problem};
use crate::progress::Progress;
use crate::text::{count, size};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this account, and not the blob store
    #[arg(long)]
    account: Option<String>,
}

#[derive(Default, Serialize)]
struct Report {
    accounts: u64,
    messages: u64,
    blobs: u64,
    blob_bytes: u64,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(flatten)]
    finding: Finding,
}

impl Arguments {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        let whole = self.account.is_none();
        let accounts = match self.account {
            Some(name) => vec![desk.ask(Show { name }).await?],
            None => all(&mut desk, None).await?,
        };
        let mut report = Report::default();
        let mut progress = Progress::new(accounts.len() as u64 + u64::from(whole), output.is_json());
        for account in accounts {
            let findings = desk.ask(Account { id: account.id }).await?;
            let found = |finding| Found { account: Some(account.address.clone()), finding };
            report.findings.extend(findings.into_iter().map(found));
            report.accounts += 1;
            report.messages += account.usage.messages;
            progress.at(report.accounts, report.messages, "messages");
        }
        if whole {
            let blobs = desk.ask(Blobs {}).await?;
            report.blobs = blobs.blobs;
            report.blob_bytes = blobs.bytes;
            report
                .findings
                .extend(blobs.findings.into_iter().map(|finding| Found { account: None, finding }));
        }
        progress.finish();
        output.answer(&report, || text(&report));
        if report.findings.is_empty() {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Findings,
            format!(
                "{}: keep a copy of the data directory, check the disk, and restore what is damaged from a backup",
                count(report.findings.len() as u64, "finding")
            ),
        ))
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for found in &report.findings {
        let account = found.account.as_deref().map(|account| format!("{account}: ")).unwrap_or_default();
        let Finding { rule, place, what } = &found.finding;
        text.push_str(&format!("{account}{place}: {what} (broken: {rule})\n"));
    }
    let looked = format!(
        "Looked at {} with {}, {} ({})",
        count(report.accounts, "account"),
        count(report.messages, "message"),
        count(report.blobs, "blob"),
        size(report.blob_bytes)
    );
    match report.findings.len() as u64 {
        0 => format!("{looked}: everything agrees.\n"),
        findings => format!("{text}{looked}: {}.\n", count(findings, "finding")),
    }
}
