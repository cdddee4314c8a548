//! By what somebody has logged in, in a form that can be kept: what goes on for long after a login, such as a connection
//! that stays open or a subscription, can ask at any time whether it still counts.

use types::{AccountId, Timestamp};

use super::Authenticated;
use crate::account::{AccountState, find};
use crate::directory::Directory;
use crate::error::Error;
use crate::password::AppPasswordId;
use crate::table::{CredentialRow, Credentials, Named, load_grant};

/// A credential that was valid when it was asked for. It opens nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credential {
    /// Whose it is.
    pub account: AccountId,
    /// The app password, if it is one, and not the account's password.
    pub app_password: Option<AppPasswordId>,
    /// What an app was granted, if it has logged in by a token: the grant outlives each of its tokens.
    pub grant: Option<Granted>,
    /// When it became what it is: another password is another credential.
    pub changed: Timestamp,
}

/// A grant by which an app has logged in. It opens nothing either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Names it.
    pub grant: [u8; 16],
    /// The app's client id.
    pub client: String,
}

impl Directory {
    /// The credential that a login was made with; none if it is not valid any more. Three reads.
    pub async fn credential(&self, login: &Authenticated) -> Result<Option<Credential>, Error> {
        let grant = login.granted();
        self.current(login.account(), login.app_password(), grant.as_ref()).await
    }

    /// Whether a credential is still valid: nobody has changed or removed it, and the account may log in. Three reads.
    pub async fn still_counts(&self, credential: &Credential) -> Result<bool, Error> {
        let Credential { account, app_password, grant, .. } = credential;
        let current = self.current(*account, *app_password, grant.as_ref()).await?;
        Ok(current.as_ref() == Some(credential))
    }

    async fn current(
        &self,
        account: AccountId,
        app_password: Option<AppPasswordId>,
        grant: Option<&Granted>,
    ) -> Result<Option<Credential>, Error> {
        let now = self.clock.now();
        self.kv
            .run(|tx| async move {
                let Some((name, row)) = find(&tx, account).await? else { return Ok(None) };
                let Named::Account(state) = &row.named else { return Ok(None) };
                if state.state == AccountState::Disabled {
                    return Ok(None);
                }
                let changed = if let Some(Granted { grant, client }) = grant {
                    load_grant(&tx, grant, client, &name).await?.upheld_since(now)
                } else {
                    let secrets = tx.load::<Credentials>(&name).await?.filter(|row| row.account == account);
                    secrets.and_then(|row| changed(&row, app_password))
                };
                Ok(changed.map(|changed| Credential {
                    account,
                    app_password,
                    grant: grant.cloned(),
                    changed,
                }))
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
