//! Reports on TLS (RFC 8460 §4.4). Some senders write one text where a list is meant, and the other way round.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Unread, date};
use crate::observed::cut;
use crate::received::{Received, ReceivedFailure, ReceivedTls, TLS_FAILURES, TLS_POLICIES};
use crate::table::Kind;

/// The longest text, in octets.
const TEXT: usize = 255;
/// The most lines of a policy that are kept.
const LINES: usize = 16;
/// The most values in lists and objects. In memory each has some hundred times the three octets that it can be written
/// with, so they are counted before any of them is read. Reports with ten thousand failures have half as many.
const VALUES: usize = 200_000;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    organization_name: Text,
    date_range: Option<Range>,
    #[serde(default)]
    contact_info: Text,
    #[serde(default)]
    report_id: Text,
    #[serde(default)]
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Range {
    #[serde(default)]
    start_datetime: Text,
    #[serde(default)]
    end_datetime: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Policy {
    policy: Option<Described>,
    summary: Option<Summary>,
    #[serde(default)]
    failure_details: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Described {
    #[serde(default)]
    policy_type: Text,
    #[serde(default)]
    policy_string: Text,
    #[serde(default)]
    policy_domain: Text,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    #[serde(default)]
    total_successful_session_count: Number,
    #[serde(default)]
    total_failure_session_count: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Failure {
    #[serde(default)]
    result_type: Text,
    #[serde(default)]
    sending_mta_ip: Text,
    #[serde(default)]
    receiving_mx_hostname: Text,
    #[serde(default)]
    receiving_ip: Text,
    #[serde(default)]
    failed_session_count: Number,
    #[serde(default)]
    failure_reason_code: Text,
    #[serde(default)]
    additional_information: Text,
}

/// A text, several, or something else that is not wanted.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    Many(Vec<String>),
    Other(IgnoredAny),
}

impl Default for Text {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl Text {
    fn one(&self) -> String {
        match self {
            Self::One(text) => cut(text, TEXT),
            Self::Many(texts) => texts.first().map(|text| cut(text, TEXT)).unwrap_or_default(),
            Self::Other(_) => String::new(),
        }
    }

    fn many(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![cut(text, TEXT)],
            Self::Many(texts) => texts.iter().take(LINES).map(|text| cut(text, TEXT)).collect(),
            Self::Other(_) => Vec::new(),
        }
    }
}

/// A number, or one in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Quoted(String),
    Other(IgnoredAny),
}

impl Default for Number {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl Number {
    fn value(&self) -> u64 {
        match self {
            Self::Whole(number) => *number,
            Self::Quoted(text) => text.trim().parse().unwrap_or(0),
            Self::Other(_) => 0,
        }
    }
}

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Received, Unread> {
    // Inside of texts they are counted too: that refuses nothing that anybody sends.
    let values = text.bytes().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count();
    if values > VALUES {
        return Err(Unread::TooDeep);
    }
    let document: Document =
        serde_json::from_str(text).map_err(|_| Unread::Malformed("this is not the JSON of a report"))?;
    let range = document.date_range.ok_or(Unread::Incomplete("the time that it is about"))?;
    let end =
        date::parse(&range.end_datetime.one()).ok_or(Unread::Incomplete("the time that it is about"))?;
    let domain_of =
        |policy: &Policy| policy.policy.as_ref().map(|policy| policy.policy_domain.one().to_lowercase());
    let domain = document.policies.iter().filter_map(domain_of).find(|domain| !domain.is_empty());
    let domain = domain.ok_or(Unread::Incomplete("the domain that it is about"))?;
    let mut report = Received {
        kind: Kind::Tls,
        organization: document.organization_name.one(),
        contact: document.contact_info.one(),
        report_id: document.report_id.one(),
        begin: date::parse(&range.start_datetime.one()).unwrap_or(end),
        end,
        ..Received::default()
    };
    let mut room = TLS_FAILURES;
    for policy in document.policies {
        // A report is on one domain (§4.3); what it says of another is nobody's here.
        if domain_of(&policy).as_ref() != Some(&domain) || report.tls.len() >= TLS_POLICIES {
            report.left_out += 1;
            continue;
        }
        let (kept, left_out) = under(policy, room);
        room -= kept.failures.len();
        report.left_out += left_out;
        report.tls.push(kept);
    }
    report.domain = domain;
    Ok(report)
}

/// What happened under a policy, with its most frequent failures; and how many others there were.
fn under(policy: Policy, room: usize) -> (ReceivedTls, u64) {
    let summary = policy.summary.unwrap_or_default();
    let mut failures: Vec<Failure> = policy.failure_details;
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.failed_session_count.value()));
    let left_out = failures.len().saturating_sub(room) as u64;
    let failures = failures.iter().take(room).map(failure).collect();
    let described = policy.policy;
    let kept = ReceivedTls {
        policy: described.as_ref().map(|policy| policy.policy_type.one()).unwrap_or_default(),
        text: described.as_ref().map(|policy| policy.policy_string.many()).unwrap_or_default(),
        successes: summary.total_successful_session_count.value(),
        failed: summary.total_failure_session_count.value(),
        failures,
    };
    (kept, left_out)
}

fn failure(failure: &Failure) -> ReceivedFailure {
    let [code, information] = [&failure.failure_reason_code, &failure.additional_information].map(Text::one);
    ReceivedFailure {
        reason: failure.result_type.one(),
        sender: failure.sending_mta_ip.one(),
        host: failure.receiving_mx_hostname.one(),
        address: failure.receiving_ip.one(),
        count: failure.failed_session_count.value(),
        detail: if code.is_empty() { information } else { code },
    }
}
