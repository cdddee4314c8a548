//! CREATE (RFC 9051 §6.3.4).

use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::MailboxName;
use crate::wire::command::Create;

pub(super) async fn run(command: Create, user: &mut User) -> Result<Outcome, Error> {
    // A trailing separator says that mailboxes will be created below; any mailbox can have some.
    let name = command.mailbox.as_bytes();
    let name = MailboxName::new(name.strip_suffix(b"/").unwrap_or(name).to_vec());
    let path = user.path(&name)?;
    user.mail.create_path(user.account, &path, None).await?;
    Ok(Outcome::ok("created"))
}
