//! A report on mail in a domain's name as XML (RFC 9990 §3.1 and Appendix A), in a form that readers of RFC 7489 know too:
//! what passed has the disposition `none`.

use std::fmt::Write;

use super::Named;
use crate::observed::{Auth, DmarcRow, PublishedPolicy};

/// The report.
pub(super) fn xml(report: &Named<'_>, policy: &PublishedPolicy, rows: &[(DmarcRow, u64)]) -> String {
    let mut xml = Xml::default();
    xml.open_with("feedback", "xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"");
    xml.value("version", "1.0");
    metadata(&mut xml, report);
    published(&mut xml, &report.claim.domain, policy);
    rows.iter().for_each(|(row, count)| record(&mut xml, row, *count));
    xml.close("feedback");
    xml.text
}

fn metadata(xml: &mut Xml, report: &Named<'_>) {
    let day = report.claim.day;
    xml.open("report_metadata");
    xml.value("org_name", &report.sender.organization);
    xml.value("email", &report.sender.contact);
    xml.value("report_id", report.id);
    xml.open("date_range");
    xml.value("begin", &day.begin().secs().to_string());
    xml.value("end", &(day.end().secs() - 1).to_string());
    xml.close("date_range");
    xml.value("generator", concat!("Magpie ", env!("CARGO_PKG_VERSION")));
    xml.close("report_metadata");
}

fn published(xml: &mut Xml, domain: &str, policy: &PublishedPolicy) {
    let alignment = |strict| if strict { "s" } else { "r" };
    xml.open("policy_published");
    xml.value("domain", domain);
    xml.value("adkim", alignment(policy.strict_dkim));
    xml.value("aspf", alignment(policy.strict_spf));
    xml.value("p", &policy.policy);
    xml.value("sp", &policy.subdomains);
    if let Some(missing) = &policy.missing {
        xml.value("np", missing);
    }
    xml.value("testing", if policy.testing { "y" } else { "n" });
    xml.value("discovery_method", "treewalk");
    xml.close("policy_published");
}

fn record(xml: &mut Xml, row: &DmarcRow, count: u64) {
    let passed = |aligned| if aligned { "pass" } else { "fail" };
    xml.open("record");
    xml.open("row");
    xml.value("source_ip", &row.source);
    xml.value("count", &count.to_string());
    xml.open("policy_evaluated");
    xml.value("disposition", row.disposition.as_str());
    xml.value("dkim", passed(row.dkim_aligned));
    xml.value("spf", passed(row.spf_aligned));
    for reason in &row.overrides {
        xml.open("reason");
        xml.value("type", reason.kind.as_str());
        if !reason.comment.is_empty() {
            xml.value("comment", &reason.comment);
        }
        xml.close("reason");
    }
    xml.close("policy_evaluated");
    xml.close("row");
    xml.open("identifiers");
    xml.value("header_from", &row.header_from);
    xml.value("envelope_from", row.envelope_from.as_deref().unwrap_or_default());
    xml.close("identifiers");
    results(xml, row);
    xml.close("record");
}

fn results(xml: &mut Xml, row: &DmarcRow) {
    xml.open("auth_results");
    for Auth { domain, selector, result } in &row.dkim {
        xml.open("dkim");
        xml.value("domain", domain);
        xml.value("selector", selector.as_deref().unwrap_or_default());
        xml.value("result", result);
        xml.close("dkim");
    }
    if let Some(Auth { domain, result, .. }) = &row.spf {
        xml.open("spf");
        xml.value("domain", domain);
        if row.envelope_from.is_some() {
            xml.value("scope", "mfrom");
        }
        xml.value("result", result);
        xml.close("spf");
    }
    xml.close("auth_results");
}

/// A document that is being written.
struct Xml {
    text: String,
    depth: usize,
}

impl Default for Xml {
    fn default() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), depth: 0 }
    }
}

impl Xml {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.text, "{:1$}{2}", "", self.depth * 2, text);
    }

    fn open(&mut self, name: &str) {
        self.line(format_args!("<{name}>"));
        self.depth += 1;
    }

    fn open_with(&mut self, name: &str, attributes: &str) {
        self.line(format_args!("<{name} {attributes}>"));
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(format_args!("</{name}>"));
    }

    fn value(&mut self, name: &str, text: &str) {
        self.line(format_args!("<{name}>{}</{name}>", escaped(text)));
    }
}

/// A text as it may stand between tags: markup and line ends escaped, and what XML 1.0 §2.2 has no character for replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(escaped("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&apos;");
        assert_eq!(escaped("]]>\u{0}\u{1b}\r\n\u{ffff}한"), "]]&gt;\u{fffd}\u{fffd}  \u{fffd}한");
    }
}
