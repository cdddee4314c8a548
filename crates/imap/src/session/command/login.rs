//! LOGIN (RFC 9051 §6.2.3).

use super::super::Session;
use super::super::error::Error;
use super::Outcome;
use crate::wire::command::Login;

impl Session {
    pub(super) async fn login(&mut self, command: Login) -> Result<Outcome, Error> {
        self.enter(&command.user, &command.password.0).await
    }
}
