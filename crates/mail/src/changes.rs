//! What has changed in an account since a modseq: JMAP's `*/changes`, push and indexes.

use std::collections::BTreeMap;

use store::kv::{Range, TableRows, Transaction};
use types::{AccountId, EmailId, MailboxId, ModSeq, ObjectId, ThreadId};

use crate::table::{self, AccountState, AccountStates, Changed, Mailboxes, read_many};
use crate::{Error, Mail, ObjectKind};

/// A changed email. Its JMAP id is made of thread and email, because a JMAP thread id never changes: an email
/// that moved to another thread is one destroyed and one created (RFC 8621 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EmailChanged {
    /// The email.
    pub email: EmailId,
    /// Its thread at the time.
    pub thread: ThreadId,
}

/// A changed mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxChanged {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Only its counters changed.
    pub counters_only: bool,
}

/// What has changed, each thing in at most one list of its kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// The modseq that this reaches to.
    pub to: ModSeq,
    /// There are further changes after `to`.
    pub more: bool,
    /// Emails that are new.
    pub created: Vec<EmailChanged>,
    /// Emails whose keywords or mailboxes changed.
    pub updated: Vec<EmailChanged>,
    /// Emails that are in no mailbox any more.
    pub destroyed: Vec<EmailChanged>,
    /// Threads that are new.
    pub threads_created: Vec<ThreadId>,
    /// Threads that got or lost an email.
    pub threads_updated: Vec<ThreadId>,
    /// Threads without an email.
    pub threads_destroyed: Vec<ThreadId>,
    /// Mailboxes that are new.
    pub mailboxes_created: Vec<MailboxId>,
    /// Mailboxes that changed.
    pub mailboxes_updated: Vec<MailboxChanged>,
    /// Mailboxes that are gone.
    pub mailboxes_destroyed: Vec<MailboxId>,
    /// Other things, by their kinds; nothing for a kind of which nothing changed.
    pub objects: BTreeMap<ObjectKind, ObjectsChanged>,
    /// Emails came or went, so that the account holds more or less than before.
    pub counted: bool,
}

/// Changed objects of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectsChanged {
    /// Those that are new.
    pub created: Vec<ObjectId>,
    /// Those that changed.
    pub updated: Vec<ObjectId>,
    /// Those that are gone.
    pub destroyed: Vec<ObjectId>,
}

impl Mail {
    /// What has changed since a modseq, up to about `max` emails; whole steps of the log are never cut.
    pub async fn changes(&self, account: AccountId, since: ModSeq, max: usize) -> Result<Changes, Error> {
        self.look(|tx| changes_in(tx, account, since, max)).await
    }
}

async fn changes_in(
    tx: Transaction,
    account: AccountId,
    since: ModSeq,
    max: usize,
) -> Result<Changes, Error> {
    let (state, mut log) = log_since(&tx, account, since).await?;
    let mut fold = Fold::default();
    let mut to = since;
    let mut more = false;
    while let Some(((_, modseq), change)) = log.next().await? {
        if to > since && fold.emails.len() + change.emails.len() > max {
            more = true;
            break;
        }
        to = modseq;
        fold.add(change);
    }
    if !more {
        to = state.modseq;
    }
    let mut changes = fold.done(to, more);
    // A mailbox that is being emptied after its deletion may still be counted by a writer that has not read it.
    let updated: Vec<_> =
        changes.mailboxes_updated.iter().map(|changed| (account, changed.mailbox)).collect();
    let records = read_many::<Mailboxes>(&tx, &updated).await?;
    let mut is_there = records.into_iter().map(|record| record.is_some_and(|record| !record.deleting));
    changes.mailboxes_updated.retain(|_| is_there.next().unwrap_or(false));
    Ok(changes)
}

/// The change log after a modseq, and the account's state.
pub(crate) async fn log_since(
    tx: &Transaction,
    account: AccountId,
    since: ModSeq,
) -> Result<(AccountState, TableRows<table::Changes>), Error> {
    let state = tx.snapshot_load::<AccountStates>(&account).await?.ok_or(Error::CannotCalculateChanges)?;
    if since < state.log_floor || since > state.modseq {
        return Err(Error::CannotCalculateChanges);
    }
    let range = Range::new(table::Changes::since(account, since)).snapshot();
    Ok((state, tx.rows(range)))
}

