//! What DNS has to say about a domain, for an operator to put there: records in the form of a zone file (RFC 1035 §5).

use std::fmt;

use serde::Serialize;

/// How many octets one string of a TXT record holds (RFC 1035 §3.3).
const STRING: usize = 255;
/// Seconds for which others may remember a record: short enough to mend a mistake within the hour.
const TTL: u32 = 3_600;

/// What the records are made of.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The domain, in A-labels.
    pub(crate) domain: String,
    /// The server's own name, in A-labels.
    pub(crate) host: String,
    /// Where clients reach the server; what is not here is said to be not on offer.
    pub(crate) services: Vec<Service>,
    /// The domain's keys: where each record belongs, what it is, and a remark on it.
    pub(crate) keys: Vec<Key>,
    /// SHA-256 of the public keys of the certificates that the server shows for its name, in hexadecimal.
    pub(crate) certificates: Vec<String>,
    /// The part before the `@` of the domain's address for reports.
    pub(crate) reports: String,
    /// Whether the server answers over HTTPS for `mta-sts` and for `autoconfig` below the domain.
    pub(crate) web: bool,
    /// The name of the policy that it answers with for `mta-sts`.
    pub(crate) policy: String,
}

/// A service that clients look for (RFC 6186, RFC 8314 §5.1, RFC 8620 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Service {
    /// Its name, without the underscore.
    pub(crate) name: &'static str,
    pub(crate) port: u16,
}

/// The record of a key for DKIM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) record: String,
    pub(crate) state: String,
}

/// The services that a client may look for, and which it should take first: those with TLS from the first octet.
const SERVICES: [(&str, u16); 7] = [
    ("submissions", 0),
    ("submission", 10),
    ("imaps", 0),
    ("imap", 10),
    ("pop3s", 20),
    ("pop3", 30),
    ("jmap", 0),
];

/// A record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Record {
    /// Whom it is about: an absolute name, with the dot at its end.
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// What it says. Of a TXT record, the text before it is cut into strings.
    pub(crate) data: String,
    /// What an operator should know about it.
    pub(crate) remark: Option<String>,
    /// Whether it should be in DNS now. Others are for what this server does not answer by itself.
    pub(crate) wanted: bool,
}

/// The records of a domain, and the zone file that they make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Zone {
    pub(crate) domain: String,
    pub(crate) records: Vec<Record>,
}

impl Zone {
    /// All that DNS should say about a domain whose mail this server takes.
    pub(crate) fn new(facts: &Facts) -> Self {
        let Facts { domain, host, .. } = facts;
        let mut records = vec![
            Record::new(domain, "MX", format!("10 {host}.")).remark(format!(
                "{host} needs A and AAAA records of its own, and a PTR record that leads back to it"
            )),
            Record::txt(domain, "v=spf1 mx -all")
                .remark("if others send for this domain, name them before -all"),
        ];
        if host != domain {
            records.push(
                Record::txt(host, "v=spf1 a -all").remark("for bounces, which come from the server itself"),
            );
        }
        records.extend(keys(&facts.keys));
        records.push(
            Record::txt(
                &format!("_dmarc.{domain}"),
                &format!("v=DMARC1; p=none; rua=mailto:{}@{domain}", facts.reports),
            )
            .remark("when the reports show that all your mail passes: p=quarantine, then p=reject"),
        );
        let reports = format!("v=TLSRPTv1; rua=mailto:{}@{domain}", facts.reports);
        records.push(
            Record::txt(&format!("_smtp._tls.{domain}"), &reports)
                .remark("`magpie report list` shows what others report, of TLS and of DMARC"),
        );
        records.extend(SERVICES.iter().map(|(name, priority)| service(facts, name, *priority)));
        records.extend(facts.certificates.iter().map(|hash| {
            Record::new(&format!("_25._tcp.{host}"), "TLSA", format!("3 1 1 {hash}")).remark(
                "only if the zone is signed with DNSSEC; a certificate with another key needs its record a day earlier",
            )
        }));
        records.extend(web(facts));
        Self { domain: domain.clone(), records }
    }

    /// Only the records of the domain's keys.
    pub(crate) fn of_keys(domain: &str, keys: &[Key]) -> Self {
        Self { domain: domain.to_owned(), records: self::keys(keys).collect() }
    }
}

fn keys(keys: &[Key]) -> impl Iterator<Item = Record> {
    keys.iter().map(|key| {
        let record = Record::txt(&key.name, &key.record);
        match key.state.as_str() {
            "published" => record.remark("signs nothing yet: activate it when this is in DNS"),
            "retired" => record.remark("retired: leave it here for a week, then `magpie dkim remove` it"),
            _ => record,
        }
    })
}

fn service(facts: &Facts, name: &'static str, priority: u16) -> Record {
    let owner = format!("_{name}._tcp.{}", facts.domain);
    match facts.services.iter().find(|service| service.name == name) {
        Some(service) => Record::new(&owner, "SRV", format!("{priority} 1 {} {}.", service.port, facts.host)),
        // RFC 6186 §3.4: decidedly not on offer.
        None => Record::new(&owner, "SRV", "0 0 0 .".to_owned()),
    }
}

