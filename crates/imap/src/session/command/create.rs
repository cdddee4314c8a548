//! CREATE (RFC 9051 §6.3.4), also for a special use (RFC 6154 §3).

use mail::Role;

use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::super::watch::Deed;
use super::Outcome;
use crate::wire::MailboxName;
use crate::wire::command::Create;
use crate::wire::response::{Code, Reply};

pub(super) async fn run(command: Create, user: &mut User) -> Result<Outcome, Error> {
    let role = role(&command.special_use)?;
    // A trailing separator says that mailboxes will be created below; any mailbox can have some.
    let name = command.mailbox.as_bytes();
    let name = MailboxName::new(name.strip_suffix(b"/").unwrap_or(name).to_vec());
    let path = user.path(&name)?;
    match user.mail.create_path(user.account, &path, role).await {
        Err(mail::Error::RoleTaken) => Err(Error::SpecialUse("another mailbox has this special use already")),
        created => {
            let reply = Reply::ok("created").code(Code::MailboxId(created?.id));
            user.did(Deed::Created(path));
            Ok(Outcome::Done(reply, Tell::All))
        }
    }
}

/// The role that special-use attributes ask for.
pub(super) fn role(attributes: &[String]) -> Result<Option<Role>, Error> {
    match attributes {
        [] => Ok(None),
        [one] => named(one).map(Some),
        _ => Err(Error::SpecialUse("a mailbox can have one special use")),
    }
}

/// The role of an attribute in lower case, without its backslash.
fn named(attribute: &str) -> Result<Role, Error> {
    Ok(match attribute {
        "archive" => Role::Archive,
        "drafts" => Role::Drafts,
        "important" => Role::Important,
        "junk" => Role::Junk,
        "sent" => Role::Sent,
        "trash" => Role::Trash,
        // \All and \Flagged are views of messages that are elsewhere.
        _ => return Err(Error::SpecialUse("a mailbox for this special use cannot be created")),
    })
}