/// Steps of the log, folded into what they come to.
#[derive(Default)]
struct Fold {
    emails: BTreeMap<EmailChanged, Changed>,
    threads: BTreeMap<ThreadId, Changed>,
    mailboxes: BTreeMap<MailboxId, (Changed, bool)>,
    objects: BTreeMap<(ObjectKind, ObjectId), Changed>,
    counted: bool,
}

impl Fold {
    fn add(&mut self, change: table::Change) {
        self.counted |= change.counts();
        for kind in ObjectKind::ALL {
            for object in change.objects_of(kind) {
                note(&mut self.objects, (kind, object.object), object.changed);
            }
        }
        for email in change.emails {
            let changed = EmailChanged { email: email.email, thread: email.thread };
            match email.old_thread {
                Some(thread) if email.changed == Changed::Updated => {
                    note(&mut self.emails, EmailChanged { thread, ..changed }, Changed::Destroyed);
                    note(&mut self.emails, changed, Changed::Created);
                }
                _ => note(&mut self.emails, changed, email.changed),
            }
        }
        for thread in change.threads {
            note(&mut self.threads, thread.thread, thread.changed);
        }
        for mailbox in change.mailboxes {
            let entry = self.mailboxes.get(&mailbox.mailbox).map(|(changed, only)| (*changed, *only));
            let only = entry.is_none_or(|(_, only)| only) && mailbox.counters_only;
            match folded(entry.map(|(changed, _)| changed), mailbox.changed) {
                Some(changed) => self.mailboxes.insert(mailbox.mailbox, (changed, only)),
                None => self.mailboxes.remove(&mailbox.mailbox),
            };
        }
    }

    fn done(self, to: ModSeq, more: bool) -> Changes {
        let mut changes = Changes { to, more, counted: self.counted, ..Changes::default() };
        for (email, changed) in self.emails {
            match changed {
                Changed::Created => changes.created.push(email),
                Changed::Updated => changes.updated.push(email),
                Changed::Destroyed => changes.destroyed.push(email),
            }
        }
        for (thread, changed) in self.threads {
            match changed {
                Changed::Created => changes.threads_created.push(thread),
                Changed::Updated => changes.threads_updated.push(thread),
                Changed::Destroyed => changes.threads_destroyed.push(thread),
            }
        }
        for (mailbox, (changed, counters_only)) in self.mailboxes {
            match changed {
                Changed::Created => changes.mailboxes_created.push(mailbox),
                Changed::Updated => changes.mailboxes_updated.push(MailboxChanged { mailbox, counters_only }),
                Changed::Destroyed => changes.mailboxes_destroyed.push(mailbox),
            }
        }
        for ((kind, object), changed) in self.objects {
            let of_kind = changes.objects.entry(kind).or_default();
            match changed {
                Changed::Created => of_kind.created.push(object),
                Changed::Updated => of_kind.updated.push(object),
                Changed::Destroyed => of_kind.destroyed.push(object),
            }
        }
        changes
    }
}

fn note<K: Ord>(map: &mut BTreeMap<K, Changed>, key: K, changed: Changed) {
    match folded(map.get(&key).copied(), changed) {
        Some(changed) => map.insert(key, changed),
        None => map.remove(&key),
    };
}

/// What two changes of one thing come to; created and destroyed come to nothing.
pub(crate) const fn folded(before: Option<Changed>, now: Changed) -> Option<Changed> {
    match (before, now) {
        (Some(Changed::Created), Changed::Destroyed) => None,
        (Some(Changed::Created), _) => Some(Changed::Created),
        (Some(Changed::Destroyed), Changed::Created) => Some(Changed::Updated),
        (Some(Changed::Destroyed), Changed::Updated) => Some(Changed::Destroyed),
        (_, now) => Some(now),
    }
}
