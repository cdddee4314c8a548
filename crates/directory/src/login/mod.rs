//! Logins.

mod authenticate;
mod credential;
mod entry;
mod guessing;
mod meters;
mod proofs;
mod scram;

use std::time::Duration;

use store::bus::Bus;
use store::kv;
use thiserror::Error;
use tokio::sync::Semaphore;
use types::{AccountId, Clock, Timestamp};

pub use self::credential::{Credential, Granted};
pub(crate) use self::entry::{Entry, Proven};
use self::guessing::Guessing;
pub(crate) use self::guessing::network as peer_network;
pub(crate) use self::meters::{Fate, Way, count};
use self::proofs::Proofs;
pub(crate) use self::scram::Claim;
use crate::account::AccountState;
use crate::name::Address;
use crate::options::Options;
use crate::password::{AppPasswordId, Protocol};
use crate::table::GrantKey;

/// The proof that somebody is the owner of an account. Only a login makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    account: AccountId,
    address: Address,
    scope: Protocol,
    state: AccountState,
    app_password: Option<AppPasswordId>,
    /// When the password was set that the account had then.
    password_set: Option<Timestamp>,
    bearer: Option<Bearer>,
}

/// The access token by which a login was proven, but for the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bearer {
    pub(crate) grant: GrantKey,
    pub(crate) client: String,
    /// When it runs out.
    pub(crate) until: Timestamp,
}

impl Authenticated {
    /// Whose account it is.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The account's own address, however the login was written.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// What the login is for.
    pub const fn scope(&self) -> Protocol {
        self.scope
    }

    /// Whether the account might send mail when it logged in.
    pub fn may_send(&self) -> bool {
        self.state == AccountState::Active
    }

    /// The app password that was used, if it was one.
    pub const fn app_password(&self) -> Option<AppPasswordId> {
        self.app_password
    }

    /// When the access token runs out by which this was proven, if it was one: until then the connection may stay.
    pub fn until(&self) -> Option<Timestamp> {
        self.bearer.as_ref().map(|bearer| bearer.until)
    }

    pub(crate) const fn password_set(&self) -> Option<Timestamp> {
        self.password_set
    }

    /// What the app was granted that has logged in, if it was by a token.
    pub fn granted(&self) -> Option<Granted> {
        self.bearer.as_ref().map(|bearer| Granted { grant: bearer.grant, client: bearer.client.clone() })
    }

    pub(crate) const fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }
}

/// Why a login failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AuthError {
    /// Wrong name, wrong password, or a disabled account: nobody is told which.
    #[error("the name or the password is wrong")]
    Refused,
    /// Too many failures. The password was not looked at.
    #[error("too many failed logins: try again in {} s at the latest", retry_after.as_secs())]
    RateLimited {
        /// After this time a try is looked at again, at the latest.
        retry_after: Duration,
    },
    /// The password is right, but the account may only receive: it was submission that was asked for.
    #[error("this account may receive mail but not send any: ask the postmaster")]
    SendingBlocked,
    /// More logins are under way than this node can check. The password was not looked at.
    #[error("too many logins are under way: try again in a moment")]
    Busy,
    /// The store failed; nothing is known about the login. Try again later.
    #[error(transparent)]
    Store(#[from] kv::Error),
}

/// What all logins share.
pub(crate) struct Logins {
    guessing: Guessing,
    proofs: Proofs,
    /// How many SCRAM proofs are checked at once: no more guesses slip past a limit on each node.
    turns: Semaphore,
}

impl Logins {
    pub(crate) fn new(bus: Bus, clock: Clock, options: &Options) -> Self {
        Self {
            guessing: Guessing::new(bus, options.login_limits),
            proofs: Proofs::new(clock, options.proofs, options.proof_lifetime),
            turns: Semaphore::new(options.hashes_at_once.get().min(1024)),
        }
    }

    /// What carries the counters.
    pub(crate) const fn bus(&self) -> &Bus {
        self.guessing.bus()
    }
}
