//! Whom a login means, and the one place where a token is made.

use std::fmt;
use std::net::IpAddr;

use store::kv::{self, Range, Transaction};
use types::AccountId;

use super::{AuthError, Authenticated, Bearer};
use crate::account::AccountState;
use crate::directory::Directory;
use crate::name::{Address, DomainName, LocalPart, NameKey};
use crate::password::{AppPasswordId, Protocol};
use crate::table::{CredentialRow, Domains, LoginRows, Named, ScramRow, load_login};

impl Directory {
    /// The name that a login means, and what it leads to. One read, unless nobody can have the name.
    pub(super) async fn find_entry(&self, login: &str) -> Result<(LoginName, Option<Entry>), kv::Error> {
        self.kv
            .run(|tx| async move {
                let Some(name) = self.login_name(&tx, login).await? else {
                    return Ok((LoginName::Impossible(login.to_lowercase()), None));
                };
                let entry = Entry::new(&name, load_login(&tx, &name).await?);
                Ok((LoginName::Possible(name), entry))
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

/// What somebody logs in as.
pub(super) enum LoginName {
    /// In its normal form.
    Possible(NameKey),
    /// As it came, in lower case: nobody can have it.
    Impossible(String),
}

impl fmt::Display for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Possible(name) => name.fmt(f),
            Self::Impossible(login) => f.write_str(login),
        }
    }
}

impl LoginName {
    /// Logs that the login was refused, for the operator. What is no name is left out: it may be a password.
    pub(super) fn note_refusal(&self, peer: IpAddr, scope: Protocol, cause: &'static str) {
        let login = match self {
            Self::Possible(name) => Some(name.to_string()),
            Self::Impossible(_) => None,
        };
        tracing::info!(login, %peer, protocol = scope.name(), cause, "login refused");
    }
}

/// An account as a login sees it.
pub(crate) struct Entry {
    pub(super) name: NameKey,
    pub(super) account: AccountId,
    address: Address,
    state: AccountState,
    pub(super) credentials: Option<CredentialRow>,
    pub(super) scram: Option<ScramRow>,
}

/// By what a login was proven.
pub(crate) enum Proven {
    Password,
    AppPassword(AppPasswordId),
    Bearer(Bearer),
}

impl Entry {
    /// `None` if the name is not an account's.
    pub(crate) fn new(name: &NameKey, rows: LoginRows) -> Option<Self> {
        let row = rows.name?;
        let Named::Account(account) = row.named else { return None };
        let address = Address::new(LocalPart::from_row(&row.local), name.domain.clone());
        let id = AccountId(row.id);
        let credentials = rows.credentials.filter(|credentials| credentials.account == id);
        let scram = rows.scram.filter(|scram| scram.account == id);
        Some(Self { name: name.clone(), account: id, address, state: account.state, credentials, scram })
    }

    pub(super) fn may_log_in(&self) -> bool {
        self.state != AccountState::Disabled
    }

    /// The stored hash of the password.
    pub(super) fn password(&self) -> Option<&str> {
        self.credentials.as_ref()?.password.as_ref().map(|hash| hash.0.as_str())
    }

    /// The one place where a token is made, whatever the proof was.
    pub(crate) fn admit(&self, scope: Protocol, proven: Proven) -> Result<Authenticated, AuthError> {
        if scope == Protocol::Submission && self.state == AccountState::ReceiveOnly {
            return Err(AuthError::SendingBlocked);
        }
        let (app_password, bearer) = match proven {
            Proven::Password => (None, None),
            Proven::AppPassword(id) => (Some(id), None),
            Proven::Bearer(bearer) => (None, Some(bearer)),
        };
        let (account, address, state) = (self.account, self.address.clone(), self.state);
        let password_set = self.credentials.as_ref().map(|row| row.changed);
        Ok(Authenticated { account, address, scope, state, app_password, password_set, bearer })
    }

    /// Whether a login could have been made now as it was made then, as far as this account is concerned.
    pub(crate) fn still_is(&self, login: &Authenticated) -> bool {
        let credentials = self.credentials.as_ref();
        let proven = match login.app_password {
            Some(id) => credentials.is_some_and(|row| row.app_passwords.iter().any(|app| app.id == id.0)),
            None => credentials.map(|row| row.changed) == login.password_set,
        };
        self.account == login.account && self.may_log_in() && proven
    }

    /// Why a login was refused: for the operator's log, not for the peer.
    pub(super) fn cause(entry: Option<&Self>, right: bool) -> &'static str {
        match entry {
            None => "unknown name",
            Some(entry) if !entry.may_log_in() => "account disabled",
            Some(entry) if entry.password().is_none() => "account without password",
            Some(_) if right => "refused",
            Some(_) => "wrong password",
        }
    }
}
