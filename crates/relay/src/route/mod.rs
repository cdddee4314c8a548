//! Where a message for a domain goes (RFC 5321 §5.1).
//!
//! ```text
//!   destination ─> RouteTable ─┬─ a route of its own ─────────────────────────────┐
//!                              ├─ [192.0.2.1] ────────────────────────────────────┤
//!                              └─ MX ─┬─ by preference, equals in random order ───┼─> Plan ─> addresses of each host
//!                                     ├─ none: the domain itself                  │
//!                                     ├─ "." : nobody takes mail there            │
//!                                     └─ our own name: only those preferred to us ┘
//! ```

mod address;
mod error;
mod table;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use dns::{DnsError, Name, Question, Record, Resolver, Security};
use rand::Rng;
use rand::seq::SliceRandom;

pub use address::{Addresses, Prefix};
pub use error::RouteError;
pub use table::{NextHop, Route, RouteTable, RouteTls};

/// The most hosts that are looked at: who has more does not want mail the more for it.
const HOSTS: usize = 20;

/// Finds the way.
pub struct Router {
    resolver: Arc<dyn Resolver>,
    table: RouteTable,
    addresses: Addresses,
    /// The names that this server has in MX records.
    own_names: Vec<Name>,
}

/// Where a message can be brought, the best first.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The domain that it is for, or the literal or host in its place.
    pub destination: String,
    /// The rules for the way.
    pub route: Arc<Route>,
    /// The hosts to try, in this order.
    pub hosts: Vec<Host>,
    /// How the hosts are known.
    pub origin: Origin,
}

/// How a plan's hosts are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// From MX records; whether DNSSEC proves them.
    Mx(Security),
    /// There is no MX: the domain stands for itself; whether DNSSEC proves that there is none.
    Implicit(Security),
    /// An address literal.
    Literal,
    /// The configuration.
    Configured,
}

/// A host that takes mail.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    /// Its name or address.
    pub target: Target,
    /// The port.
    pub port: u16,
}

/// A host's name, or its address where it has no other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A name.
    Name(Name),
    /// An address.
    Address(IpAddr),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => write!(f, "[{address}]"),
        }
    }
}

/// Where a host can be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Its addresses, in the order in which they should be tried.
    pub addresses: Vec<IpAddr>,
    /// Whether DNSSEC proves them.
    pub security: Security,
    /// The host's own name, where the one in the plan is an alias.
    pub alias_of: Option<Name>,
}

impl Router {
    /// A router.
    pub const fn new(
        resolver: Arc<dyn Resolver>,
        table: RouteTable,
        addresses: Addresses,
        own_names: Vec<Name>,
    ) -> Self {
        Self { resolver, table, addresses, own_names }
    }

    /// Who answers its questions.
    pub fn resolver(&self) -> &Arc<dyn Resolver> {
        &self.resolver
    }

    /// Where mail for a domain, or an address literal in brackets, goes.
    ///
    /// # Errors
    /// [`RouteError`] if nobody takes it, or nobody knows.
    pub async fn plan(&self, destination: &str, rng: &mut (impl Rng + Send)) -> Result<Plan, RouteError> {
        let route = self.table.find(destination);
        let plan =
            |hosts, origin| Plan { destination: destination.to_owned(), route: route.clone(), hosts, origin };
        match &route.next_hop {
            NextHop::Hosts(hosts) => {
                let mut hosts = hosts.clone();
                if route.balanced {
                    hosts.shuffle(rng);
                }
                Ok(plan(hosts, Origin::Configured))
            }
            NextHop::Mx { port } => {
                if let Some(address) = literal(destination)? {
                    self.addresses.check(address)?;
                    return Ok(plan(
                        vec![Host { target: Target::Address(address), port: *port }],
                        Origin::Literal,
                    ));
                }
                let name =
                    Name::parse(destination).ok_or_else(|| RouteError::NoName(destination.to_owned()))?;
                let (names, origin) = self.exchangers(&name, rng).await?;
                let host = |name| Host { target: Target::Name(name), port: *port };
                Ok(plan(names.into_iter().map(host).collect(), origin))
            }
        }
    }

