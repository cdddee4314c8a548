//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §§6.3.7, 6.3.8). Only mailboxes that exist can be subscribed to.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::MailboxName;

pub(super) async fn run(name: &MailboxName, subscribed: bool, user: &mut User) -> Result<Outcome, Error> {
    let mailbox = user.find(name).await?;
    user.mail.set_subscribed(user.account, mailbox.id, subscribed).await?;
    Ok(Outcome::ok(if subscribed { "subscribed" } else { "unsubscribed" }))
}
