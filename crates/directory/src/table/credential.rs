//! Table `credentials`: what proves that somebody is the owner of an account. Apart from `names`, so that
//! secrets are read only by who needs them; and under the name, so that a login is one round.
//!
//! Key: `d` `c` domain (A-labels) `00` local part (normal form) `00`

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyReader, KeyWriter, Table};
use types::{AccountId, Timestamp};

use super::{DIRECTORY, Hidden};
use crate::name::NameKey;
use crate::password::Scopes;

const PREFIX: [u8; 2] = [DIRECTORY, b'c'];

/// The table.
pub(crate) struct Credentials;

/// The secrets of one account. Other ways to prove oneself become further fields.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct CredentialRow {
    #[n(0)]
    pub(crate) account: AccountId,
    /// The password's hash as a PHC string, if there is a password.
    #[n(1)]
    pub(crate) password: Option<Hidden<String>>,
    /// When the password was set.
    #[n(2)]
    pub(crate) changed: Timestamp,
    #[n(3)]
    pub(crate) app_passwords: Vec<AppPasswordRow>,
    /// The id that the next app password gets.
    #[n(4)]
    pub(crate) next_app_password: u32,
}

/// A password for one app.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct AppPasswordRow {
    #[n(0)]
    pub(crate) id: u32,
    #[n(1)]
    pub(crate) label: String,
    #[n(2)]
    pub(crate) created: Timestamp,
    /// To the day.
    #[n(3)]
    pub(crate) last_used: Option<Timestamp>,
    #[n(4)]
    pub(crate) scopes: Scopes,
    /// See [`crate::password`].
    #[n(5)]
    pub(crate) hash: Hidden<minicbor::bytes::ByteArray<32>>,
}

impl CredentialRow {
    /// The secrets of a new account.
    pub(crate) const fn new(account: AccountId, password: Option<Hidden<String>>, now: Timestamp) -> Self {
        Self { account, password, changed: now, app_passwords: Vec::new(), next_app_password: 1 }
    }
}

impl Table for Credentials {
    type Key = NameKey;
    type Record = CredentialRow;
    const NAME: &'static str = "directory.credentials";

    fn key(name: &NameKey) -> Bytes {
        name.write(KeyWriter::new(&PREFIX)).done()
    }

    fn parse(key: &[u8]) -> Option<NameKey> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let name = NameKey::read(&mut key)?;
        key.end().map(|()| name)
    }
}
