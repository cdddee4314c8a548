//! STAT (RFC 1939 §5): the drop listing is the one place where a reply's text has a form.

use super::{Arguments, Outcome};
use crate::error::Error;
use crate::reply::Reply;
use crate::user::User;

pub(super) fn run(arguments: &Arguments, user: &User) -> Result<Outcome, Error> {
    arguments.none()?;
    let totals = user.maildrop.totals();
    Ok(Outcome::Done(Reply::ok(format!("{} {}", totals.messages, totals.octets))))
}
