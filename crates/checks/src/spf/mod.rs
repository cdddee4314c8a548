//! SPF (RFC 7208): whether a domain lets a client's address send mail in its name.
//!
//! [`record`] reads a record whole, so that a mistake anywhere in it is one permanent error wherever evaluation would
//! have stopped; [`evaluate`] walks it within the limits of RFC 7208 §4.6.4; [`macros`] fills in names.

mod evaluate;
mod macros;
mod record;

use std::fmt;

pub(crate) use evaluate::{Subject, check_host};

/// What SPF says about one identity (RFC 7208 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpfResult {
    /// There is no record, or no domain to look for one.
    None,
    /// The domain says nothing about this client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// DNS did not answer; ask again later.
    TempError,
    /// The domain's records are wrong, or ask for too much.
    PermError,
}

impl SpfResult {
    /// The result's name in `Authentication-Results:` (RFC 8601 §2.7.2).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
