//! The resolver that asks the network.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use thiserror::Error;

use super::{DnsError, Name, Question, Record, Resolver};

/// Answers that are kept, at most.
const KEPT: u64 = 16_384;
/// How long an answer or its absence is kept, at most. A day would be allowed; an hour lets a mended record through.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long one server may take to answer before it is asked again, or another is.
const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// Whom to ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DnsServers {
    /// The servers in `/etc/resolv.conf`.
    #[default]
    System,
    /// These, over UDP, and over TCP where an answer is too long for that.
    Addresses(Vec<SocketAddr>),
}

/// The resolver could not be set up.
#[derive(Debug, Error)]
#[error(
    "cannot set up DNS ({0}); check /etc/resolv.conf, or name the servers in the configuration under [checks]"
)]
pub struct ResolverError(String);

/// Asks DNS servers, and keeps answers as long as they say.
pub struct NetworkResolver(TokioResolver);

impl NetworkResolver {
    /// A resolver that asks these servers.
    pub fn new(servers: &DnsServers) -> Result<Self, ResolverError> {
        let builder = match servers {
            DnsServers::System => {
                TokioResolver::builder_tokio().map_err(|error| ResolverError(error.to_string()))?
            }
            DnsServers::Addresses(addresses) => {
                let servers = addresses.iter().map(|address| name_server(*address)).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let builder = builder.with_options(options());
        Ok(Self(builder.build().map_err(|error| ResolverError(error.to_string()))?))
    }
}

#[async_trait]
impl Resolver for NetworkResolver {
    async fn ask(&self, question: &Question) -> Result<Vec<Record>, DnsError> {
        let (name, kind) = match question {
            Question::Txt(name) => (wire_name(name)?, RecordType::TXT),
            Question::Ipv4(name) => (wire_name(name)?, RecordType::A),
            Question::Ipv6(name) => (wire_name(name)?, RecordType::AAAA),
            Question::Mx(name) => (wire_name(name)?, RecordType::MX),
            Question::Ptr(address) => (reverse_name(*address), RecordType::PTR),
        };
        match self.0.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(|record| read(&record.data)).collect()),
            Err(NetError::Dns(HickoryDnsError::NoRecordsFound(nothing))) => match nothing.response_code {
                ResponseCode::NXDomain => Err(DnsError::NoSuchName),
                ResponseCode::NoError => Ok(Vec::new()),
                code => Err(DnsError::Temporary(code.to_string())),
            },
            Err(error) => Err(DnsError::Temporary(error.to_string())),
        }
    }
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.cache_size = KEPT;
    options.positive_max_ttl = Some(LONGEST);
    options.negative_max_ttl = Some(LONGEST);
    options.timeout = PATIENCE;
    options.attempts = ATTEMPTS;
    // What this machine calls its neighbours is nothing that a sender may rely on.
    options.use_hosts_file = ResolveHosts::Never;
    options
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].into_iter().map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.collect())
}

/// Labels go over as octets, so that nothing in them is taken for an escape; absolute, so that no search list is used.
fn wire_name(name: &Name) -> Result<hickory_resolver::proto::rr::Name, DnsError> {
    let labels = name.labels().map(str::as_bytes);
    let mut wire =
        hickory_resolver::proto::rr::Name::from_labels(labels).map_err(|_| DnsError::NoSuchName)?;
    wire.set_fqdn(true);
    Ok(wire)
}

fn reverse_name(address: IpAddr) -> hickory_resolver::proto::rr::Name {
    address.into()
}

fn read(data: &RData) -> Option<Record> {
    match data {
        RData::TXT(text) => {
            Some(Record::Txt(text.txt_data.iter().flat_map(|string| string.iter().copied()).collect()))
        }
        RData::A(address) => Some(Record::Ipv4(address.0)),
        RData::AAAA(address) => Some(Record::Ipv6(address.0)),
        RData::MX(mx) => Some(Record::Mx(mx.preference, Name::parse(&mx.exchange.to_ascii())?)),
        RData::PTR(name) => Some(Record::Ptr(Name::parse(&name.to_ascii())?)),
        _ => None,
    }
}
