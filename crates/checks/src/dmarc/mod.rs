//! DMARC (RFC 9989, and what RFC 7489 had before it): whether the author's domain stands behind a message, and what it
//! asks to be done where it does not.
//!
//! Which domains belong together is found by walking up the DNS tree (RFC 9989 §4.10). It needs no list of public
//! suffixes that would be out of date from the day of a release.

mod record;

use std::fmt;

use crate::dkim::{DkimCheck, DkimResult};
use crate::lookups::{LookupError, Lookups};
use crate::spf::SpfResult;
use dns::Name;
use record::{Alignment, DmarcRecord, PublicSuffix};

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
    let (result, policy) = match judge(&domain, evidence, lookups).await {
        Ok(found) => found,
        Err(LookupError::Temporary(_)) => (DmarcResult::TempError, None),
        Err(LookupError::TooMany | LookupError::NoSuchName) => (DmarcResult::PermError, None),
    };
    DmarcCheck { domain, result, policy }
}

async fn judge(
    domain: &Name,
    evidence: Evidence<'_>,
    lookups: &Lookups,
) -> Result<(DmarcResult, Option<Policy>), LookupError> {
    if !domain.is_qualified() {
        return Ok((DmarcResult::None, None));
    }
    let walk = Walk::up(domain, lookups).await?;
    let Some((record, asked)) = applicable(&walk, domain, lookups).await? else {
        return Ok((DmarcResult::None, None));
    };
    let policy = asked.milder_if(record.testing).milder_if(evidence.lot >= record.percent);
    let identifiers = Identifiers { domain, organization: walk.organization(domain), lookups };
    let result = identifiers.judge(evidence, record).await?;
    Ok((result, Some(policy)))
}

/// The record that applies to a domain, and the policy that it asks for (RFC 9989 §4.10.1).
async fn applicable<'a>(
    walk: &'a Walk,
    domain: &Name,
    lookups: &Lookups,
) -> Result<Option<(&'a DmarcRecord, Policy)>, LookupError> {
    if let Some(own) = walk.record(domain) {
        return Ok(Some((own, own.policy)));
    }
    let organization = walk.organization(domain);
    let Some(record) = walk.record(&organization).or_else(|| walk.suffix_record()) else { return Ok(None) };
    let missing = match record.missing_policy {
        Some(policy) if policy != record.subdomain_policy => match lookups.ipv4(domain.clone()).await {
            Err(LookupError::NoSuchName) => Some(policy),
            Err(error) => return Err(error),
            Ok(_) => None,
        },
        other => other.filter(|policy| *policy == record.subdomain_policy),
    };
    Ok(Some((record, missing.unwrap_or(record.subdomain_policy))))
}

/// The author's domain, and those that answer for the message.
struct Identifiers<'a> {
    domain: &'a Name,
    organization: Name,
    lookups: &'a Lookups,
}

impl Identifiers<'_> {
    async fn judge(&self, evidence: Evidence<'_>, record: &DmarcRecord) -> Result<DmarcResult, LookupError> {
        let spf = evidence.spf.map(|(name, result)| {
            (name, result == SpfResult::Pass, result == SpfResult::TempError, record.spf_alignment)
        });
        let dkim = evidence.dkim.iter().filter_map(|check| {
            let passed = check.result == DkimResult::Pass;
            Some((
                check.domain.as_ref()?,
                passed,
                check.result == DkimResult::TempError,
                record.dkim_alignment,
            ))
        });
        let mut unknown = false;
        // Those that passed first: one that is aligned settles it.
        let mut witnesses: Vec<_> =
            spf.into_iter().chain(dkim).filter(|(_, pass, temp, _)| *pass || *temp).collect();
        witnesses.sort_by_key(|(name, passed, _, _)| (!passed, *name != self.domain));
        for (name, passed, _, alignment) in witnesses {
            match (self.is_aligned(name, alignment).await, passed) {
                (Ok(true), true) => return Ok(DmarcResult::Pass),
                (Ok(true), false) => unknown = true,
                (Ok(false), _) => {}
                (Err(LookupError::Temporary(_)), _) => unknown = true,
                (Err(error), _) => return Err(error),
            }
        }
        Ok(if unknown { DmarcResult::TempError } else { DmarcResult::Fail })
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

    fn record(&self, name: &Name) -> Option<&DmarcRecord> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, record)| record)
    }

    /// The record of a public suffix.
    fn suffix_record(&self) -> Option<&DmarcRecord> {
        let suffix = self.0.iter().find(|(_, record)| record.public_suffix == PublicSuffix::Yes);
        suffix.map(|(_, record)| record)
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
