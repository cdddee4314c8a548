//! The client's own name (RFC 8601 §3): that of its address, if it leads back to the address.

use std::fmt;
use std::net::IpAddr;

use dns::Name;

use crate::lookups::{LookupError, Lookups};

/// Names of one address that are looked at.
const NAMES: usize = 10;

/// Whether an address has a name that leads back to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IprevResult {
    /// It has.
    Pass,
    /// It has none, or none leads back.
    Fail,
    /// DNS did not say; ask again later.
    TempError,
    /// It cannot be found out.
    PermError,
}

impl IprevResult {
    /// The result's name in `Authentication-Results:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for IprevResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result, and the name if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IprevCheck {
    /// Whether the address has a name that leads back to it.
    pub result: IprevResult,
    /// The name.
    pub name: Option<Name>,
}

pub(crate) async fn check(address: IpAddr, lookups: &Lookups) -> IprevCheck {
    match find(address, lookups).await {
        Ok(Some(name)) => IprevCheck { result: IprevResult::Pass, name: Some(name) },
        Ok(None) | Err(LookupError::NoSuchName) => IprevCheck { result: IprevResult::Fail, name: None },
        Err(LookupError::Temporary(_)) => IprevCheck { result: IprevResult::TempError, name: None },
        Err(LookupError::TooMany) => IprevCheck { result: IprevResult::PermError, name: None },
    }
}

async fn find(address: IpAddr, lookups: &Lookups) -> Result<Option<Name>, LookupError> {
    let mut trouble = None;
    for name in lookups.ptr(address).await?.into_iter().take(NAMES) {
        match lookups.addresses(name.clone(), address).await {
            Ok(addresses) if addresses.contains(&address) => return Ok(Some(name)),
            Ok(_) | Err(LookupError::NoSuchName) => {}
            Err(error) => trouble = Some(error),
        }
    }
    trouble.map_or(Ok(None), Err)
}
