//! The resolver that asks the network.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError, NoRecords};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record as WireRecord, RecordType};
use thiserror::Error;

use crate::{Answer, DnsError, Name, Question, Record, Resolver, Security, Tlsa};

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

/// Whether answers are checked against their signatures.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Validation {
    /// They are not: every answer is [`Security::Insecure`].
    #[default]
    Off,
    /// They are, from the root down (RFC 4035 §5). The servers asked must hand out signatures: one that strips them makes
    /// every signed name unreachable.
    Dnssec,
    /// Like that, but from the keys in this file down: DNSKEY records as a zone file has them, of the root or of other
    /// domains. For a DNS of one's own, of which the root of the Internet knows nothing.
    Anchored(PathBuf),
}

/// The resolver could not be set up.
#[derive(Debug, Error)]
pub enum ResolverError {
    /// The system's configuration cannot be read.
    #[error("cannot set up DNS ({0}); check /etc/resolv.conf, or name the servers in the configuration")]
    System(String),
    /// The keys to trust cannot be read, or there are none.
    #[error("cannot read the keys that DNSSEC should begin with from {}: {why}; it should have DNSKEY records such as \". 3600 IN DNSKEY 257 3 13 …\"", .file.display())]
    Anchor {
        /// Where they should be.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Asks DNS servers, and keeps answers as long as they say.
pub struct NetworkResolver(TokioResolver);

impl NetworkResolver {
    /// A resolver that asks these servers.
    ///
    /// # Errors
    /// [`ResolverError`] if the system's configuration, or the file with the keys, cannot be read.
    pub fn new(servers: &DnsServers, validation: Validation) -> Result<Self, ResolverError> {
        let builder = match servers {
            DnsServers::System => {
                TokioResolver::builder_tokio().map_err(|error| ResolverError::System(error.to_string()))?
            }
            DnsServers::Addresses(addresses) => {
                let servers = addresses.iter().map(|address| name_server(*address)).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let mut builder = builder.with_options(options(&validation));
        if let Validation::Anchored(file) = validation {
            builder = builder.with_trust_anchor(Arc::new(anchors(&file)?));
        }
        Ok(Self(builder.build().map_err(|error| ResolverError::System(error.to_string()))?))
    }
}

#[async_trait]
impl Resolver for NetworkResolver {
    async fn ask(&self, question: &Question) -> Result<Answer, DnsError> {
        let kind = kind_of(question);
        let name = match question {
            Question::Ptr(address) => (*address).into(),
            other => wire_name(other.name().ok_or(DnsError::NoSuchName)?)?,
        };
        match self.0.lookup(name.clone(), kind).await {
            Ok(found) => {
                let proved = found.answers().iter().all(|record| record.proof == Proof::Secure);
                let wanted = found.answers().iter().filter(|record| record.record_type() == kind);
                let owner = wanted.clone().next().map(|record| &record.name).filter(|owner| **owner != name);
                Ok(Answer {
                    alias_of: owner.and_then(|owner| Name::parse(&owner.to_ascii())),
                    records: wanted.filter_map(|record| read(&record.data)).collect(),
                    security: if proved { Security::Secure } else { Security::Insecure },
                })
            }
            Err(error) => nothing(&error),
        }
    }
}

/// What it means that there are no records.
fn nothing(error: &NetError) -> Result<Answer, DnsError> {
    let (code, proof) = match error {
        NetError::Dns(HickoryDnsError::NoRecordsFound(nothing)) => (nothing.response_code, proof_of(nothing)),
        NetError::Dns(HickoryDnsError::Nsec { response, proof, .. }) => {
            (response.metadata.response_code, *proof)
        }
        NetError::Dns(HickoryDnsError::DnssecBogus) => return Err(DnsError::Bogus),
        other => return Err(DnsError::Temporary(other.to_string())),
    };
    match (code, proof) {
        (_, Proof::Bogus) => Err(DnsError::Bogus),
        (_, Proof::Indeterminate) => {
            Err(DnsError::Temporary("the signatures could not be checked".to_owned()))
        }
        (ResponseCode::NXDomain, _) => Err(DnsError::NoSuchName),
        (ResponseCode::NoError, proof) => Ok(Answer {
            records: Vec::new(),
            alias_of: None,
            security: if proof == Proof::Secure { Security::Secure } else { Security::Insecure },
        }),
        (code, _) => Err(DnsError::Temporary(code.to_string())),
    }
}

/// Whether it is proved that there are no records. Where signatures are checked, what does not follow from the NSEC records
/// of an answer never comes this far: so they only have to be there, and signed.
fn proof_of(nothing: &NoRecords) -> Proof {
    let authorities = nothing.authorities.as_deref().unwrap_or_default();
    let denies = |record: &WireRecord| matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
    let is_proved =
        authorities.iter().any(denies) && authorities.iter().all(|record| record.proof == Proof::Secure);
    if is_proved { Proof::Secure } else { Proof::Insecure }
}

const fn kind_of(question: &Question) -> RecordType {
    match question {
        Question::Txt(_) => RecordType::TXT,
        Question::Ipv4(_) => RecordType::A,
        Question::Ipv6(_) => RecordType::AAAA,
        Question::Mx(_) => RecordType::MX,
        Question::Tlsa(_) => RecordType::TLSA,
        Question::Ptr(_) => RecordType::PTR,
    }
}

/// The keys in a file.
fn anchors(file: &Path) -> Result<TrustAnchors, ResolverError> {
    let unreadable = |why: String| ResolverError::Anchor { file: file.to_owned(), why };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    // The parser takes a file without any record for one that trusts nobody, and then nothing is ever proved.
    if !text.lines().any(|line| line.split(';').next().unwrap_or_default().contains("DNSKEY")) {
        return Err(unreadable("there is none in it".to_owned()));
    }
    text.parse()
        .map_err(|error: hickory_resolver::proto::serialize::txt::ParseError| unreadable(error.to_string()))
}

fn options(validation: &Validation) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.cache_size = KEPT;
    options.positive_max_ttl = Some(LONGEST);
    options.negative_max_ttl = Some(LONGEST);
    options.validate = *validation != Validation::Off;
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

fn read(data: &RData) -> Option<Record> {
    match data {
        RData::TXT(text) => {
            Some(Record::Txt(text.txt_data.iter().flat_map(|string| string.iter().copied()).collect()))
        }
        RData::A(address) => Some(Record::Ipv4(address.0)),
        RData::AAAA(address) => Some(Record::Ipv6(address.0)),
        RData::MX(mx) if mx.exchange.is_root() => Some(Record::Mx(mx.preference, None)),
        RData::MX(mx) => Some(Record::Mx(mx.preference, Some(Name::parse(&mx.exchange.to_ascii())?))),
        RData::TLSA(tlsa) => Some(Record::Tlsa(Tlsa {
            usage: tlsa.cert_usage.into(),
            selector: tlsa.selector.into(),
            matching: tlsa.matching.into(),
            data: tlsa.cert_data.clone(),
        })),
        RData::PTR(name) => Some(Record::Ptr(Name::parse(&name.to_ascii())?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = ". 3600 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n";

    #[test]
    fn anchors_are_read_or_refused_with_a_reason() {
        let folder = std::env::temp_dir().join(format!("magpie-anchor-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("anchor");
        let resolver = || {
            let servers = DnsServers::Addresses(vec!["127.0.0.1:53".parse().unwrap()]);
            NetworkResolver::new(&servers, Validation::Anchored(file.clone()))
        };
        let refused = |wanted: &str| {
            let said = resolver().map(drop).unwrap_err().to_string();
            assert!(said.contains(wanted) && said.contains("anchor"), "{said}");
        };
        refused("No such file");
        for (text, wanted) in [
            ("", "none in it"),
            ("; DNSKEY to come\n", "none in it"),
            (". 3600 IN DNSKEY 257 3\n", "cannot read"),
        ] {
            std::fs::write(&file, text).unwrap();
            refused(wanted);
        }
        std::fs::write(&file, KEY).unwrap();
        assert_eq!(anchors(&file).unwrap().len(), 1);
        assert!(resolver().is_ok());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// A host without IPv6 is as well proved as one that has both.
    #[test]
    fn that_there_are_no_records_is_proved_where_what_denies_them_is_signed() {
        use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC};
        use hickory_resolver::proto::op::Query;
        use hickory_resolver::proto::rr::Name as WireName;

        let name = WireName::from_ascii("mx.x.test.").unwrap();
        let record = |data: RData, proof| {
            let mut record = WireRecord::from_rdata(name.clone(), 60, data);
            record.proof = proof;
            record
        };
        let denial = || RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(name.clone(), [RecordType::A])));
        let other = || RData::A(std::net::Ipv4Addr::LOCALHOST.into());
        for (authorities, wanted) in [
            (vec![], Security::Insecure),
            (vec![record(other(), Proof::Secure)], Security::Insecure),
            (vec![record(denial(), Proof::Insecure)], Security::Insecure),
            (vec![record(denial(), Proof::Secure), record(other(), Proof::Insecure)], Security::Insecure),
            (vec![record(other(), Proof::Secure), record(denial(), Proof::Secure)], Security::Secure),
        ] {
            let query = Query::query(name.clone(), RecordType::AAAA);
            let mut none = NoRecords::new(query, ResponseCode::NoError);
            none.authorities = Some(authorities.into());
            let answer = nothing(&NetError::Dns(HickoryDnsError::NoRecordsFound(none))).unwrap();
            assert_eq!((answer.records.len(), answer.security), (0, wanted));
        }
    }
}
