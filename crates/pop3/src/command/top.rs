//! TOP (RFC 1939 §7): the header and some lines of the body. It reads no more of the message than that takes, and never
//! marks it as seen.

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
    let (number, lines) = arguments.message_and_lines()?;
    let entry = user.maildrop.get(number)?;
    let sending = Sending::open(entry, Extent::Top(lines), utf8, user, config).await?;
    Ok(Outcome::Sending(Reply::ok("top of the message follows"), Box::new(sending)))
}
