//! SASL (RFC 4422) for every protocol that logs in: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS
//! (RFC 5802, RFC 7677), OAUTHBEARER (RFC 7628) and XOAUTH2.
//!
//! ```text
//!   Directory::mechanisms ──> what a protocol may announce
//!
//!   Exchange::new ──challenge──> client ──Response──> Directory::respond ──> Progress
//!                       ^                                                      |  |
//!                       └──────────────── another challenge ───────────────────┘  └──> Authenticated
//! ```
//!
//! An exchange is used up by each response and comes back as the next one: what was proven once cannot be
//! proven again by sending it again. Whether a mechanism may be used on a connection at all is for the protocol to
//! say, and the same for all of them: the reason is the same.

mod bearer;
mod binding;
mod mechanism;
mod plain;
mod response;
mod scram;

use std::net::IpAddr;

use thiserror::Error as ThisError;
use types::Randomness;

pub use binding::ChannelBindings;
pub use mechanism::Mechanism;
pub use response::Response;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::directory::Directory;
use crate::login::{AuthError, Authenticated, Fate, Way, count};
use crate::password::Protocol;

/// Octets of the server's nonce, before they are written in base64.
const NONCE: usize = 18;

/// A client that proves who it is, between two of its messages.
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
    challenge: Vec<u8>,
}

/// What the next response is.
enum State {
    /// PLAIN: everything at once.
    Plain,
    /// LOGIN: the user's name.
    LoginName,
    /// LOGIN: the password of this user.
    LoginPassword(Vec<u8>),
    /// SCRAM: who it is.
    Scram(scram::Opening),
    /// SCRAM: the proof.
    ScramProof(Box<scram::Offer>),
    /// OAUTHBEARER and XOAUTH2: everything at once.
    Bearer(bearer::Form),
    /// OAUTHBEARER and XOAUTH2: whatever it is, now that the client has been told why it is not let in.
    Told(AuthError),
    /// SCRAM: nothing, now that the server has proven itself too.
    Proven(Box<Authenticated>),
}

/// What a response came to.
pub enum Progress {
    /// The client is to answer this.
    Challenge(Exchange),
    /// It has proven who it is.
    Admitted(Authenticated),
}

