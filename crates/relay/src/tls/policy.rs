//! What a connection to a host has to prove, and who says so.
//!
//! DANE counts before MTA-STS: it is proved by DNSSEC down to the host, and a host that fails it must not be saved by the
//! other (RFC 8461 §2). Where DNS is silent or signed wrongly, nobody knows what the domain wants, and the mail waits
//! (fault 70).

use std::sync::Arc;

use dns::{DnsError, Name, Question, Record, Resolver, Security, Tlsa};
use thiserror::Error;

use super::DaneRecords;
use crate::attempt::Barrier;
use crate::envelope::Protection;
use crate::route::{Origin, Plan, Reach, RouteTls, Target};
use crate::session::Outcome;
use crate::sts::{StsMode, StsPolicies, StsPolicy, StsState};

/// What a connection has to prove before mail goes over it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Demand {
    /// There is no TLS.
    Never,
    /// TLS if it is offered, with any certificate; else plain text.
    IfOffered,
    /// TLS, with any certificate.
    Encrypted,
    /// TLS, with a certificate by a public authority for this name.
    WebPki(Name),
    /// TLS, with a certificate that DNS names.
    Dane(Arc<DaneRecords>),
}

/// Who says what has to be proved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PolicyKind {
    /// Nobody (`no-policy-found`).
    None,
    /// The configuration.
    Route,
    /// The domain, with MTA-STS.
    Sts,
    /// The domain, with DANE.
    Dane,
}

/// The policy for connections to a host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HostPolicy {
    /// What has to be proved.
    pub demand: Demand,
    /// Who says so.
    pub kind: PolicyKind,
    /// What a policy in the mode `testing` wants to be told.
    pub watched: Option<Watched>,
}

/// What a policy that only watches wants to be told of a host (RFC 8461 §5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Watched {
    /// If this name could not have been proved.
    Named(Name),
    /// That mail went to this host, which the policy does not name.
    Unnamed(Name),
}

/// Something about TLS that the domain's owner should hear of (RFC 8460).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsProblem {
    /// Whose policy it is about.
    pub kind: PolicyKind,
    /// The host.
    pub host: String,
    /// What went wrong.
    pub reason: TlsReason,
    /// In detail.
    pub detail: String,
}

/// What went wrong, as RFC 8460 §4.3 names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TlsReason {
    /// STARTTLS is not offered, or refused.
    StartTlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// The certificate has expired, or is not valid yet.
    CertificateExpired,
    /// Nobody vouches for the certificate.
    CertificateNotTrusted,
    /// Anything else about the handshake.
    ValidationFailure,
    /// The TLSA records are there but of no use, or match nothing.
    TlsaInvalid,
    /// DNSSEC is signed wrongly.
    DnssecInvalid,
    /// The MTA-STS policy cannot be had.
    StsPolicyFetch,
    /// The host is not one that the MTA-STS policy names.
    StsWebPkiInvalid,
}

impl TlsReason {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::StsPolicyFetch => "sts-policy-fetch-error",
            Self::StsWebPkiInvalid => "sts-webpki-invalid",
        }
    }
}

/// A host that mail may not be sent to, for now.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PolicyError {
    /// DNS cannot say whether the host has TLSA records.
    #[error("it is not known which certificate {0} should have (DANE): {1}")]
    Tlsa(Name, DnsError),
    /// The host is not one that the domain names in its policy.
    #[error("the MTA-STS policy of the domain does not name {0}")]
    NotNamed(Name),
    /// The sender demands a proof (REQUIRETLS), and nothing proves that the host is the domain's.
    #[error(
        "the sender demands TLS with a proven host (REQUIRETLS), and neither DNSSEC nor MTA-STS proves that {0} is one"
    )]
    Unproven(Target),
    /// The sender demands a proof (REQUIRETLS), and whether there is one cannot be found out now.
    #[error(
        "the sender demands TLS with a proven host (REQUIRETLS), and it cannot be found out now whether {0} is one: {1}"
    )]
    Undecided(Target, String),
    /// The sender demands TLS, and the configuration forbids it.
    #[error("the sender demands TLS (REQUIRETLS), which the configuration switches off on the way to {0}")]
    Forbidden(Target),
}

