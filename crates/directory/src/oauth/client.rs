//! Clients: which apps may ask the owners of accounts for access.

use std::net::IpAddr;
use std::time::Duration;

use store::kv::{Range, Transaction};
use thiserror::Error as ThisError;
use types::{Randomness, Timestamp};

use super::{OAuthError, RedirectUri};
use crate::directory::Directory;
use crate::error::{Error, check_text};
use crate::page::{Page, PageRequest, list};
use crate::table::{ClientRef, Due, DueRows, Mark, OAuthClientRow, OAuthClients};

/// A client. It is public: it has no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OAuthClient {
    /// What it calls itself in requests.
    pub id: String,
    /// What people are shown.
    pub name: String,
    /// Where answers may go.
    pub redirects: Vec<RedirectUri>,
    /// Whether it may ask for access from a device without a browser.
    pub device: bool,
    /// Since when it is here.
    pub created: Timestamp,
    /// Whether it has registered itself: then nobody here knows whether it is what it says.
    pub stranger: bool,
}

/// What is needed to register a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewOAuthClient {
    /// What it calls itself; `None` for an id that is made up.
    pub id: Option<String>,
    /// What people are shown, 1 to 100 octets.
    pub name: String,
    /// Where answers may go.
    pub redirects: Vec<RedirectUri>,
    /// Whether it may ask for access from a device without a browser.
    pub device: bool,
}

impl OAuthClient {
    const NAME: usize = 100;
    const ID: usize = 100;
    const REDIRECTS: usize = 20;
    /// The most clients that the operator registers.
    pub const MAX: usize = 1000;

    pub(super) fn of(id: &str, row: OAuthClientRow) -> Self {
        let OAuthClientRow { name, redirects, device, created, until } = row;
        let redirects = redirects.iter().map(|text| RedirectUri::from_row(text)).collect();
        Self { id: id.to_owned(), name, redirects, device, created, stranger: until.is_some() }
    }

    /// Whether answers may go there.
    pub fn allows(&self, redirect: &str) -> bool {
        self.redirects.iter().any(|own| own.allows(redirect))
    }

    pub(super) fn reference(&self) -> ClientRef {
        ClientRef { id: self.id.clone(), created: self.created }
    }
}

impl NewOAuthClient {
    fn check(&self) -> Result<(), Error> {
        check_text("a client's name", &self.name, OAuthClient::NAME)?;
        if self.name.trim().is_empty() {
            return Err(Error::Text { what: "a client's name", limit: OAuthClient::NAME });
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if let Some(id) = &self.id
            && (id.is_empty() || id.len() > OAuthClient::ID || !id.bytes().all(plain))
        {
            return Err(Error::OAuthClientId(id.clone()));
        }
        if self.redirects.len() > OAuthClient::REDIRECTS {
            return Err(Error::TooMany { what: "redirect URIs of a client", limit: OAuthClient::REDIRECTS });
        }
        if self.redirects.is_empty() && !self.device {
            return Err(Error::OAuthClientUseless);
        }
        Ok(())
    }
}

impl Directory {
    /// Registers a client.
    pub async fn create_oauth_client(&self, new: NewOAuthClient) -> Result<OAuthClient, Error> {
        new.check()?;
        let id = &new.id.clone().unwrap_or_else(|| written(Randomness::bytes()));
        let redirects = new.redirects.iter().map(|uri| uri.as_str().to_owned()).collect();
        let created = self.clock.now();
        let row = &OAuthClientRow { name: new.name, redirects, device: new.device, created, until: None };
        self.kv
            .run(|tx| async move {
                if tx.load::<OAuthClients>(id).await?.is_some() {
                    return Err(Error::OAuthClientExists(id.clone()));
                }
                let all = tx.rows::<OAuthClients>(Range::new(OAuthClients::range())).all().await?;
                if all.iter().filter(|(_, client)| client.until.is_none()).count() >= OAuthClient::MAX {
                    return Err(Error::TooMany { what: "clients", limit: OAuthClient::MAX });
                }
                Ok(tx.save::<OAuthClients>(id, row)?)
            })
            .await?;
        Ok(OAuthClient::of(id, row.clone()))
    }