/// Why an exchange ended without a login.
#[derive(Clone, PartialEq, Eq, Debug, ThisError)]
pub enum Error {
    /// The client did not go on.
    #[error("authentication cancelled")]
    Cancelled,
    /// The client does not speak the mechanism.
    #[error("{0}")]
    Malformed(&'static str),
    /// The client wants to act for somebody else.
    #[error("acting for another user is not allowed")]
    Authorization,
    /// What the client says of the TLS channel cannot be.
    #[error("{0}")]
    Channel(&'static str),
    /// The login was refused, or could not be looked at.
    #[error(transparent)]
    Login(#[from] AuthError),
}

impl Exchange {
    /// The beginning. `bindings` are what the server knows of the connection's TLS channel.
    pub fn new(mechanism: Mechanism, bindings: &ChannelBindings) -> Self {
        let (state, challenge) = match mechanism {
            Mechanism::Plain => (State::Plain, &b""[..]),
            Mechanism::OAuthBearer => (State::Bearer(bearer::Form::Standard), &b""[..]),
            Mechanism::XOAuth2 => (State::Bearer(bearer::Form::Older), &b""[..]),
            Mechanism::Login => (State::LoginName, &b"Username:"[..]),
            Mechanism::ScramSha256 => (State::Scram(scram::Opening::new(false, *bindings)), &b""[..]),
            Mechanism::ScramSha256Plus => (State::Scram(scram::Opening::new(true, *bindings)), &b""[..]),
        };
        Self { mechanism, state, challenge: challenge.to_vec() }
    }

    /// What the client is to answer, in base64. If the client has sent a response together with the mechanism's name,
    /// the first challenge is left out.
    pub fn challenge(&self) -> String {
        STANDARD.encode(&self.challenge)
    }
}

impl Directory {
    /// The mechanisms that may be announced on a connection whose TLS channel is known as `bindings`, the best first.
    pub fn mechanisms(&self, bindings: &ChannelBindings) -> Vec<Mechanism> {
        let (scram, oauth) = (self.options.scram.is_some(), self.options.oauth.is_some());
        let offered = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramSha256Plus => scram && bindings.any(),
            Mechanism::ScramSha256 => scram,
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => oauth,
            Mechanism::Plain | Mechanism::Login => true,
        };
        Mechanism::ALL.into_iter().filter(offered).collect()
    }

    /// Takes the client's next message. `peer` is as for [`Directory::authenticate`].
    pub async fn respond(
        &self,
        exchange: Exchange,
        response: Response,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Progress, Error> {
        let way = Way::Sasl(exchange.mechanism);
        let result = self.go_on(exchange, response, peer, scope).await;
        match &result {
            Ok(Progress::Challenge(_)) => {}
            Ok(Progress::Admitted(_)) => count(scope, way, Fate::Admitted),
            Err(Error::Login(error)) => count(scope, way, Fate::Failed(error.into())),
            Err(_) => count(scope, way, Fate::Aborted),
        }
        result
    }

    async fn go_on(
        &self,
        exchange: Exchange,
        response: Response,
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Progress, Error> {
        let (response, mechanism) = (response.0, exchange.mechanism);
        let (state, challenge) = match exchange.state {
            State::Plain => {
                let (user, password) = plain::read(&response)?;
                return self.enter(user, password, peer, scope).await;
            }
            State::LoginName => (State::LoginPassword(response), b"Password:".to_vec()),
            State::LoginPassword(user) => return self.enter(&user, &response, peer, scope).await,
            State::Scram(opening) => {
                let hello = opening.hello(&response)?;
                let derivation = self.scram_derivation(hello.login(), peer).await?;
                let nonce = STANDARD.encode(Randomness::bytes::<NONCE>());
                let (offer, challenge) = hello.offer(&derivation, &nonce);
                (State::ScramProof(Box::new(offer)), challenge)
            }
            State::ScramProof(offer) => {
                let claim = offer.claim(&response)?;
                let (authenticated, signature) = self.authenticate_scram(&claim, peer, scope).await?;
                let challenge = format!("v={}", STANDARD.encode(signature)).into_bytes();
                (State::Proven(Box::new(authenticated)), challenge)
            }
            State::Bearer(form) => match self.enter_with_token(form, &response, peer, scope).await {
                Ok(authenticated) => return Ok(Progress::Admitted(authenticated)),
                // The client is told why, in words for programs, and has to answer before it is refused (RFC 7628 §3.2.3).
                Err(Error::Login(AuthError::Refused)) => {
                    let metadata = self.options.oauth.as_ref().and_then(|oauth| oauth.metadata.as_deref());
                    (State::Told(AuthError::Refused), form.failure(metadata))
                }
                Err(error) => return Err(error),
            },
            State::Told(error) => return Err(error.into()),
            State::Proven(authenticated) if response.is_empty() => {
                return Ok(Progress::Admitted(*authenticated));
            }
            State::Proven(_) => return Err(Error::Malformed("expected an empty response")),
        };
        Ok(Progress::Challenge(Exchange { mechanism, state, challenge }))
    }

    /// A name and a password. What is no text cannot be right; it is looked at all the same, so that it takes as long.
    async fn enter(
        &self,
        user: &[u8],
        password: &[u8],
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Progress, Error> {
        let (user, password) = (String::from_utf8_lossy(user), String::from_utf8_lossy(password));
        Ok(Progress::Admitted(self.prove(&user, &password, peer, scope).await?))
    }

    /// An access token, and whose the client says it is.
    async fn enter_with_token(
        &self,
        form: bearer::Form,
        response: &[u8],
        peer: IpAddr,
        scope: Protocol,
    ) -> Result<Authenticated, Error> {
        let claim = form.read(response)?;
        let (authenticated, name) =
            self.prove_bearer(claim.token, peer, scope).await.map_err(AuthError::from)?;
        if let Some(user) = &claim.user {
            let claimed = self.kv.run(|tx| async move { self.login_name(&tx, user).await }).await;
            if claimed.map_err(AuthError::from)?.as_ref() != Some(&name) {
                return Err(AuthError::Refused.into());
            }
        }
        Ok(authenticated)
    }
}
