//! RSET (RFC 1939 §5): what DELE has named stays.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::user::User;

pub(super) fn run(arguments: &Arguments, user: &mut User) -> Result<Outcome, Error> {
    arguments.none()?;
    user.maildrop.reset();
    Ok(Outcome::Done(Reply::ok(user.maildrop.totals().to_string())))
}
