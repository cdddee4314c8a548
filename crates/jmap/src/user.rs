//! Who asks, and whose data that opens.

use directory::Authenticated;
use types::AccountId;

use crate::error::MethodError;
use crate::wire::id;

/// Somebody who has logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    login: Authenticated,
    name: String,
}

impl User {
    /// The user whom a login has proved.
    pub fn new(login: &Authenticated) -> Self {
        Self { login: login.clone(), name: login.address().to_string() }
    }

    /// The user's own account.
    pub const fn account(&self) -> AccountId {
        self.login.account()
    }

    /// How the user has logged in.
    pub(crate) const fn login(&self) -> &Authenticated {
        &self.login
    }

    /// The user's address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain of the user's address.
    pub(crate) fn domain(&self) -> &str {
        self.name.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }

    /// The account of that id, if the user may see it. One that the user may not see is like one that does not exist.
    pub(crate) fn open(&self, id: &str) -> Result<AccountId, MethodError> {
        id::account(id).filter(|account| *account == self.account()).ok_or(MethodError::AccountNotFound)
    }
}
