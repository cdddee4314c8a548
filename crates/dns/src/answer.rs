//! Questions, answers, and why there is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use async_trait::async_trait;
use thiserror::Error;

use crate::Name;

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
    /// The certificates that a service should show (RFC 6698).
    Tlsa(Name),
    /// The names of an address.
    Ptr(IpAddr),
}

impl Question {
    /// The name that is asked for; none for the reverse of an address.
    pub const fn name(&self) -> Option<&Name> {
        match self {
            Self::Txt(name) | Self::Ipv4(name) | Self::Ipv6(name) | Self::Mx(name) | Self::Tlsa(name) => {
                Some(name)
            }
            Self::Ptr(_) => None,
        }
    }
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
    /// An MX record: preference and host. No host is the root: nobody takes mail here (RFC 7505).
    Mx(u16, Option<Name>),
    /// A TLSA record.
    Tlsa(Tlsa),
    /// A PTR record.
    Ptr(Name),
}

/// What a certificate of a service has to match (RFC 6698 §2.1). The numbers are as they came.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tlsa {
    /// 2: a trust anchor, 3: the service's own certificate; 0 and 1 mean nothing for mail (RFC 7672 §3.1.3).
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key.
    pub selector: u8,
    /// 0: the thing itself, 1: its SHA-256, 2: its SHA-512.
    pub matching: u8,
    /// The thing or its hash.
    pub data: Vec<u8>,
}

/// Whether an answer is what the owner of the name has said (RFC 4035 §4.3). What is signed wrongly is no answer at all,
/// but [`DnsError::Bogus`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// Signed all the way from the root, every name on the way included.
    Secure,
    /// Not signed, or nobody has looked.
    Insecure,
}

impl Security {
    /// Secure if both are.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secure, Self::Secure) => Self::Secure,
            _ => Self::Insecure,
        }
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The records; none if the name exists without any of this kind.
    pub records: Vec<Record>,
    /// The name that the records are of, where the one asked for is an alias of it.
    pub alias_of: Option<Name>,
    /// Whether the answer, with all aliases on the way, is proved.
    pub security: Security,
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
    /// The answer is not what the owner of the name has signed: an attack or a mistake. Ask again later, and believe
    /// nothing of it.
    #[error("the signatures in DNS are wrong (DNSSEC)")]
    Bogus,
}

/// Answers questions.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The records that answer a question.
    ///
    /// # Errors
    /// [`DnsError`] if there is no answer; that the name has no such records is one.
    async fn ask(&self, question: &Question) -> Result<Answer, DnsError>;
}
