//! Table `members`: who is in a group. Rows of their own, because a large group's members would not fit into
//! one value.
//!
//! Key: `d` `m` number of the group's name (8 bytes) domain (A-labels) `00` local part (normal form) `00`

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};

use super::{DIRECTORY, Target};
use crate::name::{DomainName, NameKey};

const PREFIX: [u8; 2] = [DIRECTORY, b'm'];

/// The table.
pub(crate) struct Members;

/// Names a member of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MemberKey {
    /// The number of the group's name.
    pub(crate) group: u64,
    pub(crate) name: NameKey,
}

/// A member.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct MemberRow {
    #[n(0)]
    pub(crate) target: Target,
}

impl Members {
    /// All members of a group.
    pub(crate) fn range(group: u64) -> KeyRange {
        KeyWriter::new(&PREFIX).u64(group).range()
    }
}

impl Table for Members {
    type Key = MemberKey;
    type Record = MemberRow;
    const NAME: &'static str = "directory.members";

    fn key(key: &MemberKey) -> Bytes {
        let name = &key.name;
        KeyWriter::new(&PREFIX).u64(key.group).text(name.domain.as_str()).text(&name.local).done()
    }

    fn parse(key: &[u8]) -> Option<MemberKey> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let group = key.u64()?;
        let domain = DomainName::from_key(key.text()?);
        let local = key.text()?.to_owned();
        key.end().map(|()| MemberKey { group, name: NameKey { domain, local } })
    }
}
