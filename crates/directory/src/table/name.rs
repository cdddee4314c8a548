//! Table `names`: every name in every domain, be it an account, an alias or a group. One row is one name, so
//! nothing else is needed to keep names unique; and one read tells what an address is.
//!
//! Key: `d` `n` domain (A-labels) `00` local part (normal form) `00`

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};
use types::{AccountId, Timestamp};

use super::{DIRECTORY, Target};
use crate::account::{AccountState, Quota};
use crate::name::{DomainName, NameKey};

const PREFIX: [u8; 2] = [DIRECTORY, b'n'];

/// The table.
pub(crate) struct Names;

/// A name.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct NameRow {
    /// From one sequence for names of all kinds, never reused. An account's is its [`AccountId`].
    #[n(0)]
    pub(crate) id: u64,
    /// The local part as it was written.
    #[n(1)]
    pub(crate) local: String,
    #[n(2)]
    pub(crate) created: Timestamp,
    #[n(3)]
    pub(crate) named: Named,
}

/// What has the name.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) enum Named {
    #[n(0)]
    Account(#[n(0)] AccountRow),
    #[n(1)]
    Alias(#[n(0)] AliasRow),
    #[n(2)]
    Group(#[n(0)] GroupRow),
}

/// An account, but for its secrets.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct AccountRow {
    #[n(0)]
    pub(crate) state: AccountState,
    #[n(1)]
    pub(crate) display_name: Option<String>,
    #[n(2)]
    pub(crate) quota: Quota,
}

/// Another name for others.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct AliasRow {
    #[n(0)]
    pub(crate) targets: Vec<Target>,
}

/// A distribution list; its members are in their own table.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct GroupRow {
    #[n(0)]
    pub(crate) description: Option<String>,
    /// How many members the group has.
    #[n(1)]
    pub(crate) members: u32,
}

impl NameRow {
    /// The account's id, if an account has the name.
    pub(crate) const fn account_id(&self) -> Option<AccountId> {
        match self.named {
            Named::Account(_) => Some(AccountId(self.id)),
            Named::Alias(_) | Named::Group(_) => None,
        }
    }
}

impl Names {
    /// All names, or those of one domain.
    pub(crate) fn range(domain: Option<&DomainName>) -> KeyRange {
        let all = KeyWriter::new(&PREFIX);
        match domain {
            Some(domain) => all.text(domain.as_str()).range(),
            None => all.range(),
        }
    }
}

impl Table for Names {
    type Key = NameKey;
    type Record = NameRow;
    const NAME: &'static str = "directory.names";

    fn key(name: &NameKey) -> Bytes {
        name.write(KeyWriter::new(&PREFIX)).done()
    }

    fn parse(key: &[u8]) -> Option<NameKey> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let name = NameKey::read(&mut key)?;
        key.end().map(|()| name)
    }
}
