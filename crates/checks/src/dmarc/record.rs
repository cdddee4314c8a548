//! Policy records (RFC 9989 §4.7, RFC 7489 §6.3).

use std::fmt;

use crate::tags::Tags;

/// What a domain asks to be done with messages that it does not stand behind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Policy {
    /// Nothing in particular.
    None,
    /// They are to be treated as suspicious.
    Quarantine,
    /// They are not to be taken.
    Reject,
}

impl Policy {
    /// The policy's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The next milder policy, if a condition holds.
    pub(super) fn milder_if(self, condition: bool) -> Self {
        match self {
            Self::Reject if condition => Self::Quarantine,
            Self::Quarantine if condition => Self::None,
            same => same,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How alike two domains must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alignment {
    /// Of one organization.
    Relaxed,
    /// The same.
    Strict,
}

/// Whether others can register names below this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PublicSuffix {
    Yes,
    No,
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DmarcRecord {
    /// For the domain itself.
    pub(super) policy: Policy,
    /// For what exists below it.
    pub(super) subdomain_policy: Policy,
    /// For what does not exist, if that is said.
    pub(super) missing_policy: Option<Policy>,
    pub(super) spf_alignment: Alignment,
    pub(super) dkim_alignment: Alignment,
    pub(super) public_suffix: PublicSuffix,
    /// The domain tries its policy out (`t=y`).
    pub(super) testing: bool,
    /// The share of messages to which the policy applies (RFC 7489; gone from RFC 9989, but not from DNS).
    pub(super) percent: u8,
    /// The domain wants aggregate reports, by mail.
    pub(super) reports: bool,
}

/// Whether a TXT record is one at all.
pub(super) fn is_dmarc(text: &[u8]) -> bool {
    let version = text.split(|b| *b == b';').next().unwrap_or_default();
    let mut parts = version.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
    parts.next() == Some(b"v") && parts.next() == Some(b"DMARC1")
}

impl DmarcRecord {
    /// Reads a record; `None` if it says too little to be one.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let tags = Tags::parse(text)?;
        let reports = tags.get("rua").is_some_and(|uris| uris.to_ascii_lowercase().contains("mailto:"));
        let policy = match tags.get("p").and_then(Policy::parse) {
            Some(policy) => policy,
            // Somebody wants reports, at least (RFC 9989 §4.10.1).
            None if reports => Policy::None,
            None => return None,
        };
        let subdomain_policy = tags.get("sp").and_then(Policy::parse).unwrap_or(policy);
        let alignment = |tag| match tags.get(tag) {
            Some(mode) if mode.eq_ignore_ascii_case("s") => Alignment::Strict,
            _ => Alignment::Relaxed,
        };
        Some(Self {
            policy,
            subdomain_policy,
            missing_policy: tags.get("np").and_then(Policy::parse),
            spf_alignment: alignment("aspf"),
            dkim_alignment: alignment("adkim"),
            public_suffix: match tags.get("psd") {
                Some(flag) if flag.eq_ignore_ascii_case("y") => PublicSuffix::Yes,
                Some(flag) if flag.eq_ignore_ascii_case("n") => PublicSuffix::No,
                _ => PublicSuffix::Unknown,
            },
            testing: tags.get("t").is_some_and(|flag| flag.eq_ignore_ascii_case("y")),
            percent: tags
                .get("pct")
                .and_then(|share| share.parse().ok())
                .filter(|share| *share <= 100)
                .unwrap_or(100),
            reports,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        assert!(is_dmarc(b"v=DMARC1; p=none") && is_dmarc(b"v = DMARC1 ;p=none") && is_dmarc(b"v=DMARC1"));
        assert!(!is_dmarc(b"v=DMARC2; p=none") && !is_dmarc(b"p=none; v=DMARC1") && !is_dmarc(b"v=dmarc1"));
        let record = DmarcRecord::parse(
            b"v=DMARC1; p=Reject; sp=quarantine; np=reject; adkim=s; pct=20; t=y; psd=n; x=y",
        )
        .unwrap();
        assert_eq!((record.policy, record.subdomain_policy), (Policy::Reject, Policy::Quarantine));
        assert_eq!(record.missing_policy, Some(Policy::Reject));
        assert_eq!((record.spf_alignment, record.dkim_alignment), (Alignment::Relaxed, Alignment::Strict));
        assert_eq!((record.public_suffix, record.testing, record.percent), (PublicSuffix::No, true, 20));
        let plain = DmarcRecord::parse(b"v=DMARC1; p=reject; pct=200;").unwrap();
        assert_eq!(
            (plain.subdomain_policy, plain.missing_policy, plain.percent),
            (Policy::Reject, None, 100)
        );
        let reports = DmarcRecord::parse(b"v=DMARC1; p=what; rua=mailto:a@x.test").unwrap();
        assert_eq!((reports.policy, reports.reports, plain.reports), (Policy::None, true, false));
        for bad in ["v=DMARC1", "v=DMARC1; p=what", "v=DMARC1; p=none; p=reject", "v=DMARC1; junk"] {
            assert!(DmarcRecord::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
