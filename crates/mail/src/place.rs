//! Putting a message into a mailbox as a new email, within a change: what delivery, APPEND and import share.

use bytes::Bytes;
use store::kv::Table;
use types::{AccountId, EmailId, Keywords, MailboxId, ThreadId, Timestamp, Uid};

use crate::deliver::Quota;
use crate::edit::{Edit, Needs, thread_keys};
use crate::table::{DeliveredRow, Metadatas, Sources};
use crate::{Error, Message};

/// Where and how a message shall be put.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    pub(crate) mailbox: MailboxId,
    pub(crate) keywords: Keywords,
    pub(crate) deleted: bool,
    pub(crate) received: Timestamp,
    pub(crate) quota: Quota,
}

/// Where it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub(crate) email: EmailId,
    pub(crate) thread: ThreadId,
    pub(crate) uid: Uid,
}

impl Placed {
    /// The marker row that makes a retry find what was done.
    pub(crate) const fn marker(&self, mailbox: MailboxId) -> DeliveredRow {
        DeliveredRow { email: self.email, thread: self.thread, mailbox, uid: self.uid }
    }
}

/// What a change that places these messages reads first.
pub(crate) fn needs<'m>(
    mailboxes: Vec<MailboxId>,
    messages: impl Iterator<Item = &'m Message>,
    rows: Vec<Bytes>,
) -> Needs {
    let mut keys: Vec<_> = messages.flat_map(|message| thread_keys(message.metadata())).collect();
    keys.sort_unstable();
    keys.dedup();
    Needs { mailboxes, thread_keys: keys, rows }
}

impl Edit {
    /// Puts `message` into a mailbox as a new email. What is refused (quota, mailbox, keywords) is refused
    /// before anything is written.
    pub(crate) async fn place(&mut self, message: &Message, placing: &Placing) -> Result<Placed, Error> {
        self.mailbox(placing.mailbox).await?;
        self.check_placing(placing.mailbox, &placing.keywords)?;
        placing.quota.check(self.state(), message.size())?;
        let thread = self.join_thread(&thread_keys(message.metadata())).await?;
        let email = self.create_email(thread, placing.keywords.clone(), placing.received, message.size())?;
        let uid = self.add_membership(email, placing.mailbox, placing.deleted)?;
        let key = (self.account(), email);
        self.tx().set(Metadatas::key(&key), message.metadata_row())?;
        self.tx().set(Sources::key(&key), message.source_row())?;
        Ok(Placed { email, thread, uid })
    }
}

/// Who holds a blob: an email of an account.
pub(crate) fn owner(account: AccountId, email: EmailId) -> [u8; 16] {
    let mut owner = [0; 16];
    owner[..8].copy_from_slice(&account.to_be_bytes());
    owner[8..].copy_from_slice(&email.to_be_bytes());
    owner
}
