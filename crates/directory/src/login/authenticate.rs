//! One login, from the name and the secret to the token.

use std::net::IpAddr;

use store::kv::{self, Range, Transaction};
use types::AccountId;

use super::guessing::Attempt;
use super::{AuthError, Authenticated};
use crate::account::AccountState;
use crate::directory::Directory;
use crate::name::{Address, DomainName, LocalPart, NameKey};
use crate::password::{AppPasswordId, Overload, Protocol, matching_app_password, prepare};
use crate::table::{CredentialRow, Credentials, Domains, Hidden, NameRow, Named, load_name_and_credentials};

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
        let (name, entry) = self.find_entry(login).await?;
        let written = name.as_ref().map_or_else(|| login.to_lowercase(), NameKey::to_string);
        let attempt = Attempt::new(&written, peer);
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
                    self.renew_hash(entry, secret_bytes, stored).await;
                }
                self.logins.guessing.succeeded(&attempt).await;
                entry.admit(scope, Proven::Password)
            }
            _ => {
                // Only now the next one may look whether there were too many.
                self.logins.guessing.failed(&attempt).await;
                drop(slot);
                let login = name.map(|name| name.to_string());
                let cause = Entry::cause(entry, right);
                tracing::info!(login, %peer, protocol = scope.name(), cause, "login refused");
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

    /// Replaces a hash of another cost than new ones have, now that the password is known. What cannot be done now
    /// is done at another login.
    async fn renew_hash(&self, entry: &Entry, secret: Hidden<Vec<u8>>, stored: &str) {
        if !self.hasher.is_outdated(stored) {
            return;
        }
        let Ok(slot) = self.hasher.enter().await else { return };
        let Ok(hash) = self.hasher.hash(slot, secret).await else { return };
        let hash = &Hidden(hash);
        let renewed = self
            .kv
            .run(|tx| async move {
                if let Some(mut row) = tx.load::<Credentials>(&entry.name).await?
                    && row.account == entry.account
                    && row.password.as_ref().is_some_and(|now| now.0 == stored)
                {
                    row.password = Some(hash.clone());
                    tx.save::<Credentials>(&entry.name, &row)?;
                }
                Ok::<_, kv::Error>(())
            })
            .await;
        if let Err(error) = renewed {
            tracing::warn!(account = %entry.account, %error, "a password's hash was not renewed");
        }
    }

    /// The name that a login means, if it can be one, and what it leads to.
    async fn find_entry(&self, login: &str) -> Result<(Option<NameKey>, Option<Entry>), kv::Error> {
        self.kv
            .run(|tx| async move {
                let Some(name) = self.login_name(&tx, login).await? else { return Ok((None, None)) };
                let (row, credentials) = load_name_and_credentials(&tx, &name).await?;
                let entry = row.and_then(|row| Entry::new(name.clone(), row, credentials));
                Ok((Some(name), entry))
            })
            .await
    }

    /// The name that a login means, if it can be one. Only a bare name without a default domain costs a read.
    pub(crate) async fn login_name(
        &self,
        tx: &Transaction,
        login: &str,
    ) -> Result<Option<NameKey>, kv::Error> {
        if login.contains('@') {
            return Ok(Address::parse(login).ok().map(|address| address.key()));
        }
        let Ok(local) = LocalPart::parse(login) else { return Ok(None) };
        let domain = self.bare_domain(tx).await?;
        Ok(domain.map(|domain| Address::new(local, domain).key()))
    }

    /// The domain of a name without one: the default, or else the only one.
    pub(crate) async fn bare_domain(&self, tx: &Transaction) -> Result<Option<DomainName>, kv::Error> {
        if let Some(domain) = &self.options.default_domain {
            return Ok(Some(domain.clone()));
        }
        let mut domains = tx.rows::<Domains>(Range::new(Domains::range()).limit(2)).all().await?;
        let first = domains.pop().map(|(name, _)| name);
        Ok(first.filter(|_| domains.is_empty()))
    }
}

/// An account as a login sees it.
struct Entry {
    name: NameKey,
    account: AccountId,
    address: Address,
    state: AccountState,
    credentials: Option<CredentialRow>,
}

/// By what a login was proven.
enum Proven {
    Password,
    AppPassword(AppPasswordId),
}

impl Entry {
    /// `None` if the name is not an account's.
    fn new(name: NameKey, row: NameRow, credentials: Option<CredentialRow>) -> Option<Self> {
        let Named::Account(account) = row.named else { return None };
        let address = Address::new(LocalPart::from_row(&row.local), name.domain.clone());
        let credentials = credentials.filter(|credentials| credentials.account.0 == row.id);
        Some(Self { name, account: AccountId(row.id), address, state: account.state, credentials })
    }

    fn may_log_in(&self) -> bool {
        self.state != AccountState::Disabled
    }

    /// The stored hash of the password.
    fn password(&self) -> Option<&str> {
        self.credentials.as_ref()?.password.as_ref().map(|hash| hash.0.as_str())
    }

    /// The one place where a token is made, whatever the proof was.
    fn admit(&self, scope: Protocol, proven: Proven) -> Result<Authenticated, AuthError> {
        if scope == Protocol::Submission && self.state == AccountState::ReceiveOnly {
            return Err(AuthError::SendingBlocked);
        }
        let app_password = match proven {
            Proven::Password => None,
            Proven::AppPassword(id) => Some(id),
        };
        let (account, address, state) = (self.account, self.address.clone(), self.state);
        Ok(Authenticated { account, address, scope, state, app_password })
    }

    /// Why a login was refused: for the operator's log, not for the peer.
    fn cause(entry: Option<&Self>, right: bool) -> &'static str {
        match entry {
            None => "unknown name",
            Some(entry) if !entry.may_log_in() => "account disabled",
            Some(entry) if entry.password().is_none() => "account without password",
            Some(_) if right => "refused",
            Some(_) => "wrong password",
        }
    }
}

impl From<Overload> for AuthError {
    fn from(_: Overload) -> Self {
        Self::Busy
    }
}
