//! The INBOX as it was when the session began: which number is which message, and what is to be removed at QUIT.
//!
//! Numbers are fixed for the session (RFC 1939 §3): what arrives later waits for the next one, what another session
//! removes keeps its number and is refused when it is asked for. All that is known of a message is its UID, its
//! email and its size, read from the mailbox's rows page by page.
//!
//! Sizes are those of the messages as they were received. A message that has a bare LF, or no CRLF at its end,
//! gets that mended on its way out ([`crate::wire`]) and is a few octets longer there; to know by how much, every
//! message would have to be read.

use std::fmt;

use mail::{Mail, MailboxPath};
use types::{AccountId, EmailId, MailboxId, Uid, UidValidity};

use crate::error::Error;

/// How many rows are read at once.
const PAGE: usize = 10_000;

/// The messages of a session.
pub(crate) struct Maildrop {
    uidvalidity: UidValidity,
    uids: Vec<Uid>,
    emails: Vec<EmailId>,
    sizes: Vec<u64>,
    deleted: Vec<bool>,
    left: Totals,
}

/// How many messages are not deleted, and how long they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) messages: usize,
    pub(crate) octets: u64,
}

/// A message that is there as far as this session knows.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) uid: Uid,
    pub(crate) email: EmailId,
    pub(crate) size: u64,
}

/// A message's name for ever, `UIDVALIDITY.UID` in decimal (RFC 1939 §7 UIDL): the server gives a UID only once
/// while the UIDVALIDITY stays, and a UIDVALIDITY never comes back, not even for another account of the same name.
#[derive(Clone, Copy)]
pub(crate) struct UniqueId(UidValidity, Uid);

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages ({} octets)", self.messages, self.octets)
    }
}

impl Maildrop {
    /// Reads what is in the INBOX now: one row for each message.
    pub(crate) async fn open(mail: &Mail, account: AccountId) -> Result<Self, mail::Error> {
        let inbox = MailboxPath::parse("INBOX")?;
        let info = mail.find_mailbox(account, &inbox).await?.ok_or(mail::Error::NoSuchMailbox)?;
        let mut maildrop = Self {
            uidvalidity: info.uidvalidity,
            uids: Vec::new(),
            emails: Vec::new(),
            sizes: Vec::new(),
            deleted: Vec::new(),
            left: Totals::default(),
        };
        // What gets its UID from here on has come too late.
        let end = Uid(info.uidnext.0.saturating_sub(1));
        let mut from = Uid(1);
        while from <= end {
            let page = mail.members(account, MailboxId::INBOX, from, end, PAGE).await?;
            maildrop.uids.extend(page.iter().map(|member| member.uid));
            maildrop.emails.extend(page.iter().map(|member| member.email));
            maildrop.sizes.extend(page.iter().map(|member| member.size));
            match page.last() {
                Some(last) if page.len() == PAGE && last.uid < end => from = last.uid.next(),
                _ => break,
            }
            tokio::task::yield_now().await;
        }
        maildrop.deleted = vec![false; maildrop.uids.len()];
        maildrop.left = maildrop.all();
        Ok(maildrop)
    }

    /// What STAT tells (RFC 1939 §5).
    pub(crate) const fn totals(&self) -> Totals {
        self.left
    }

    /// The message of that number, if it is not deleted.
    pub(crate) fn get(&self, number: usize) -> Result<Entry, Error> {
        let entry = number.checked_sub(1).and_then(|at| self.entry(at));
        let (entry, deleted) = entry.ok_or(Error::NoSuchMessage(self.uids.len()))?;
        if deleted { Err(Error::Deleted(number)) } else { Ok(entry) }
    }

    /// The messages that are not deleted, from that index on.
    pub(crate) fn from(&self, at: usize) -> impl Iterator<Item = Entry> {
        let entries = (at..self.uids.len()).filter_map(|at| self.entry(at));
        entries.filter(|(_, deleted)| !deleted).map(|(entry, _)| entry)
    }

    /// A message's name for ever.
    pub(crate) const fn unique_id(&self, entry: Entry) -> UniqueId {
        UniqueId(self.uidvalidity, entry.uid)
    }

    /// Notes that a message is to be removed at QUIT.
    pub(crate) fn delete(&mut self, entry: Entry) {
        let deleted = entry.number.checked_sub(1).and_then(|at| self.deleted.get_mut(at));
        if let Some(deleted @ false) = deleted {
            *deleted = true;
            self.left.messages -= 1;
            self.left.octets -= entry.size;
        }
    }

    /// Nothing is to be removed any more.
    pub(crate) fn reset(&mut self) {
        self.deleted.fill(false);
        self.left = self.all();
    }

    /// What is to be removed, ascending.
    pub(crate) fn doomed(&self) -> Vec<Uid> {
        let doomed = self.uids.iter().zip(&self.deleted).filter(|(_, deleted)| **deleted);
        doomed.map(|(uid, _)| *uid).collect()
    }

    fn entry(&self, at: usize) -> Option<(Entry, bool)> {
        let entry = Entry {
            number: at + 1,
            uid: *self.uids.get(at)?,
            email: *self.emails.get(at)?,
            size: *self.sizes.get(at)?,
        };
        Some((entry, *self.deleted.get(at)?))
    }

    fn all(&self) -> Totals {
        Totals { messages: self.uids.len(), octets: self.sizes.iter().sum() }
    }
}