/// What needs a web server: the policy of MTA-STS (RFC 8461) and the settings that mail apps ask for.
fn web(facts: &Facts) -> impl Iterator<Item = Record> {
    let Facts { domain, host, .. } = facts;
    let certified = |name: &str| {
        Record::new(&format!("{name}.{domain}"), "CNAME", format!("{host}."))
            .remark(format!("the server needs a certificate for {name}.{domain}"))
    };
    let records = [
        Record::txt(&format!("_mta-sts.{domain}"), &format!("v=STSv1; id={}", facts.policy))
            .remark("put it here again whenever [mta_sts] of the configuration has changed"),
        certified("mta-sts"),
        certified("autoconfig"),
        certified("autodiscover"),
        Record::new(&format!("_autodiscover._tcp.{domain}"), "SRV", format!("0 1 443 {host}.")),
    ];
    let served = facts.web;
    records.into_iter().map(move |record| Record { wanted: served, ..record })
}

impl Record {
    fn new(name: &str, kind: &'static str, data: String) -> Self {
        Self { name: format!("{name}."), kind, data, remark: None, wanted: true }
    }

    fn txt(name: &str, text: &str) -> Self {
        Self::new(name, "TXT", text.to_owned())
    }

    fn remark(self, remark: impl Into<String>) -> Self {
        Self { remark: Some(remark.into()), ..self }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.wanted { "" } else { ";" };
        write!(f, "{hidden}{} {TTL} IN {} ", self.name, self.kind)?;
        if self.kind == "TXT" { write_strings(f, &self.data, hidden) } else { f.write_str(&self.data) }
    }
}

/// A text as strings in quotes, several lines between parentheses if it needs more than one (RFC 1035 §5.1).
fn write_strings(f: &mut fmt::Formatter<'_>, text: &str, hidden: &str) -> fmt::Result {
    let strings: Vec<&[u8]> = text.as_bytes().chunks(STRING).collect();
    if strings.len() > 1 {
        f.write_str("(")?;
    }
    for string in &strings {
        if strings.len() > 1 {
            write!(f, "\n{hidden}    ")?;
        }
        f.write_str("\"")?;
        for byte in *string {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str("\"")?;
    }
    if strings.len() > 1 { f.write_str(" )") } else { Ok(()) }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ORIGIN {}.", self.domain)?;
        let below = format!(".{}.", self.domain);
        let mine = |record: &Record| {
            record.name.trim_end_matches('.') == self.domain || record.name.ends_with(&below)
        };
        let (wanted, later): (Vec<_>, Vec<_>) = self.records.iter().partition(|record| record.wanted);
        let (here, elsewhere): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|record| mine(record));
        write_all(f, &here)?;
        if !elsewhere.is_empty() {
            writeln!(f, "\n; These belong into the zone of the server's own name.")?;
            write_all(f, &elsewhere)?;
        }
        if !later.is_empty() {
            writeln!(
                f,
                "\n; These are for what this server does not answer by itself: leave them out, unless a proxy passes HTTPS on to it."
            )?;
            write_all(f, &later)?;
        }
        Ok(())
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, records: &[&Record]) -> fmt::Result {
    for record in records {
        if let Some(remark) = &record.remark {
            writeln!(f, "; {remark}")?;
        }
        writeln!(f, "{record}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            domain: "example.com".to_owned(),
            host: "mail.example.com".to_owned(),
            services: vec![Service { name: "imaps", port: 993 }],
            keys: vec![Key {
                name: "s._domainkey.example.com".to_owned(),
                record: format!("v=DKIM1; k=rsa; p={}", "A".repeat(400)),
                state: "active".to_owned(),
            }],
            certificates: vec!["00ff".to_owned()],
            reports: "postmaster+reports".to_owned(),
            web: false,
            policy: "0123abcd".to_owned(),
        }
    }

    #[test]
    fn a_zone_says_what_there_is_and_what_there_is_not() {
        let zone = Zone::new(&facts()).to_string();
        for line in [
            "$ORIGIN example.com.",
            "example.com. 3600 IN MX 10 mail.example.com.",
            "example.com. 3600 IN TXT \"v=spf1 mx -all\"",
            "_imaps._tcp.example.com. 3600 IN SRV 0 1 993 mail.example.com.",
            "_imap._tcp.example.com. 3600 IN SRV 0 0 0 .",
            "_submissions._tcp.example.com. 3600 IN SRV 0 0 0 .",
            "_25._tcp.mail.example.com. 3600 IN TLSA 3 1 1 00ff",
            "_dmarc.example.com. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster+reports@example.com\"",
            "_smtp._tls.example.com. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:postmaster+reports@example.com\"",
            ";mta-sts.example.com. 3600 IN CNAME mail.example.com.",
        ] {
            assert!(zone.lines().any(|other| other == line), "{line}\n{zone}");
        }
        let served = Zone::new(&Facts { web: true, ..facts() }).to_string();
        assert!(served.contains("\nmta-sts.example.com. "), "{served}");
        assert!(
            served.contains("\n_mta-sts.example.com. 3600 IN TXT \"v=STSv1; id=0123abcd\"\n"),
            "{served}"
        );
    }

    #[test]
    fn long_texts_are_cut_into_strings() {
        let zone = Zone::of_keys("example.com", &facts().keys).to_string();
        let longest = zone.lines().map(str::len).max().unwrap();
        assert_eq!(longest, 4 + 255 + 2, "{zone}");
        let quoted = Record::txt("x", "a\"b\\c\u{e9}").to_string();
        assert!(quoted.ends_with(r#""a\"b\\c\195\169""#), "{quoted}");
    }

    #[test]
    fn a_server_of_another_zone_is_told_apart() {
        let zone = Zone::new(&Facts { host: "mx.provider.test".to_owned(), ..facts() }).to_string();
        let (own, others) = zone.split_once("; These belong into").unwrap();
        assert!(!own.contains("_25._tcp.mx.provider.test") && others.contains("_25._tcp.mx.provider.test"));
    }
}
