//! SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §§6.3.7, 6.3.8). Only mailboxes that exist can be subscribed to,
//! but a subscription outlives its mailbox.

use mail::MailboxPath;

use super::super::error::Error;
use super::super::user::User;
use super::super::watch::Deed;
use super::Outcome;
use crate::wire::MailboxName;

pub(super) async fn run(name: &MailboxName, subscribed: bool, user: &mut User) -> Result<Outcome, Error> {
    match user.find(name).await {
        Ok(mailbox) => {
            user.mail.set_subscribed(user.account, mailbox.id, subscribed).await?;
            user.did(Deed::Subscription(mailbox.path));
        }
        Err(Error::NoMailbox) if !subscribed => {
            let path = MailboxPath::parse(&name.decode(user.dialect)?).map_err(|_| Error::NoMailbox)?;
            user.mail.end_lost_subscription(user.account, &path).await?;
            user.did(Deed::Subscription(path));
        }
        Err(error) => return Err(error),
    }
    Ok(Outcome::ok(if subscribed { "subscribed" } else { "unsubscribed" }))
}
