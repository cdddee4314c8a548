//! Why something was not granted.

use std::time::Duration;

use store::kv;
use thiserror::Error;

/// Why no token was handed out. Nothing was granted.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OAuthError {
    /// No client has this id.
    #[error("there is no client with this id: register it with `magpie oauth client add`")]
    Client,
    /// The client may not do this.
    #[error("the client was not registered for this")]
    ClientUse,
    /// The code or the token is not of this client, was used, was taken back, or is too old.
    #[error("{0}")]
    Grant(&'static str),
    /// Nobody has decided on the device yet (RFC 8628 §3.5).
    #[error("nobody has decided yet: ask again")]
    Pending,
    /// The device asks too often: from now on it waits five seconds more (RFC 8628 §3.5).
    #[error("asked too soon: wait {} s from now on", interval.as_secs())]
    SlowDown {
        /// How long to wait from now on.
        interval: Duration,
    },
    /// The device's owner has said no.
    #[error("the owner of the account has said no")]
    Denied,
    /// Nobody has decided in time.
    #[error("nobody has decided in time: begin again")]
    Expired,
    /// No device that waits has this user code.
    #[error("no device waits with this code: look whether it is the one that is shown, and not too old")]
    UserCode,
    /// Too many failures, or too many devices from one place.
    #[error("too many attempts: try again in {} s at the latest", retry_after.as_secs())]
    RateLimited {
        /// After this time a try is looked at again, at the latest.
        retry_after: Duration,
    },
    /// OAuth is turned off.
    #[error("this server grants nothing by OAuth: see [oauth] in its configuration")]
    Off,
    /// The store failed. Try again later.
    #[error(transparent)]
    Store(#[from] kv::Error),
}
