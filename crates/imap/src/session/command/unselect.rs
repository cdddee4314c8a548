//! UNSELECT (RFC 9051 §6.4.2): CLOSE without expunging.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;

pub(super) fn run(user: &mut User) -> Result<Outcome, Error> {
    user.view()?;
    user.view = None;
    Ok(Outcome::ok("unselected"))
}
