//! RETR (RFC 1939 §5).

use super::{Arguments, Outcome};
use crate::config::Config;
use crate::error::Error;
use crate::reply::Reply;
use crate::sending::Sending;
use crate::user::User;
use crate::wire::Extent;

pub(super) async fn run(
    arguments: &Arguments,
    user: &User,
    utf8: bool,
    config: &Config,
) -> Result<Outcome, Error> {
    let entry = user.maildrop.get(arguments.required_message()?)?;
    let sending = Sending::open(entry, Extent::Whole, utf8, user, config).await?;
    Ok(Outcome::Sending(Reply::ok(format!("{} octets", entry.size)), Box::new(sending)))
}
