//! CLOSE (RFC 9051 §6.4.1): expunges without telling, then unselects.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;

pub(super) async fn run(user: &mut User) -> Result<Outcome, Error> {
    let view = user.view()?;
    let (account, mailbox, read_only) = (view.account, view.mailbox, view.read_only);
    if !read_only {
        match user.mail.expunge(account, mailbox, None).await {
            Ok(_) | Err(mail::Error::NoSuchMailbox) => {}
            Err(error) => return Err(error.into()),
        }
    }
    user.view = None;
    Ok(Outcome::ok("closed"))
}
