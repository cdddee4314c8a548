//! Following an account's changes in steps of any size, one kind of thing at a time: JMAP's `*/changes`.
//!
//! A row of the change log may name thousands of emails, and a client may ask for fifty of them. Where somebody stands
//! in the log is therefore a modseq and how much of the next row they have seen. Rows never change, so that a standing
//! is good for as long as its row is there.

use std::collections::BTreeMap;

use store::kv::Transaction;
use types::{AccountId, MailboxId, ModSeq, ObjectId, ThreadId};

use crate::changes::{folded, log_since};
use crate::table::{self, Changed, Mailboxes, read_many};
use crate::{EmailChanged, Error, Mail, ObjectKind};

/// Rows of the log that one call reads at most; the caller asks again for more.
const ROWS: usize = 20_000;

/// Where somebody stands in the change log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Standing {
    /// They know all changes up to this one.
    pub modseq: ModSeq,
    /// And so many things of the kind that they follow, of the next one.
    pub part: u32,
}

/// What has changed behind a standing, each thing in at most one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed<T> {
    /// How far this reaches.
    pub to: Standing,
    /// There is more behind it.
    pub more: bool,
    /// New things.
    pub created: Vec<T>,
    /// Changed ones.
    pub updated: Vec<T>,
    /// Those that are gone.
    pub destroyed: Vec<T>,
}

impl From<ModSeq> for Standing {
    fn from(modseq: ModSeq) -> Self {
        Self { modseq, part: 0 }
    }
}

impl Mail {
    /// Emails that have changed, at most `max`.
    pub async fn follow_emails(
        &self,
        account: AccountId,
        since: Standing,
        max: usize,
    ) -> Result<Followed<EmailChanged>, Error> {
        let named = |change: &table::Change| change.emails.iter().flat_map(emails_named).collect();
        self.look(|tx| async move { follow(&tx, account, since, max, &named).await }).await
    }

    /// Threads that have got or lost emails, at most `max`.
    pub async fn follow_threads(
        &self,
        account: AccountId,
        since: Standing,
        max: usize,
    ) -> Result<Followed<ThreadId>, Error> {
        let named = |change: &table::Change| change.threads.iter().map(|t| (t.thread, t.changed)).collect();
        self.look(|tx| async move { follow(&tx, account, since, max, &named).await }).await
    }

    /// Objects of a kind that have changed, at most `max`.
    pub async fn follow_objects(
        &self,
        account: AccountId,
        kind: ObjectKind,
        since: Standing,
        max: usize,
    ) -> Result<Followed<ObjectId>, Error> {
        let named = |change: &table::Change| {
            change.objects_of(kind).iter().map(|o| (o.object, o.changed)).collect::<Vec<_>>()
        };
        self.look(|tx| async move { follow(&tx, account, since, max, &named).await }).await
    }

    /// Mailboxes that have changed, at most `max`, and whether of all that were updated only the counters did (RFC 8621
    /// §2.2 `updatedProperties`).
    pub async fn follow_mailboxes(
        &self,
        account: AccountId,
        since: Standing,
        max: usize,
    ) -> Result<(Followed<MailboxId>, bool), Error> {
        self.look(|tx| async move {
            let named = |change: &table::Change| {
                change.mailboxes.iter().map(|m| (m.mailbox, m.changed)).collect::<Vec<_>>()
            };
            let mut followed = follow(&tx, account, since, max, &named).await?;
            // A mailbox that is being emptied after its deletion may still be counted by a writer that has not read it.
            let keys: Vec<_> = followed.updated.iter().map(|mailbox| (account, *mailbox)).collect();
            let records = read_many::<Mailboxes>(&tx, &keys).await?;
            let mut is_there =
                records.into_iter().map(|record| record.is_some_and(|record| !record.deleting));
            followed.updated.retain(|_| is_there.next().unwrap_or(false));
            let only = match followed.updated.is_empty() {
                true => false,
                false => counters_only(&tx, account, since, &followed).await?,
            };
            Ok((followed, only))
        })
        .await
    }
}

/// The JMAP emails that a change names: one that moved to another thread ends there and begins here.
fn emails_named(email: &table::EmailChange) -> impl Iterator<Item = (EmailChanged, Changed)> + use<> {
    let now = EmailChanged { email: email.email, thread: email.thread };
    let moved = email.old_thread.filter(|_| email.changed == Changed::Updated);
    let before = moved.map(|thread| (EmailChanged { thread, ..now }, Changed::Destroyed));
    let changed = if moved.is_some() { Changed::Created } else { email.changed };
    before.into_iter().chain([(now, changed)])
}

/// What has changed of what `named` finds in a row of the log, in an order that never changes.
pub(crate) async fn follow<K: Ord + Copy>(
    tx: &Transaction,
    account: AccountId,
    since: Standing,
    max: usize,
    named: &(dyn Fn(&table::Change) -> Vec<(K, Changed)> + Sync),
) -> Result<Followed<K>, Error> {
    let (state, mut log) = log_since(tx, account, since.modseq).await?;
    let mut fold: BTreeMap<K, Changed> = BTreeMap::new();
    let (mut at, mut more, mut rows) = (since, false, 0);
    'log: while let Some(((_, modseq), change)) = log.next().await? {
        for (index, (key, changed)) in (0_u32..).zip(named(&change)).skip(at.part as usize) {
            if fold.len() >= max && !fold.contains_key(&key) {
                (at.part, more) = (index, true);
                break 'log;
            }
            match folded(fold.get(&key).copied(), changed) {
                Some(changed) => fold.insert(key, changed),
                None => fold.remove(&key),
            };
        }
        at = modseq.into();
        rows += 1;
        if rows >= ROWS && modseq < state.modseq {
            more = true;
            break;
        }
    }
    let to = if more { at } else { state.modseq.into() };
    let of = |kind: Changed| fold.iter().filter(|(_, c)| **c == kind).map(|(key, _)| *key).collect();
    let (created, updated, destroyed) = (of(Changed::Created), of(Changed::Updated), of(Changed::Destroyed));
    Ok(Followed { to, more, created, updated, destroyed })
}

/// Whether nothing but counters has changed of the mailboxes that were updated.
async fn counters_only(
    tx: &Transaction,
    account: AccountId,
    since: Standing,
    followed: &Followed<MailboxId>,
) -> Result<bool, Error> {
    let more = |change: &table::Change| {
        let more = |m: &table::MailboxChange| !m.counters_only && followed.updated.contains(&m.mailbox);
        change.mailboxes.iter().any(more)
    };
    Ok(!follow_any(tx, account, since, followed.to, &more).await?)
}

/// Whether something holds of any row between two standings.
pub(crate) async fn follow_any(
    tx: &Transaction,
    account: AccountId,
    since: Standing,
    to: Standing,
    holds: &(dyn Fn(&table::Change) -> bool + Sync),
) -> Result<bool, Error> {
    let (_, mut log) = log_since(tx, account, since.modseq).await?;
    while let Some(((_, modseq), change)) = log.next().await? {
        if modseq > to.modseq.next() {
            break;
        }
        if holds(&change) {
            return Ok(true);
        }
    }
    Ok(false)
}
