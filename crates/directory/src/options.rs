//! What an operator may choose.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::name::DomainName;
use crate::oauth::OAuthOptions;
use crate::password::{Cost, ScramIterations};

/// How a directory behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// The domain of a login or a `postmaster` without one. If there is none, and exactly one domain exists, it is
    /// that one (which costs a login one more read).
    pub default_domain: Option<DomainName>,
    /// What a password hash costs. Hashes of another cost stay valid, and are renewed at the next login; until then
    /// a refusal takes another time for these accounts than for names that do not exist.
    pub cost: Cost,
    /// Whether SCRAM is offered, and with how many iterations new keys are derived; `None` keeps no keys of new
    /// passwords. Keys of another number stay valid, and are renewed at the next login with the password itself;
    /// until then the number tells such an account from a name that does not exist. What whoever has stolen the store
    /// has to compute for a guess is the cheaper of this and [`Options::cost`].
    pub scram: Option<ScramIterations>,
    /// How many password hashes are computed at once in this process: each takes [`Cost::memory_kib`].
    pub hashes_at_once: NonZeroUsize,
    /// How many logins may wait for their turn. Others are refused as [`crate::AuthError::Busy`].
    pub hashes_waiting: usize,
    /// The fewest characters of a new password.
    pub password_min_chars: usize,
    /// Limits against guessing.
    pub login_limits: LoginLimits,
    /// How long a proven password is remembered in this process.
    pub proof_lifetime: Duration,
    /// How many proven passwords are remembered, and how many access tokens; some 200 bytes each.
    pub proofs: usize,
    /// Whether apps can be granted access by OAuth, and how; `None` if not: then no token is good for anything.
    pub oauth: Option<OAuthOptions>,
    /// The most members of one group.
    pub group_members: usize,
    /// The most recipients that one address may lead to, here and at other servers together.
    pub recipients: usize,
    /// How many aliases and groups may stand between an address and an account.
    pub nesting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            default_domain: None,
            cost: Cost::default(),
            scram: Some(ScramIterations::default()),
            hashes_at_once: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            hashes_waiting: 1000,
            password_min_chars: 8,
            login_limits: LoginLimits::default(),
            proof_lifetime: Duration::from_mins(10),
            proofs: 20_000,
            oauth: None,
            group_members: 1000,
            recipients: 2000,
            nesting: 8,
        }
    }
}

/// Limits against guessing passwords. Only failed logins count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginLimits {
    /// Failures for one login name. A peer from which the owner has logged in lately is not shut out by the
    /// failures of others: it has this limit for itself. `None`: no limit.
    pub per_name: Option<Rate>,
    /// Failures from one peer: an IPv4 address, or the /64 network of an IPv6 address. `None`: no limit.
    pub per_peer: Option<Rate>,
}

impl Default for LoginLimits {
    fn default() -> Self {
        let window = Duration::from_mins(10);
        Self { per_name: Some(Rate { failures: 20, window }), per_peer: Some(Rate { failures: 60, window }) }
    }
}

/// So many failures in so long a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// After this many the next try is refused unseen.
    pub failures: u64,
    /// The sliding window in which they are counted.
    pub window: Duration,
}
