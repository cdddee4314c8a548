//! OAuth 2.0 (RFC 6749, RFC 9700): what an app may do is granted by the owner of an account, on a page of this server, and
//! the app never sees the password.
//!
//! ```text
//!   consent: name, password ──> Owner ──┬─> code ──redeem: verifier──┐
//!                                       └─> device, by its user code ─┴─> grant ──> access token, refresh token
//!                                                                          ^  |
//!                                              refresh: the token of now ──┘  └──revoke, reuse──> gone
//!
//!   access token, peer, protocol ──> Directory::authenticate_bearer ──> Authenticated
//! ```
//!
//! - **A grant** is what lasts. All tokens hang on it, and it is read whenever one is used: what ends it ends all of them,
//!   from the next look on, on every node. It ends when its token, or another of them, is revoked; when a refresh token is
//!   used twice; when the account is disabled, deleted or gets another password; when the client is removed; and when it
//!   is not refreshed for [`OAuthOptions::refresh_lifetime`].
//! - **Secrets** are 256 random bits. Only their hash is kept, and is the key under which they are found. They are made
//!   before the transaction that keeps them, so that one which runs twice hands out the same.
//! - **Refresh tokens** hold for one use. One names its grant, and the grant knows the one that holds, so that of all
//!   earlier ones it is known that they were used, without keeping any (RFC 9700 §4.14.2).
//! - **Codes** are worth something once, however they are presented. One that comes again ends what became of it.
//! - **Clients** are public: they have no secret, and what they redeem a code with is the verifier of PKCE (RFC 7636),
//!   which is a must.

mod bearer;
mod client;
mod code;
mod consent;
mod device;
mod error;
mod grant;
mod limits;
mod redirect;
mod scope;
mod secret;
mod sweep;

use std::time::Duration;

use quick_cache::sync::Cache;

pub use bearer::BearerError;
pub use client::{NewOAuthClient, OAuthClient, RegistrationError};
pub use code::{Challenge, CodeRequest};
pub use consent::Owner;
pub use device::{DeviceCodes, DeviceQuestion};
pub use error::OAuthError;
pub(crate) use grant::end_grants;
pub use grant::{Grant, GrantId, Tokens};
pub use redirect::{RedirectError, RedirectUri};
pub use scope::{OFFLINE_ACCESS, SCOPE_MAIL, scope_text, scopes_named};

use crate::table::{AccessTokenRow, Digest};

/// How OAuth behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OAuthOptions {
    /// How long an access token holds.
    pub access_lifetime: Duration,
    /// How long a grant lasts that nobody refreshes, give or take a tenth of that or a day.
    pub refresh_lifetime: Duration,
    /// Where clients learn how to get a token: the URL of the metadata. It is told to those that log in by SASL with one
    /// that does not hold (RFC 7628 §3.2.2).
    pub metadata: Option<String>,
    /// Whether clients may register themselves (RFC 7591).
    pub registration: bool,
}

impl Default for OAuthOptions {
    fn default() -> Self {
        Self {
            access_lifetime: Duration::from_hours(1),
            refresh_lifetime: Duration::from_hours(90 * 24),
            metadata: None,
            registration: false,
        }
    }
}

/// The access tokens that were used last in this process, by their hashes. What is remembered never changes; whether a
/// token still holds is read each time.
pub(crate) struct Remembered(Cache<Digest, AccessTokenRow>);

impl Remembered {
    pub(crate) fn new(most: usize) -> Self {
        Self(Cache::new(most.max(1)))
    }
}
