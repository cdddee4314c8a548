//! Reports on mail in a domain's name: RFC 9990, RFC 7489 Appendix C, and what was sent before that. Nobody sends all that
//! the schemas demand, in the order that they demand; what is not there is empty.

use std::cmp::Reverse;

use types::Timestamp;

use super::Unread;
use super::xml::{self, Listener};
use crate::observed::cut;
use crate::received::{DMARC_ROWS, Received, ReceivedDmarc, ReceivedRow};

/// The longest text, in octets.
const TEXT: usize = 255;
/// The most results and reasons of a row.
const OF_A_ROW: usize = 8;

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Received, Unread> {
    let mut reader = Reader::default();
    xml::walk(text, &mut reader)?;
    let Reader { mut report, mut dmarc, records, is_feedback, .. } = reader;
    if !is_feedback {
        return Err(Unread::Incomplete("the element feedback"));
    }
    if report.domain.is_empty() {
        return Err(Unread::Incomplete("the domain that it is about"));
    }
    if report.end.0 == 0 {
        return Err(Unread::Incomplete("the time that it is about"));
    }
    dmarc.messages = records.messages;
    dmarc.passed = records.passed;
    (dmarc.rows, report.left_out) = records.done();
    report.dmarc = Some(dmarc);
    Ok(report)
}

/// The largest rows of a report, however many there are.
#[derive(Debug, Default)]
struct Records {
    rows: Vec<ReceivedRow>,
    left_out: u64,
    messages: u64,
    passed: u64,
}

impl Records {
    fn add(&mut self, row: ReceivedRow) {
        self.messages = self.messages.saturating_add(row.count);
        if row.dkim || row.spf {
            self.passed = self.passed.saturating_add(row.count);
        }
        self.rows.push(row);
        if self.rows.len() >= 4 * DMARC_ROWS {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.rows.sort_by_key(|row| Reverse(row.count));
        self.left_out += self.rows.len().saturating_sub(DMARC_ROWS) as u64;
        self.rows.truncate(DMARC_ROWS);
    }

    fn done(mut self) -> (Vec<ReceivedRow>, u64) {
        self.cut();
        (self.rows, self.left_out)
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    report: Received,
    dmarc: ReceivedDmarc,
    records: Records,
    is_feedback: bool,
    row: ReceivedRow,
    auth: Auth,
}

/// A result that is being read.
#[derive(Default)]
struct Auth {
    domain: String,
    selector: String,
    result: String,
}

impl Listener for Reader {
    fn open(&mut self, path: &[String]) {
        match names(path).as_slice() {
            ["feedback"] => self.is_feedback = true,
            ["feedback", "record"] => self.row = ReceivedRow { count: 1, ..ReceivedRow::default() },
            ["feedback", "record", "auth_results", "dkim" | "spf"] => self.auth = Auth::default(),
            _ => {}
        }
    }

    fn close(&mut self, path: &[String], text: &str) {
        let text = cut(text, TEXT);
        match names(path).as_slice() {
            ["feedback", "report_metadata", field @ ..] => self.metadata(field, text),
            ["feedback", "policy_published", "domain"] => self.report.domain = text.to_lowercase(),
            ["feedback", "policy_published", field] => self.published(field, text),
            ["feedback", "record"] => self.records.add(std::mem::take(&mut self.row)),
            ["feedback", "record", field @ ..] => self.record(field, text),
            _ => {}
        }
    }
}

impl Reader {
    fn metadata(&mut self, field: &[&str], text: String) {
        let moment = || Timestamp::from_secs(text.parse().unwrap_or(0));
        match field {
            ["org_name"] => self.report.organization = text,
            ["email"] => self.report.contact = text,
            ["report_id"] => self.report.report_id = text,
            ["date_range", "begin"] => self.report.begin = moment(),
            ["date_range", "end"] => self.report.end = moment(),
            _ => {}
        }
    }

    fn published(&mut self, field: &str, text: String) {
        // What else is said of the policy is of no use here.
        if matches!(field, "p" | "sp" | "np" | "adkim" | "aspf" | "pct" | "testing") && !text.is_empty() {
            let policy = &mut self.dmarc.policy;
            if policy.len() < TEXT {
                *policy = format!("{policy}{}{field}={text}", if policy.is_empty() { "" } else { "; " });
            }
        }
    }

    fn record(&mut self, field: &[&str], text: String) {
        let row = &mut self.row;
        match field {
            ["row", "source_ip"] => row.source = text,
            ["row", "count"] => row.count = text.parse().unwrap_or(1),
            ["row", "policy_evaluated", "disposition"] => row.disposition = text,
            ["row", "policy_evaluated", "dkim"] => row.dkim = text == "pass",
            ["row", "policy_evaluated", "spf"] => row.spf = text == "pass",
            ["row", "policy_evaluated", "reason", "type" | "comment"]
                if row.reasons.len() < OF_A_ROW && !text.is_empty() =>
            {
                row.reasons.push(text);
            }
            ["identifiers", "header_from"] => row.header_from = text,
            ["identifiers", "envelope_from"] => row.envelope_from = text,
            ["auth_results", "dkim" | "spf", "domain"] => self.auth.domain = text,
            ["auth_results", "dkim", "selector"] => self.auth.selector = text,
            ["auth_results", "dkim" | "spf", "result"] => self.auth.result = text,
            ["auth_results", kind @ ("dkim" | "spf")] if row.results.len() < OF_A_ROW => {
                let Auth { domain, selector, result } = std::mem::take(&mut self.auth);
                let selector = if selector.is_empty() { selector } else { format!(" s={selector}") };
                row.results.push(cut(&format!("{kind}={result} {domain}{selector}"), TEXT));
            }
            _ => {}
        }
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}
