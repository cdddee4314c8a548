//! Emails and threads by id: what a webmail's pages are made of, besides the list that [`crate::search`] finds.

use store::kv::{Range, Table, after_key};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use crate::record::Metadata;
use crate::table::{EmailState, Emails, Metadatas, ThreadState, Threads, read_many};
use crate::{Error, Mail};

/// An email's mutable state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    /// Its id.
    pub id: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// Its keywords.
    pub keywords: Keywords,
    /// The mailboxes that it is in, and its UID in each.
    pub mailboxes: Vec<(MailboxId, Uid)>,
    /// When it was received.
    pub received: Timestamp,
    /// Octets.
    pub size: u64,
    /// The modseq of its last change.
    pub modseq: ModSeq,
}

impl Mail {
    /// A thread's emails, oldest first.
    pub async fn thread(&self, account: AccountId, thread: ThreadId) -> Result<Option<Vec<EmailId>>, Error> {
        let key = &(account, thread);
        let state = self.look(|tx| async move { Ok(tx.snapshot_load::<Threads>(key).await?) }).await?;
        Ok(state.map(|state| state.emails.into_iter().map(|e| e.email).collect()))
    }

    /// The emails of threads, each oldest first, in the order asked; one read round.
    pub async fn threads(
        &self,
        account: AccountId,
        threads: &[ThreadId],
    ) -> Result<Vec<Option<Vec<EmailId>>>, Error> {
        let keys = &threads.iter().map(|thread| (account, *thread)).collect::<Vec<_>>();
        let states = self.look(|tx| async move { Ok(read_many::<Threads>(&tx, keys).await?) }).await?;
        let emails = |state: ThreadState| state.emails.into_iter().map(|e| e.email).collect();
        Ok(states.into_iter().map(|state| state.map(emails)).collect())
    }

    /// All emails of an account by their ids, at most `limit` of them behind `after`: one range read.
    pub async fn emails(
        &self,
        account: AccountId,
        after: Option<EmailId>,
        limit: usize,
    ) -> Result<Vec<Email>, Error> {
        let mut range = Emails::all(account);
        if let Some(after) = after {
            range.begin = after_key(&Emails::key(&(account, after)));
        }
        let range = &Range::new(range).limit(limit).snapshot();
        let rows = self.look(|tx| async move { Ok(tx.rows::<Emails>(range.clone()).all().await?) }).await?;
        Ok(rows.into_iter().map(|((_, id), state)| Email::new(id, state)).collect())
    }

    /// Emails by id, in the order asked; one read round.
    pub async fn email(&self, account: AccountId, emails: &[EmailId]) -> Result<Vec<Option<Email>>, Error> {
        let keys = &emails.iter().map(|email| (account, *email)).collect::<Vec<_>>();
        let states = self.look(|tx| async move { Ok(read_many::<Emails>(&tx, keys).await?) }).await?;
        Ok(emails.iter().zip(states).map(|(id, state)| state.map(|state| Email::new(*id, state))).collect())
    }

    /// What is known of emails' content, in the order asked; one read round.
    pub async fn metadata(
        &self,
        account: AccountId,
        emails: &[EmailId],
    ) -> Result<Vec<Option<Metadata>>, Error> {
        let keys = &emails.iter().map(|email| (account, *email)).collect::<Vec<_>>();
        self.look(|tx| async move { Ok(read_many::<Metadatas>(&tx, keys).await?) }).await
    }
}

impl Email {
    fn new(id: EmailId, state: EmailState) -> Self {
        let EmailState { thread, modseq, keywords, memberships, received, size, .. } = state;
        let mailboxes = memberships.into_iter().map(|m| (m.mailbox, m.uid)).collect();
        Self { id, thread, keywords, mailboxes, received, size, modseq }
    }
}
