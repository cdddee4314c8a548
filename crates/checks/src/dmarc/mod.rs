//! DMARC (RFC 9989, and what RFC 7489 had before it): whether the author's domain stands behind a message, and what it
//! asks to be done where it does not.
//!
//! Which domains belong together is found by walking up the DNS tree (RFC 9989 §4.10). It needs no list of public
//! suffixes that would be out of date from the day of a release.

mod record;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::dkim::{DkimCheck, DkimResult};
use crate::lookups::{LookupError, Lookups};
use crate::spf::SpfResult;
use dns::{Name, Resolver};
use record::{Alignment, DmarcRecord, PublicSuffix};
use tokio::time::Instant;

pub use record::Policy;

/// Where a walk goes on when the name has more labels than this (RFC 9989 §4.10).
const LABELS: usize = 7;

/// Whether the author's domain stands behind a message (RFC 8601 §2.7.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DmarcResult {
    /// The domain has no policy.
    None,
    /// It does.
    Pass,
    /// It does not.
    Fail,
    /// DNS did not say; ask again later.
    TempError,
    /// It cannot be found out.
    PermError,
}

impl DmarcResult {
    /// The result's name in `Authentication-Results:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result for one author's domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DmarcCheck {
    /// The domain in `From:`.
    pub domain: Name,
    /// Whether it stands behind the message.
    pub result: DmarcResult,
    /// What it asks to be done with messages that fail, if it has a policy: of a domain in test mode, or of a message
    /// that is not in the sample, the next milder one.
    pub policy: Option<Policy>,
    /// The record that was applied, and how the message stands by it: what a report to the domain says.
    pub applied: Option<Applied>,
}

/// A record that was applied to a message, and what it came to (RFC 9990 §3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Where the record is: the author's domain, its organization's, or a public suffix.
    pub place: Name,
    /// The policy for that domain.
    pub policy: Policy,
    /// The policy for domains below it.
    pub subdomain_policy: Policy,
    /// The policy for domains below it that do not exist, if the record has one.
    pub missing_policy: Option<Policy>,
    /// Which of these three it is for this message, before anything makes it milder.
    pub asked: Policy,
    /// SPF must name the very same domain.
    pub strict_spf: bool,
    /// A signature must be by the very same domain.
    pub strict_dkim: bool,
    /// The domain tries its policy out (`t=y`).
    pub testing: bool,
    /// The share of messages that the policy is meant for, in percent, and whether this one is left out of it.
    pub percent: u8,
    /// The message is not in the sample.
    pub sampled_out: bool,
    /// The domain wants reports by mail (`rua`).
    pub reports: bool,
    /// SPF passed for a domain that is aligned with the author's.
    pub spf_aligned: bool,
    /// A signature is good and aligned with the author's domain.
    pub dkim_aligned: bool,
}

/// What is known of a message when DMARC is asked about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// The domain that SPF was asked about, and what it said.
    pub(crate) spf: Option<(&'a Name, SpfResult)>,
    pub(crate) dkim: &'a [DkimCheck],
    /// A number under 100 that is the message's own: messages of a domain that wants a sample judged are in it if
    /// theirs is under the size of the sample.
    pub(crate) lot: u8,
}

/// Asks whether a domain stands behind a message that names it as its author's.
pub(crate) async fn check(domain: Name, evidence: Evidence<'_>, lookups: &Lookups) -> DmarcCheck {
    let (result, found) = match judge(&domain, evidence, lookups).await {
        Ok((result, found)) => (result, found),
        Err(LookupError::Temporary(_)) => (DmarcResult::TempError, None),
        Err(LookupError::TooMany | LookupError::NoSuchName) => (DmarcResult::PermError, None),
    };
    let (policy, applied) = found.unzip();
    DmarcCheck { domain, result, policy, applied }
}

