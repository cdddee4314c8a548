//! RENAME (RFC 9051 §6.3.6).

use super::super::error::Error;
use super::super::user::User;
use super::super::watch::Deed;
use super::Outcome;
use crate::wire::command::Rename;

pub(super) async fn run(command: Rename, user: &mut User) -> Result<Outcome, Error> {
    let mailbox = user.find(&command.from).await?;
    let to = user.path(&command.to)?;
    if mailbox.path.is_inbox() {
        user.mail.rename_inbox(user.account, &to).await?;
    } else {
        user.mail.rename_mailbox(user.account, mailbox.id, &to).await?;
    }
    user.did(Deed::Renamed(mailbox.id));
    // With those above it that were not there.
    user.did(Deed::Created(to));
    Ok(Outcome::ok("renamed"))
}
