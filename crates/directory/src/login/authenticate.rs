//! One login, from the name and the secret to the token.

use std::net::IpAddr;

use super::entry::{Entry, Proven};
use super::guessing::Attempt;
use super::{AuthError, Authenticated, Fate, Way, count};
use crate::directory::Directory;
use crate::error::Error;
use crate::password::{
    AppPasswordId, NewSecrets, Overload, PasswordError, Protocol, matching_app_password, prepare,
    save_password_keys,
};
use crate::table::{Credentials, Hidden};

impl Directory {
    /// Logs in. The login is an account's address, or a bare name in the default domain.
    ///
    /// Unknown names, wrong passwords and disabled accounts get the same answer after the same work: one read
    /// and one password hash. A right password that was proven in this process lately, and an app password, cost
    /// the read alone. (A bare name where no default domain is set costs one more read.)
    ///
    /// Failures are limited by name and by peer ([`crate::LoginLimits`]). Those that are under way together are
    /// checked again when their turn to be hashed comes, so that no more guesses than
    /// [`crate::Options::hashes_at_once`] slip past a limit on each node.
    ///
    /// `peer` must be the client's own address, not that of a proxy in front of this service.
    pub async fn authenticate(
        &self,
        login: &str,
        secret: &str,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Authenticated, AuthError> {
        let result = self.prove(login, secret, peer, scope).await;
        count(scope, Way::Command, Fate::of(&result));
        result
    }

    /// The same, not counted.
    pub(crate) async fn prove(
        &self,
        login: &str,
        secret: &str,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Authenticated, AuthError> {
        let (name, entry) = self.find_entry(login).await?;
        let attempt = Attempt::new(&name.to_string(), peer);
        self.logins.guessing.check(&attempt).await?;

        // Nobody's password is empty or too long, but nobody learns that from the time it takes.
        let secret_bytes = prepare(secret).unwrap_or(Hidden(Vec::new()));
        let entry = entry.as_ref().filter(|_| !secret_bytes.0.is_empty());
        if let Some(entry) = entry.filter(|entry| entry.may_log_in())
            && let Some(proven) = self.prove_cheaply(entry, secret, &secret_bytes, scope, &attempt).await
        {
            return entry.admit(scope, proven);
        }
        let slot = self.hasher.enter().await?;
        // While this login waited, others may have failed.
        self.logins.guessing.check(&attempt).await?;
        let stored = entry.and_then(Entry::password);
        let (right, slot) = self.hasher.verify(slot, secret_bytes.clone(), stored).await?;
        match entry {
            Some(entry) if right && entry.may_log_in() => {
                drop(slot);
                if let Some(stored) = stored {
                    let proof = self.logins.proofs.proof(&entry.name, &secret_bytes.0, stored.as_bytes());
                    self.logins.proofs.found_good(proof);
                    self.renew(entry, secret, secret_bytes, stored).await;
                }
                self.logins.guessing.succeeded(&attempt).await;
                entry.admit(scope, Proven::Password)
            }
            _ => {
                // Only now the next one may look whether there were too many.
                self.logins.guessing.failed(&attempt).await;
                drop(slot);
                name.note_refusal(peer, scope, Entry::cause(entry, right));
                Err(AuthError::Refused)
            }
        }
    }

    /// Proofs that cost no password hash: an app password, and what was proven lately.
    async fn prove_cheaply(
        &self,
        entry: &Entry,
        secret: &str,
        secret_bytes: &Hidden<Vec<u8>>,
        scope: Protocol,
        attempt: &Attempt,
    ) -> Option<Proven> {
        let proofs = &self.logins.proofs;
        if let Some(app) =
            entry.credentials.as_ref().and_then(|row| matching_app_password(row, secret, scope))
        {
            let proof = proofs.proof(&entry.name, &secret_bytes.0, app.hash.0.as_slice());
            if !proofs.is_good(proof) {
                proofs.found_good(proof);
                self.logins.guessing.succeeded(attempt).await;
            }
            // To know when it was used is not worth refusing it.
            if let Err(error) = self.note_use(entry.account, app).await {
                tracing::warn!(account = %entry.account, %error, "the use of an app password was not noted");
            }
            return Some(Proven::AppPassword(AppPasswordId(app.id)));
        }
        let proof = proofs.proof(&entry.name, &secret_bytes.0, entry.password()?.as_bytes());
        proofs.is_good(proof).then_some(Proven::Password)
    }

    /// Replaces a hash of another cost than new ones have, and SCRAM keys that are missing or derived in another way,
    /// now that the password is known. What cannot be done now is done at another login.
    async fn renew(&self, entry: &Entry, secret: &str, secret_bytes: Hidden<Vec<u8>>, stored: &str) {
        match self.renewed(entry, secret, secret_bytes, stored).await {
            Ok(None) => {}
            Ok(Some(new)) => {
                if let Err(error) = self.replace(entry, stored, &new).await {
                    tracing::warn!(account = %entry.account, %error, "a password's hash was not renewed");
                }
            }
            Err(error) => {
                tracing::debug!(account = %entry.account, %error, "a password's hash is renewed another time");
            }
        }
    }

    /// What should be kept of a password in place of what is; `None` if that is good as it is.
    async fn renewed(
        &self,
        entry: &Entry,
        secret: &str,
        secret_bytes: Hidden<Vec<u8>>,
        stored: &str,
    ) -> Result<Option<NewSecrets>, Error> {
        let outdated = self.hasher.is_outdated(stored);
        let derivation = self.password_derivation(&entry.name, entry.scram.as_ref()).await?;
        let keys = entry.scram.as_ref().filter(|row| row.knows(stored)).map(|row| row.derivation);
        if !outdated && (derivation.is_none() || keys == derivation) {
            return Ok(None);
        }
        let hash = if outdated {
            let slot = self.hasher.enter().await.map_err(PasswordError::from)?;
            self.hasher.hash(slot, secret_bytes).await.map_err(PasswordError::from)?
        } else {
            stored.to_owned()
        };
        self.secrets_of(Hidden(hash), derivation, secret).await.map(Some)
    }

    /// Puts what is kept of a password in place of the hash that stood for it, if that still does.
    async fn replace(&self, entry: &Entry, stored: &str, new: &NewSecrets) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                if let Some(mut row) = tx.load::<Credentials>(&entry.name).await?
                    && row.account == entry.account
                    && row.password.as_ref().is_some_and(|now| now.0 == stored)
                {
                    row.password = Some(new.hash.clone());
                    tx.save::<Credentials>(&entry.name, &row)?;
                    save_password_keys(&tx, &entry.name, entry.account, new).await?;
                }
                Ok(())
            })
            .await
    }
}

impl From<Overload> for AuthError {
    fn from(_: Overload) -> Self {
        Self::Busy
    }
}
