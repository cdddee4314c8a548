//! Logins by an access token (RFC 6750): whoever has it is let in.

use std::net::IpAddr;
use std::time::Duration;

use super::OAuthError;
use super::secret::{access_hash, is_same};
use crate::directory::Directory;
use crate::login::{AuthError, Authenticated, Bearer, Entry, Fate, Proven, Way, count};
use crate::name::NameKey;
use crate::password::Protocol;
use crate::table::{AccessTokenRow, AccessTokens, Digest, GrantRows, load_grant, load_login};
use store::kv::{self, Transaction};
use thiserror::Error;

/// Why an access token was refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BearerError {
    /// Unknown, too old, for something else, or what it stood for has ended.
    #[error("the access token is unknown, or holds no more: refresh it, or ask for access again")]
    Invalid,
    /// It is good, but the account may only receive: it was submission that was asked for.
    #[error("this account may receive mail but not send any: ask the postmaster")]
    SendingBlocked,
    /// Too many tokens that were made up. It was not looked at.
    #[error("too many failed logins: try again in {} s at the latest", retry_after.as_secs())]
    RateLimited {
        /// After this time a try is looked at again, at the latest.
        retry_after: Duration,
    },
    /// The store failed; nothing is known about the token. Try again later.
    #[error(transparent)]
    Store(#[from] kv::Error),
}

impl Directory {
    /// Lets in whoever has an access token that was granted for the protocol. Two reads, or one if the token was used in
    /// this process before. Whether its grant holds is read each time: what was taken back is refused from then on.
    pub async fn authenticate_bearer(
        &self,
        token: &str,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Authenticated, BearerError> {
        let result = self.prove_bearer(token, peer, scope).await.map(|(login, _)| login);
        let counted = match &result {
            Ok(_) => Fate::Admitted,
            Err(error) => Fate::Failed((&AuthError::from(error.clone())).into()),
        };
        count(scope, Way::Bearer, counted);
        result
    }

    /// The same, not counted; and the account's name.
    pub(crate) async fn prove_bearer(
        &self,
        token: &str,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<(Authenticated, NameKey), BearerError> {
        // Who has none asks where to get one, and has guessed nothing.
        if self.options.oauth.is_none() || token.is_empty() {
            return Err(BearerError::Invalid);
        }
        let limited = self.check_oauth_peer(peer).await;
        if let Err(OAuthError::RateLimited { retry_after }) = limited {
            return Err(BearerError::RateLimited { retry_after });
        }
        let found = match access_hash(token) {
            Some(hash) => self.find_token(hash).await?.map(|(row, rows)| (hash, row, rows)),
            None => None,
        };
        let Some((hash, row, rows)) = found else {
            self.oauth_failed(peer).await;
            tracing::info!(%peer, protocol = scope.name(), cause = "unknown access token", "login refused");
            return Err(BearerError::Invalid);
        };
        let name = row.name();
        match self.judge(hash, &row, rows, scope) {
            Ok((entry, proven)) => {
                Ok((entry.admit(scope, proven).map_err(|_| BearerError::SendingBlocked)?, name))
            }
            Err(cause) => {
                let client = &row.client;
                tracing::info!(login = %name, client, %peer, protocol = scope.name(), cause, "login refused");
                Err(BearerError::Invalid)
            }
        }
    }

    /// Whether a login still is what it was when it was made: the account is there and may log in, its password is the
    /// same, and if it was proven by a token, that holds and has not run out. For connections that stay open.
    pub async fn still_holds(&self, login: &Authenticated) -> Result<bool, kv::Error> {
        let name = &login.address().key();
        let Some(bearer) = login.bearer() else {
            let rows = self.kv.run(|tx| async move { load_login(&tx, name).await }).await?;
            return Ok(Entry::new(name, rows).is_some_and(|entry| entry.still_is(login)));
        };
        if self.clock.now() >= bearer.until {
            return Ok(false);
        }
        let load = |tx| async move { load_grant(&tx, &bearer.grant, &bearer.client, name).await };
        let rows = self.kv.run(load).await?;
        let held = rows.grant.as_ref().is_some_and(|grant| rows.uphold(&grant.consent, &grant.client));
        Ok(held && Entry::new(name, rows.login).is_some_and(|entry| entry.still_is(login)))
    }

    /// A token's row, and what decides whether it holds.
    async fn find_token(&self, hash: Digest) -> Result<Option<(AccessTokenRow, GrantRows)>, kv::Error> {
        let remembered = self.remembered.0.get(&hash);
        let known = remembered.as_ref();
        let found = self
            .kv
            .run(|tx| async move {
                let row = match known {
                    Some(row) => row.clone(),
                    None => match tx.load::<AccessTokens>(&hash).await? {
                        Some(row) => row,
                        None => return Ok(None),
                    },
                };
                let rows = rows_of(&tx, &row).await?;
                Ok::<_, kv::Error>(Some((row, rows)))
            })
            .await?;
        match (&found, known) {
            (Some((row, rows)), None) if rows.grant.is_some() => {
                self.remembered.0.insert(hash, row.clone());
            }
            (Some((_, rows)), Some(_)) if rows.grant.is_none() => {
                self.remembered.0.remove(&hash);
            }
            _ => {}
        }
        Ok(found)
    }

    /// Whose token it is and what it proves, or why it is refused.
    fn judge(
        &self,
        hash: Digest,
        row: &AccessTokenRow,
        rows: GrantRows,
        scope: Protocol,
    ) -> Result<(Entry, Proven), &'static str> {
        let until = row.expires;
        if self.clock.now() >= until {
            return Err("access token too old");
        }
        let Some(grant) = &rows.grant else { return Err("grant ended") };
        // What is remembered of a token says nothing of whether it still is one of its grant.
        if !grant.tokens.iter().any(|token| is_same(&token.hash.0, &hash)) {
            return Err("access token followed by others");
        }
        if !rows.uphold(&grant.consent, &grant.client) {
            return Err("account, password or client changed since the grant");
        }
        if !grant.consent.scopes.contains(scope) {
            return Err("access token for something else");
        }
        let client = grant.client.id.clone();
        let entry = Entry::new(&row.name(), rows.login).ok_or("unknown name")?;
        Ok((entry, Proven::Bearer(Bearer { grant: *row.grant, client, until })))
    }
}

async fn rows_of(tx: &Transaction, row: &AccessTokenRow) -> Result<GrantRows, kv::Error> {
    load_grant(tx, &row.grant, &row.client, &row.name()).await
}

impl From<BearerError> for AuthError {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Invalid => Self::Refused,
            BearerError::SendingBlocked => Self::SendingBlocked,
            BearerError::RateLimited { retry_after } => Self::RateLimited { retry_after },
            BearerError::Store(error) => Self::Store(error),
        }
    }
}
