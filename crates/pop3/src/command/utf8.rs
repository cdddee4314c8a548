//! UTF8 (RFC 6856 §2): from here on the client understands UTF-8. Names, passwords and messages are taken and sent as
//! they are; what difference it makes, [`crate::InternationalMail`] says.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::session::Session;

impl Session {
    pub(super) fn utf8(&mut self, arguments: &Arguments) -> Result<Outcome, Error> {
        arguments.none()?;
        self.utf8 = true;
        Ok(Outcome::Done(Reply::ok("UTF-8 it is")))
    }
}
