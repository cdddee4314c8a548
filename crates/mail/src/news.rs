//! What has happened to an account's mailboxes since a modseq, for who watches them without opening them (RFC 5465).
//! Work follows the number of changes.

use std::collections::{BTreeMap, BTreeSet};

use store::bus::Subscription;
use store::kv::{Range, Transaction};
use types::{AccountId, MailboxId, ModSeq, Uid};

use crate::changes::log_since;
use crate::name::{MailboxName, MailboxPath};
use crate::table::{Change, Changed, MailboxChange, MailboxNames, Mailboxes};
use crate::tree::{MailboxInfo, Tree};
use crate::{Error, Mail};

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News {
    /// The modseq that this reaches to.
    pub to: ModSeq,
    /// How many further changes there are at most after that.
    pub behind: u64,
    /// More happened to mailboxes at once than can be told.
    pub untold: bool,
    /// Mailboxes whose emails are others than before, or have changed.
    pub stirred: BTreeMap<MailboxId, Stirred>,
    /// What happened to mailboxes themselves, in order.
    pub events: Vec<MailboxEvent>,
}

/// What happened to a mailbox's emails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stirred {
    /// Some came or went.
    pub moved: bool,
    /// The flags of some may have changed.
    pub changed: bool,
}

/// What happened to a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailboxEvent {
    /// It was made.
    Created(MailboxId),
    /// It was deleted.
    Deleted {
        /// What it was called.
        path: MailboxPath,
        /// Whether it was subscribed to.
        subscribed: bool,
    },
    /// It has got another path, and so has all that lies below it.
    Renamed {
        /// The mailbox.
        mailbox: MailboxId,
        /// What it was called.
        from: MailboxPath,
    },
    /// It is subscribed to, or no longer.
    Subscription(MailboxId),
    /// A name that no mailbox has is not subscribed to any more.
    Unsubscribed(MailboxPath),
    /// Annotations were written or removed.
    Annotated {
        /// The mailbox; none is the account itself.
        mailbox: Option<MailboxId>,
        /// Their names.
        names: Vec<String>,
    },
}

/// A mailbox, and whether others lie below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The mailbox.
    pub info: MailboxInfo,
    /// Whether others lie below it.
    pub has_children: bool,
}

impl Mail {
    /// Follows an account from here on: nothing falls between the modseq and the first event.
    pub async fn follow(&self, account: AccountId) -> Result<(Subscription, ModSeq), Error> {
        let subscription = self.subscribe(account);
        self.ensure_born(account).await?;
        Ok((subscription, self.modseq(account).await?))
    }

    /// What has happened since a modseq, from at most `most` rows of the change log. Emails that came to places in
    /// `own` are no news.
    pub async fn news(
        &self,
        account: AccountId,
        since: ModSeq,
        own: &BTreeSet<(MailboxId, Uid)>,
        most: usize,
    ) -> Result<News, Error> {
        self.look(|tx| news_in(tx, account, since, own, most)).await
    }

    /// These mailboxes as they are now, without those that are gone: a few rows for each, however many others there
    /// are.
    pub async fn mailboxes_at(
        &self,
        account: AccountId,
        mailboxes: &BTreeSet<MailboxId>,
    ) -> Result<BTreeMap<MailboxId, Placed>, Error> {
        self.look(|tx| mailboxes_in(tx, account, mailboxes)).await
    }

    /// The mailbox of a path, and whether others lie below it.
    pub async fn place(&self, account: AccountId, path: &MailboxPath) -> Result<Option<Placed>, Error> {
        let Some(info) = self.find_mailbox(account, path).await? else { return Ok(None) };
        let only = BTreeSet::from([info.id]);
        Ok(self.mailboxes_at(account, &only).await?.remove(&info.id))
    }
}

async fn news_in(
    tx: Transaction,
    account: AccountId,
    since: ModSeq,
    own: &BTreeSet<(MailboxId, Uid)>,
    most: usize,
) -> Result<News, Error> {
    let (state, mut log) = log_since(&tx, account, since).await?;
    let mut news = News { to: since, ..News::default() };
    for _ in 0..most {
        let Some(((_, modseq), change)) = log.next().await? else {
            news.to = state.modseq;
            break;
        };
        news.to = modseq;
        news.add(change, own);
    }
    news.behind = state.modseq.0.saturating_sub(news.to.0);
    Ok(news)
}

