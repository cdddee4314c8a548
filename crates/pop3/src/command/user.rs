//! USER (RFC 1939 §7). Whether there is such a user is not told.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::{Session, State};

impl Session {
    pub(super) fn user(&mut self, arguments: Arguments) -> Result<Outcome, Error> {
        // Before the password is on its way for others to hear.
        self.may_send_password()?;
        self.state = State::Authorization(Some(arguments.whole()?));
        Ok(Outcome::Done(Reply::ok("send PASS")))
    }
}
