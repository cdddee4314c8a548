//! The SCRAM keys of an account: how they are derived, and where they are put.
//!
//! Salts are not drawn but made from the name, with a secret that only the nodes know. So a name that does not exist
//! has a salt too, always the same one, and an account gets no other salt than its name had before.

use std::sync::Arc;

use minicbor::bytes::ByteArray;
use store::kv::{self, Transaction};
use tokio::sync::OnceCell;
use types::AccountId;

use super::{Derivation, NewPassword, PasswordError, SALT, ScramKeys, prepare_scram};
use crate::directory::Directory;
use crate::error::Error;
use crate::name::NameKey;
use crate::table::{Hidden, Scram, ScramRow, Secret, Secrets};

/// The secret that salts are made from, once it has been read.
#[derive(Clone, Default)]
pub(crate) struct Salts(Arc<OnceCell<Hidden<[u8; 32]>>>);

/// What is kept of a new password.
pub(crate) struct NewSecrets {
    /// The PHC string.
    pub(crate) hash: Hidden<String>,
    /// The SCRAM keys, if there are any: with a hash from elsewhere comes no password to derive them from.
    scram: Option<(Derivation, ScramKeys)>,
}

impl NewSecrets {
    /// The row of an account that has no keys yet.
    pub(crate) fn scram_row(&self, account: AccountId) -> Option<ScramRow> {
        self.scram.as_ref().map(|(derivation, keys)| {
            let mut row = ScramRow::new(account, *derivation);
            row.set_password(&self.hash.0, keys.clone());
            row
        })
    }
}

impl Directory {
    /// What to keep of a new password, once it is found good enough. `account` has the name already, if it is given.
    pub(crate) async fn new_secrets(
        &self,
        name: &NameKey,
        account: Option<AccountId>,
        password: &NewPassword,
    ) -> Result<NewSecrets, Error> {
        let hash = self.hash_new(password).await?;
        let NewPassword::Clear(clear) = password else { return Ok(NewSecrets { hash, scram: None }) };
        let row = match account {
            Some(account) => self.load_scram(name, account).await?,
            None => None,
        };
        let derivation = self.password_derivation(name, row.as_ref()).await?;
        self.secrets_of(hash, derivation, clear).await
    }

    /// What to keep of a password that has the hash.
    pub(crate) async fn secrets_of(
        &self,
        hash: Hidden<String>,
        derivation: Option<Derivation>,
        clear: &str,
    ) -> Result<NewSecrets, Error> {
        let keys = match derivation {
            Some(derivation) => self.keys_of(derivation, vec![prepare_scram(clear)]).await?.pop(),
            None => None,
        };
        Ok(NewSecrets { hash, scram: derivation.zip(keys) })
    }

    /// The keys of passwords.
    pub(crate) async fn keys_of(
        &self,
        derivation: Derivation,
        passwords: Vec<Hidden<Vec<u8>>>,
    ) -> Result<Vec<ScramKeys>, Error> {
        let slot = self.hasher.enter().await.map_err(PasswordError::from)?;
        Ok(self.hasher.derive(slot, derivation, passwords).await.map_err(PasswordError::from)?)
    }

    /// How the keys of a new password are to be derived, beside what the account has; `None` if SCRAM is off. Keys of
    /// app passwords cannot be derived anew, so they keep their derivation, and the account with them.
    pub(crate) async fn password_derivation(
        &self,
        name: &NameKey,
        row: Option<&ScramRow>,
    ) -> Result<Option<Derivation>, kv::Error> {
        let fresh = self.derivation(&name.to_string()).await?;
        Ok(fresh.map(|fresh| row.filter(|row| row.has_apps()).map_or(fresh, |row| row.derivation)))
    }

    /// How the keys of a name without any are derived, whether or not it exists; `None` if SCRAM is off. The name is
    /// in its normal form, or as it came if it has none.
    pub(crate) async fn derivation(&self, name: &str) -> Result<Option<Derivation>, kv::Error> {
        let Some(iterations) = self.options.scram else { return Ok(None) };
        let secret = self.salts.0.get_or_try_init(|| async {
            self.kv.run(|tx| async move { Secrets::ensure(&tx, Secret::Salts).await }).await
        });
        let salt = salt(secret.await?, name);
        Ok(Some(Derivation { salt, iterations: iterations.count() }))
    }

    /// The keys that an account has.
    pub(crate) async fn load_scram(
        &self,
        name: &NameKey,
        account: AccountId,
    ) -> Result<Option<ScramRow>, kv::Error> {
        let row = self.kv.run(|tx| async move { tx.load::<Scram>(name).await }).await?;
        Ok(row.filter(|row| row.account == account))
    }
}

/// Puts the keys of an account's new password in place of those of the old one.
pub(crate) async fn save_password_keys(
    tx: &Transaction,
    name: &NameKey,
    account: AccountId,
    new: &NewSecrets,
) -> Result<(), kv::Error> {
    let old = tx.load::<Scram>(name).await?.filter(|row| row.account == account && row.has_apps());
    let row = match (old, &new.scram) {
        (None, _) => new.scram_row(account),
        (Some(mut row), Some((derivation, keys))) if row.derivation == *derivation => {
            row.set_password(&new.hash.0, keys.clone());
            Some(row)
        }
        // An app password with another derivation has come in between: until the next login with the password itself
        // there are no keys of it.
        (Some(mut row), _) => {
            row.forget_password();
            Some(row)
        }
    };
    match row {
        Some(row) => tx.save::<Scram>(name, &row),
        None => tx.remove::<Scram>(name),
    }
}

fn salt(secret: &Hidden<[u8; 32]>, name: &str) -> ByteArray<SALT> {
    let long = blake3::keyed_hash(&secret.0, name.as_bytes());
    let mut short = [0; SALT];
    short.iter_mut().zip(long.as_bytes()).for_each(|(to, from)| *to = *from);
    short.into()
}
