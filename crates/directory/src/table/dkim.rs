//! Tables `dkim_keys` and `dkim_secrets`: with what a domain's mail is signed. The private halves are a table of their
//! own, so that secrets are read only by who signs, and last no longer than they are needed: a key that is retired
//! has none any more.
//!
//! Keys: `d` `x` domain (A-labels) `00` selector `00`, and the same with `y`

use bytes::Bytes;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::Timestamp;

use super::{DIRECTORY, Hidden};
use crate::dkim::{DkimAlgorithm, DkimState, Selector};
use crate::name::DomainName;

const KEYS: [u8; 2] = [DIRECTORY, b'x'];
const SECRETS: [u8; 2] = [DIRECTORY, b'y'];

/// A domain and one of its selectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SelectorKey {
    pub(crate) domain: DomainName,
    pub(crate) selector: Selector,
}

impl SelectorKey {
    fn write(&self, prefix: [u8; 2]) -> Bytes {
        KeyWriter::new(&prefix).text(self.domain.as_str()).text(self.selector.as_str()).done()
    }

    fn read(key: &[u8], prefix: [u8; 2]) -> Option<Self> {
        let mut key = KeyReader::new(key, &prefix)?;
        let domain = DomainName::from_key(key.text()?);
        let selector = Selector::from_key(key.text()?);
        key.end().map(|()| Self { domain, selector })
    }
}

/// The table of keys, as everybody may know them.
pub(crate) struct DkimKeys;

/// A key without its private half.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct DkimKeyRow {
    #[n(0)]
    pub(crate) algorithm: DkimAlgorithm,
    /// As DNS publishes it.
    #[n(1)]
    pub(crate) public: ByteVec,
    #[n(2)]
    pub(crate) state: DkimState,
    #[n(3)]
    pub(crate) created: Timestamp,
    #[n(4)]
    pub(crate) activated: Option<Timestamp>,
    #[n(5)]
    pub(crate) retired: Option<Timestamp>,
}

impl DkimKeys {
    /// All keys of a domain.
    pub(crate) fn range(domain: &DomainName) -> KeyRange {
        KeyWriter::new(&KEYS).text(domain.as_str()).range()
    }
}

impl Table for DkimKeys {
    type Key = SelectorKey;
    type Record = DkimKeyRow;
    const NAME: &'static str = "directory.dkim_keys";

    fn key(key: &SelectorKey) -> Bytes {
        key.write(KEYS)
    }

    fn parse(key: &[u8]) -> Option<SelectorKey> {
        SelectorKey::read(key, KEYS)
    }
}

/// The table of private halves.
pub(crate) struct DkimSecrets;

/// A private half.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct DkimSecretRow {
    #[n(0)]
    pub(crate) algorithm: DkimAlgorithm,
    /// PKCS #8 in DER.
    #[n(1)]
    pub(crate) private: Hidden<ByteVec>,
    /// Whether mail is signed with it now. Here too, so that signing is one read of one range.
    #[n(2)]
    pub(crate) active: bool,
}

impl DkimSecrets {
    /// All private halves of a domain.
    pub(crate) fn range(domain: &DomainName) -> KeyRange {
        KeyWriter::new(&SECRETS).text(domain.as_str()).range()
    }
}

impl Table for DkimSecrets {
    type Key = SelectorKey;
    type Record = DkimSecretRow;
    const NAME: &'static str = "directory.dkim_secrets";

    fn key(key: &SelectorKey) -> Bytes {
        key.write(SECRETS)
    }

    fn parse(key: &[u8]) -> Option<SelectorKey> {
        SelectorKey::read(key, SECRETS)
    }
}