impl PolicyError {
    /// What it means for the recipients, if no other host does better.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Tlsa(..) => Outcome::temporary(7, 5, self.to_string()),
            Self::NotNamed(_) | Self::Undecided(..) => Outcome::temporary(7, 5, self.to_string()),
            Self::Unproven(_) | Self::Forbidden(_) => Outcome::permanent(7, 30, self.to_string()),
        }
    }

    /// What it says about the destination as a whole, if it may be over soon.
    pub const fn barrier(&self) -> Option<Barrier> {
        match self {
            Self::Tlsa(..) | Self::NotNamed(_) => Some(Barrier::Security),
            // What one sender demands is no matter of all others.
            Self::Undecided(..) | Self::Unproven(_) | Self::Forbidden(_) => None,
        }
    }

    /// What to report.
    pub fn problem(&self) -> Option<TlsProblem> {
        let problem = |kind, host: &Name, reason| {
            Some(TlsProblem { kind, host: host.to_string(), reason, detail: self.to_string() })
        };
        match self {
            Self::Tlsa(host, DnsError::Bogus) => problem(PolicyKind::Dane, host, TlsReason::DnssecInvalid),
            Self::NotNamed(host) => problem(PolicyKind::Sts, host, TlsReason::StsWebPkiInvalid),
            Self::Tlsa(..) | Self::Undecided(..) | Self::Unproven(_) | Self::Forbidden(_) => None,
        }
    }
}

/// Finds policies.
pub struct TlsPolicies {
    resolver: Arc<dyn Resolver>,
    sts: Option<StsPolicies>,
    dane: bool,
}

/// What is known about a host's TLSA records.
enum Tlsas {
    /// There are none that count: no records, or nothing that proves them.
    None,
    Secure {
        base: Name,
        records: Vec<Tlsa>,
    },
}

impl TlsPolicies {
    /// Policies by MTA-STS, if there is a way to fetch them, and by DANE, if the resolver validates.
    pub const fn new(resolver: Arc<dyn Resolver>, sts: Option<StsPolicies>, dane: bool) -> Self {
        Self { resolver, sts, dane }
    }

    /// The MTA-STS policy of a plan's destination.
    pub async fn domain(&self, plan: &Plan) -> StsState {
        match (&self.sts, plan.origin, plan.route.tls, Name::parse(&plan.destination)) {
            (Some(sts), Origin::Mx(_) | Origin::Implicit(_), RouteTls::Policy, Some(name)) => {
                sts.of(&name).await
            }
            _ => StsState::None,
        }
    }

    /// The policy for a host of a plan.
    ///
    /// # Errors
    /// [`PolicyError`] if nothing may be sent to it now.
    pub async fn host(
        &self,
        plan: &Plan,
        target: &Target,
        reach: &Reach,
        sts: &StsState,
        protection: Protection,
    ) -> Result<HostPolicy, PolicyError> {
        let tlsas = match target {
            Target::Name(name)
                if self.dane
                    && plan.route.tls == RouteTls::Policy
                    && protection != Protection::Dispensable =>
            {
                self.tlsas(plan, name, reach).await?
            }
            _ => Tlsas::None,
        };
        decide(plan, target, tlsas, sts, protection)
    }

    /// The TLSA records of a host, where everything on the way to it is proved (RFC 7672 §2.2).
    async fn tlsas(&self, plan: &Plan, name: &Name, reach: &Reach) -> Result<Tlsas, PolicyError> {
        let known = match plan.origin {
            Origin::Mx(security) | Origin::Implicit(security) => security,
            Origin::Configured => Security::Secure,
            Origin::Literal => Security::Insecure,
        };
        if known.and(reach.security) != Security::Secure {
            return Ok(Tlsas::None);
        }
        let port = plan
            .hosts
            .iter()
            .find(|host| host.target == Target::Name(name.clone()))
            .map_or(25, |host| host.port);
        // Where the host is an alias, the records of what it stands for count first (§2.2.3).
        for base in reach.alias_of.iter().chain([name]) {
            let Some(place) = base.below(&format!("_{port}._tcp")) else { continue };
            match self.resolver.ask(&Question::Tlsa(place)).await {
                Ok(answer) if answer.security == Security::Secure => {
                    let records: Vec<Tlsa> = answer.records.into_iter().filter_map(tlsa).collect();
                    if !records.is_empty() {
                        return Ok(Tlsas::Secure { base: base.clone(), records });
                    }
                }
                Ok(_) | Err(DnsError::NoSuchName) => {}
                Err(error) => return Err(PolicyError::Tlsa(base.clone(), error)),
            }
        }
        Ok(Tlsas::None)
    }
}

fn tlsa(record: Record) -> Option<Tlsa> {
    match record {
        Record::Tlsa(tlsa) => Some(tlsa),
        _ => None,
    }
}