    /// The addresses of a host.
    ///
    /// # Errors
    /// [`RouteError`] if there are none that may be used, or nobody knows.
    pub async fn reach(&self, host: &Host, route: &Route) -> Result<Reach, RouteError> {
        // Whoever configures a host knows where it is.
        let trusted = matches!(route.next_hop, NextHop::Hosts(_));
        let name = match &host.target {
            Target::Address(address) if trusted => return Ok(Reach::at(*address)),
            Target::Address(address) => return self.addresses.check(*address).map(|()| Reach::at(*address)),
            Target::Name(name) => name,
        };
        let (six, four) =
            futures::join!(self.ask(Question::Ipv6(name.clone())), self.ask(Question::Ipv4(name.clone())),);
        let mut security = Security::Secure;
        let mut alias_of = None;
        let mut families = [Vec::new(), Vec::new()];
        let mut failed = None;
        for (family, answer) in families.iter_mut().zip([six, four]) {
            match answer {
                Ok(answer) => {
                    security = security.and(answer.security);
                    alias_of = alias_of.or(answer.alias_of);
                    family.extend(answer.records.iter().filter_map(|record| match record {
                        Record::Ipv4(address) => Some(IpAddr::V4(*address)),
                        Record::Ipv6(address) => Some(IpAddr::V6(*address)),
                        _ => None,
                    }));
                }
                // That nobody could say outweighs that the name does not exist.
                Err(DnsError::NoSuchName) if failed.is_some() => {}
                Err(error) => failed = Some(error),
            }
        }
        let [six, four] = families;
        let found = self.addresses.order(six, four);
        if found.is_empty() {
            return Err(failed
                .map_or_else(|| RouteError::NoAddress(name.clone()), |error| RouteError::host(name, error)));
        }
        let addresses: Vec<IpAddr> = found
            .iter()
            .copied()
            .filter(|address| trusted || self.addresses.check(*address).is_ok())
            .collect();
        match (addresses.is_empty(), found.first()) {
            (true, Some(first)) => {
                Err(self.addresses.check(*first).err().unwrap_or(RouteError::NoAddress(name.clone())))
            }
            // One family may be unknown. What is known of the other is proved all the same: whoever keeps an answer from
            // us must not take the proof with it.
            _ => Ok(Reach { addresses, security, alias_of }),
        }
    }

    /// The mail exchangers of a domain, the preferred first.
    async fn exchangers(
        &self,
        domain: &Name,
        rng: &mut (impl Rng + Send),
    ) -> Result<(Vec<Name>, Origin), RouteError> {
        let answer = self
            .ask(Question::Mx(domain.clone()))
            .await
            .map_err(|error| RouteError::domain(domain, error))?;
        let mut found: Vec<(u16, Option<Name>)> = answer
            .records
            .into_iter()
            .filter_map(|record| match record {
                Record::Mx(preference, host) => Some((preference, host)),
                _ => None,
            })
            .collect();
        if found.is_empty() {
            return self.itself(domain, answer.security);
        }
        // RFC 7505 §3: a null MX stands alone. Among others it says nothing.
        if found.iter().all(|(_, host)| host.is_none()) {
            return Err(RouteError::NullMx(domain.clone()));
        }
        found.shuffle(rng);
        found.sort_by_key(|(preference, _)| *preference);
        let ours = |host: &Option<Name>| host.as_ref().is_some_and(|host| self.own_names.contains(host));
        let own = found.iter().filter(|(_, host)| ours(host)).map(|(preference, _)| *preference).min();
        if let Some(own) = own {
            // Whoever is not preferred to us would bring it to us.
            found.retain(|(preference, _)| *preference < own);
            if found.is_empty() {
                return Err(RouteError::Loop(domain.clone()));
            }
        }
        let mut names: Vec<Name> = Vec::new();
        for name in found.into_iter().filter_map(|(_, host)| host) {
            if !names.contains(&name) && names.len() < HOSTS {
                names.push(name);
            }
        }
        Ok((names, Origin::Mx(answer.security)))
    }

    /// A domain without MX stands for itself (RFC 5321 §5.1).
    fn itself(&self, domain: &Name, security: Security) -> Result<(Vec<Name>, Origin), RouteError> {
        if self.own_names.contains(domain) {
            return Err(RouteError::Loop(domain.clone()));
        }
        Ok((vec![domain.clone()], Origin::Implicit(security)))
    }

    async fn ask(&self, question: Question) -> Result<dns::Answer, DnsError> {
        self.resolver.ask(&question).await
    }
}

impl Reach {
    fn at(address: IpAddr) -> Self {
        Self { addresses: vec![address], security: Security::Insecure, alias_of: None }
    }
}

/// The address in an address literal (RFC 5321 §4.1.3); none if this is no literal.
fn literal(destination: &str) -> Result<Option<IpAddr>, RouteError> {
    let Some(inside) = destination.strip_prefix('[') else { return Ok(None) };
    let refused = || RouteError::NoName(destination.to_owned());
    let inside = inside.strip_suffix(']').ok_or_else(refused)?;
    let six = inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")).and_then(|_| inside.get(5..));
    let address = match six {
        Some(six) => six.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        None => inside.parse().map(IpAddr::V4).ok(),
    };
    address.map(Some).ok_or_else(refused)
}
