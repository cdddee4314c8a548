//! LOGOUT (RFC 9051 §6.1.3).

use super::super::Session;
use super::Outcome;
use crate::wire::response::Reply;

impl Session {
    pub(super) fn logout(&mut self) -> Outcome {
        Reply::bye("logging out").write_untagged(&mut self.out);
        Outcome::Logout
    }
}