async fn judge(
    domain: &Name,
    evidence: Evidence<'_>,
    lookups: &Lookups,
) -> Result<(DmarcResult, Option<(Policy, Applied)>), LookupError> {
    if !domain.is_qualified() {
        return Ok((DmarcResult::None, None));
    }
    let walk = Walk::up(domain, lookups).await?;
    let Some((place, record, asked)) = applicable(&walk, domain, lookups).await? else {
        return Ok((DmarcResult::None, None));
    };
    let sampled_out = evidence.lot >= record.percent;
    let policy = asked.milder_if(record.testing).milder_if(sampled_out);
    let identifiers = Identifiers { domain, organization: walk.organization(domain), lookups };
    let (result, aligned) = identifiers.judge(evidence, record).await?;
    let applied = Applied {
        place: place.clone(),
        policy: record.policy,
        subdomain_policy: record.subdomain_policy,
        missing_policy: record.missing_policy,
        asked,
        strict_spf: record.spf_alignment == Alignment::Strict,
        strict_dkim: record.dkim_alignment == Alignment::Strict,
        testing: record.testing,
        percent: record.percent,
        sampled_out,
        reports: record.reports,
        spf_aligned: aligned.spf,
        dkim_aligned: aligned.dkim,
    };
    Ok((result, Some((policy, applied))))
}

/// The organization's domain of a name (RFC 9989 §4.10.2), for whoever has to know whether two names belong together.
///
/// # Errors
/// What DNS says where it does not answer; [`dns::DnsError::Temporary`] too if it takes longer than `time`.
pub async fn organization(
    resolver: &Arc<dyn Resolver>,
    name: &Name,
    time: Duration,
) -> Result<Name, dns::DnsError> {
    let lookups = Lookups::new(resolver.clone(), 2 * LABELS, Instant::now() + time);
    match Walk::up(name, &lookups).await {
        Ok(walk) => Ok(walk.organization(name)),
        Err(error) => Err(dns::DnsError::Temporary(error.to_string())),
    }
}

/// Where the record that applies to a domain is, the record, and the policy that it asks for (RFC 9989 §4.10.1).
async fn applicable<'a>(
    walk: &'a Walk,
    domain: &Name,
    lookups: &Lookups,
) -> Result<Option<(&'a Name, &'a DmarcRecord, Policy)>, LookupError> {
    if let Some((place, own)) = walk.record(domain) {
        return Ok(Some((place, own, own.policy)));
    }
    let organization = walk.organization(domain);
    let found = walk.record(&organization).or_else(|| walk.suffix_record());
    let Some((place, record)) = found else { return Ok(None) };
    let missing = match record.missing_policy {
        Some(policy) if policy != record.subdomain_policy => match lookups.ipv4(domain.clone()).await {
            Err(LookupError::NoSuchName) => Some(policy),
            Err(error) => return Err(error),
            Ok(_) => None,
        },
        other => other.filter(|policy| *policy == record.subdomain_policy),
    };
    Ok(Some((place, record, missing.unwrap_or(record.subdomain_policy))))
}

/// Which kinds of proof are for a domain that is aligned with the author's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Aligned {
    spf: bool,
    dkim: bool,
}

/// The author's domain, and those that answer for the message.
struct Identifiers<'a> {
    domain: &'a Name,
    organization: Name,
    lookups: &'a Lookups,
}

/// A domain that answers for the message.
struct Witness<'a> {
    name: &'a Name,
    by_spf: bool,
    passed: bool,
    unsure: bool,
    alignment: Alignment,
}

