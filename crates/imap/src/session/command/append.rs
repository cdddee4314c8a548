//! APPEND (RFC 9051 §6.3.12).

use bytes::{Bytes, BytesMut};
use types::{Keywords, MailboxId, Timestamp};

use super::super::Session;
use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::Flag;
use crate::wire::command::{Append, Command};
use crate::wire::response::{Code, Reply};

/// A message that is coming in. Nothing is stored before it is whole.
pub(in super::super) struct Appending {
    mailbox: MailboxId,
    keywords: Keywords,
    deleted: bool,
    received: Option<Timestamp>,
    message: BytesMut,
}

impl Appending {
    /// The next bytes of the message. The framer lets through no more than was announced.
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        self.message.extend_from_slice(bytes);
    }
}

impl Session {
    /// Looks at everything that can be refused before the message is sent.
    pub(in super::super) async fn begin_append(
        &mut self,
        command: Command,
        size: u64,
    ) -> Result<Appending, Error> {
        let Command::Append(append) = command else { return Err(Error::Bad("only APPEND takes a message")) };
        let user = self.user.as_ref().ok_or(Error::NotNow("log in first"))?;
        check_quota(user, size).await?;
        let mailbox = user.target(&append.mailbox).await?.id;
        let Append { flags, received, .. } = append;
        let deleted = flags.contains(&Flag::Deleted);
        let keywords = super::store::keywords(flags);
        Ok(Appending { mailbox, keywords, deleted, received, message: BytesMut::new() })
    }

    /// Stores the message.
    pub(in super::super) async fn finish_append(&mut self, appending: Appending) -> Result<Outcome, Error> {
        let user = self.user.as_ref().ok_or(Error::NotNow("log in first"))?;
        let Appending { mailbox, keywords, deleted, received, message } = appending;
        let message: Bytes = message.freeze();
        let message = user.mail.ingest(message).await?;
        let received = received.unwrap_or_else(|| self.services.clock.now());
        let quota = user.quota().await?;
        let appended =
            user.mail.append(user.account, mailbox, &message, keywords, deleted, received, quota).await;
        let appended = match appended {
            Err(mail::Error::NoSuchMailbox) => return Err(Error::NoTarget),
            appended => appended?,
        };
        let code = Code::AppendUid(appended.uidvalidity, appended.uid);
        Ok(Outcome::Done(Reply::ok("appended").code(code), Tell::All))
    }
}

/// Refuses what cannot fit before it is sent; the store decides when it is here.
async fn check_quota(user: &User, size: u64) -> Result<(), Error> {
    let Some(limit) = user.quota().await?.bytes else { return Ok(()) };
    let used = user.mail.usage(user.account).await?.bytes;
    if used.saturating_add(size) > limit {
        return Err(mail::Error::OverQuota { used, limit, unit: "octets" }.into());
    }
    Ok(())
}
