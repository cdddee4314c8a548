//! What is known of an email before it is opened.

use std::collections::BTreeMap;

use mail::{Email, Entry, Mail};
use types::{AccountId, EmailId, Keywords, MailboxId, ThreadId, Timestamp};

use crate::error::MethodError;

/// A candidate.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) email: EmailId,
    pub(super) thread: ThreadId,
    pub(super) keywords: Keywords,
    pub(super) received: Timestamp,
    pub(super) size: u64,
    /// The mailboxes that it is in, as far as anybody asks: at least the one that all candidates are in.
    pub(super) mailboxes: Vec<MailboxId>,
}

impl Row {
    /// One of all emails.
    pub(super) fn of(email: Email) -> Self {
        let Email { id, thread, keywords, mailboxes, received, size, .. } = email;
        let mailboxes = mailboxes.into_iter().map(|(mailbox, _)| mailbox).collect();
        Self { email: id, thread, keywords, received, size, mailboxes }
    }

    /// One of a mailbox's.
    pub(super) fn member(entry: &Entry<'_>, home: MailboxId) -> Self {
        Self {
            email: entry.email(),
            thread: entry.thread(),
            keywords: entry.keywords().clone(),
            received: entry.received(),
            size: entry.size(),
            mailboxes: vec![home],
        }
    }
}

/// The keywords of all emails of some threads.
#[derive(Default)]
pub(super) struct ThreadKeywords(BTreeMap<ThreadId, Vec<Keywords>>);

impl ThreadKeywords {
    /// Reads them: one round for the threads, one for their emails.
    pub(super) async fn read(mail: &Mail, account: AccountId, rows: &[Row]) -> Result<Self, MethodError> {
        let mut threads: Vec<ThreadId> = rows.iter().map(|row| row.thread).collect();
        threads.sort_unstable();
        threads.dedup();
        let emails: Vec<EmailId> =
            mail.threads(account, &threads).await?.into_iter().flatten().flatten().collect();
        let mut keywords: BTreeMap<ThreadId, Vec<Keywords>> = BTreeMap::new();
        for email in mail.email(account, &emails).await?.into_iter().flatten() {
            keywords.entry(email.thread).or_default().push(email.keywords);
        }
        Ok(Self(keywords))
    }

    /// Whether all emails of a thread have a keyword.
    pub(super) fn all(&self, thread: ThreadId, keyword: &str) -> bool {
        self.of(thread).iter().all(|keywords| keywords.contains(keyword))
    }

    /// Whether some email of a thread has a keyword.
    pub(super) fn some(&self, thread: ThreadId, keyword: &str) -> bool {
        self.of(thread).iter().any(|keywords| keywords.contains(keyword))
    }

    fn of(&self, thread: ThreadId) -> &[Keywords] {
        self.0.get(&thread).map(Vec::as_slice).unwrap_or_default()
    }
}
