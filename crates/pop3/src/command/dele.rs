//! DELE (RFC 1939 §5). The message is removed at QUIT, not before.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::user::User;

pub(super) fn run(arguments: &Arguments, user: &mut User) -> Result<Outcome, Error> {
    let entry = user.maildrop.get(arguments.required_message()?)?;
    user.maildrop.delete(entry);
    Ok(Outcome::Done(Reply::ok(format!("message {} deleted", entry.number))))
}
