//! APPEND (RFC 9051 §6.3.12), also of several messages at once (RFC 3502): all of them or none. With NUL in binary
//! bodies (RFC 3516) or marked as UTF-8 (RFC 6855). The message of REPLACE comes in here too.

use bytes::BytesMut;
use mail::{Appended, NewEmail, ingest};
use types::{MailboxId, Timestamp};

use super::super::Session;
use super::super::announce::Tell;
use super::super::error::Error;
use super::super::user::User;
use super::replace::Place;
use super::{Outcome, replace};
use crate::wire::command::{AppendForm, AppendMessage, Command};
use crate::wire::response::{Code, Reply};
use crate::wire::{Dialect, Flag, Frame, SequenceSet};

/// Messages that are coming in. Nothing is stored before the last one is whole.
pub(in super::super) struct Appending {
    mailbox: MailboxId,
    /// What goes when they come (REPLACE).
    instead_of: Option<Place>,
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
    /// `~{n}`
    eight: bool,
    bytes: BytesMut,
}

impl Appending {
    /// The next bytes of the message. The framer lets through no more than was announced.
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        self.next.bytes.extend_from_slice(bytes);
    }
}

impl Incoming {
    fn new(message: AppendMessage, eight: bool) -> Self {
        let AppendMessage { flags, received, form } = message;
        Self { flags, received, form, eight, bytes: BytesMut::new() }
    }

    fn check(&self, user: &User) -> Result<(), Error> {
        match self.form {
            AppendForm::Utf8 if user.dialect == Dialect::Rev1 => {
                Err(Error::NotNow("ENABLE UTF8=ACCEPT first"))
            }
            AppendForm::Utf8 if !self.eight => Err(Error::Bad("UTF8 takes a literal of the form ~{n}")),
            _ => Ok(()),
        }
    }
}

impl Session {
    /// Looks at everything that can be refused before the message is sent.
    pub(in super::super) async fn begin_append(
        &mut self,
        command: Command,
        size: u64,
        eight: bool,
    ) -> Result<Appending, Error> {
        let user = self.user.as_mut().ok_or(Error::NotNow("log in first"))?;
        let (mailbox, message, instead_of) = match command {
            Command::Append(append) => (append.mailbox, append.message, None),
            Command::Replace(command) => {
                let old = replace::old(&command, user)?;
                (command.mailbox, command.message, Some(old))
            }
            _ => return Err(Error::Bad("only APPEND and REPLACE take a message")),
        };
        let next = Incoming::new(message, eight);
        next.check(user)?;
        // What goes may make room for what comes: the store decides.
        if instead_of.is_none() {
            check_quota(user, size).await?;
        }
        let mailbox = user.target(&mailbox).await?.id;
        Ok(Appending { mailbox, instead_of, emails: Vec::new(), next, size })
    }

    /// One message is here and another one is announced by `head`.
    pub(in super::super) async fn next_append(
        &mut self,
        appending: Appending,
        head: &Frame,
        size: u64,
        eight: bool,
    ) -> Result<Appending, Error> {
        if appending.instead_of.is_some() {
            return Err(Error::Bad("REPLACE takes one message"));
        }
        let message = AppendMessage::parse_next(head, appending.next.form)?;
        let mut appending = self.take_in(appending).await?;
        appending.next = Incoming::new(message, eight);
        appending.size = appending.size.saturating_add(size);
        let user = self.user.as_ref().ok_or(Error::NotNow("log in first"))?;
        appending.next.check(user)?;
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
        let Appending { mailbox, instead_of, mut emails, .. } = self.take_in(appending).await?;
        let user = self.user.as_mut().ok_or(Error::NotNow("log in first"))?;
        if let Some(old) = instead_of
            && let Some(email) = emails.pop()
        {
            return replace::finish(old, mailbox, email, user, &mut self.out).await;
        }
        let quota = user.quota().await?;
        let appended = match user.mail.append_all(user.account, mailbox, emails, quota).await {
            Err(mail::Error::NoSuchMailbox) => return Err(Error::NoTarget),
            appended => appended?,
        };
        user.put(mailbox, appended.iter().map(|appended| appended.uid));
        Ok(Outcome::Done(with_appenduid(Reply::ok("appended"), &appended), Tell::All))
    }

    /// Parses the message that has come in.
    async fn take_in(&self, mut appending: Appending) -> Result<Appending, Error> {
        let Incoming { flags, received, eight, bytes, .. } =
            std::mem::replace(&mut appending.next, Incoming::new(AppendMessage::default(), false));
        let mut bytes = bytes.freeze();
        if eight {
            bytes = ingest::without_nul(&bytes, &ingest::Limits::default()).ok_or(Error::Nul)?;
        } else if bytes.contains(&0) {
            return Err(Error::NulInLiteral);
        }
        let message = self.services.mail.ingest(bytes).await?;
        let deleted = flags.contains(&Flag::Deleted);
        let keywords = super::store::keywords(flags);
        let received = received.unwrap_or_else(|| self.services.clock.now());
        appending.emails.push(NewEmail { message, keywords, deleted, received });
        Ok(appending)
    }
}

/// The UIDs ascend in the order of the messages.
pub(super) fn with_appenduid(reply: Reply, appended: &[Appended]) -> Reply {
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
