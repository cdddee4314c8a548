//! Passwords: people's own, which are hashed with argon2id because they may be weak, and those made for apps,
//! which cannot be guessed and therefore need no more than one BLAKE3 each. Beside these hashes the keys of SCRAM
//! are kept, if it is on.

mod app;
mod hasher;
mod keys;
mod scope;
mod scram;

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use types::AccountId;
use unicode_normalization::UnicodeNormalization;

pub(crate) use app::matching as matching_app_password;
pub use app::{AppPassword, AppPasswordId, NewAppPassword};
pub use hasher::Cost;
pub(crate) use hasher::{Hasher, Overload};
pub(crate) use keys::{NewSecrets, Salts, save_password_keys};
pub use scope::{Protocol, Scopes};
pub use scram::ScramIterations;
pub(crate) use scram::{Derivation, SALT, ScramKeys, prepare_scram};

use crate::account::find;
use crate::directory::Directory;
use crate::error::Error as DirectoryError;
use crate::name::NameKey;
use crate::oauth::end_grants;
use crate::table::{CredentialRow, Credentials, Hidden, NameRow};

/// A password to set. Its debug output shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum NewPassword {
    /// The password itself.
    Clear(String),
    /// Its argon2id hash as a PHC string, as other servers export it.
    Hash(String),
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear(…)",
            Self::Hash(_) => "Hash(…)",
        })
    }
}

/// Why a password was not set.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PasswordError {
    /// Too easy to guess.
    #[error("a password has at least {0} characters")]
    TooShort(usize),
    /// Over [`PasswordError::MAX_LEN`].
    #[error("a password has at most {} octets", PasswordError::MAX_LEN)]
    TooLong,
    /// CR, LF, NUL and the like: login mechanisms cannot carry them.
    #[error("a password must not hold control characters")]
    Control,
    /// Not an argon2id hash, or one whose cost is out of bounds.
    #[error("the hash is not a PHC string of argon2id (\"$argon2id$v=19$m=…,t=…,p=…$salt$hash\") of a cost up to {limit}", limit = Cost::LIMIT)]
    Hash,
    /// A cost that argon2 does not allow, or that would take the machine down.
    #[error("a password hash takes 8 KiB to {limit}, each lane at least 8 KiB", limit = Cost::LIMIT)]
    Cost,
    /// Fewer iterations than SCRAM allows, or more than clients take.
    #[error("SCRAM takes {} to {} iterations", ScramIterations::FEWEST, ScramIterations::MOST)]
    Iterations,
    /// Too many password hashes are waiting to be computed.
    #[error("too many logins are under way: try again in a moment")]
    Busy,
}

impl PasswordError {
    /// The longest password, in octets.
    pub const MAX_LEN: usize = 1024;
}

impl From<Overload> for PasswordError {
    fn from(_: Overload) -> Self {
        Self::Busy
    }
}

impl Directory {
    /// Sets an account's password: from the next login on the old one is refused, on every node. App passwords
    /// stay; what was granted to apps by OAuth ends.
    pub async fn set_password(&self, id: AccountId, password: &NewPassword) -> Result<(), DirectoryError> {
        let (name, _) = self.name_of(id).await?;
        let new = &self.new_secrets(&name, Some(id), password).await?;
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let (name, _) = find(&tx, id).await?.ok_or(DirectoryError::NoSuchAccountId(id))?;
                let mut row = load_credentials(&tx, &name, id).await?;
                row.password = Some(new.hash.clone());
                // Each password has a time of its own, so that it tells which one something was granted with.
                row.changed = now.max(row.changed.plus(Duration::from_millis(1)));
                end_grants(&tx, id).await?;
                tx.save::<Credentials>(&name, &row)?;
                Ok(save_password_keys(&tx, &name, id, new).await?)
            })
            .await
    }

    /// An account's name and row.
    pub(crate) async fn name_of(&self, id: AccountId) -> Result<(NameKey, NameRow), DirectoryError> {
        self.kv.run(|tx| async move { find(&tx, id).await?.ok_or(DirectoryError::NoSuchAccountId(id)) }).await
    }

    /// The hash of a new password, once it is found good enough.
    pub(crate) async fn hash_new(&self, password: &NewPassword) -> Result<Hidden<String>, PasswordError> {
        match password {
            NewPassword::Clear(clear) => {
                if clear.chars().count() < self.options.password_min_chars.max(1) {
                    return Err(PasswordError::TooShort(self.options.password_min_chars.max(1)));
                }
                if clear.chars().any(char::is_control) {
                    return Err(PasswordError::Control);
                }
                let prepared = prepare(clear).ok_or(PasswordError::TooLong)?;
                let slot = self.hasher.enter().await?;
                Ok(Hidden(self.hasher.hash(slot, prepared).await?))
            }
            NewPassword::Hash(hash) => hasher::check(hash).map(|()| Hidden(hash.clone())),
        }
    }
}

/// An account's secrets.
async fn load_credentials(
    tx: &store::kv::Transaction,
    name: &NameKey,
    id: AccountId,
) -> Result<CredentialRow, DirectoryError> {
    let row = tx.load::<Credentials>(name).await?.filter(|row| row.account == id);
    row.ok_or(DirectoryError::NoSuchAccountId(id))
}

/// The bytes that stand for a password: its NFC with plain spaces (RFC 8265 §4.2), so that it is the same from
/// every keyboard. `None` if it is longer than any password.
pub(crate) fn prepare(password: &str) -> Option<Hidden<Vec<u8>>> {
    let space = |c: char| if c.is_whitespace() && !c.is_control() { ' ' } else { c };
    if password.len() > 2 * PasswordError::MAX_LEN {
        return None;
    }
    let prepared: String = password.chars().map(space).nfc().collect();
    (prepared.len() <= PasswordError::MAX_LEN).then(|| Hidden(prepared.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_same_from_every_keyboard() {
        let same = |a: &str, b: &str| assert!(prepare(a) == prepare(b), "{a:?} {b:?}");
        same("비밀번호", "\u{1107}\u{1175}\u{1106}\u{1175}\u{11af}\u{1107}\u{1165}\u{11ab}\u{1112}\u{1169}");
        same("pass\u{a0}word", "pass word");
        assert!(prepare("Password") != prepare("password"));
        assert_eq!(prepare(&"a".repeat(1025)), None);
        assert!(prepare(&"a".repeat(1024)).is_some());
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", NewPassword::Clear("hunter2".into()), prepare("hunter2"));
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}
