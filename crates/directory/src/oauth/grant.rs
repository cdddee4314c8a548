//! Grants: what an owner has agreed to, and the tokens that stand for it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use store::kv::{self, Range, Transaction};
use types::{AccountId, Randomness, Timestamp};

use super::client::keep_client;
use super::secret::{Secret, access_hash, is_same, refresh_parts};
use super::{OAuthError, OAuthOptions};
use crate::account::{AccountState, find};
use crate::directory::Directory;
use crate::error::Error;
use crate::password::Scopes;
use crate::table::{
    AccessTokenRow, AccessTokens, AccountGrants, ClientRef, ConsentRow, Due, DueRows, GrantKey, GrantRow,
    GrantRows, Grants, Hidden, Mark, Named, OAuthClientRow, OAuthClients, TokenRef, load_grant,
};

/// The most grants of one account. One more, and that goes which has not been refreshed for longest.
const GRANTS: usize = 100;
/// The most access tokens of one grant that hold at once: with one more the oldest ends.
const TOKENS: usize = 4;
/// How long an access token is recognised that has run out: its owner is not somebody who guesses.
pub(super) const TOKEN_KEPT: Duration = Duration::from_hours(24);
/// How precisely it is noted that a grant is in use, if it lasts for long enough.
const NOTED_EVERY: Duration = Duration::from_hours(24);

/// Names a grant of an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GrantId(GrantKey);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for GrantId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::NoSuchGrant(text.chars().take(64).collect());
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes())).map_err(|_| unknown())
    }
}

/// What an owner has granted a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Names it.
    pub id: GrantId,
    /// The client's id.
    pub client: String,
    /// What people are shown of the client; none if it was removed, and the grant is worth nothing.
    pub client_name: Option<String>,
    /// For what.
    pub scopes: Scopes,
    /// Since when.
    pub created: Timestamp,
    /// When a token was last made.
    pub refreshed: Timestamp,
    /// Until when, if it is not refreshed.
    pub expires: Timestamp,
}

/// What a client gets.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token: the one before, if there was one, holds no more.
    pub refresh: String,
    /// How long the access token holds.
    pub lifetime: Duration,
    /// For what.
    pub scopes: Scopes,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What came of a code or a token that was presented.
pub(super) enum Outcome {
    Granted(Scopes),
    /// It is there, but not for this one, or not now.
    Wrong,
    /// It was used before; what hung on it has ended. By which client, whose.
    Reused(String, AccountId),
    /// Nobody has made it, or it is long gone.
    Unknown,
}

/// New secrets, made before the transaction that keeps their hashes.
pub(super) struct Fresh {
    pub(super) grant: GrantKey,
    access: Secret,
    refresh: Secret,
    now: Timestamp,
    options: OAuthOptions,
}

impl Fresh {
    /// For a new grant.
    pub(super) fn new(now: Timestamp, options: &OAuthOptions) -> Self {
        Self::of(Randomness::bytes(), now, options)
    }

    fn of(grant: GrantKey, now: Timestamp, options: &OAuthOptions) -> Self {
        let (access, refresh) = (Secret::access(), Secret::refresh(&grant));
        Self { grant, access, refresh, now, options: options.clone() }
    }

    pub(super) fn tokens(&self, scopes: Scopes) -> Tokens {
        Tokens {
            access: self.access.text.clone(),
            refresh: self.refresh.text.clone(),
            lifetime: self.options.access_lifetime,
            scopes,
        }
    }
}

impl GrantRows {
    /// Since when the grant is what it is, if it holds: nobody has ended it, and it has not run out.
    pub(crate) fn upheld_since(&self, now: Timestamp) -> Option<Timestamp> {
        let holds = |grant: &&GrantRow| grant.expires > now && self.uphold(&grant.consent, &grant.client);
        let grant = self.grant.as_ref().filter(holds);
        grant.map(|grant| grant.consent.password)
    }

    /// Whether what was agreed to still holds: the client is the one that it was, and the account is there, may log in,
    /// and has the password that was given then.
    pub(super) fn uphold(&self, consent: &ConsentRow, client: &ClientRef) -> bool {
        let known = self.client.as_ref().is_some_and(|row| row.created == client.created);
        let account = self.login.name.as_ref().is_some_and(|row| {
            row.account_id() == Some(consent.account)
                && matches!(&row.named, Named::Account(account) if account.state != AccountState::Disabled)
        });
        let password = self
            .login
            .credentials
            .as_ref()
            .is_some_and(|row| row.account == consent.account && row.changed == consent.password);
        known && account && password
    }
}

