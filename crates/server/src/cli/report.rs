//! `magpie report`

use clap::Subcommand;

use super::output::Output;
use crate::admin::Desk;
use crate::admin::operation::report::{Detail, List, Show, Summary};
use crate::data_dir::DataDir;
use crate::problem::Problem;
use crate::text::{Columns, count, number};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List reports, the newest first
    List {
        /// Only these: dmarc, what became of mail in a domain's name; tls, how TLS went on the way to it
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only on this domain
        #[arg(long, value_name = "NAME")]
        domain: Option<String>,
        /// Only those of so many days
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// Show a report: who sends in the domain's name and passes or fails; who could not reach it by TLS, and why
    Show {
        /// Its id, as in the list
        id: String,
    },
}

impl Command {
    pub(super) async fn run(self, data: &DataDir, output: Output) -> Result<(), Problem> {
        let mut desk = Desk::open(data).await?;
        match self {
            Self::List { kind, domain, days } => {
                let reports = desk.ask(List { kind, domain, days }).await?;
                output.answer(&reports, || table(&reports));
            }
            Self::Show { id } => {
                let report = desk.ask(Show { id }).await?;
                output.answer(&report, || details(&report));
            }
        }
        Ok(())
    }
}

fn table(reports: &[Summary]) -> String {
    if reports.is_empty() {
        return "There are no reports yet. Others send them to the address that `magpie domain dns` publishes, once a day.\n"
            .to_owned();
    }
    let mut table = Columns::new(&["id", "kind", "domain", "until", "from", "good", "bad"]);
    for report in reports {
        let from =
            if report.proved { report.organization.clone() } else { format!("{} (?)", report.organization) };
        table.row([
            &report.id,
            &report.kind,
            &report.domain,
            &report.end,
            &from,
            &number(report.good),
            &number(report.bad),
        ]);
    }
    let mut text = table.to_string();
    if reports.iter().any(|report| !report.proved) {
        text += "(?) Nobody has proved to have sent this one: anybody may have written it.\n";
    }
    text
}

fn details(report: &Detail) -> String {
    let Summary { id, domain, organization, begin, end, sender, proved, .. } = &report.summary;
    let mut pairs = Columns::pairs();
    pairs.row(["Id", id]);
    pairs.row(["Domain", domain]);
    pairs.row(["Time", &format!("{begin} to {end}")]);
    pairs.row(["From", &format!("{organization}, {}, report {}", report.contact, report.report_id)]);
    let sent = match (sender.as_str(), proved) {
        ("", _) => "by somebody whom nobody has checked".to_owned(),
        (sender, true) => format!("by {sender}, which stands behind it"),
        (sender, false) => format!("by somebody in the name of {sender}, which does not stand behind it"),
    };
    pairs.row(["Sent", &format!("{sent}, at {}", report.received)]);
    if let Some(policy) = &report.policy {
        pairs.row(["Policy", policy]);
    }
    let mut text = format!("{pairs}\n");
    match report.policy {
        Some(_) => text += &sources(report),
        None => text += &tls(report),
    }
    if report.left_out > 0 {
        text += &format!("{} of the report were not kept.\n", count(report.left_out, "row"));
    }
    text
}

fn sources(report: &Detail) -> String {
    let word = |passed| if passed { "pass" } else { "fail" };
    let mut table = Columns::new(&["count", "source", "dkim", "spf", "what was done", "author", "found"]);
    for source in &report.sources {
        let found = source.results.iter().chain(&source.reasons).map(String::as_str);
        table.row([
            &number(source.count),
            &source.address,
            word(source.dkim_aligned),
            word(source.spf_aligned),
            &source.disposition,
            &source.header_from,
            &found.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.to_string()
}

fn tls(report: &Detail) -> String {
    let mut text = String::new();
    for tally in &report.policies {
        let (good, bad) = (count(tally.successes, "session"), number(tally.failed));
        text += &format!("{}: {good} as it should be, {bad} not.\n", tally.policy);
        if tally.failures.is_empty() {
            continue;
        }
        let mut table = Columns::new(&["count", "reason", "host", "address", "from", "detail"]);
        for failure in &tally.failures {
            table.row([
                &number(failure.count),
                &failure.reason,
                &failure.host,
                &failure.address,
                &failure.sender,
                &failure.detail,
            ]);
        }
        text += &table.to_string();
    }
    text
}
