//! How many logins there are, and what comes of them. Names are not counted: there are too many, and they are nobody's
//! business.

use std::sync::OnceLock;

use metrics::{Counter, counter};

use super::AuthError;
use crate::password::Protocol;
use crate::sasl::Mechanism;

/// How a client tries to log in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// By a command of the protocol's own that carries the password.
    Command,
    /// On a page of this server, to grant something.
    Consent,
    /// By an access token, in a field of HTTP.
    Bearer,
    /// By SASL.
    Sasl(Mechanism),
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Admitted,
    /// The client did not go on, or does not speak the mechanism.
    Aborted,
    Failed(FailedBy),
}

/// Why it failed, for the counter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FailedBy {
    Refused,
    RateLimited,
    Busy,
    SendingBlocked,
    Store,
}

const WAYS: usize = 3 + Mechanism::ALL.len();
const FATES: [&str; 7] = ["ok", "aborted", "refused", "limited", "busy", "sending_blocked", "unavailable"];

/// A login of a protocol came to this.
pub(crate) fn count(scope: Protocol, way: Way, fate: Fate) {
    static COUNTERS: [[[OnceLock<Counter>; FATES.len()]; WAYS]; Protocol::ALL.len()] =
        [const { [const { [const { OnceLock::new() }; FATES.len()] }; WAYS] }; Protocol::ALL.len()];
    let (way, mechanism) = match way {
        Way::Command => (0, "password"),
        Way::Consent => (1, "consent"),
        Way::Bearer => (2, "bearer"),
        Way::Sasl(mechanism) => {
            let place = Mechanism::ALL.iter().position(|other| *other == mechanism).unwrap_or(0);
            (3 + place, mechanism.name())
        }
    };
    let fate = fate.place();
    let cell = COUNTERS.get(scope as usize).and_then(|ways| ways.get(way)).and_then(|fates| fates.get(fate));
    let (Some(cell), Some(result)) = (cell, FATES.get(fate)) else { return };
    let make = || {
        counter!(
            "magpie_logins_total",
            "protocol" => scope.name(), "mechanism" => mechanism, "result" => *result
        )
    };
    cell.get_or_init(make).increment(1);
}

impl Fate {
    /// What a login by a password came to.
    pub(crate) fn of<T>(result: &Result<T, AuthError>) -> Self {
        match result {
            Ok(_) => Self::Admitted,
            Err(error) => Self::Failed(error.into()),
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Admitted => 0,
            Self::Aborted => 1,
            Self::Failed(FailedBy::Refused) => 2,
            Self::Failed(FailedBy::RateLimited) => 3,
            Self::Failed(FailedBy::Busy) => 4,
            Self::Failed(FailedBy::SendingBlocked) => 5,
            Self::Failed(FailedBy::Store) => 6,
        }
    }
}

impl From<&AuthError> for FailedBy {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::Refused => Self::Refused,
            AuthError::RateLimited { .. } => Self::RateLimited,
            AuthError::SendingBlocked => Self::SendingBlocked,
            AuthError::Busy => Self::Busy,
            AuthError::Store(_) => Self::Store,
        }
    }
}
