//! The `Authentication-Results:` field (RFC 8601): ours, and those that others forge in our name.

use std::fmt::Write;
use std::net::IpAddr;
use std::ops::Range;

use dns::Name;

use crate::arc::ArcCheck;
use crate::dkim::DkimCheck;
use crate::dmarc::DmarcCheck;
use crate::header::Header;
use crate::iprev::IprevCheck;
use crate::spf::SpfResult;

/// Everything that was found out about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Results {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the client's address has a name.
    pub iprev: IprevCheck,
    /// What SPF says about the name that the client gave itself, if that is a domain.
    pub spf_hello: Option<(Name, SpfResult)>,
    /// What SPF says about the envelope's sender, if it has one.
    pub spf_sender: Option<(Name, SpfResult)>,
    /// The signatures, from the top of the header.
    pub dkim: Vec<DkimCheck>,
    /// The chain of seals.
    pub arc: ArcCheck,
    /// What the authors' domains say; empty if the message names none.
    pub dmarc: Vec<DmarcCheck>,
}

impl Results {
    /// The field with its CRLF, under the name that we go by.
    pub fn field(&self, authserv_id: &str) -> String {
        format!("Authentication-Results: {}\r\n", self.payload(authserv_id))
    }

    /// What the field says, which seals repeat (RFC 8601 §2.2, RFC 8617 §4.1.1).
    pub(crate) fn payload(&self, authserv_id: &str) -> String {
        let mut field = value(authserv_id);
        let mut add = |result: String| {
            field.push_str(";\r\n\t");
            field.push_str(&result);
        };
        add(self.iprev_text());
        for (property, spf) in [("helo", &self.spf_hello), ("mailfrom", &self.spf_sender)] {
            if let Some((domain, result)) = spf {
                add(format!("spf={result} smtp.{property}={}", value(domain.as_str())));
            }
        }
        if self.dkim.is_empty() {
            add("dkim=none".to_owned());
        }
        self.dkim.iter().for_each(|check| add(dkim_text(check)));
        if self.dmarc.is_empty() {
            add("dmarc=none".to_owned());
        }
        self.dmarc.iter().for_each(|check| add(dmarc_text(check)));
        add(self.arc_text());
        field
    }

    /// The results in a line, for a log.
    pub fn summary(&self) -> String {
        let spf = self.spf_sender.as_ref().or(self.spf_hello.as_ref());
        let spf = spf.map_or(SpfResult::None, |(_, result)| *result);
        let dkim: Vec<&str> = self.dkim.iter().map(|check| check.result.as_str()).collect();
        let dmarc: Vec<&str> = self.dmarc.iter().map(|check| check.result.as_str()).collect();
        let (dkim, dmarc) = (dkim.join(","), dmarc.join(","));
        format!("iprev={} spf={spf} dkim={dkim} dmarc={dmarc} arc={}", self.iprev.result, self.arc.result)
    }

    fn iprev_text(&self) -> String {
        let mut text =
            format!("iprev={} policy.iprev={}", self.iprev.result, value(&self.address.to_string()));
        if let Some(name) = &self.iprev.name {
            append(&mut text, &format!(" ({})", comment(name.as_str())));
        }
        text
    }

    fn arc_text(&self) -> String {
        let mut text = format!("arc={}", self.arc.result);
        if let Some(reason) = self.arc.reason {
            append(&mut text, &format!(" reason=\"{reason}\""));
        }
        if let Some(sealer) = self.arc.sealers.last() {
            append(
                &mut text,
                &format!(" (i={} sealed by {})", self.arc.sealers.len(), comment(sealer.as_str())),
            );
        }
        text
    }
}

fn dkim_text(check: &DkimCheck) -> String {
    let mut text = format!("dkim={}", check.result);
    if let Some(reason) = check.reason {
        append(&mut text, &format!(" reason=\"{reason}\""));
    }
    let properties = [
        ("d", check.domain.as_ref().map(Name::as_str)),
        ("s", check.selector.as_deref()),
        ("a", check.algorithm),
        ("b", Some(check.start.as_str()).filter(|start| !start.is_empty())),
    ];
    for (property, text_of) in properties {
        if let Some(text_of) = text_of {
            append(&mut text, &format!(" header.{property}={}", value(text_of)));
        }
    }
    text
}