impl News {
    fn add(&mut self, change: Change, own: &BTreeSet<(MailboxId, Uid)>) {
        self.untold |= change.untold;
        for email in change.emails {
            for place in email.added.iter().filter(|place| !own.contains(place)).chain(&email.removed) {
                self.stirred.entry(place.0).or_default().moved = true;
            }
            for (mailbox, _) in &email.kept {
                self.stirred.entry(*mailbox).or_default().changed = true;
            }
        }
        for mailbox in change.mailboxes.into_iter().filter(|mailbox| !mailbox.counters_only) {
            self.add_mailbox(mailbox);
        }
        if let Some(annotations) = change.annotations {
            let (mailbox, names) = (annotations.mailbox, annotations.names);
            self.events.push(MailboxEvent::Annotated { mailbox, names });
        }
        let path = change.unsubscribed.and_then(|path| MailboxPath::parse(&path).ok());
        self.events.extend(path.map(MailboxEvent::Unsubscribed));
    }

    fn add_mailbox(&mut self, change: MailboxChange) {
        let MailboxChange { mailbox, changed, was, subscribed, .. } = change;
        let was = was.and_then(|path| MailboxPath::parse(&path).ok());
        match (changed, was) {
            (Changed::Created, _) => self.events.push(MailboxEvent::Created(mailbox)),
            (Changed::Destroyed, Some(path)) => {
                self.stirred.remove(&mailbox);
                self.events.push(MailboxEvent::Deleted { path, subscribed: subscribed == Some(true) });
            }
            // Rows that were written before the path was kept with them.
            (Changed::Destroyed, None) => {}
            (Changed::Updated, was) => {
                // Who hears of several changes at once knows only what was before the first.
                let is_known = |event: &MailboxEvent| match event {
                    MailboxEvent::Created(other) => *other == mailbox,
                    MailboxEvent::Renamed { mailbox: other, .. } => *other == mailbox,
                    _ => false,
                };
                if let Some(from) = was.filter(|_| !self.events.iter().any(is_known)) {
                    self.events.push(MailboxEvent::Renamed { mailbox, from });
                }
                if subscribed.is_some() {
                    self.events.push(MailboxEvent::Subscription(mailbox));
                }
            }
        }
    }
}

async fn mailboxes_in(
    tx: Transaction,
    account: AccountId,
    mailboxes: &BTreeSet<MailboxId>,
) -> Result<BTreeMap<MailboxId, Placed>, Error> {
    let mut found = BTreeMap::new();
    for mailbox in mailboxes {
        let tree = Tree::read_one(&tx, account, *mailbox).await?;
        let Some(path) = path_in(&tx, account, *mailbox).await? else { continue };
        let Some(info) = tree.info_at(*mailbox, path) else { continue };
        let children = Range::new(MailboxNames::below(account, *mailbox)).limit(1).snapshot();
        let has_children = !tx.rows::<MailboxNames>(children).all().await?.is_empty();
        found.insert(*mailbox, Placed { info, has_children });
    }
    Ok(found)
}

/// The names from the root down to a mailbox; none if it is gone.
async fn path_in(
    tx: &Transaction,
    account: AccountId,
    mailbox: MailboxId,
) -> Result<Option<MailboxPath>, Error> {
    let (mut names, mut next) = (Vec::new(), Some(mailbox));
    while let Some(at) = next.filter(|_| names.len() <= MailboxPath::MAX_DEPTH) {
        let record = tx.snapshot_load::<Mailboxes>(&(account, at)).await?;
        let Some(record) = record.filter(|record| !record.deleting) else { return Ok(None) };
        names.push(MailboxName::from_record(record.name));
        next = record.parent;
    }
    let mut names = names.into_iter().rev();
    let Some(root) = names.next().map(MailboxPath::root) else { return Ok(None) };
    Ok(Some(names.fold(root, |path, name| path.child(name))))
}
