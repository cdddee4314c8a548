//! EXPUNGE (RFC 9051 §6.4.3) and UID EXPUNGE (§6.4.9). What is gone is told like anybody's changes.

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::Unit;
use crate::wire::command::Expunge;

pub(super) async fn run(command: Expunge, user: &mut User) -> Result<Outcome, Error> {
    let view = user.writable()?;
    let (account, mailbox) = (view.account, view.mailbox);
    let only = match &command.only {
        Some(set) => Some(view.uids(view.pick(Unit::Uid, set)?)),
        None => None,
    };
    if only.as_ref().is_none_or(|uids| !uids.is_empty()) {
        let expunged = user.mail.expunge(account, mailbox, only.as_deref()).await?;
        if !expunged.uids.is_empty() {
            user.view()?.owe_modseq();
        }
    }
    Ok(Outcome::ok("expunged"))
}
