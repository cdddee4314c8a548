//! Table `domains`: the mail domains that this service is responsible for.
//!
//! Key: `d` `d` domain (A-labels, lower case) `00`

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::{DomainId, Timestamp};

use super::{DIRECTORY, Target};
use crate::name::DomainName;

const PREFIX: [u8; 2] = [DIRECTORY, b'd'];

/// The table.
pub(crate) struct Domains;

/// A domain.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct DomainRow {
    #[n(0)]
    pub(crate) id: DomainId,
    #[n(1)]
    pub(crate) created: Timestamp,
    /// Who gets what is addressed to nobody.
    #[n(2)]
    pub(crate) catch_all: Option<Target>,
    /// What stands between a name and its detail; none if the domain has no details.
    #[n(3)]
    pub(crate) separator: Option<char>,
}

impl Domains {
    /// All domains.
    pub(crate) fn range() -> KeyRange {
        KeyRange::prefix(&PREFIX)
    }
}

impl Table for Domains {
    type Key = DomainName;
    type Record = DomainRow;
    const NAME: &'static str = "directory.domains";

    fn key(domain: &DomainName) -> Bytes {
        KeyWriter::new(&PREFIX).text(domain.as_str()).done()
    }

    fn parse(key: &[u8]) -> Option<DomainName> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let domain = DomainName::from_key(key.text()?);
        key.end().map(|()| domain)
    }
}
