//! By what somebody has logged in, in a form that can be kept: what goes on for long after a login, such as a connection
//! that stays open or a subscription, can ask at any time whether it still counts.

use types::{AccountId, Timestamp};

use super::Authenticated;
use crate::account::{AccountState, find};
use crate::directory::Directory;
use crate::error::Error;
use crate::password::AppPasswordId;
use crate::table::{CredentialRow, Credentials, Named};

/// A credential that was valid when it was asked for. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credential {
    /// Whose it is.
    pub account: AccountId,
    /// The app password, if it is one, and not the account's password.
    pub app_password: Option<AppPasswordId>,
    /// When it became what it is: another password is another credential.
    pub changed: Timestamp,
}

impl Directory {
    /// The credential that a login was made with; none if it is not valid any more. Three reads.
    pub async fn credential(&self, login: &Authenticated) -> Result<Option<Credential>, Error> {
        self.current(login.account(), login.app_password()).await
    }

    /// Whether a credential is still valid: nobody has changed or removed it, and the account may log in. Three reads.
    pub async fn still_counts(&self, credential: &Credential) -> Result<bool, Error> {
        let current = self.current(credential.account, credential.app_password).await?;
        Ok(current.as_ref() == Some(credential))
    }

    async fn current(
        &self,
        account: AccountId,
        app_password: Option<AppPasswordId>,
    ) -> Result<Option<Credential>, Error> {
        self.kv
            .run(|tx| async move {
                let Some((name, row)) = find(&tx, account).await? else { return Ok(None) };
                let Named::Account(state) = &row.named else { return Ok(None) };
                if state.state == AccountState::Disabled {
                    return Ok(None);
                }
                let secrets = tx.load::<Credentials>(&name).await?.filter(|row| row.account == account);
                let changed = secrets.and_then(|row| changed(&row, app_password));
                Ok(changed.map(|changed| Credential { account, app_password, changed }))
            })
            .await
    }
}

/// When a credential became what it is, if it is there.
fn changed(row: &CredentialRow, app_password: Option<AppPasswordId>) -> Option<Timestamp> {
    match app_password {
        None => row.password.as_ref().map(|_| row.changed),
        Some(AppPasswordId(id)) => row.app_passwords.iter().find(|app| app.id == id).map(|app| app.created),
    }
}
