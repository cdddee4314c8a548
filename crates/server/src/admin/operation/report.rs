//! Reports that others have sent on our domains.

use bytes::Bytes;
use reports::{Filter, Kind, Received, ReceivedFailure, ReceivedRow, ReportId};
use serde::{Deserialize, Serialize};

use super::domain_name;
use crate::admin::Operation;
use crate::node::Node;
use crate::problem::Problem;
use crate::text::date_time;

/// The most reports of one list.
const MOST: usize = 5_000;

/// A report in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) id: String,
    /// `dmarc` or `tls`.
    pub(crate) kind: String,
    /// The domain of ours.
    pub(crate) domain: String,
    /// Who reports, as they call themselves.
    pub(crate) organization: String,
    pub(crate) begin: String,
    pub(crate) end: String,
    /// Messages that passed, or sessions that were as the policy wants them; and others.
    pub(crate) good: u64,
    pub(crate) bad: u64,
    /// The domain of whoever has sent the report, and whether it stands behind that (DMARC).
    pub(crate) sender: String,
    pub(crate) proved: bool,
}

/// A report with all that is kept of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) contact: String,
    pub(crate) report_id: String,
    pub(crate) received: String,
    /// The policy that was found (DMARC).
    pub(crate) policy: Option<String>,
    /// Who has sent mail in the domain's name, the most frequent first.
    pub(crate) sources: Vec<Source>,
    /// How TLS went, by policy.
    pub(crate) policies: Vec<TlsPolicy>,
    /// Rows of the report that are not kept.
    pub(crate) left_out: u64,
}

/// Messages from one source that came to the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) address: String,
    pub(crate) count: u64,
    pub(crate) disposition: String,
    pub(crate) dkim_aligned: bool,
    pub(crate) spf_aligned: bool,
    pub(crate) header_from: String,
    pub(crate) envelope_from: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) results: Vec<String>,
}

/// How TLS went under a policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct TlsPolicy {
    pub(crate) policy: String,
    pub(crate) text: Vec<String>,
    pub(crate) successes: u64,
    pub(crate) failed: u64,
    pub(crate) failures: Vec<Failure>,
}

/// Sessions that failed in the same way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) count: u64,
    pub(crate) sender: String,
    pub(crate) host: String,
    pub(crate) address: String,
    pub(crate) detail: String,
}

impl Summary {
    fn of(id: ReportId, report: &Received) -> Self {
        let (good, bad) = match &report.dmarc {
            Some(dmarc) => (dmarc.passed, dmarc.messages.saturating_sub(dmarc.passed)),
            None => {
                let sum = |sum: u64, more: u64| sum.saturating_add(more);
                let good = report.tls.iter().map(|tally| tally.successes).fold(0, sum);
                (good, report.tls.iter().map(|tally| tally.failed).fold(0, sum))
            }
        };
        Self {
            id: id.to_string(),
            kind: report.kind.as_str().to_owned(),
            domain: report.domain.clone(),
            organization: report.organization.clone(),
            begin: date_time(report.begin),
            end: date_time(report.end),
            good,
            bad,
            sender: report.sender.clone(),
            proved: report.proved,
        }
    }
}

impl Detail {
    fn of(id: ReportId, report: Received) -> Self {
        let summary = Summary::of(id, &report);
        let (policy, rows) = report.dmarc.map(|dmarc| (dmarc.policy, dmarc.rows)).unzip();
        let policies = report.tls.into_iter().map(|tally| TlsPolicy {
            policy: tally.policy,
            text: tally.text,
            successes: tally.successes,
            failed: tally.failed,
            failures: tally.failures.into_iter().map(Failure::from).collect(),
        });
        Self {
            summary,
            contact: report.contact,
            report_id: report.report_id,
            received: date_time(report.received),
            policy,
            sources: rows.unwrap_or_default().into_iter().map(Source::from).collect(),
            policies: policies.collect(),
            left_out: report.left_out,
        }
    }
}

impl From<ReceivedRow> for Source {
    fn from(row: ReceivedRow) -> Self {
        Self {
            address: row.source,
            count: row.count,
            disposition: row.disposition,
            dkim_aligned: row.dkim,
            spf_aligned: row.spf,
            header_from: row.header_from,
            envelope_from: row.envelope_from,
            reasons: row.reasons,
            results: row.results,
        }
    }
}

impl From<ReceivedFailure> for Failure {
    fn from(failure: ReceivedFailure) -> Self {
        let ReceivedFailure { reason, sender, host, address, count, detail } = failure;
        Self { reason, count, sender, host, address, detail }
    }
}

/// Lists reports, the newest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct List {
    /// `dmarc` or `tls`; none for both.
    pub(crate) kind: Option<String>,
    pub(crate) domain: Option<String>,
    /// Only those that end in so many days before now.
    pub(crate) days: Option<u32>,
}

impl Operation for List {
    const NAME: &'static str = "report.list";
    type Answer = Vec<Summary>;

    async fn run(self, node: &Node, _: Bytes) -> Result<Vec<Summary>, Problem> {
        let kind = match &self.kind {
            Some(name) => Some(
                Kind::named(name)
                    .ok_or_else(|| Problem::invalid(format!("there are dmarc and tls, but not {name:?}")))?,
            ),
            None => None,
        };
        let domain = self.domain.as_deref().map(domain_name).transpose()?;
        let filter = Filter { kind, domain: domain.map(|name| name.to_string()), days: self.days };
        let found = node.reports.list(&filter, MOST).await?;
        Ok(found.iter().map(|(id, report)| Summary::of(*id, report)).collect())
    }
}

/// Shows one report.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Show {
    pub(crate) id: String,
}

impl Operation for Show {
    const NAME: &'static str = "report.show";
    type Answer = Detail;

    async fn run(self, node: &Node, _: Bytes) -> Result<Detail, Problem> {
        let id: ReportId =
            self.id.parse().map_err(|error: reports::ReportIdError| Problem::invalid(error.to_string()))?;
        let report = node.reports.show(id).await?.ok_or_else(|| {
            Problem::not_found(format!(
                "there is no report {id}: `magpie report list` shows those that there are"
            ))
        })?;
        Ok(Detail::of(id, report))
    }
}
