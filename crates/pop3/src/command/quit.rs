//! QUIT (RFC 1939 §4, §6): the one command that removes messages.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::{Session, State};

impl Session {
    pub(super) async fn quit(&mut self, arguments: &Arguments) -> Result<Outcome, Error> {
        arguments.none()?;
        let State::Transaction(user) = &mut self.state else {
            return Ok(Outcome::Close(Reply::ok("bye")));
        };
        let removed = user.update().await?;
        user.mark_seen().await;
        let text = if removed == 0 { "bye".to_owned() } else { format!("{removed} messages removed, bye") };
        Ok(Outcome::Close(Reply::ok(text)))
    }
}