impl Identifiers<'_> {
    async fn judge(
        &self,
        evidence: Evidence<'_>,
        record: &DmarcRecord,
    ) -> Result<(DmarcResult, Aligned), LookupError> {
        let spf = evidence.spf.map(|(name, result)| Witness {
            name,
            by_spf: true,
            passed: result == SpfResult::Pass,
            unsure: result == SpfResult::TempError,
            alignment: record.spf_alignment,
        });
        let dkim = evidence.dkim.iter().filter_map(|check| {
            Some(Witness {
                name: check.domain.as_ref()?,
                by_spf: false,
                passed: check.result == DkimResult::Pass,
                unsure: check.result == DkimResult::TempError,
                alignment: record.dkim_alignment,
            })
        });
        let mut unknown = false;
        let mut aligned = Aligned::default();
        // Those that passed first: one that is aligned settles it.
        let mut witnesses: Vec<_> =
            spf.into_iter().chain(dkim).filter(|witness| witness.passed || witness.unsure).collect();
        witnesses.sort_by_key(|witness| (!witness.passed, witness.name != self.domain));
        for witness in witnesses {
            let settled = aligned.spf || aligned.dkim;
            let known = if witness.by_spf { aligned.spf } else { aligned.dkim };
            // What would only be added to a report is asked for only where somebody wants one.
            if settled && (known || !witness.passed || !record.reports) {
                continue;
            }
            match (self.is_aligned(witness.name, witness.alignment).await, witness.passed) {
                (Ok(true), true) if witness.by_spf => aligned.spf = true,
                (Ok(true), true) => aligned.dkim = true,
                (Ok(true), false) => unknown = true,
                (Ok(false), _) => {}
                (Err(_), _) if settled => {}
                (Err(LookupError::Temporary(_)), _) => unknown = true,
                (Err(error), _) => return Err(error),
            }
        }
        let result = match (aligned.spf || aligned.dkim, unknown) {
            (true, _) => DmarcResult::Pass,
            (false, true) => DmarcResult::TempError,
            (false, false) => DmarcResult::Fail,
        };
        Ok((result, aligned))
    }

    async fn is_aligned(&self, name: &Name, alignment: Alignment) -> Result<bool, LookupError> {
        if name == self.domain {
            return Ok(true);
        }
        // Names of one organization are all within it.
        if alignment == Alignment::Strict || !name.is_within(&self.organization) {
            return Ok(false);
        }
        Ok(Walk::up(name, self.lookups).await?.organization(name) == self.organization)
    }
}

/// The records from a name up to the root, the longest name first.
struct Walk(Vec<(Name, DmarcRecord)>);

impl Walk {
    /// Asks for the records of a name and of those above it, eight at most (RFC 9989 §4.10).
    async fn up(start: &Name, lookups: &Lookups) -> Result<Self, LookupError> {
        let mut found = Vec::new();
        let mut next = Some(start.clone());
        while let Some(name) = next {
            let record = match name.below("_dmarc") {
                Some(place) => one_record(place, lookups).await?,
                None => None,
            };
            next = above(&name);
            if let Some(record) = record {
                if record.public_suffix != PublicSuffix::Unknown {
                    next = None;
                }
                found.push((name, record));
            }
        }
        Ok(Self(found))
    }

    fn record(&self, name: &Name) -> Option<(&Name, &DmarcRecord)> {
        self.0.iter().find(|(other, _)| other == name).map(|(place, record)| (place, record))
    }

    /// The record of a public suffix.
    fn suffix_record(&self) -> Option<(&Name, &DmarcRecord)> {
        let suffix = self.0.iter().find(|(_, record)| record.public_suffix == PublicSuffix::Yes);
        suffix.map(|(place, record)| (place, record))
    }

    /// The organization's domain of the name that the walk began with (RFC 9989 §4.10.2).
    fn organization(&self, start: &Name) -> Name {
        if let Some((name, _)) = self.0.iter().find(|(_, record)| record.public_suffix == PublicSuffix::No) {
            return name.clone();
        }
        let is_suffix = |(name, record): &&(Name, DmarcRecord)| {
            record.public_suffix == PublicSuffix::Yes && name != start
        };
        if let Some((suffix, _)) = self.0.iter().find(is_suffix) {
            let child = std::iter::successors(Some(start.clone()), Name::parent)
                .find(|name| name.parent().as_ref() == Some(suffix));
            return child.unwrap_or_else(|| start.clone());
        }
        self.0.last().map_or_else(|| start.clone(), |(name, _)| name.clone())
    }
}

/// The next name of a walk: one label less, but never more than seven.
fn above(name: &Name) -> Option<Name> {
    let mut next = name.parent()?;
    while next.labels().count() > LABELS {
        next = next.parent()?;
    }
    Some(next)
}

/// The record at a name, if there is exactly one.
async fn one_record(place: Name, lookups: &Lookups) -> Result<Option<DmarcRecord>, LookupError> {
    let texts = match lookups.txt(place).await {
        Ok(texts) => texts,
        Err(LookupError::NoSuchName) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut records = texts.iter().filter(|text| record::is_dmarc(text));
    Ok(match (records.next(), records.next()) {
        (Some(only), None) => DmarcRecord::parse(only),
        _ => None,
    })
}
