//! What the checks ask of DNS, and nothing more: names, five kinds of records, and three ways to have no answer.
//!
//! [`Resolver`] is a trait so that a test is a table of records, in virtual time and without a socket.

mod lookups;
mod name;
mod network;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use thiserror::Error;

pub use name::Name;
pub use network::{DnsServers, NetworkResolver, ResolverError};

pub(crate) use lookups::Lookups;

/// A question to DNS.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// The TXT records of a name.
    Txt(Name),
    /// The IPv4 addresses of a name.
    Ipv4(Name),
    /// The IPv6 addresses of a name.
    Ipv6(Name),
    /// The mail exchangers of a name.
    Mx(Name),
    /// The names of an address.
    Ptr(IpAddr),
}

/// A record in an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// A TXT record, its strings joined without anything between them (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
    Txt(Vec<u8>),
    /// An A record.
    Ipv4(Ipv4Addr),
    /// An AAAA record.
    Ipv6(Ipv6Addr),
    /// An MX record: preference and host.
    Mx(u16, Name),
    /// A PTR record.
    Ptr(Name),
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DnsError {
    /// The name does not exist at all (NXDOMAIN). A name without records of the kind asked for has an empty answer.
    #[error("the name does not exist")]
    NoSuchName,
    /// The servers did not answer, or not in time, or said that they cannot: ask again later.
    #[error("DNS did not answer: {0}")]
    Temporary(String),
    /// The message has caused as many questions as a message may.
    #[error("the message causes too many questions")]
    TooMany,
}

/// Answers questions.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The records that answer a question; none if the name exists without any of this kind.
    async fn ask(&self, question: &Question) -> Result<Vec<Record>, DnsError>;
}
