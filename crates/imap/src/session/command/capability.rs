//! CAPABILITY (RFC 9051 §6.1.1).

use super::super::{Session, capability};
use super::Outcome;

impl Session {
    pub(super) fn capability(&mut self) -> Outcome {
        let words = match &self.user {
            Some(user) => capability::after_login(user.append_limit, self.compressed),
            None => self.capability_before_login(),
        };
        self.out.print(format_args!("* CAPABILITY {words}\r\n"));
        Outcome::ok("that is what this server can do")
    }
}
