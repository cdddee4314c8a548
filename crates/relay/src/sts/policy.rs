//! The record in DNS, and the policy that it announces.

use std::time::Duration;

use dns::Name;
use thiserror::Error;

use crate::attempt::Announced;
use crate::tls::PolicyKind;

/// The longest time that a policy may be kept (RFC 8461 §3.2), in seconds: about a year.
const LONGEST: u64 = 31_557_600;
/// The longest policy, in octets.
pub(super) const POLICY: usize = 64 << 10;
/// The most patterns.
const PATTERNS: usize = 256;
/// The most octets of all patterns together: each policy is kept for as long as a year.
const NAMES: usize = 16 << 10;

/// What a domain wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StsPolicy {
    /// How seriously.
    pub mode: StsMode,
    /// How long the policy holds from the moment that it was fetched.
    pub max_age: Duration,
    /// The hosts that take the domain's mail: names, or `*.` and a name, in lower case.
    pub mx: Vec<String>,
}

/// How seriously a domain wants its policy to be taken (RFC 8461 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StsMode {
    /// Nothing may be sent against it.
    Enforce,
    /// What would have failed is only reported.
    Testing,
    /// There is no policy any more.
    None,
}

/// What was fetched is no policy.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("this is no MTA-STS policy: {0}")]
pub struct StsPolicyError(pub &'static str);

/// The id in a TXT record of `_mta-sts.DOMAIN`; none if there is not exactly one record that is valid (§3.1).
pub fn record_id<'a>(records: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut records = records.filter(|text| text.starts_with(b"v=STSv1;"));
    let (record, None) = (records.next()?, records.next()) else { return None };
    let text = std::str::from_utf8(record).ok()?;
    let fields = text.split(';').filter_map(|field| field.trim().split_once('='));
    let (_, id) = fields.into_iter().find(|(name, _)| name.trim() == "id")?;
    let id = id.trim();
    let valid = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    valid.then(|| id.to_owned())
}

impl StsPolicy {
    /// Reads a policy (§3.2). Where a field stands twice, the first counts; `mx` may.
    ///
    /// # Errors
    /// [`StsPolicyError`] says what is missing or wrong.
    pub fn parse(text: &[u8]) -> Result<Self, StsPolicyError> {
        if text.len() > POLICY {
            return Err(StsPolicyError("it is too long"));
        }
        let text = std::str::from_utf8(text).map_err(|_| StsPolicyError("it is not text"))?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.trim() {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < PATTERNS => {
                    mx.push(pattern(value).ok_or(StsPolicyError("a pattern is no name"))?)
                }
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(StsPolicyError("the version is not STSv1"));
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            _ => return Err(StsPolicyError("the mode is none of enforce, testing and none")),
        };
        let digits = |text: &&str| (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let seconds = max_age.filter(digits).and_then(|text| text.parse::<u64>().ok());
        let seconds = seconds.ok_or(StsPolicyError("max_age is no number of seconds"))?.min(LONGEST);
        if mx.iter().map(String::len).sum::<usize>() > NAMES {
            return Err(StsPolicyError("it names too many servers"));
        }
        if mx.is_empty() && mode != StsMode::None {
            return Err(StsPolicyError("it names no server"));
        }
        Ok(Self { mode, max_age: Duration::from_secs(seconds), mx })
    }

    /// Whether a host is one of the domain's (§4.1): a wildcard stands for exactly one label.
    pub fn allows(&self, host: &Name) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(above) => host.parent().is_some_and(|parent| parent.as_str() == above),
            None => host.as_str() == pattern,
        })
    }
}