fn decide(
    plan: &Plan,
    target: &Target,
    tlsas: Tlsas,
    sts: &StsState,
    protection: Protection,
) -> Result<HostPolicy, PolicyError> {
    let strict = protection == Protection::Required;
    let policy = |demand, kind| Ok(HostPolicy { demand, kind, watched: None });
    let verified = || verified(target);
    match plan.route.tls {
        RouteTls::Never if strict => return Err(PolicyError::Forbidden(target.clone())),
        RouteTls::Never => return policy(Demand::Never, PolicyKind::Route),
        RouteTls::Require if !strict => return policy(Demand::Encrypted, PolicyKind::Route),
        RouteTls::Require | RouteTls::Verify | RouteTls::VerifyImmediate => {
            return policy(verified(), PolicyKind::Route);
        }
        RouteTls::Policy => {}
    }
    if protection == Protection::Dispensable {
        // RFC 8689 §5: the sender would rather have the mail read than lost.
        return policy(Demand::IfOffered, PolicyKind::None);
    }
    if let Tlsas::Secure { base, records } = tlsas {
        let mut names = vec![base];
        if let Target::Name(name) = target {
            names.push(name.clone());
        }
        names.extend(Name::parse(&plan.destination));
        names.dedup();
        return match DaneRecords::usable(&records, names) {
            Some(records) => policy(Demand::Dane(Arc::new(records)), PolicyKind::Dane),
            None => by_unusable(target, sts, strict),
        };
    }
    if let (StsState::Policy(sts), Target::Name(name)) = (sts, target) {
        return by_sts(sts, name, strict);
    }
    if !strict {
        return policy(Demand::IfOffered, PolicyKind::None);
    }
    // RFC 8689 §4.2.1: which host this is must be proved, or said by the configuration.
    match plan.origin {
        Origin::Mx(Security::Secure) | Origin::Implicit(Security::Secure) | Origin::Configured => {
            policy(verified(), PolicyKind::None)
        }
        _ => match sts {
            StsState::Unknown(why) | StsState::Silent(why) => {
                Err(PolicyError::Undecided(target.clone(), why.clone()))
            }
            StsState::None | StsState::Policy(_) => Err(PolicyError::Unproven(target.clone())),
        },
    }
}

/// TLS with a certificate for the host, where it has a name.
fn verified(target: &Target) -> Demand {
    match target {
        Target::Name(name) => Demand::WebPki(name.clone()),
        Target::Address(_) => Demand::Encrypted,
    }
}

/// The policy for a host whose TLSA records are proved, and none of them can be used: it wants TLS, and says nothing that
/// could be checked (RFC 7672 §2.2). What the domain enforces by MTA-STS is not switched off by that.
fn by_unusable(target: &Target, sts: &StsState, strict: bool) -> Result<HostPolicy, PolicyError> {
    let by_domain = match (sts, target) {
        (StsState::Policy(sts), Target::Name(name)) => Some(by_sts(sts, name, strict)),
        _ => None,
    };
    let watched = match by_domain {
        Some(Ok(policy)) if policy.demand != Demand::IfOffered => return Ok(policy),
        Some(Ok(policy)) => policy.watched,
        Some(Err(error @ PolicyError::NotNamed(_))) => return Err(error),
        // Where a sender demands a proof, DNSSEC is one.
        Some(Err(_)) | None => None,
    };
    let demand = if strict { verified(target) } else { Demand::Encrypted };
    Ok(HostPolicy { demand, kind: PolicyKind::Dane, watched })
}

fn by_sts(sts: &StsPolicy, name: &Name, strict: bool) -> Result<HostPolicy, PolicyError> {
    let named = sts.allows(name);
    match sts.mode {
        StsMode::Enforce | StsMode::Testing if named && (strict || sts.mode == StsMode::Enforce) => {
            Ok(HostPolicy { demand: Demand::WebPki(name.clone()), kind: PolicyKind::Sts, watched: None })
        }
        StsMode::Enforce => Err(PolicyError::NotNamed(name.clone())),
        StsMode::Testing | StsMode::None if strict => Err(PolicyError::Unproven(Target::Name(name.clone()))),
        StsMode::Testing => {
            let watched = if named { Watched::Named(name.clone()) } else { Watched::Unnamed(name.clone()) };
            Ok(HostPolicy { demand: Demand::IfOffered, kind: PolicyKind::Sts, watched: Some(watched) })
        }
        StsMode::None => Ok(HostPolicy { demand: Demand::IfOffered, kind: PolicyKind::None, watched: None }),
    }
}
