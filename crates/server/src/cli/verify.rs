//! `magpie verify`

use clap::Args;
use serde::Serialize;

use super::account::all;
use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::account::Show;
use crate::admin::operation::verify::{Account, Blobs, Finding, Queue};
use crate::data_dir::DataDir;
use crate::problem::{Kind, Problem};
use crate::progress::Progress;
use crate::text::{count, size};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only this account, and neither the queues nor the blob store
    #[arg(long)]
    account: Option<String>,
}

#[derive(Default, Serialize)]
struct Report {
    accounts: u64,
    messages: u64,
    queued: u64,
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
            let queue = desk.ask(Queue {}).await?;
            report.queued = queue.messages;
            let blobs = desk.ask(Blobs {}).await?;
            report.blobs = blobs.blobs;
            report.blob_bytes = blobs.bytes;
            let findings = queue.findings.into_iter().chain(blobs.findings);
            report.findings.extend(findings.map(|finding| Found { account: None, finding }));
        }
        progress.finish();
        output.answer(&report, || text(&report));
        if report.findings.is_empty() {
            return Ok(());
        }
        Err(Problem::new(Kind::Findings, advice(&report.findings)))
    }
}

/// What to do. Blobs are damaged by disks; the store below an account's records guards each of them with a checksum,
/// so if these do not agree, they were written like that.
fn advice(findings: &[Found]) -> String {
    let count = count(findings.len() as u64, "finding");
    let keep = "keep a copy of the data directory";
    let of_queue = |found: &Found| found.finding.place.starts_with("message");
    if findings.iter().any(|found| found.account.is_none() && !of_queue(found)) {
        format!("{count}: {keep}, check the disk, and restore what is damaged from a backup")
    } else {
        format!("{count}: {keep} and report this: it is a mistake in Magpie, and the disk is not to blame")
    }
}

/// One finding in a line. Some say themselves where they are.
fn line(found: &Found) -> String {
    let account = found.account.as_deref().map(|account| format!("{account}: ")).unwrap_or_default();
    let Finding { rule, place, what } = &found.finding;
    let place = if what.contains(place) { String::new() } else { format!("{place}: ") };
    format!("{account}{place}{what} (broken: {rule})\n")
}

fn text(report: &Report) -> String {
    let text: String = report.findings.iter().map(line).collect();
    let looked = format!(
        "Looked at {} with {}, {} in the queue, {} ({})",
        count(report.accounts, "account"),
        count(report.messages, "message"),
        report.queued,
        count(report.blobs, "blob"),
        size(report.blob_bytes)
    );
    match report.findings.len() as u64 {
        0 => format!("{looked}: everything agrees.\n"),
        findings => format!("{text}{looked}: {}.\n", count(findings, "finding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(account: Option<&str>, place: &str, what: &str) -> Found {
        let finding = Finding { rule: "a rule".into(), place: place.into(), what: what.into() };
        Found { account: account.map(str::to_owned), finding }
    }

    #[test]
    fn a_finding_names_its_place_once() {
        assert_eq!(
            line(&found(None, "blob 5b", "blob 5b is damaged: short")),
            "blob 5b is damaged: short (broken: a rule)\n"
        );
        assert_eq!(
            line(&found(Some("a@b.test"), "thread 7", "is empty")),
            "a@b.test: thread 7: is empty (broken: a rule)\n"
        );
    }

    #[test]
    fn only_blobs_point_to_the_disk() {
        let (blob, record) = (found(None, "blob 5b", "x"), found(Some("a@b.test"), "thread 7", "x"));
        assert!(!advice(std::slice::from_ref(&record)).contains("check the disk"));
        assert!(
            advice(&[record, blob])
                .starts_with("2 findings: keep a copy of the data directory, check the disk")
        );
    }
}
