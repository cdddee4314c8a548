//! LIST (RFC 1939 §5).

use super::{Arguments, Outcome, one_or_all};
use crate::error::Error;
use crate::listing::{Listed, Listing};
use crate::reply::Reply;
use crate::user::User;

pub(super) fn run(arguments: &Arguments, user: &User) -> Result<Outcome, Error> {
    one_or_all(
        arguments,
        user,
        |entry| Reply::ok(format!("{} {}", entry.number, entry.size)),
        || Outcome::Listing(Reply::ok(user.maildrop.totals().to_string()), Listing::new(Listed::Sizes)),
    )
}