impl StsPolicy {
    /// The policy as a report quotes it (RFC 8460 §4.4): its lines.
    pub(crate) fn announced(&self) -> Announced {
        let mode = match self.mode {
            StsMode::Enforce => "enforce",
            StsMode::Testing => "testing",
            StsMode::None => "none",
        };
        let mut text = vec!["version: STSv1".to_owned(), format!("mode: {mode}")];
        text.extend(self.mx.iter().map(|pattern| format!("mx: {pattern}")));
        text.push(format!("max_age: {}", self.max_age.as_secs()));
        Announced { kind: PolicyKind::Sts, text, hosts: self.mx.clone() }
    }
}

fn pattern(value: &str) -> Option<String> {
    match value.strip_prefix("*.") {
        Some(above) => Some(format!("*.{}", Name::parse(above)?)),
        None => Name::parse(value).filter(|name| !name.as_str().contains('*')).map(|name| name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let table: [(&[&str], Option<&str>); 8] = [
            (&["v=STSv1; id=20260101T000000;"], Some("20260101T000000")),
            (&["v=STSv1;id=1"], Some("1")),
            (&["v=STSv1; x=y; id = a1 ; z=w"], Some("a1")),
            (&["v=spf1 -all", "v=STSv1; id=1"], Some("1")),
            (&["v=STSv1; id=1", "v=STSv1; id=2"], None),
            (&["v=STSv1; id=a-b"], None),
            (&["v=STSv1;"], None),
            (&[], None),
        ];
        for (records, id) in table {
            assert_eq!(record_id(records.iter().map(|text| text.as_bytes())).as_deref(), id, "{records:?}");
        }
    }

    #[test]
    fn policies() {
        let table = [
            (
                "version: STSv1\r\nmode: enforce\r\nmx: MX.a.test\r\nmx: *.b.test\r\nmax_age: 604800\r\n",
                Ok(2),
            ),
            ("version:STSv1\nmode:none\nmax_age:0", Ok(0)),
            ("version: STSv1\nmode: testing\nmx: a.test\nmax_age: 99999999999", Err(())),
            ("version: STSv1\nmode: testing\nmax_age: 1", Err(())),
            ("version: STSv2\nmode: none\nmax_age: 1", Err(())),
            ("version: STSv1\nmode: force\nmx: a.test\nmax_age: 1", Err(())),
            ("version: STSv1\nmode: enforce\nmx: a..test\nmax_age: 1", Err(())),
            ("version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 1", Err(())),
            ("version: STSv1\nmode: enforce\nmode: none\nmx: a.test\nmax_age: 1\nx: y", Ok(1)),
            ("<html>", Err(())),
            ("", Err(())),
        ];
        for (text, wanted) in table {
            assert_eq!(
                StsPolicy::parse(text.as_bytes()).map(|policy| policy.mx.len()).map_err(|_| ()),
                wanted,
                "{text}"
            );
        }
        assert!(StsPolicy::parse(&vec![b'\n'; POLICY + 1]).is_err());
    }

    #[test]
    fn a_policy_has_bounds() {
        let policy = |names: usize, label: usize| {
            let mx = format!("mx: {}.{}.test\n", "a".repeat(label), "b".repeat(label)).repeat(names);
            StsPolicy::parse(format!("version: STSv1\nmode: enforce\nmax_age: 1\n{mx}").as_bytes())
        };
        assert_eq!(policy(1_000, 4).unwrap().mx.len(), PATTERNS);
        assert!(policy(100, 60).is_ok());
        assert!(policy(150, 60).is_err());
    }

    #[test]
    fn hosts_and_patterns() {
        let text = "version: STSv1\nmode: enforce\nmx: mx.a.test\nmx: *.b.test\nmax_age: 1";
        let policy = StsPolicy::parse(text.as_bytes()).unwrap();
        let table = [
            ("mx.a.test", true),
            ("MX.A.test", true),
            ("x.mx.a.test", false),
            ("a.test", false),
            ("x.b.test", true),
            ("b.test", false),
            ("y.x.b.test", false),
        ];
        for (host, allowed) in table {
            assert_eq!(policy.allows(&Name::parse(host).unwrap()), allowed, "{host}");
        }
    }
}
