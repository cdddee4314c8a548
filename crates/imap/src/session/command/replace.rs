//! REPLACE (RFC 8508): a message comes and another goes, in one change. The message comes in like that of APPEND.

use mail::NewEmail;
use types::{MailboxId, Uid};

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use super::append::with_appenduid;
use crate::wire::MessageSet;
use crate::wire::command::Replace;
use crate::wire::response::{Output, Reply};

/// An email's place.
pub(super) type Place = (MailboxId, Uid);

/// The place of the message that goes.
pub(super) fn old(command: &Replace, user: &mut User) -> Result<Place, Error> {
    let view = user.writable()?;
    let picked = view.pick(command.unit, &MessageSet::Numbers(command.replaced.clone()))?;
    let uid = view.uids(picked).first().copied().ok_or(mail::Error::NoSuchEmail)?;
    Ok((view.mailbox, uid))
}

/// The UID comes before the message that goes is told, so that the client knows one for the other.
pub(super) async fn finish(
    old: Place,
    mailbox: MailboxId,
    email: NewEmail,
    user: &mut User,
    out: &mut Output,
) -> Result<Outcome, Error> {
    let quota = user.quota().await?;
    let replaced = match user.mail.replace(user.account, old, mailbox, email, quota).await {
        Err(mail::Error::NoSuchMailbox) => return Err(Error::NoTarget),
        replaced => replaced?,
    };
    user.put(mailbox, [replaced.uid]);
    with_appenduid(Reply::ok("the new message is here"), &[replaced]).write_untagged(out);
    Ok(Outcome::Done(Reply::ok("replaced"), Tell::All))
}
