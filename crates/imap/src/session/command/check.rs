//! CHECK (RFC 3501 §6.4.1): everything is durable anyway.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;

pub(super) fn run(user: &mut User) -> Result<Outcome, Error> {
    user.view()?;
    Ok(Outcome::ok("checked"))
}
