//! Why there is no way.

use std::net::IpAddr;

use dns::{DnsError, Name};
use thiserror::Error;

use crate::attempt::Barrier;
use crate::session::Outcome;

/// Why mail for a destination, or to a host, cannot be brought.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RouteError {
    /// The destination is neither a domain nor an address.
    #[error("{0} is neither a domain name nor an address")]
    NoName(String),
    /// The domain does not exist.
    #[error("the domain {0} does not exist")]
    NoDomain(Name),
    /// The domain takes no mail (RFC 7505).
    #[error("the domain {0} says that it takes no mail (null MX)")]
    NullMx(Name),
    /// We are the best mail exchanger of a domain that is not ours.
    #[error(
        "this server is the mail exchanger of {0}, but does not know the domain; add the domain here, or mend its MX records"
    )]
    Loop(Name),
    /// A host without address.
    #[error("{0} has no address")]
    NoAddress(Name),
    /// An address of ours.
    #[error("{0} is an address of this server itself")]
    Own(IpAddr),
    /// An address that mail from here does not go to.
    #[error("{0} is not a public address, and mail is not sent there unless the configuration allows it")]
    Forbidden(IpAddr),
    /// DNS did not say.
    #[error("DNS cannot say where {0} is: {1}")]
    Dns(Name, DnsError),
}

impl RouteError {
    pub(super) fn domain(name: &Name, error: DnsError) -> Self {
        match error {
            DnsError::NoSuchName => Self::NoDomain(name.clone()),
            other => Self::Dns(name.clone(), other),
        }
    }

    pub(super) fn host(name: &Name, error: DnsError) -> Self {
        match error {
            DnsError::NoSuchName => Self::NoAddress(name.clone()),
            other => Self::Dns(name.clone(), other),
        }
    }

    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Dns(..))
    }

    /// What it says about the destination as a whole, if it may be over soon.
    pub const fn barrier(&self) -> Option<Barrier> {
        if self.is_temporary() { Some(Barrier::Name) } else { None }
    }

    /// What it means for the recipients.
    pub fn outcome(&self) -> Outcome {
        let text = self.to_string();
        match self {
            Self::NoName(_) => Outcome::permanent(1, 2, text),
            Self::NoDomain(_) => Outcome::permanent(1, 2, text),
            Self::NullMx(_) => Outcome::permanent(1, 10, text),
            Self::Loop(_) | Self::Own(_) => Outcome::permanent(4, 6, text),
            Self::NoAddress(_) | Self::Forbidden(_) => Outcome::permanent(4, 4, text),
            Self::Dns(..) => Outcome::temporary(4, 3, text),
        }
    }
}
