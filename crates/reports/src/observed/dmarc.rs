//! What became of mail in a domain's name (RFC 9990 §3.1).

use checks::{Action, Applied, DkimCheck, DkimResult, DmarcCheck, DmarcResult, Policy, Results};
use minicbor::{Decode, Encode};

use super::cut;

/// The most signatures of a message in its row: those that pass come first.
const SIGNATURES: usize = 8;
/// The longest text, in octets: that of a domain.
const TEXT: usize = 255;

/// The policy that a domain publishes.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct PublishedPolicy {
    /// For the domain itself: `none`, `quarantine` or `reject`, as in the others.
    #[n(0)]
    pub policy: String,
    /// For domains below it.
    #[n(1)]
    pub subdomains: String,
    /// For domains below it that do not exist.
    #[n(2)]
    pub missing: Option<String>,
    /// A signature must be by the very same domain.
    #[n(3)]
    #[cbor(default)]
    pub strict_dkim: bool,
    /// SPF must name the very same domain.
    #[n(4)]
    #[cbor(default)]
    pub strict_spf: bool,
    /// The domain tries its policy out.
    #[n(5)]
    #[cbor(default)]
    pub testing: bool,
}

impl PublishedPolicy {
    fn of(applied: &Applied) -> Self {
        Self {
            policy: applied.policy.as_str().to_owned(),
            subdomains: applied.subdomain_policy.as_str().to_owned(),
            missing: applied.missing_policy.map(|policy| policy.as_str().to_owned()),
            strict_dkim: applied.strict_dkim,
            strict_spf: applied.strict_spf,
            testing: applied.testing,
        }
    }
}

/// What was done with a message because of DMARC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Disposition {
    /// Nothing.
    #[n(0)]
    None,
    /// It went to where suspicious mail is kept.
    #[n(1)]
    Quarantine,
    /// It was refused.
    #[n(2)]
    Reject,
}

impl Disposition {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// Why something else was done than the domain asks for (RFC 9990 §3.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum OverrideKind {
    /// The domain tries its policy out.
    #[n(0)]
    TestMode,
    /// A server that the operator trusts vouches for the message.
    #[n(1)]
    TrustedForwarder,
    /// The operator wants it otherwise.
    #[n(2)]
    LocalPolicy,
    /// Anything else, as the comment says.
    #[n(3)]
    Other,
}

impl OverrideKind {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TestMode => "policy_test_mode",
            Self::TrustedForwarder => "trusted_forwarder",
            Self::LocalPolicy => "local_policy",
            Self::Other => "other",
        }
    }
}

/// A reason with its comment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Override {
    /// Of what kind.
    #[n(0)]
    pub kind: OverrideKind,
    /// In words; empty if there is nothing to add.
    #[n(1)]
    #[cbor(default)]
    pub comment: String,
}

/// A domain that was asked about, and what it said.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Auth {
    /// The domain.
    #[n(0)]
    pub domain: String,
    /// Of a signature, the selector of its key.
    #[n(1)]
    pub selector: Option<String>,
    /// The result, in the words of RFC 8601.
    #[n(2)]
    pub result: String,
}

/// Messages that came to the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(map)]
pub struct DmarcRow {
    /// The client's address.
    #[n(0)]
    pub source: String,
    /// What was done with them.
    #[n(1)]
    pub disposition: Disposition,
    /// A signature was good and aligned.
    #[n(2)]
    #[cbor(default)]
    pub dkim_aligned: bool,
    /// SPF passed and was aligned.
    #[n(3)]
    #[cbor(default)]
    pub spf_aligned: bool,
    /// Why something else was done than the domain asks for.
    #[n(4)]
    #[cbor(default)]
    pub overrides: Vec<Override>,
    /// The author's domain.
    #[n(5)]
    pub header_from: String,
    /// The domain of the envelope's sender; none for `<>`.
    #[n(6)]
    pub envelope_from: Option<String>,
    /// Signatures.
    #[n(7)]
    #[cbor(default)]
    pub dkim: Vec<Auth>,
    /// What SPF said of the envelope's sender.
    #[n(8)]
    pub spf: Option<Auth>,
}

/// What became of a message after its checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Treatment {
    /// The action that the checks have chosen.
    Followed,
    /// It had been accepted before it was checked: what would have been refused is quarantined.
    AfterAcceptance,
}

