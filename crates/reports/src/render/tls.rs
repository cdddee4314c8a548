//! A report on TLS as JSON (RFC 8460 §4).

use serde::Serialize;

use super::Named;
use crate::observed::{TlsDay, TlsFailure, TlsTally};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    organization_name: &'a str,
    date_range: Range,
    contact_info: &'a str,
    report_id: String,
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Range {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Policy<'a> {
    policy: Described<'a>,
    summary: Summary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failure_details: Vec<Failure<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Described<'a> {
    policy_type: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_string: &'a [String],
    policy_domain: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    mx_host: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    total_successful_session_count: u64,
    total_failure_session_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Failure<'a> {
    result_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sending_mta_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    receiving_mx_hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_ip: Option<&'a str>,
    failed_session_count: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    failure_reason_code: &'a str,
}

/// The report.
pub(super) fn json(report: &Named<'_>, day: &TlsDay) -> Vec<u8> {
    let domain = &report.claim.domain;
    let document = Document {
        organization_name: &report.sender.organization,
        date_range: Range {
            start_datetime: format!("{}T00:00:00Z", report.claim.day),
            end_datetime: format!("{}T23:59:59Z", report.claim.day),
        },
        contact_info: &report.sender.contact,
        report_id: format!("{}@{}", report.id, report.sender.domain()),
        policies: day.policies.iter().map(|tally| policy(domain, tally)).collect(),
    };
    // Strings and numbers can always be written.
    serde_json::to_vec_pretty(&document).unwrap_or_default()
}

fn policy<'a>(domain: &'a str, tally: &'a TlsTally) -> Policy<'a> {
    Policy {
        policy: Described {
            policy_type: tally.policy.kind.as_str(),
            policy_string: &tally.policy.text,
            policy_domain: domain,
            mx_host: &tally.policy.hosts,
        },
        summary: Summary {
            total_successful_session_count: tally.successes,
            total_failure_session_count: tally.failed(),
        },
        failure_details: tally.failures.iter().map(|(one, count)| failure(one, *count)).collect(),
    }
}

fn failure(failure: &TlsFailure, count: u64) -> Failure<'_> {
    Failure {
        result_type: &failure.reason,
        sending_mta_ip: failure.source.as_deref(),
        receiving_mx_hostname: &failure.host,
        receiving_ip: failure.address.as_deref(),
        failed_session_count: count,
        failure_reason_code: &failure.detail,
    }
}
