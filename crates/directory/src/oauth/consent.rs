//! Who may grant: whoever knows the password itself, at this moment.

use std::net::IpAddr;

use types::{AccountId, Timestamp};

use super::OAuthError;
use crate::directory::Directory;
use crate::login::{AuthError, Authenticated, Fate, Way, count};
use crate::name::Address;
use crate::password::{Protocol, Scopes};
use crate::table::{ConsentRow, Secret, Secrets};

/// The owner of an account, who has given the password just now. Only [`Directory::consent`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    login: Authenticated,
    password: Timestamp,
}

impl Owner {
    /// Whose account it is.
    pub const fn account(&self) -> AccountId {
        self.login.account()
    }

    /// The account's address.
    pub const fn address(&self) -> &Address {
        self.login.address()
    }

    /// What is kept of an agreement to this.
    pub(super) fn agrees(&self, scopes: Scopes) -> ConsentRow {
        ConsentRow::new(self.account(), &self.address().key(), self.password, scopes)
    }
}

impl Directory {
    /// Lets in whoever is to grant something: by the password itself. An app password is good for what it was made for, and
    /// must not become more; it is refused as if it were wrong. Limits against guessing are those of
    /// [`Directory::authenticate`].
    pub async fn consent(&self, login: &str, secret: &str, peer: IpAddr) -> Result<Owner, AuthError> {
        let result = self.prove(login, secret, peer, Protocol::Jmap).await.and_then(|login| {
            match (login.app_password(), login.password_set()) {
                (None, Some(password)) => Ok(Owner { login, password }),
                _ => Err(AuthError::Refused),
            }
        });
        count(Protocol::Jmap, Way::Consent, Fate::of(&result));
        result
    }

    /// What the forms on our pages are sealed with: a key that all nodes share. One read, the first time.
    pub async fn form_key(&self) -> Result<[u8; 32], OAuthError> {
        let read = || async {
            let read = self.kv.run(|tx| async move { Secrets::ensure(&tx, Secret::Forms).await });
            read.await.map_err(OAuthError::from)
        };
        Ok(self.forms.get_or_try_init(read).await?.0)
    }
}
