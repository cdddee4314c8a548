//! APPEND (RFC 9051 §6.3.12), also of several messages at once (RFC 3502): all of them or none.

use bytes::BytesMut;
use mail::{Appended, NewEmail};
use types::{MailboxId, Timestamp};

use super::super::Session;
use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::Outcome;
use crate::wire::command::{AppendForm, AppendMessage, Command};
use crate::wire::response::{Code, Reply};
use crate::wire::{Flag, Frame, SequenceSet};

/// Messages that are coming in. Nothing is stored before the last one is whole.
pub(in super::super) struct Appending {
    mailbox: MailboxId,
    /// Those that are here.
    emails: Vec<NewEmail>,
    /// The one that is coming in.
    next: Incoming,
    /// Bytes of all of them.
    size: u64,
}

struct Incoming {
    flags: Vec<Flag>,
    received: Option<Timestamp>,
    form: AppendForm,
    bytes: BytesMut,
}

impl Appending {
    /// The next bytes of the message. The framer lets through no more than was announced.
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        self.next.bytes.extend_from_slice(bytes);
    }
}

impl Incoming {
    fn new(message: AppendMessage) -> Self {
        let AppendMessage { flags, received, form } = message;
        Self { flags, received, form, bytes: BytesMut::new() }
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
        Ok(Appending { mailbox, emails: Vec::new(), next: Incoming::new(append.message), size })
    }

    /// One message is here and another one is announced by `head`.
    pub(in super::super) async fn next_append(
        &mut self,
        appending: Appending,
        head: &Frame,
        size: u64,
    ) -> Result<Appending, Error> {
        let message = AppendMessage::parse_next(head, appending.next.form)?;
        let mut appending = self.take_in(appending).await?;
        appending.next = Incoming::new(message);
        appending.size = appending.size.saturating_add(size);
        let user = self.user.as_ref().ok_or(Error::NotNow("log in first"))?;
        check_quota(user, appending.size).await?;
        Ok(appending)
    }

    /// Stores the messages.
    pub(in super::super) async fn finish_append(
        &mut self,
        appending: Appending,
        tail: &Frame,
    ) -> Result<Outcome, Error> {
        appending.next.form.parse_end(tail)?;
        let Appending { mailbox, emails, .. } = self.take_in(appending).await?;
        let user = self.user.as_ref().ok_or(Error::NotNow("log in first"))?;
        let quota = user.quota().await?;
        let appended = match user.mail.append_all(user.account, mailbox, emails, quota).await {
            Err(mail::Error::NoSuchMailbox) => return Err(Error::NoTarget),
            appended => appended?,
        };
        Ok(Outcome::Done(with_appenduid(Reply::ok("appended"), &appended), Tell::All))
    }

    /// Parses the message that has come in.
    async fn take_in(&self, mut appending: Appending) -> Result<Appending, Error> {
        let Incoming { flags, received, bytes, .. } =
            std::mem::replace(&mut appending.next, Incoming::new(AppendMessage::default()));
        let message = self.services.mail.ingest(bytes.freeze()).await?;
        let deleted = flags.contains(&Flag::Deleted);
        let keywords = super::store::keywords(flags);
        let received = received.unwrap_or_else(|| self.services.clock.now());
        appending.emails.push(NewEmail { message, keywords, deleted, received });
        Ok(appending)
    }
}

/// The UIDs ascend in the order of the messages.
fn with_appenduid(reply: Reply, appended: &[Appended]) -> Reply {
    let Some(first) = appended.first() else { return reply };
    let uids = SequenceSet::from_ascending(appended.iter().map(|appended| appended.uid.0));
    reply.code(Code::AppendUid(first.uidvalidity, uids))
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
