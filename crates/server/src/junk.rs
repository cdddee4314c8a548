//! Where suspicious mail goes.

use mail::{Error, Mail, MailboxPath, Role};
use types::{AccountId, MailboxId};

/// The name of the mailbox, where one has to be made.
const NAME: &str = "Junk";

/// An account's mailbox for suspicious mail, made if there is none. Where that fails, the message is better in the
/// INBOX, with its results on top, than not delivered.
pub(crate) async fn mailbox(mail: &Mail, account: AccountId) -> MailboxId {
    find_or_make(mail, account).await.unwrap_or_else(|error| {
        tracing::warn!(%account, %error, "there is no mailbox for a suspicious message");
        MailboxId::INBOX
    })
}

async fn find_or_make(mail: &Mail, account: AccountId) -> Result<MailboxId, Error> {
    let path = MailboxPath::parse(NAME)?;
    if let Some(found) = with_role(mail, account).await? {
        return Ok(found);
    }
    match mail.create_path(account, &path, Some(Role::Junk)).await {
        Ok(made) => Ok(made.id),
        // Another delivery was quicker, or there is one of that name without the role.
        Err(error @ (Error::Exists | Error::RoleTaken)) => {
            let found = match with_role(mail, account).await? {
                Some(found) => Some(found),
                None => mail.find_mailbox(account, &path).await?.map(|mailbox| mailbox.id),
            };
            found.ok_or(error)
        }
        Err(error) => Err(error),
    }
}

async fn with_role(mail: &Mail, account: AccountId) -> Result<Option<MailboxId>, Error> {
    let mailboxes = mail.mailboxes(account).await?;
    Ok(mailboxes.into_iter().find(|mailbox| mailbox.role == Some(Role::Junk)).map(|mailbox| mailbox.id))
}
