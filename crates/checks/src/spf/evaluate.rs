//! Evaluates records (RFC 7208 §4).

use std::net::IpAddr;

use dns::Name;

use super::SpfResult;
use super::macros::{DomainSpec, Values};
use super::record::{DualBits, Mechanism, SpfRecord, is_spf};
use crate::lookups::{LookupError, Lookups};
use crate::network::Network;

/// Terms that cause questions, over all records of one evaluation (RFC 7208 §4.6.4).
const TERMS: usize = 10;
/// Questions without an answer that are forgiven: typing errors in a record should be few (RFC 7208 §4.6.4).
const VOIDS: usize = 2;
/// Hosts of an `mx`, and names of an address, whose addresses are looked up (RFC 7208 §4.6.4).
const HOSTS: usize = 10;

/// Who sends for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// The name that the client gave itself.
    pub(crate) hello: &'a str,
    /// What stands before the `@` of the sender; `postmaster` where there is none (RFC 7208 §4.3).
    pub(crate) local: &'a str,
    /// What stands behind it.
    pub(crate) domain: &'a Name,
}

/// Why evaluation ends before a mechanism matches.
enum Trouble {
    Temporary,
    Permanent,
}

/// Whether the subject's domain lets the client send in its name (RFC 7208 §4, `check_host`).
pub(crate) async fn check_host(subject: Subject<'_>, lookups: &Lookups) -> SpfResult {
    if !subject.domain.is_qualified() {
        return SpfResult::None;
    }
    let mut walk = Walk { subject, lookups, terms: TERMS, voids: VOIDS };
    match walk.evaluate(subject.domain).await {
        Ok(result) => result,
        Err(Trouble::Temporary) => SpfResult::TempError,
        Err(Trouble::Permanent) => SpfResult::PermError,
    }
}

/// One evaluation: what is left of its limits.
struct Walk<'a> {
    subject: Subject<'a>,
    lookups: &'a Lookups,
    terms: usize,
    voids: usize,
}

