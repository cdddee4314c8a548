//! UNAUTHENTICATE (RFC 8437): the connection is as it was before login, but for its TLS.

use super::super::Session;
use super::super::announce::Tell;
use super::super::error::Error;
use super::Outcome;
use crate::wire::response::{Code, Reply};

impl Session {
    pub(super) fn unauthenticate(&mut self) -> Result<Outcome, Error> {
        if self.user.take().is_none() {
            return Err(Error::NotNow("nobody is logged in"));
        }
        self.framer.logged_out();
        let code = Code::Capability(self.capability_before_login());
        Ok(Outcome::Done(Reply::ok("logged out; somebody else may log in").code(code), Tell::Nothing))
    }
}
