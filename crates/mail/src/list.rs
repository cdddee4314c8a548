//! Lists by date, emails and threads by id: what a webmail's first page is made of. Work follows the page.

use std::collections::BTreeSet;

use store::kv::{KeyRange, Range, Table, Transaction, after_key};
use types::{AccountId, EmailId, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid};

use crate::record::Metadata;
use crate::table::{
    EmailState, Emails, Metadatas, ReceivedKey, ReceivedRow, Receiveds, ThreadEmail, ThreadState, Threads,
    read_many,
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
        let mut range = Receiveds::all(account, mailbox);
        if let Some(Cursor { received, email }) = request.after {
            range.end = Receiveds::key(&ReceivedKey { account, mailbox, received, email });
        }
        let range = &range;
        let page = |tx: Transaction| async move {
            match request.collapse {
                true => collapsed(&tx, range.clone(), request).await,
                false => plain(&tx, range.clone(), request.limit).await,
            }
        };
        self.look(page).await
    }

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

impl ListRow {
    fn new(key: ReceivedKey, row: ReceivedRow) -> Self {
        Self { email: key.email, thread: row.thread, uid: row.uid, received: key.received }
    }

    const fn cursor(&self) -> Cursor {
        Cursor { received: self.received, email: self.email }
    }
}

/// Rows that one step of a collapsed list reads at most, beyond what the page still wants.
const LONGEST_STEP: usize = 256;

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
    let mut step = 0;
    loop {
        // One more than wanted, to know whether there is a next page. Where much is hidden, steps grow.
        let count = (request.limit - page.rows.len()).saturating_add(1).max(step);
        step = (step * 2).clamp(4, LONGEST_STEP);
        let rows =
            tx.rows::<Receiveds>(Range::new(rest.clone()).reverse().limit(count).snapshot()).all().await?;
        let ended = rows.len() < count;
        if let Some((last, _)) = rows.last() {
            rest.end = Receiveds::key(last);
        }
        let rows: Vec<_> = rows.into_iter().map(|(key, row)| (key, ListRow::new(key, row))).collect();
        // On the first page all newer emails have been seen; on later ones the threads must say.
        let shown_before = if first_page { vec![false; rows.len()] } else { have_newer(tx, &rows).await? };
        for ((_, row), shown_before) in rows.iter().zip(shown_before) {
            if !seen.insert(row.thread) || shown_before {
                continue;
            }
            if page.rows.len() == request.limit {
                page.next = page.rows.last().map(ListRow::cursor);
                return Ok(page);
            }
            page.rows.push(*row);
        }
        if page.rows.len() == request.limit && !ended {
            // Nothing of the next page was seen yet: it begins somewhere behind this row.
            page.next = rows.last().map(|(_, row)| row.cursor());
        }
        if ended || page.next.is_some() {
            return Ok(page);
        }
    }
}

/// Whether each row's thread has a newer email in the same mailbox.
async fn have_newer(tx: &Transaction, rows: &[(ReceivedKey, ListRow)]) -> Result<Vec<bool>, Error> {
    let keys: Vec<_> = rows.iter().map(|(key, row)| (key.account, row.thread)).collect();
    let states = read_many::<Threads>(tx, &keys).await?;
    let answers = rows.iter().zip(states).map(|((key, row), state)| {
        let newer = |e: &ThreadEmail| {
            (e.received, e.email) > (row.received, row.email) && e.mailboxes.contains(&key.mailbox)
        };
        state.is_some_and(|state| state.emails.iter().any(newer))
    });
    Ok(answers.collect())
}