impl Directory {
    /// A new access token and a new refresh token for one that holds. One that was used before ends the grant: somebody
    /// else has it too, and nobody knows which of them is the client (RFC 9700 §4.14.2).
    pub async fn refresh_tokens(
        &self,
        client: &str,
        token: &str,
        peer: IpAddr,
    ) -> Result<Tokens, OAuthError> {
        let options = self.options.oauth.as_ref().ok_or(OAuthError::Off)?;
        self.check_oauth_peer(peer).await?;
        let Some((key, hash)) = refresh_parts(token) else {
            self.oauth_failed(peer).await;
            return Err(OAuthError::Grant("this is no refresh token"));
        };
        let fresh = &Fresh::of(key, self.clock.now(), options);
        let outcome = self
            .kv
            .run(|tx| async move {
                let Some(grant) = tx.load::<Grants>(&key).await? else { return Ok(Outcome::Unknown) };
                if grant.client.id != client {
                    return Ok(Outcome::Wrong);
                }
                let scopes = grant.consent.scopes;
                if is_same(&grant.refresh.0, &fresh.refresh.hash) {
                    return Ok(Outcome::Granted(scopes));
                }
                if !is_same(&grant.refresh.0, &hash) {
                    let reused = Outcome::Reused(grant.client.id.clone(), grant.consent.account);
                    remove_grant(&tx, &key, &grant)?;
                    return Ok(reused);
                }
                let rows = load_grant(&tx, &key, &grant.client.id, &grant.consent.name()).await?;
                if fresh.now >= grant.expires || !rows.uphold(&grant.consent, &grant.client) {
                    return Ok(Outcome::Wrong);
                }
                renew(&tx, fresh, grant, rows.client.as_ref())?;
                Ok::<_, kv::Error>(Outcome::Granted(scopes))
            })
            .await?;
        match outcome {
            Outcome::Granted(scopes) => Ok(fresh.tokens(scopes)),
            Outcome::Wrong => {
                Err(OAuthError::Grant("the refresh token is not this client's, or holds no more"))
            }
            Outcome::Reused(client, account) => {
                tracing::warn!(client, %account, "a refresh token was used twice: its grant has ended");
                Err(OAuthError::Grant("the refresh token was used before: the grant has ended"))
            }
            Outcome::Unknown => Err(OAuthError::Grant("what the refresh token stood for has ended")),
        }
    }

    /// Takes back what a token stands for (RFC 7009): its grant, and so all tokens of that. What is no token of this client
    /// is nothing to take back, and that is no error.
    pub async fn revoke_token(&self, client: &str, token: &str) -> Result<(), OAuthError> {
        let (access, refresh) = (access_hash(token), refresh_parts(token));
        self.kv
            .run(|tx| async move {
                let key = match (access, refresh) {
                    (Some(hash), _) => tx.load::<AccessTokens>(&hash).await?.map(|row| *row.grant),
                    (None, refresh) => refresh.map(|(grant, _)| grant),
                };
                let Some(key) = key else { return Ok(()) };
                if let Some(grant) = tx.load::<Grants>(&key).await?
                    && grant.client.id == client
                {
                    remove_grant(&tx, &key, &grant)?;
                }
                Ok(())
            })
            .await
    }

    /// What an account's owner has granted, the oldest first.
    pub async fn grants(&self, account: AccountId) -> Result<Vec<Grant>, Error> {
        let mut grants: Vec<Grant> = self
            .kv
            .run(|tx| async move {
                find(&tx, account).await?.ok_or(Error::NoSuchAccountId(account))?;
                let rows = grants_of(&tx, account).await?;
                let clients: Vec<String> = rows.iter().map(|(_, row)| row.client.id.clone()).collect();
                let clients = tx.load_many::<OAuthClients>(&clients).await?;
                let shown = rows.into_iter().zip(clients).map(|((key, row), client)| Grant {
                    id: GrantId(key),
                    client_name: client
                        .filter(|client| client.created == row.client.created)
                        .map(|client| client.name),
                    client: row.client.id,
                    scopes: row.consent.scopes,
                    created: row.created,
                    refreshed: row.refreshed,
                    expires: row.expires,
                });
                Ok::<_, Error>(shown.collect())
            })
            .await?;
        grants.sort_by_key(|grant| grant.created);
        Ok(grants)
    }

    /// Takes a grant of an account back.
    pub async fn revoke_grant(&self, account: AccountId, id: GrantId) -> Result<(), Error> {
        self.kv
            .run(|tx| async move {
                let grant = tx.load::<Grants>(&id.0).await?.filter(|grant| grant.consent.account == account);
                let grant = grant.ok_or_else(|| Error::NoSuchGrant(id.to_string()))?;
                Ok(remove_grant(&tx, &id.0, &grant)?)
            })
            .await
    }
}