impl Walk<'_> {
    /// The result of a domain's record; `None` if it has none.
    async fn evaluate(&mut self, domain: &Name) -> Result<SpfResult, Trouble> {
        let Some(record) = self.record(domain).await? else { return Ok(SpfResult::None) };
        for directive in &record.directives {
            if self.matches(&directive.mechanism, domain).await? {
                return Ok(directive.result);
            }
        }
        let Some(redirect) = &record.redirect else { return Ok(SpfResult::Neutral) };
        self.count_term()?;
        let target = self.expand(redirect, domain).await.ok_or(Trouble::Permanent)?;
        match Box::pin(self.evaluate(&target)).await? {
            SpfResult::None => Err(Trouble::Permanent),
            result => Ok(result),
        }
    }

    /// The one SPF record of a domain (RFC 7208 §4.5).
    async fn record(&self, domain: &Name) -> Result<Option<SpfRecord>, Trouble> {
        let texts = match self.lookups.txt(domain.clone()).await {
            Ok(texts) => texts,
            Err(LookupError::NoSuchName) => return Ok(None),
            Err(error) => return Err(trouble(&error)),
        };
        let mut records = texts.iter().filter(|text| is_spf(text));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(only), None) => SpfRecord::parse(only).map(Some).ok_or(Trouble::Permanent),
            (Some(_), Some(_)) => Err(Trouble::Permanent),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &Name) -> Result<bool, Trouble> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network) => Ok(network.contains(self.subject.address)),
            Mechanism::Include(spec) => {
                self.count_term()?;
                let target = self.expand(spec, domain).await.ok_or(Trouble::Permanent)?;
                match Box::pin(self.evaluate(&target)).await? {
                    SpfResult::Pass => Ok(true),
                    SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Ok(false),
                    SpfResult::TempError => Err(Trouble::Temporary),
                    SpfResult::None | SpfResult::PermError => Err(Trouble::Permanent),
                }
            }
            Mechanism::A(spec, bits) => {
                self.count_term()?;
                match self.target(spec.as_ref(), domain).await {
                    Some(target) => self.has_address(target, *bits).await,
                    None => Ok(false),
                }
            }
            Mechanism::Mx(spec, bits) => {
                self.count_term()?;
                match self.target(spec.as_ref(), domain).await {
                    Some(target) => self.has_exchanger(target, *bits).await,
                    None => Ok(false),
                }
            }
            Mechanism::Ptr(spec) => {
                self.count_term()?;
                let Some(target) = self.target(spec.as_ref(), domain).await else { return Ok(false) };
                Ok(self.validated_names().await.iter().any(|name| name.is_within(&target)))
            }
            Mechanism::Exists(spec) => {
                self.count_term()?;
                let Some(target) = self.expand(spec, domain).await else { return Ok(false) };
                let answer = self.lookups.ipv4(target).await;
                Ok(!self.unless_void(answer)?.is_empty())
            }
        }
    }

    async fn has_address(&mut self, name: Name, bits: DualBits) -> Result<bool, Trouble> {
        let address = self.subject.address;
        let answer = self.lookups.addresses(name, address).await;
        let near = |theirs: &IpAddr| {
            let bits = if theirs.is_ipv4() { bits.ipv4 } else { bits.ipv6 };
            Network::new(*theirs, bits).is_some_and(|network| network.contains(address))
        };
        Ok(self.unless_void(answer)?.iter().any(near))
    }

    async fn has_exchanger(&mut self, name: Name, bits: DualBits) -> Result<bool, Trouble> {
        let answer = self.lookups.mx(name).await;
        let hosts = self.unless_void(answer)?;
        if hosts.len() > HOSTS {
            return Err(Trouble::Permanent);
        }
        for host in hosts {
            if self.has_address(host, bits).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The client's names that lead back to its address. What fails here matches nothing (RFC 7208 §5.5).
    async fn validated_names(&self) -> Vec<Name> {
        let address = self.subject.address;
        let names = self.lookups.ptr(address).await.unwrap_or_default();
        let mut validated = Vec::new();
        for name in names.into_iter().take(HOSTS) {
            let addresses = self.lookups.addresses(name.clone(), address).await.unwrap_or_default();
            if addresses.contains(&address) {
                validated.push(name);
            }
        }
        validated
    }

    async fn target(&self, spec: Option<&DomainSpec>, domain: &Name) -> Option<Name> {
        match spec {
            Some(spec) => self.expand(spec, domain).await,
            None => Some(domain.clone()),
        }
    }

    /// The name that a term means; `None` if it is no name, and so matches nothing (RFC 7208 §4.8).
    async fn expand(&self, spec: &DomainSpec, domain: &Name) -> Option<Name> {
        let names = match spec.asks_for_a_validated_name() {
            true => self.validated_names().await,
            false => Vec::new(),
        };
        // The domain itself is preferred, then what is below it, then any (RFC 7208 §7.3).
        let own = names.iter().find(|name| *name == domain);
        let below = names.iter().find(|name| name.is_within(domain));
        spec.expand(&Values {
            address: self.subject.address,
            local: self.subject.local,
            sender_domain: self.subject.domain.as_str(),
            hello: self.subject.hello,
            domain,
            validated: own.or(below).or(names.first()),
        })
    }

    fn count_term(&mut self) -> Result<(), Trouble> {
        self.terms = self.terms.checked_sub(1).ok_or(Trouble::Permanent)?;
        Ok(())
    }

    fn unless_void<T>(&mut self, answer: Result<Vec<T>, LookupError>) -> Result<Vec<T>, Trouble> {
        let found = match answer {
            Ok(found) => found,
            Err(LookupError::NoSuchName) => Vec::new(),
            Err(error) => return Err(trouble(&error)),
        };
        if found.is_empty() {
            self.voids = self.voids.checked_sub(1).ok_or(Trouble::Permanent)?;
        }
        Ok(found)
    }
}

fn trouble(error: &LookupError) -> Trouble {
    match error {
        LookupError::Temporary(_) => Trouble::Temporary,
        LookupError::TooMany | LookupError::NoSuchName => Trouble::Permanent,
    }
}
