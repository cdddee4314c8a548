//! A login by SCRAM: the store says how the client has to prove itself, and later whether it has.

use std::net::IpAddr;

use types::Randomness;

use super::entry::{Entry, Proven};
use super::guessing::Attempt;
use super::{AuthError, Authenticated};
use crate::directory::Directory;
use crate::password::{AppPasswordId, Derivation, Protocol, ScramKeys};

/// What a client claims at the end of a SCRAM exchange.
pub(crate) struct Claim {
    /// Who it says it is.
    pub(crate) login: String,
    /// What both sides have said, as the client's proof covers it.
    pub(crate) transcript: Vec<u8>,
    /// The proof; `None` if the exchange shows that it is of another one. Such a claim is refused, with as much work.
    pub(crate) proof: Option<[u8; 32]>,
}

impl Directory {
    /// How a client has to derive its keys. Names that do not exist have an answer too, always the same.
    pub(crate) async fn scram_derivation(&self, login: &str, peer: IpAddr) -> Result<Derivation, AuthError> {
        let (name, entry) = self.find_entry(login).await?;
        let name = name.to_string();
        self.logins.guessing.check(&Attempt::new(&name, peer)).await?;
        let unknown = self.derivation(&name).await?.ok_or(AuthError::Refused)?;
        Ok(entry.and_then(|entry| entry.scram).map_or(unknown, |row| row.derivation))
    }

    /// Logs in by SCRAM: the token, and the server's signature that proves to the client that this server knows it.
    /// Limits against guessing are those of [`Directory::authenticate`], and so is the answer to whatever is wrong.
    ///
    /// The store is read anew: a password that was changed since the exchange began counts.
    pub(crate) async fn authenticate_scram(
        &self,
        claim: &Claim,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<(Authenticated, [u8; 32]), AuthError> {
        let (name, entry) = self.find_entry(&claim.login).await?;
        let attempt = Attempt::new(&name.to_string(), peer);
        let turn = self.logins.turns.acquire().await.map_err(|_| AuthError::Busy)?;
        self.logins.guessing.check(&attempt).await?;
        let proven = proven(entry.as_ref(), claim, scope);
        match (entry, proven) {
            (Some(entry), Some((app, signature))) if entry.may_log_in() => {
                drop(turn);
                self.logins.guessing.succeeded(&attempt).await;
                if let Some(app) = app {
                    self.note_use_of(&entry, app).await;
                }
                let proven = app.map_or(Proven::Password, Proven::AppPassword);
                Ok((entry.admit(scope, proven)?, signature))
            }
            (entry, proven) => {
                // Only now the next one may look whether there were too many.
                self.logins.guessing.failed(&attempt).await;
                drop(turn);
                name.note_refusal(peer, scope, cause(entry.as_ref(), claim, proven.is_some()));
                Err(AuthError::Refused)
            }
        }
    }

    /// To know when an app password was used is not worth refusing it.
    async fn note_use_of(&self, entry: &Entry, id: AppPasswordId) {
        let rows = entry.credentials.as_ref().map(|row| row.app_passwords.as_slice());
        let Some(app) = rows.and_then(|rows| rows.iter().find(|row| row.id == id.0)) else { return };
        if let Err(error) = self.note_use(entry.account, app).await {
            tracing::warn!(account = %entry.account, %error, "the use of an app password was not noted");
        }
    }
}

/// By what the claim is proven, with the server's signature. Who has no keys costs as much as who has one.
fn proven(
    entry: Option<&Entry>,
    claim: &Claim,
    scope: Protocol,
) -> Option<(Option<AppPasswordId>, [u8; 32])> {
    let nothing = [0; 32];
    let proof = claim.proof.as_ref().unwrap_or(&nothing);
    let rows = entry.and_then(|entry| entry.scram.as_ref().zip(entry.credentials.as_ref()));
    let (mut checked, mut found) = (false, None);
    for (app, keys) in rows.into_iter().flat_map(|(scram, credentials)| scram.valid(credentials, scope)) {
        checked = true;
        if let Some(signature) = keys.check(&claim.transcript, proof) {
            found = Some((app, signature));
        }
    }
    if !checked {
        ScramKeys::of_nobody(Randomness::bytes()).check(&claim.transcript, proof);
    }
    found.filter(|_| claim.proof.is_some())
}

/// Why a login was refused: for the operator's log, not for the peer.
fn cause(entry: Option<&Entry>, claim: &Claim, right: bool) -> &'static str {
    match entry {
        _ if claim.proof.is_none() => "the proof is of another exchange or channel",
        Some(entry) if entry.may_log_in() && entry.scram.is_none() && entry.password().is_some() => {
            "no SCRAM keys yet: they are made when the password is set, or used without SCRAM"
        }
        entry => Entry::cause(entry, right),
    }
}