/// A row of a message for each author's domain that wants reports, with the domain whose policy was applied. Nothing of a
/// message that is to come again.
pub(crate) fn of_message(
    results: &Results,
    action: &Action,
    treatment: Treatment,
) -> Vec<(String, PublishedPolicy, DmarcRow)> {
    if matches!(action, Action::Defer(_)) {
        return Vec::new();
    }
    let reported = results.dmarc.iter().filter_map(|check| Some((check, check.applied.as_ref()?)));
    let reported = reported.filter(|(_, applied)| applied.reports);
    reported
        .map(|(check, applied)| {
            let row = row(results, check, applied, action, treatment);
            (applied.place.to_string(), PublishedPolicy::of(applied), row)
        })
        .collect()
}

fn row(
    results: &Results,
    check: &DmarcCheck,
    applied: &Applied,
    action: &Action,
    treatment: Treatment,
) -> DmarcRow {
    let failed = !applied.spf_aligned && !applied.dkim_aligned;
    let disposition = match action {
        _ if !failed => Disposition::None,
        Action::Reject(_) if treatment == Treatment::AfterAcceptance => Disposition::Quarantine,
        Action::Reject(_) => Disposition::Reject,
        Action::Quarantine => Disposition::Quarantine,
        Action::Accept | Action::Defer(_) => Disposition::None,
    };
    let spf = results.spf_sender.as_ref();
    DmarcRow {
        source: results.address.to_string(),
        disposition,
        dkim_aligned: applied.dkim_aligned,
        spf_aligned: applied.spf_aligned,
        overrides: overrides(results, check, applied, disposition, treatment),
        header_from: check.domain.to_string(),
        envelope_from: spf.map(|(domain, _)| domain.to_string()),
        dkim: signatures(&results.dkim),
        spf: spf.or(results.spf_hello.as_ref()).map(|(domain, result)| Auth {
            domain: domain.to_string(),
            selector: None,
            result: result.to_string(),
        }),
    }
}

/// The signatures that name a domain and a key, the good ones first.
fn signatures(checks: &[DkimCheck]) -> Vec<Auth> {
    let mut named: Vec<_> = checks.iter().filter(|check| check.domain.is_some()).collect();
    named.sort_by_key(|check| check.result != DkimResult::Pass);
    let auth = |check: &DkimCheck| {
        Some(Auth {
            domain: check.domain.as_ref()?.to_string(),
            selector: Some(cut(check.selector.as_deref()?, TEXT)),
            result: check.result.to_string(),
        })
    };
    named.into_iter().filter_map(auth).take(SIGNATURES).collect()
}

fn overrides(
    results: &Results,
    check: &DmarcCheck,
    applied: &Applied,
    disposition: Disposition,
    treatment: Treatment,
) -> Vec<Override> {
    let wanted = match applied.asked {
        Policy::None => Disposition::None,
        Policy::Quarantine => Disposition::Quarantine,
        Policy::Reject => Disposition::Reject,
    };
    if (applied.spf_aligned || applied.dkim_aligned) || disposition == wanted {
        return Vec::new();
    }
    let because = |kind, comment: &str| vec![Override { kind, comment: comment.to_owned() }];
    if applied.testing {
        return because(OverrideKind::TestMode, "");
    }
    if applied.sampled_out {
        return because(OverrideKind::Other, "not in the sample that pct asks for");
    }
    match (check.result, disposition) {
        (DmarcResult::TempError, _) => because(OverrideKind::Other, "DNS did not answer for a signature"),
        (_, Disposition::Quarantine) if treatment == Treatment::AfterAcceptance => {
            because(OverrideKind::LocalPolicy, "checked after it was accepted")
        }
        (_, Disposition::None) if results.arc.result == checks::ArcResult::Pass => {
            let sealer = results.arc.sealers.last().map(ToString::to_string).unwrap_or_default();
            because(OverrideKind::TrustedForwarder, &format!("arc=pass sealed by {sealer}"))
        }
        _ => because(OverrideKind::LocalPolicy, ""),
    }
}

impl DmarcRow {
    /// What names the row among those of its domain and day.
    pub(crate) fn hash(&self) -> [u8; 16] {
        let mut hash = [0; 16];
        let bytes = minicbor::to_vec(self).unwrap_or_default();
        hash.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        hash
    }
}
