//! PASS (RFC 1939 §7). The name is used up whether the password is right or not.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::session::{Session, State};

impl Session {
    pub(super) async fn pass(&mut self, arguments: Arguments) -> Result<Outcome, Error> {
        self.may_send_password()?;
        let name = match &mut self.state {
            State::Authorization(name) => name.take(),
            State::Transaction(_) => None,
        };
        let name = name.ok_or(Error::NotNow("say USER first"))?;
        let password = arguments.whole()?;
        self.enter(&name, &password).await
    }
}
