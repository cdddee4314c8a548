//! Who has logged in: the maildrop, and what the session does to the mailbox.

use mail::{FlagAction, FlagChange, Mail};
use types::{AccountId, Keyword, Keywords, MailboxId, Uid};

use crate::error::Error;
use crate::maildrop::Maildrop;

/// How many messages are changed at once, which `mail` does in one transaction.
const STEP: usize = 500;

/// Somebody who has proved who they are. Commands on mail take this as their proof.
pub(crate) struct User {
    pub(crate) account: AccountId,
    pub(crate) mail: Mail,
    pub(crate) maildrop: Maildrop,
    /// Messages that were sent whole and are to be marked as seen. A commit for each would make fetching wait for
    /// the disk, so they are marked many at once: now and then, and when the session ends.
    seen: Vec<Uid>,
}

impl User {
    pub(crate) const fn new(account: AccountId, mail: Mail, maildrop: Maildrop) -> Self {
        Self { account, mail, maildrop, seen: Vec::new() }
    }

    /// Notes that a message was sent whole.
    pub(crate) async fn saw(&mut self, uid: Uid) {
        self.seen.push(uid);
        if self.seen.len() >= STEP {
            self.mark_seen().await;
        }
    }

    /// Marks what was sent as seen. Failing that, the messages were sent all the same.
    pub(crate) async fn mark_seen(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        let keywords: Keywords = Keyword::new(Keyword::SEEN).into_iter().collect();
        if let Err(error) = self.add_flags(&seen, keywords, false).await {
            tracing::warn!(account = self.account.0, %error, "messages fetched by pop3 were not marked as seen");
        }
    }

    /// The UPDATE state (RFC 1939 §6): removes what DELE has named, and nothing else. `\Deleted` and EXPUNGE follow
    /// each other closely, so that a failure leaves few messages with the mark alone.
    pub(crate) async fn update(&mut self) -> Result<usize, Error> {
        let doomed = self.maildrop.doomed();
        self.seen.retain(|uid| doomed.binary_search(uid).is_err());
        let mut done = 0;
        for step in doomed.chunks(STEP) {
            if let Err(why) = self.remove(step).await {
                return Err(Error::NotRemoved { left: doomed.len() - done, asked: doomed.len(), why });
            }
            done += step.len();
            tokio::task::yield_now().await;
        }
        self.maildrop.reset();
        Ok(done)
    }

    async fn remove(&self, uids: &[Uid]) -> Result<(), mail::Error> {
        self.add_flags(uids, Keywords::new(), true).await?;
        self.mail.expunge(self.account, MailboxId::INBOX, Some(uids)).await?;
        Ok(())
    }

    async fn add_flags(&self, uids: &[Uid], keywords: Keywords, deleted: bool) -> Result<(), mail::Error> {
        if uids.is_empty() {
            return Ok(());
        }
        let change = FlagChange { action: FlagAction::Add, keywords, deleted };
        self.mail.store(self.account, MailboxId::INBOX, uids, &change, None).await?;
        Ok(())
    }
}
