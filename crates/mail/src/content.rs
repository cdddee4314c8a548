//! Reading what emails hold, a page of them at once: their records, and their bytes.

use bytes::Bytes;
use store::kv::{KeyRange, Range, Table, Transaction, after_key, decode};
use types::{AccountId, EmailId, MailboxId, Uid};

use crate::record::Record;
use crate::source::{Holder, Sealed};
use crate::table::{Members, Metadatas, Sources};
use crate::{Error, Mail, Member};

impl Mail {
    /// Emails' content records, undecoded, in the order asked; one read round.
    pub async fn records(
        &self,
        account: AccountId,
        emails: &[EmailId],
    ) -> Result<Vec<Option<Record>>, Error> {
        let rows = self.content_rows::<Metadatas>(account, emails).await?;
        let records = emails.iter().zip(rows).map(|(email, row)| Some(Record::new(account, *email, row?)));
        Ok(records.collect())
    }

    /// Emails' bytes, packed, in the order asked; one read round. What is not in a row is read when it is asked for.
    pub async fn sources(
        &self,
        account: AccountId,
        emails: &[EmailId],
    ) -> Result<Vec<Option<Sealed>>, Error> {
        let rows = self.content_rows::<Sources>(account, emails).await?;
        let holder = |email: &EmailId| Holder::Email(account, *email);
        let sealed =
            emails.iter().zip(rows).map(|(email, row)| Some(Sealed::new(self.clone(), holder(email), row?)));
        Ok(sealed.collect())
    }

    /// An email as it is in a mailbox, and its bytes, packed, if it is there under that UID: one read round.
    pub async fn source_in(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
        email: EmailId,
    ) -> Result<Option<(Member, Sealed)>, Error> {
        let place = &Members::key(&(account, mailbox, uid));
        let source = &Sources::key(&(account, email));
        let rows = |tx: Transaction| async move {
            Ok(tx.snapshot_get_many(vec![place.clone(), source.clone()]).await?)
        };
        let mut rows = self.look(rows).await?.into_iter();
        let (Some(Some(member)), Some(Some(source))) = (rows.next(), rows.next()) else { return Ok(None) };
        let member = Member::new(uid, decode::<Members>(place, &member)?);
        let sealed = Sealed::new(self.clone(), Holder::Email(account, email), source);
        Ok((member.email == email).then_some((member, sealed)))
    }

    async fn content_rows<T>(
        &self,
        account: AccountId,
        emails: &[EmailId],
    ) -> Result<Vec<Option<Bytes>>, Error>
    where
        T: Table<Key = (AccountId, EmailId)>,
    {
        if emails.is_empty() {
            return Ok(Vec::new());
        }
        let keys = &emails.iter().map(|email| T::key(&(account, *email))).collect::<Vec<_>>();
        let range = &dense::<T>(account, emails);
        let rows = |tx: Transaction| async move {
            match range {
                Some(range) => within(&tx, range.clone(), keys).await,
                None => Ok(tx.snapshot_get_many(keys.clone()).await?),
            }
        };
        self.look(rows).await
    }
}

/// The range that holds all of these emails' rows, if they are most of what can be in it. Emails get their ids in the
/// order in which they come, so those of a page of a mailbox mostly lie together; a range is read faster than as many
/// rows each by itself.
fn dense<T: Table<Key = (AccountId, EmailId)>>(account: AccountId, emails: &[EmailId]) -> Option<Range> {
    const FEW: usize = 4;
    let (first, last) = (emails.iter().min()?, emails.iter().max()?);
    let width = usize::try_from(last.0 - first.0).ok()?.checked_add(1)?;
    let keys = KeyRange { begin: T::key(&(account, *first)), end: after_key(&T::key(&(account, *last))) };
    (emails.len() > FEW && width <= emails.len() * 2).then(|| Range::new(keys).limit(width).snapshot())
}

/// The rows of these keys, all of which are in the range.
async fn within(tx: &Transaction, range: Range, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
    let rows = tx.range(range).all().await?;
    let mut next = 0;
    let row = |key: &Bytes| {
        // As a rule they come in order.
        let at = match rows.get(next) {
            Some((found, _)) if found == key => next,
            _ => rows.binary_search_by(|(found, _)| found.cmp(key)).ok()?,
        };
        next = at + 1;
        rows.get(at).map(|(_, row)| row.clone())
    };
    Ok(keys.iter().map(row).collect())
}
