//! Undelete: expunged emails can be listed and brought back until they are purged.

use store::kv::{Range, Table};
use types::{AccountId, EmailId, Keywords, MailboxId, Timestamp};

use crate::append::Appended;
use crate::deliver::{Failure, Quota};
use crate::edit::{Edit, thread_keys};
use crate::place::owner;
use crate::table::{Expungeds, Metadatas, Sources};
use crate::{Error, Mail};

/// An expunged email that can be brought back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restorable {
    /// When it left its last mailbox.
    pub at: Timestamp,
    /// Its id; brought back it gets a new one.
    pub email: EmailId,
    /// The mailboxes that it was in last.
    pub mailboxes: Vec<MailboxId>,
    /// The keywords that it had.
    pub keywords: Keywords,
    /// When it was received.
    pub received: Timestamp,
    /// Octets.
    pub size: u64,
}

impl Mail {
    /// Expunged emails that can be brought back, the latest first; the next page begins behind the moment and
    /// the email of the last one's end.
    pub async fn expunged(
        &self,
        account: AccountId,
        after: Option<(Timestamp, EmailId)>,
        limit: usize,
    ) -> Result<Vec<Restorable>, Error> {
        let mut keys = Expungeds::all(account);
        if let Some((at, email)) = after {
            keys.end = Expungeds::key(&(account, at, email));
        }
        let range = &Range::new(keys).reverse().limit(limit).snapshot();
        let rows =
            self.look(|tx| async move { Ok(tx.rows::<Expungeds>(range.clone()).all().await?) }).await?;
        let restorable = rows.into_iter().map(|((_, at, email), row)| Restorable {
            at,
            email,
            mailboxes: row.mailboxes,
            keywords: row.keywords,
            received: row.received,
            size: row.size,
        });
        Ok(restorable.collect())
    }

    /// Brings an expunged email back into a mailbox, under a new id and UID: those of the old one are not used
    /// again.
    pub async fn restore(
        &self,
        account: AccountId,
        expunged: &Restorable,
        to: MailboxId,
        quota: Quota,
    ) -> Result<Appended, Error> {
        let _turn = self.turn(account).await;
        let appended = self
            .kv()
            .run(|tx| async move {
                let mut edit = Edit::open(&tx, account, self.now()).await?;
                edit.mailbox(to).await?;
                let old = (account, expunged.at, expunged.email);
                let row = tx.load::<Expungeds>(&old).await?.ok_or(Error::NoSuchEmail)?;
                quota.check(edit.state(), row.size)?;
                let content = self.content(&edit, expunged.email).await?;
                let thread = edit.join_thread(&thread_keys(&content.0)).await?;
                let email = edit.create_email(thread, row.keywords, row.received, row.size)?;
                let uid = edit.add_membership(email, to, false)?;
                self.save_content(&edit, email, &content).await?;
                self.drop_content(&mut edit, expunged.email, &content).await?;
                tx.remove::<Expungeds>(&old)?;
                let uidvalidity = edit.uidvalidity(to)?;
                Ok::<_, Failure>(Appended { email, thread, uid, uidvalidity, modseq: edit.finish().await? })
            })
            .await
            .map_err(Failure::into_error)?;
        self.announce(account, appended.modseq).await;
        Ok(appended)
    }

    /// Removes an email's content for good.
    pub(crate) async fn drop_content(
        &self,
        edit: &mut Edit,
        email: EmailId,
        (metadata, source): &(crate::Metadata, crate::table::SourceRecord),
    ) -> Result<(), Failure> {
        edit.leave_thread_keys(metadata).await?;
        let key = (edit.account(), email);
        for hash in source.blobs() {
            self.blobs().unlink(edit.tx(), &hash, &owner(edit.account(), email))?;
        }
        edit.tx().remove::<Metadatas>(&key)?;
        edit.tx().remove::<Sources>(&key)?;
        Ok(())
    }
}
