//! Logging in (RFC 4954): what the session asks of its driver, and what it is told. The session knows mechanisms by their
//! names only; what they mean, who may come in, and how often somebody may try, is the driver's to decide.

use std::fmt;

use crate::reply::Reply;

/// What a client says on its way in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthStep {
    /// It chooses one of the mechanisms that were announced to it, and perhaps sends its first message along: base64, or
    /// `=` for an empty one.
    Begin(&'static str, Option<Credential>),
    /// It answers a challenge, in base64.
    Respond(Credential),
}

/// Words that may hold a password. They do not print themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(pub(crate) String);

impl Credential {
    /// The words as they came: printable ASCII.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// The answer to [`Action::Authenticate`](crate::Action::Authenticate).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthVerdict {
    /// The client is to answer this: base64.
    Challenge(String),
    /// It has proven who it is.
    Admitted(Submitter),
    /// It is not let in.
    Refuse(AuthRefusal),
}

/// The proof that somebody has logged in: without it a session for submission takes no mail.
///
/// It is made in one place of a driver, where a login has succeeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submitter {
    account: u64,
    address: String,
}

impl Submitter {
    /// States that the client has proven to be the owner of this account.
    pub fn proven(account: u64, address: impl Into<String>) -> Self {
        Self { account, address: address.into() }
    }

    /// The account's number.
    pub const fn account(&self) -> u64 {
        self.account
    }

    /// The account's own address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthRefusal {
    /// Wrong name, wrong password, or an account that is closed: nobody is told which. `535 5.7.8`
    Wrong,
    /// The client does not speak the mechanism. `501 5.5.2`
    Malformed,
    /// The account may receive mail, but not send any. `525 5.7.13`
    SendingBlocked,
    /// Too many have failed of late; nothing was looked at. `454 4.7.0`
    TooMany,
    /// It cannot be looked at now. `454 4.7.0`
    Unavailable,
}

impl AuthRefusal {
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Wrong => Reply::new(535, (7, 8), "The name or the password is wrong"),
            Self::Malformed => Reply::new(501, (5, 2), "This is not what the mechanism wants"),
            Self::SendingBlocked => {
                Reply::new(525, (7, 13), "This account may receive mail but not send any; ask the postmaster")
            }
            Self::TooMany => Reply::new(454, (7, 0), "Too many failed logins; try again in some minutes"),
            Self::Unavailable => Reply::new(454, (7, 0), "Cannot look at logins now; try again in a moment"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let step = AuthStep::Begin("PLAIN", Some(Credential("AGEAc2VjcmV0".to_owned())));
        assert_eq!(format!("{step:?}"), "Begin(\"PLAIN\", Some(Credential(…)))");
    }
}
