//! The message that carries a report: a few words for a person, and the report as an attachment (RFC 8460 §5.3,
//! RFC 9990 §5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use types::Timestamp;

use super::Named;
use crate::table::Kind;

/// Octets of a line of base64 (RFC 2045 §6.8), before they are coded.
const LINE: usize = 57;

/// The message for these readers.
pub(super) fn write(report: &Named<'_>, data: &[u8], readers: &[&str], at: Timestamp) -> Vec<u8> {
    let Named { claim, sender, id } = report;
    let (domain, submitter) = (&claim.domain, sender.domain());
    // Nobody outside can choose what is in a report's name, and the report itself is base64.
    let boundary = format!("=_{id}");
    let mut text = String::new();
    let mut field = |name: &str, value: &str| {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
        text.push_str("\r\n");
    };
    field("From", &format!("{} <{}>", quoted(&sender.organization), sender.address));
    field("To", &readers.join(",\r\n\t"));
    field("Date", &at.rfc5322());
    field("Message-ID", &format!("<{id}@{submitter}>"));
    field(
        "Subject",
        &format!("Report Domain: {domain}\r\n\tSubmitter: {submitter}\r\n\tReport-ID: <{id}@{submitter}>"),
    );
    field("Auto-Submitted", "auto-generated");
    field("MIME-Version", "1.0");
    let (kind, part) = match claim.kind {
        Kind::Tls => {
            field("TLS-Report-Domain", domain);
            field("TLS-Report-Submitter", submitter);
            // RFC 8689 §5: that TLS does not work must not keep from being told so.
            field("TLS-Required", "No");
            ("multipart/report; report-type=\"tlsrpt\"", "application/tlsrpt+gzip")
        }
        Kind::Dmarc => ("multipart/mixed", "application/gzip"),
    };
    field("Content-Type", &format!("{kind};\r\n\tboundary=\"{boundary}\""));
    let file = report.file_name();
    text.push_str(&format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        words(report)
    ));
    text.push_str(&format!(
        "--{boundary}\r\nContent-Type: {part};\r\n\tname=\"{file}\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment;\r\n\tfilename=\"{file}\"\r\n\r\n"
    ));
    for line in data.chunks(LINE) {
        STANDARD.encode_string(line, &mut text);
        text.push_str("\r\n");
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    text.into_bytes()
}

/// What a person reads.
fn words(report: &Named<'_>) -> String {
    let (domain, day) = (&report.claim.domain, report.claim.day);
    let what = match report.claim.kind {
        Kind::Tls => format!("how TLS went where mail was sent to {domain} on {day} (UTC)"),
        Kind::Dmarc => format!("which mail in the name of {domain} was received on {day} (UTC)"),
    };
    format!(
        "This is an automatic report on {what}.\r\nIt is sent because the domain's DNS records ask for it. Questions: {}\r\n",
        report.sender.contact
    )
}

/// A name as it may stand before an address: in quotes, or coded if it is not ASCII (RFC 2047).
fn quoted(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    if !name.is_ascii() {
        // A coded word has at most 75 octets.
        let mut words = Vec::new();
        let mut word = String::new();
        for c in name.chars() {
            if word.len() + c.len_utf8() > 42 {
                words.push(std::mem::take(&mut word));
            }
            word.push(c);
        }
        words.push(word);
        let coded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        return coded.collect::<Vec<_>>().join("\r\n\t");
    }
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(quoted("Example \"Mail\" \\ Ltd\r\nX: y"), "\"Example \\\"Mail\\\" \\\\ LtdX: y\"");
        assert_eq!(quoted("메일"), "=?utf-8?B?66mU7J28?=");
        assert!(quoted(&"메".repeat(100)).split("\r\n\t").all(|word| word.len() <= 75));
    }
}
