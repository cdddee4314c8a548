//! Who has logged in, and what that opens.

use directory::Directory;
use mail::{Mail, MailboxInfo, MailboxPath, Quota};
use types::{AccountId, Clock, MailboxId};

use super::error::Error;
use super::view::View;
use super::watch::Watching;
use crate::wire::response::{Code, Output, Reply};
use crate::wire::{Dialect, MailboxName};

/// Somebody who has proved who they are. Commands on mail take this as their proof.
pub(crate) struct User {
    /// Whose mail it is.
    pub(crate) account: AccountId,
    /// Where the mail is.
    pub(crate) mail: Mail,
    /// Where the account's limits are.
    pub(crate) directory: Directory,
    /// What time it is.
    pub(crate) clock: Clock,
    /// How names and strings are written.
    pub(crate) dialect: Dialect,
    /// What the client understands about changes.
    pub(crate) syncs: Syncs,
    /// `UTF8=ACCEPT` was enabled (RFC 6855).
    pub(crate) utf8_accept: bool,
    /// The selected mailbox.
    pub(crate) view: Option<View>,
    /// What the client wants to hear of; none until it says so.
    pub(crate) watching: Option<Box<Watching>>,
    /// The largest message that may be appended, in bytes.
    pub(crate) append_limit: u64,
}

/// How far the client follows modseqs (RFC 7162).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Syncs {
    /// Not at all.
    #[default]
    Plain,
    /// Every FETCH response that was not asked for carries UID and MODSEQ.
    CondStore,
    /// Besides, VANISHED takes the place of EXPUNGE.
    QResync,
}

impl User {
    /// The selected mailbox, or BAD.
    pub(crate) fn view(&mut self) -> Result<&mut View, Error> {
        self.view.as_mut().ok_or(Error::NotNow("select a mailbox first"))
    }

    /// Whether the client wants modseqs.
    pub(crate) fn condstore(&self) -> bool {
        self.syncs >= Syncs::CondStore
    }

    /// A CONDSTORE enabling command (RFC 7162 §3.1).
    pub(crate) fn enable_condstore(&mut self, out: &mut Output) {
        if self.condstore() {
            return;
        }
        self.syncs = Syncs::CondStore;
        if let Some(view) = &self.view {
            let code = Code::HighestModSeq(view.highest());
            Reply::ok("from here on changes tell their modseq").code(code).write_untagged(out);
        }
    }

    /// The selected mailbox if it may be changed.
    pub(crate) fn writable(&mut self) -> Result<&mut View, Error> {
        let view = self.view()?;
        if view.read_only { Err(Error::ReadOnly) } else { Ok(view) }
    }

    /// A name as the path of a mailbox that may or may not exist.
    pub(crate) fn path(&self, name: &MailboxName) -> Result<MailboxPath, Error> {
        let text = name.decode(self.dialect)?;
        MailboxPath::parse(&text).map_err(|error| Error::Mail(error.into()))
    }

    /// The mailbox of that name. A name that cannot be one names none.
    pub(crate) async fn find(&self, name: &MailboxName) -> Result<MailboxInfo, Error> {
        let text = name.decode(self.dialect)?;
        let path = MailboxPath::parse(&text).map_err(|_| Error::NoMailbox)?;
        self.mail.find_mailbox(self.account, &path).await?.ok_or(Error::NoMailbox)
    }

    /// The id and the path of the mailbox of that name, which may be gone by now: a point read for each level.
    pub(crate) async fn locate(&self, name: &MailboxName) -> Result<(MailboxId, MailboxPath), Error> {
        let text = name.decode(self.dialect)?;
        let path = MailboxPath::parse(&text).map_err(|_| Error::NoMailbox)?;
        let mailbox = self.mail.mailbox_at(self.account, &path).await?.ok_or(Error::NoMailbox)?;
        Ok((mailbox, path))
    }

    /// What the account may hold, as of now.
    pub(crate) async fn quota(&self) -> Result<Quota, Error> {
        let limits = self.directory.limits(self.account).await.map_err(|_| Error::NoDirectory)?;
        Ok(limits
            .map_or_else(Quota::default, |limits| Quota { bytes: limits.bytes, emails: limits.messages }))
    }

    /// The mailbox of that name to put messages into.
    pub(crate) async fn target(&self, name: &MailboxName) -> Result<MailboxInfo, Error> {
        match self.find(name).await {
            Err(Error::NoMailbox) => Err(Error::NoTarget),
            found => found,
        }
    }
}
