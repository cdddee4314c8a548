//! Lists by date, emails and threads by id: what a webmail's first page is made of. Work follows the page.

use std::collections::BTreeSet;

use store::kv::{KeyRange, Range, Table, Transaction};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use crate::record::Metadata;
use crate::table::{
    EmailState, Emails, Metadatas, ReceivedKey, ReceivedRow, Receiveds, ThreadState, Threads,
};
use crate::{Error, Mail};

/// Where a page ended: the next one begins behind it, whatever was delivered meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The last row's date.
    pub received: Timestamp,
    /// The last row's email.
    pub email: EmailId,
}

/// Which page to list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListRequest {
    /// Behind this row; `None` is the first page.
    pub after: Option<Cursor>,
    /// At most this many rows.
    pub limit: usize,
    /// Only the newest email of each thread (RFC 8621 §4.4.3 `collapseThreads`).
    pub collapse: bool,
}

/// A row of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListRow {
    /// The email.
    pub email: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// Its UID in the mailbox.
    pub uid: Uid,
    /// When it was received.
    pub received: Timestamp,
}

/// A page of a list, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListPage {
    /// The rows.
    pub rows: Vec<ListRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

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
    /// A page of a mailbox by date, newest first. Without collapsing it reads as many rows as it returns; with
    /// it, a row more for each email that is hidden behind a newer one of its thread, and on later pages one
    /// per thread.
    pub async fn list(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        request: ListRequest,
    ) -> Result<ListPage, Error> {
        let tx = self.kv().read().await?;
        let mut range = Receiveds::all(account, mailbox);
        if let Some(Cursor { received, email }) = request.after {
            range.end = Receiveds::key(&ReceivedKey { account, mailbox, received, email });
        }
        if request.collapse {
            collapsed(&tx, range, request).await
        } else {
            plain(&tx, range, request.limit).await
        }
    }

    /// A thread's emails, oldest first.
    pub async fn thread(&self, account: AccountId, thread: ThreadId) -> Result<Option<Vec<EmailId>>, Error> {
        let state = self.kv().read().await?.snapshot_load::<Threads>(&(account, thread)).await?;
        Ok(state.map(|state| state.emails.into_iter().map(|e| e.email).collect()))
    }

    /// Emails by id, in the order asked; one read round.
    pub async fn email(&self, account: AccountId, emails: &[EmailId]) -> Result<Vec<Option<Email>>, Error> {
        let keys: Vec<_> = emails.iter().map(|email| (account, *email)).collect();
        let states = self.kv().read().await?.load_many::<Emails>(&keys).await?;
        Ok(emails.iter().zip(states).map(|(id, state)| state.map(|state| Email::new(*id, state))).collect())
    }

    /// What is known of emails' content, in the order asked; one read round.
    pub async fn metadata(
        &self,
        account: AccountId,
        emails: &[EmailId],
    ) -> Result<Vec<Option<Metadata>>, Error> {
        let keys: Vec<_> = emails.iter().map(|email| (account, *email)).collect();
        Ok(self.kv().read().await?.load_many::<Metadatas>(&keys).await?)
    }
}

impl Email {
    fn new(id: EmailId, state: EmailState) -> Self {
        let EmailState { thread, modseq, keywords, memberships, received, size } = state;
        let mailboxes = memberships.into_iter().map(|m| (m.mailbox, m.uid)).collect();
        Self { id, thread, keywords, mailboxes, received, size, modseq }
    }
}

impl ListRow {
    fn new(key: ReceivedKey, row: ReceivedRow) -> Self {
        Self { email: key.email, thread: row.thread, uid: row.uid, received: key.received }
    }

    const fn cursor(&self) -> Cursor {
        Cursor { received: self.received, email: self.email }
    }
}

async fn plain(tx: &Transaction, range: KeyRange, limit: usize) -> Result<ListPage, Error> {
    let range = Range::new(range).reverse().limit(limit.saturating_add(1)).snapshot();
    let mut rows = tx.rows::<Receiveds>(range).all().await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let rows: Vec<_> = rows.into_iter().map(|(key, row)| ListRow::new(key, row)).collect();
    let next = rows.last().filter(|_| more).map(ListRow::cursor);
    Ok(ListPage { rows, next })
}

async fn collapsed(tx: &Transaction, range: KeyRange, request: ListRequest) -> Result<ListPage, Error> {
    let first_page = request.after.is_none();
    let mut seen = BTreeSet::new();
    let mut page = ListPage::default();
    let mut rest = range;
    while page.rows.len() < request.limit {
        let wanted = request.limit - page.rows.len();
        let step = Range::new(rest.clone()).reverse().limit(wanted).snapshot();
        let rows = tx.rows::<Receiveds>(step).all().await?;
        let Some((last, _)) = rows.last() else { return Ok(page) };
        rest.end = Receiveds::key(last);
        let ended = rows.len() < wanted;
        let rows: Vec<_> = rows.into_iter().map(|(key, row)| (key, ListRow::new(key, row))).collect();
        // On the first page all newer emails have been seen; on later ones the threads must say.
        let shown_before = if first_page { vec![false; rows.len()] } else { have_newer(tx, &rows).await? };
        for ((_, row), shown_before) in rows.iter().zip(shown_before) {
            if seen.insert(row.thread) && !shown_before {
                page.rows.push(*row);
            }
            page.next = Some(row.cursor());
        }
        if ended {
            page.next = None;
            return Ok(page);
        }
    }
    Ok(page)
}

/// Whether each row's thread has a newer email in the same mailbox.
async fn have_newer(tx: &Transaction, rows: &[(ReceivedKey, ListRow)]) -> Result<Vec<bool>, Error> {
    let keys: Vec<_> = rows.iter().map(|(key, row)| (key.account, row.thread)).collect();
    let keys = keys.iter().map(Threads::key).collect();
    let values = tx.snapshot_get_many(keys).await?;
    let states = rows.iter().zip(values).map(|((key, row), value)| {
        let state: Option<ThreadState> = value
            .map(|v| store::kv::decode::<Threads>(&Threads::key(&(key.account, row.thread)), &v))
            .transpose()?;
        let newer = |e: &crate::table::ThreadEmail| {
            (e.received, e.email) > (row.received, row.email) && e.mailboxes.contains(&key.mailbox)
        };
        Ok(state.is_some_and(|state| state.emails.iter().any(newer)))
    });
    states.collect()
}
