//! DELETE (RFC 9051 §6.3.5).

use mail::DeleteScope;

use super::super::error::Error;
use super::super::user::User;
use super::super::watch::Deed;
use super::Outcome;
use crate::wire::command::Delete;
use crate::wire::response::{Code, Output, Reply};

pub(super) async fn run(command: Delete, user: &mut User, out: &mut Output) -> Result<Outcome, Error> {
    let found = user.find(&command.mailbox).await?;
    let mailbox = found.id;
    user.mail.delete_mailbox(user.account, mailbox, DeleteScope::Leaf).await?;
    user.did(Deed::Deleted(found.path));
    // Whoever else has it selected learns by BYE that it is gone; this client knows.
    if user.view.as_ref().is_some_and(|view| view.mailbox == mailbox) {
        user.view = None;
        Reply::ok("the selected mailbox was deleted").code(Code::Closed).write_untagged(out);
    }
    Ok(Outcome::ok("deleted"))
}
