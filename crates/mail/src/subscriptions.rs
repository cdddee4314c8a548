//! Subscriptions by name, as IMAP has them: they outlive their mailboxes.

use std::collections::BTreeSet;

use store::kv::{Range, Transaction};
use types::AccountId;

use crate::edit::Edit;
use crate::name::MailboxPath;
use crate::table::{Subscribed, Subscriptions};
use crate::{Error, Mail};

impl Mail {
    /// Names that are subscribed to though no mailbox has them any more.
    pub async fn lost_subscriptions(&self, account: AccountId) -> Result<Vec<MailboxPath>, Error> {
        let rows = self.look(|tx| async move { Ok(lost(&tx, account).await?) }).await?;
        Ok(rows)
    }

    /// Ends the subscription to a name that no mailbox has any more. [`Error::NoSuchMailbox`] if there is none.
    pub async fn end_lost_subscription(&self, account: AccountId, path: &MailboxPath) -> Result<(), Error> {
        let _turn = self.turn(account).await;
        let modseq = self
            .kv()
            .run(|tx| async move {
                let key = (account, path.clone());
                tx.load::<Subscriptions>(&key).await?.ok_or(Error::NoSuchMailbox)?;
                tx.remove::<Subscriptions>(&key)?;
                let mut edit = Edit::open(&tx, account, self.now()).await?;
                edit.unsubscribed(path);
                edit.finish().await
            })
            .await?;
        self.announce(account, modseq).await;
        Ok(())
    }
}

impl Edit {
    /// The subscribed mailboxes of these paths are being deleted: their names stay subscribed to.
    pub(crate) async fn keep_subscriptions(&self, paths: Vec<MailboxPath>) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let room = Subscriptions::MOST.saturating_sub(self.lost_subscriptions().await?.len());
        for path in paths.into_iter().take(room) {
            self.tx().save::<Subscriptions>(&(self.account(), path), &Subscribed {})?;
        }
        Ok(())
    }

    /// Names that are subscribed to though no mailbox has them.
    pub(crate) async fn lost_subscriptions(&self) -> Result<BTreeSet<MailboxPath>, Error> {
        Ok(lost(self.tx(), self.account()).await?.into_iter().collect())
    }

    /// A mailbox of that path is being made: whether its name was subscribed to before.
    pub(crate) async fn take_subscription(&self, path: MailboxPath) -> Result<bool, Error> {
        let key = (self.account(), path);
        let kept = self.tx().load::<Subscriptions>(&key).await?.is_some();
        if kept {
            self.tx().remove::<Subscriptions>(&key)?;
        }
        Ok(kept)
    }
}

async fn lost(tx: &Transaction, account: AccountId) -> Result<Vec<MailboxPath>, store::kv::Error> {
    let range = Range::new(Subscriptions::all(account)).limit(Subscriptions::MOST);
    let rows = tx.rows::<Subscriptions>(range).all().await?;
    Ok(rows.into_iter().map(|((_, path), _)| path).collect())
}