fn dmarc_text(check: &DmarcCheck) -> String {
    let policy = check.policy.map(|policy| format!(" (p={policy})")).unwrap_or_default();
    format!("dmarc={}{policy} header.from={}", check.result, value(check.domain.as_str()))
}

/// Where the fields stand that claim to be ours (RFC 8601 §5): nobody but us may write them.
pub(crate) fn forged(header: &Header<'_>, ours: &[String]) -> Vec<Range<usize>> {
    let is_ours = |id: String| ours.iter().any(|our| our.eq_ignore_ascii_case(&id));
    let fields = header.named("authentication-results");
    fields.filter(|field| is_ours(authserv_id(field.value()))).map(|field| field.range()).collect()
}

/// The first word of the field's value.
fn authserv_id(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let (mut id, mut comments, mut quoted) = (String::new(), 0usize, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => id.extend(chars.next()),
            '\\' if comments > 0 => drop(chars.next()),
            '"' if quoted => break,
            '"' if comments == 0 && id.is_empty() => quoted = true,
            '(' if !quoted => {
                if comments == 0 && !id.is_empty() {
                    break;
                }
                comments += 1;
            }
            ')' if !quoted => comments = comments.saturating_sub(1),
            _ if comments > 0 => {}
            _ if quoted => id.push(c),
            ';' => break,
            c if c.is_ascii_whitespace() => {
                if !id.is_empty() {
                    break;
                }
            }
            c => id.push(c),
        }
    }
    id
}

/// A word as it may stand behind `=`: a token, or quoted (RFC 8601 §2.2).
fn value(text: &str) -> String {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&b);
    if !text.is_empty() && text.bytes().all(token) {
        return text.to_owned();
    }
    let inner: String = text
        .chars()
        .filter(|c| (' '..='~').contains(c))
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{inner}\"")
}

/// Text as it may stand between parentheses.
fn comment(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c) && !"()\\".contains(*c)).collect()
}

/// Writing to a string cannot fail.
fn append(text: &mut String, more: &str) {
    let _ = text.write_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_field_it_is() {
        let table = [
            (" mx.test; spf=pass", "mx.test"),
            (" (by (the way) mx) mx.test 1; spf=pass", "mx.test"),
            ("\r\n\t\"mx.\\test\"; none", "mx.test"),
            ("mx.test(x);none", "mx.test"),
            ("mx.test", "mx.test"),
            ("", ""),
            (" ; spf=pass", ""),
        ];
        for (text, id) in table {
            assert_eq!(authserv_id(text.as_bytes()), id, "{text:?}");
        }
    }

    #[test]
    fn only_our_own_are_forged() {
        let message = b"Authentication-Results: other.test; spf=fail\r\n\
            authentication-results : MX.test; spf=pass\r\n\tsmtp.mailfrom=x\r\nSubject: x\r\n\r\n\
            Authentication-Results: mx.test; spf=pass\r\n";
        let ranges = forged(&Header::parse(message), &["mx.test".to_owned()]);
        let cut: Vec<_> = ranges.iter().map(|range| message.get(range.clone()).unwrap()).collect();
        assert_eq!(cut, [&b"authentication-results : MX.test; spf=pass\r\n\tsmtp.mailfrom=x\r\n"[..]]);
    }

    #[test]
    fn words_cannot_break_out() {
        assert_eq!(value("mx.test"), "mx.test");
        assert_eq!(value("2001:db8::1"), "\"2001:db8::1\"");
        assert_eq!(value("a\"; spf=pass\r\n"), "\"a\\\"; spf=pass\"");
        assert_eq!(comment("a) spf=pass ("), "a spf=pass ");
    }
}
