//! Table `accounts`: from an account's id to its name, under which the account itself is kept.
//!
//! Key: `d` `i` account id (8 bytes)

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyReader, KeyWriter, Table};
use types::AccountId;

use super::DIRECTORY;
use crate::name::{DomainName, NameKey};

const PREFIX: [u8; 2] = [DIRECTORY, b'i'];

/// The table.
pub(crate) struct AccountIndex;

/// Where the account is.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct AccountIndexRow {
    #[n(0)]
    domain: String,
    /// In its normal form.
    #[n(1)]
    local: String,
}

impl AccountIndexRow {
    pub(crate) fn new(name: &NameKey) -> Self {
        Self { domain: name.domain.as_str().to_owned(), local: name.local.clone() }
    }

    pub(crate) fn name(&self) -> NameKey {
        NameKey { domain: DomainName::from_key(&self.domain), local: self.local.clone() }
    }
}

impl Table for AccountIndex {
    type Key = AccountId;
    type Record = AccountIndexRow;
    const NAME: &'static str = "directory.accounts";

    fn key(account: &AccountId) -> Bytes {
        KeyWriter::new(&PREFIX).u64(account.0).done()
    }

    fn parse(key: &[u8]) -> Option<AccountId> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let id = key.u64()?;
        key.end().map(|()| AccountId(id))
    }
}
