//! Table `scram`: what is kept of an account's passwords for SCRAM (RFC 5802). Apart from `credentials`, because a
//! node of an older release, which knows nothing of it, rewrites those: a key therefore says which stored password it
//! belongs to, and counts only as long as that is there.
//!
//! Key: `d` `v` domain (A-labels) `00` local part (normal form) `00`

use bytes::Bytes;
use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use store::kv::{KeyReader, KeyWriter, Table};
use types::AccountId;

use super::{CredentialRow, DIRECTORY};
use crate::name::NameKey;
use crate::password::{AppPasswordId, Derivation, Protocol, ScramKeys};

const PREFIX: [u8; 2] = [DIRECTORY, b'v'];

/// The table.
pub(crate) struct Scram;

/// The keys of one account. They all share one derivation.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct ScramRow {
    #[n(0)]
    pub(crate) account: AccountId,
    #[n(1)]
    pub(crate) derivation: Derivation,
    #[n(2)]
    password: Option<PasswordKeys>,
    #[n(3)]
    apps: Vec<AppKeys>,
}

/// The keys of the account's own password.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
struct PasswordKeys {
    /// Names the stored hash of the same password: see [`hash_name`].
    #[n(0)]
    of: ByteArray<16>,
    #[n(1)]
    keys: ScramKeys,
}

/// The keys of an app password, in each of the forms in which it may be typed.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
struct AppKeys {
    #[n(0)]
    id: u32,
    #[n(1)]
    keys: Vec<ScramKeys>,
}

impl ScramRow {
    pub(crate) const fn new(account: AccountId, derivation: Derivation) -> Self {
        Self { account, derivation, password: None, apps: Vec::new() }
    }

    /// Whether keys of app passwords hold on to the derivation.
    pub(crate) fn has_apps(&self) -> bool {
        !self.apps.is_empty()
    }

    /// Sets the keys of the password with the stored hash `hash`.
    pub(crate) fn set_password(&mut self, hash: &str, keys: ScramKeys) {
        self.password = Some(PasswordKeys { of: hash_name(hash), keys });
    }

    /// Forgets the keys of the password.
    pub(crate) fn forget_password(&mut self) {
        self.password = None;
    }

    /// Whether the keys of the password with this stored hash are here.
    pub(crate) fn knows(&self, hash: &str) -> bool {
        self.password.as_ref().is_some_and(|password| password.of == hash_name(hash))
    }

    /// Adds an app password.
    pub(crate) fn add_app(&mut self, id: AppPasswordId, keys: Vec<ScramKeys>) {
        self.apps.push(AppKeys { id: id.0, keys });
    }

    /// Forgets an app password.
    pub(crate) fn remove_app(&mut self, id: AppPasswordId) {
        self.apps.retain(|app| app.id != id.0);
    }

    /// The keys that count, and what they prove: the password itself (`None`), or an app password that is good for
    /// the protocol.
    pub(crate) fn valid<'a>(
        &'a self,
        credentials: &'a CredentialRow,
        protocol: Protocol,
    ) -> impl Iterator<Item = (Option<AppPasswordId>, &'a ScramKeys)> {
        let hash = credentials.password.as_ref().map(|hash| hash.0.as_str());
        let password = self.password.as_ref().filter(move |_| hash.is_some_and(|hash| self.knows(hash)));
        let good = move |app: &&AppKeys| {
            credentials.app_passwords.iter().any(|row| row.id == app.id && row.scopes.contains(protocol))
        };
        let apps = self.apps.iter().filter(good);
        let apps = apps.flat_map(|app| app.keys.iter().map(|keys| (Some(AppPasswordId(app.id)), keys)));
        password.map(|password| (None, &password.keys)).into_iter().chain(apps)
    }
}

/// A short name of a stored hash. It has a salt of its own, so each stored hash is another.
fn hash_name(hash: &str) -> ByteArray<16> {
    let long = blake3::derive_key("magpie directory scram password 1", hash.as_bytes());
    let mut short = [0; 16];
    short.iter_mut().zip(long).for_each(|(to, from)| *to = from);
    short.into()
}

impl Table for Scram {
    type Key = NameKey;
    type Record = ScramRow;
    const NAME: &'static str = "directory.scram";

    fn key(name: &NameKey) -> Bytes {
        name.write(KeyWriter::new(&PREFIX)).done()
    }

    fn parse(key: &[u8]) -> Option<NameKey> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let name = NameKey::read(&mut key)?;
        key.end().map(|()| name)
    }
}