    /// Lets a client register itself (RFC 7591), under an id that is made up. It is forgotten after a day if nobody grants it
    /// anything, and with its last grant otherwise. So many may come from one network, and so many from everywhere.
    pub async fn register_oauth_client(
        &self,
        new: NewOAuthClient,
        peer: IpAddr,
    ) -> Result<OAuthClient, RegistrationError> {
        if !self.options.oauth.as_ref().is_some_and(|options| options.registration) {
            return Err(OAuthError::Off.into());
        }
        new.check()?;
        if new.name.chars().any(is_unseen) {
            return Err(Error::Text { what: "a client's name", limit: OAuthClient::NAME }.into());
        }
        self.oauth_client_registers(peer).await?;
        let number = Randomness::bytes();
        let id = &written(number);
        let redirects = new.redirects.iter().map(|uri| uri.as_str().to_owned()).collect();
        let created = self.clock.now();
        let until = created.plus(UNUSED);
        let row =
            &OAuthClientRow { name: new.name, redirects, device: new.device, created, until: Some(until) };
        self.kv
            .run(|tx| async move {
                tx.save::<OAuthClients>(id, row)?;
                tx.save::<DueRows>(&(until, Due::Client(number)), &Mark)
            })
            .await
            .map_err(OAuthError::Store)?;
        Ok(OAuthClient::of(id, row.clone()))
    }

    /// A client, if it is here. One read.
    pub async fn oauth_client(&self, id: &str) -> Result<Option<OAuthClient>, OAuthError> {
        if id.is_empty() || id.len() > OAuthClient::ID {
            return Ok(None);
        }
        self.kv.run(|tx| async move { Ok(find_client(&tx, id).await?) }).await
    }

    /// The clients, in the order of their ids.
    pub async fn oauth_clients(&self, page: &PageRequest) -> Result<Page<OAuthClient>, Error> {
        let pick = |id: &String, row| Some(OAuthClient::of(id, row));
        list::<OAuthClients, _>(&self.kv, OAuthClients::range(), page, pick).await
    }

    /// Removes a client. What it was granted ends with it, also if another gets its id.
    pub async fn remove_oauth_client(&self, id: &str) -> Result<OAuthClient, Error> {
        self.kv
            .run(|tx| async move {
                let client =
                    find_client(&tx, id).await?.ok_or_else(|| Error::NoSuchOAuthClient(id.to_owned()))?;
                tx.remove::<OAuthClients>(&client.id)?;
                Ok(client)
            })
            .await
    }
}

/// Why a client could not register itself.
#[derive(Clone, PartialEq, Debug, ThisError)]
pub enum RegistrationError {
    /// What it says of itself cannot be.
    #[error(transparent)]
    Client(#[from] Error),
    /// Not now, or not at all.
    #[error(transparent)]
    Refused(#[from] OAuthError),
}

/// How long a client is kept that has registered itself and is granted nothing.
const UNUSED: Duration = Duration::from_hours(24);

/// Keeps a client that has registered itself for as long as a grant that it has.
pub(super) fn keep_client(
    tx: &Transaction,
    id: &String,
    client: &OAuthClientRow,
    until: Timestamp,
) -> Result<(), store::kv::Error> {
    let (Some(known), Some(number)) = (client.until, number(id)) else { return Ok(()) };
    if known >= until {
        return Ok(());
    }
    tx.remove::<DueRows>(&(known, Due::Client(number)))?;
    tx.save::<DueRows>(&(until, Due::Client(number)), &Mark)?;
    tx.save::<OAuthClients>(id, &OAuthClientRow { until: Some(until), ..client.clone() })
}

/// Removes a client that has registered itself, if nothing has kept it.
pub(super) async fn sweep_client(
    tx: &Transaction,
    number: [u8; 12],
    now: Timestamp,
) -> Result<(), store::kv::Error> {
    let id = written(number);
    match tx.load::<OAuthClients>(&id).await? {
        Some(client) if client.until.is_some_and(|until| until <= now) => tx.remove::<OAuthClients>(&id),
        _ => Ok(()),
    }
}

/// An id that was made up.
fn written(number: [u8; 12]) -> String {
    number.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(id: &str) -> Option<[u8; 12]> {
    let number = u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 24)?;
    number.to_be_bytes().last_chunk().copied()
}

/// What would make a name look like another.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

pub(super) async fn find_client(tx: &Transaction, id: &str) -> Result<Option<OAuthClient>, store::kv::Error> {
    let row = tx.load::<OAuthClients>(&id.to_owned()).await?;
    Ok(row.map(|row| OAuthClient::of(id, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_made_up_are_numbers() {
        assert_eq!(number(&written([7; 12])), Some([7; 12]));
        for other in ["", "app", "0", &"g".repeat(24), &format!("+{}", "0".repeat(23)), &"0".repeat(25)] {
            assert_eq!(number(other).filter(|number| written(*number) == other), None, "{other}");
        }
    }
}
