//! `thread`: the emails of a thread, with what counting threads per mailbox needs. `thread key`: which thread a
//! message id (together with a base subject) belongs to.

use std::collections::BTreeMap;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, EmailId, MailboxId, ThreadId, Timestamp};

use super::{Number, reader, table};
use crate::record::ThreadKey;

/// Key: account, thread.
pub(crate) struct Threads;

/// A thread's emails, oldest first (RFC 8621 §3).
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct ThreadState {
    #[n(0)]
    pub(crate) emails: Vec<ThreadEmail>,
}

/// An email in a thread.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ThreadEmail {
    #[n(0)]
    pub(crate) email: EmailId,
    #[n(1)]
    pub(crate) received: Timestamp,
    #[n(2)]
    pub(crate) unread: bool,
    #[n(3)]
    pub(crate) mailboxes: Vec<MailboxId>,
}

/// Key: account, thread key (12 bytes).
pub(crate) struct ThreadKeys;

/// The thread of a key, and how many emails carry the key; the row goes with the last.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct ThreadKeyRow {
    #[n(0)]
    pub(crate) thread: ThreadId,
    #[n(1)]
    pub(crate) emails: u64,
}

impl ThreadState {
    /// Emails beyond this begin a thread of their own: the row is read and written by each change to any of
    /// them.
    pub(crate) const MOST_EMAILS: usize = 500;

    /// Puts an email in its place, or replaces it.
    pub(crate) fn put(&mut self, entry: ThreadEmail) {
        self.remove(entry.email);
        let at = self.emails.partition_point(|e| (e.received, e.email) < (entry.received, entry.email));
        self.emails.insert(at, entry);
    }

    /// Takes an email out.
    pub(crate) fn remove(&mut self, email: EmailId) {
        self.emails.retain(|e| e.email != email);
    }

    /// The mailboxes that show the thread, and whether each shows it as unread (RFC 8621 §2
    /// `unreadThreads`): any unread email makes it unread everywhere, but emails that are only in the trash
    /// count only there, and there only they count.
    pub(crate) fn shown_in(&self, trash: Option<MailboxId>) -> BTreeMap<MailboxId, bool> {
        let in_trash = |e: &ThreadEmail| trash.is_some_and(|trash| e.mailboxes.contains(&trash));
        let elsewhere = |e: &ThreadEmail| e.mailboxes.iter().any(|m| Some(*m) != trash);
        let unread = self.emails.iter().any(|e| e.unread && elsewhere(e));
        let unread_in_trash = self.emails.iter().any(|e| e.unread && in_trash(e));
        let mailboxes = self.emails.iter().flat_map(|e| e.mailboxes.iter().copied());
        mailboxes.map(|m| (m, if Some(m) == trash { unread_in_trash } else { unread })).collect()
    }
}

impl Threads {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::Thread).range()
    }
}

impl ThreadKeys {
    /// All rows of an account.
    pub(crate) fn all(account: AccountId) -> KeyRange {
        table(account, Number::ThreadKey).range()
    }
}

impl Table for Threads {
    type Key = (AccountId, ThreadId);
    type Record = ThreadState;
    const NAME: &'static str = "thread";

    fn key((account, thread): &Self::Key) -> Bytes {
        table(*account, Number::Thread).u64(thread.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Thread)?;
        let thread = ThreadId(rest.u64()?);
        rest.end().map(|()| (account, thread))
    }
}

impl Table for ThreadKeys {
    type Key = (AccountId, ThreadKey);
    type Record = ThreadKeyRow;
    const NAME: &'static str = "thread key";

    fn key((account, key): &Self::Key) -> Bytes {
        table(*account, Number::ThreadKey).bytes(&key.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::ThreadKey)?;
        let key = ThreadKey(rest.take()?);
        rest.end().map(|()| (account, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(id: u64, unread: bool, mailboxes: &[u32]) -> ThreadEmail {
        let mailboxes = mailboxes.iter().map(|m| MailboxId(*m)).collect();
        ThreadEmail { email: EmailId(id), received: Timestamp(id), unread, mailboxes }
    }

    #[test]
    fn the_trash_counts_for_itself() {
        let trash = Some(MailboxId(9));
        let mut thread = ThreadState::default();
        thread.put(email(2, false, &[1]));
        thread.put(email(1, true, &[9]));
        assert_eq!(thread.emails[0].email, EmailId(1));
        assert_eq!(thread.shown_in(trash), [(MailboxId(1), false), (MailboxId(9), true)].into());
        assert_eq!(thread.shown_in(None), [(MailboxId(1), true), (MailboxId(9), true)].into());
        thread.put(email(3, true, &[2]));
        thread.remove(EmailId(1));
        assert_eq!(thread.shown_in(trash), [(MailboxId(1), true), (MailboxId(2), true)].into());
    }
}