/// Makes a grant of what was agreed to, with its first tokens; or tells that it does not hold any more.
pub(super) async fn open_grant(
    tx: &Transaction,
    fresh: &Fresh,
    consent: &ConsentRow,
    client: &ClientRef,
) -> Result<bool, kv::Error> {
    let rows = load_grant(tx, &fresh.grant, &client.id, &consent.name()).await?;
    if !rows.uphold(consent, client) {
        return Ok(false);
    }
    let mut others = grants_of(tx, consent.account).await?;
    others.sort_by_key(|(_, grant)| grant.refreshed);
    for (key, grant) in others.iter().take((others.len() + 1).saturating_sub(GRANTS)) {
        remove_grant(tx, key, grant)?;
    }
    let grant = GrantRow {
        consent: consent.clone(),
        client: client.clone(),
        created: fresh.now,
        refreshed: fresh.now,
        // A grant that is not there yet has no row that says when it is due.
        expires: Timestamp(0),
        refresh: Hidden(fresh.refresh.hash.into()),
        tokens: Vec::new(),
    };
    tx.save::<AccountGrants>(&(consent.account, fresh.grant), &Mark)?;
    renew(tx, fresh, grant, rows.client.as_ref())?;
    Ok(true)
}

/// Gives a grant its next tokens.
fn renew(
    tx: &Transaction,
    fresh: &Fresh,
    mut grant: GrantRow,
    client: Option<&OAuthClientRow>,
) -> Result<(), kv::Error> {
    let (now, key) = (fresh.now, fresh.grant);
    let lifetime = fresh.options.refresh_lifetime;
    let end = now.plus(lifetime);
    if grant.expires.plus(NOTED_EVERY.min(lifetime / 10)) <= end || end < grant.expires {
        tx.remove::<DueRows>(&(grant.expires, Due::Grant(key)))?;
        tx.save::<DueRows>(&(end, Due::Grant(key)), &Mark)?;
        grant.expires = end;
        if let Some(client) = client {
            keep_client(tx, &grant.client.id, client, end)?;
        }
    }
    while grant.tokens.len() >= TOKENS {
        let oldest = grant.tokens.remove(0);
        remove_token(tx, &oldest)?;
    }
    let token =
        TokenRef { hash: Hidden(fresh.access.hash.into()), expires: now.plus(fresh.options.access_lifetime) };
    tx.save::<AccessTokens>(&token.hash.0, &AccessTokenRow::new(key, &grant, token.expires))?;
    tx.save::<DueRows>(&(token.expires.plus(TOKEN_KEPT), Due::Token(*token.hash.0)), &Mark)?;
    grant.tokens.push(token);
    grant.refresh = Hidden(fresh.refresh.hash.into());
    grant.refreshed = now;
    tx.save::<Grants>(&key, &grant)
}

/// Ends a grant, if it is there.
pub(super) async fn end_grant(tx: &Transaction, key: &GrantKey) -> Result<(), kv::Error> {
    match tx.load::<Grants>(key).await? {
        Some(grant) => remove_grant(tx, key, &grant),
        None => Ok(()),
    }
}

/// Ends all grants of an account.
pub(crate) async fn end_grants(tx: &Transaction, account: AccountId) -> Result<(), kv::Error> {
    for (key, grant) in grants_of(tx, account).await? {
        remove_grant(tx, &key, &grant)?;
    }
    Ok(())
}

/// Removes a grant and all that hangs on it.
pub(super) fn remove_grant(tx: &Transaction, key: &GrantKey, grant: &GrantRow) -> Result<(), kv::Error> {
    tx.remove::<Grants>(key)?;
    tx.remove::<AccountGrants>(&(grant.consent.account, *key))?;
    tx.remove::<DueRows>(&(grant.expires, Due::Grant(*key)))?;
    grant.tokens.iter().try_for_each(|token| remove_token(tx, token))
}

fn remove_token(tx: &Transaction, token: &TokenRef) -> Result<(), kv::Error> {
    tx.remove::<AccessTokens>(&token.hash.0)?;
    tx.remove::<DueRows>(&(token.expires.plus(TOKEN_KEPT), Due::Token(*token.hash.0)))
}

async fn grants_of(tx: &Transaction, account: AccountId) -> Result<Vec<(GrantKey, GrantRow)>, kv::Error> {
    let marks = tx.rows::<AccountGrants>(Range::new(AccountGrants::range(account))).all().await?;
    let keys: Vec<GrantKey> = marks.into_iter().map(|((_, key), _)| key).collect();
    let rows = tx.load_many::<Grants>(&keys).await?;
    Ok(keys.into_iter().zip(rows).filter_map(|(key, row)| Some((key, row?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let id = GrantId(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse::<GrantId>().unwrap(), id);
        for bad in ["", "30", &"g".repeat(32), &"0".repeat(33), &format!("+{}", "0".repeat(31))] {
            assert!(bad.parse::<GrantId>().is_err(), "{bad}");
        }
    }
}
