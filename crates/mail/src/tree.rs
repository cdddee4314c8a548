//! All mailboxes of an account as one tree, with paths and counters.

use std::collections::{BTreeMap, BTreeSet};

use store::kv::{Range, Transaction};
use types::{AccountId, MailboxId, ModSeq, Uid, UidValidity};

use crate::name::{MailboxName, MailboxPath};
use crate::table::{MailboxCounters, MailboxRecord, MailboxRow, ThreadCounter, mailbox_range, mailbox_rows};
use crate::{Error, Role};

/// A mailbox as its owner sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxInfo {
    /// Its id, never reused.
    pub id: MailboxId,
    /// Its own name.
    pub name: MailboxName,
    /// The names from the root down to it.
    pub path: MailboxPath,
    /// The mailbox that it lies in.
    pub parent: Option<MailboxId>,
    /// What it is for.
    pub role: Option<Role>,
    /// Whether the owner wants to see it in mail apps.
    pub subscribed: bool,
    /// Where the owner wants it among its siblings: lower ones come first.
    pub sort_order: u32,
    /// Never given to two mailboxes of the account.
    pub uidvalidity: UidValidity,
    /// The UID that the next email gets.
    pub uidnext: Uid,
    /// The modseq of the last change to any email in it.
    pub modseq: ModSeq,
    /// Emails.
    pub total: u64,
    /// Emails that are neither seen nor drafts (JMAP `unreadEmails`).
    pub unread: u64,
    /// Emails without `\Seen` (IMAP UNSEEN).
    pub unseen: u64,
    /// Emails with `\Deleted`.
    pub deleted: u64,
    /// Octets of all emails.
    pub size: u64,
    /// Threads with an email in it.
    pub threads: u64,
    /// Threads that it shows as unread (RFC 8621 §2).
    pub unread_threads: u64,
}

/// The tree.
pub(crate) struct Tree {
    nodes: BTreeMap<MailboxId, Node>,
    /// The mailboxes right below each, those that are being deleted left out.
    children: BTreeMap<Option<MailboxId>, Vec<MailboxId>>,
}

#[derive(Default)]
struct Node {
    record: Option<MailboxRecord>,
    counters: MailboxCounters,
    threads: i64,
    unread_threads: i64,
}

impl Tree {
    /// Reads the tree: one range. Serialisable, so that a writer's checks hold until it commits, or a snapshot.
    pub(crate) async fn read(tx: &Transaction, account: AccountId, snapshot: bool) -> Result<Self, Error> {
        let range = Range::new(mailbox_rows(account));
        Self::read_range(tx, if snapshot { range.snapshot() } else { range }).await
    }

    /// Reads only one mailbox's rows, not those of its parents.
    pub(crate) async fn read_one(
        tx: &Transaction,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Self, Error> {
        Self::read_range(tx, Range::new(mailbox_range(account, mailbox)).snapshot()).await
    }

    async fn read_range(tx: &Transaction, range: Range) -> Result<Self, Error> {
        let mut rows = tx.range(range);
        let mut nodes: BTreeMap<MailboxId, Node> = BTreeMap::new();
        while let Some((key, value)) = rows.next().await? {
            match MailboxRow::decode(&key, &value)? {
                Some(MailboxRow::Record(id, record)) => nodes.entry(id).or_default().record = Some(record),
                Some(MailboxRow::Counters(id, counters)) => nodes.entry(id).or_default().counters = counters,
                Some(MailboxRow::Thread(id, ThreadCounter::Threads, n)) => {
                    nodes.entry(id).or_default().threads = n
                }
                Some(MailboxRow::Thread(id, ThreadCounter::Unread, n)) => {
                    nodes.entry(id).or_default().unread_threads = n;
                }
                None => {}
            }
        }
        let mut children: BTreeMap<Option<MailboxId>, Vec<MailboxId>> = BTreeMap::new();
        for (id, node) in &nodes {
            if let Some(record) = node.record.as_ref().filter(|record| !record.deleting) {
                children.entry(record.parent).or_default().push(*id);
            }
        }
        Ok(Self { nodes, children })
    }

    /// What a mailbox is, unless it is being deleted.
    pub(crate) fn record(&self, id: MailboxId) -> Option<&MailboxRecord> {
        self.nodes.get(&id)?.record.as_ref().filter(|record| !record.deleting)
    }

    /// The mailboxes that are being deleted.
    pub(crate) fn deleting(&self) -> impl Iterator<Item = MailboxId> {
        let deleting = |node: &Node| node.record.as_ref().is_some_and(|record| record.deleting);
        self.nodes.iter().filter(move |(_, node)| deleting(node)).map(|(id, _)| *id)
    }

    /// Rows of a mailbox without a record: there should be none.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = MailboxId> {
        self.nodes.iter().filter(|(_, node)| node.record.is_none()).map(|(id, _)| *id)
    }

    pub(crate) fn counters(&self, id: MailboxId) -> Option<(&MailboxCounters, i64, i64)> {
        self.nodes.get(&id).map(|node| (&node.counters, node.threads, node.unread_threads))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = MailboxId> {
        self.nodes.keys().copied()
    }

    /// The child of `parent` with that name.
    pub(crate) fn child(&self, parent: Option<MailboxId>, name: &MailboxName) -> Option<MailboxId> {
        self.children(parent).find(|id| self.record(*id).is_some_and(|r| r.name == name.as_str()))
    }

    /// The mailboxes right below `parent`.
    pub(crate) fn children(&self, parent: Option<MailboxId>) -> impl Iterator<Item = MailboxId> {
        self.children.get(&parent).into_iter().flatten().copied()
    }

    /// A mailbox and all below it, children before parents.
    pub(crate) fn subtree(&self, root: MailboxId) -> Vec<MailboxId> {
        let mut found = vec![root];
        let mut at = 0;
        while let Some(parent) = found.get(at).copied() {
            at += 1;
            found.extend(self.children(Some(parent)));
        }
        found.reverse();
        found
    }

    /// The mailbox with that role.
    pub(crate) fn with_role(&self, role: Role) -> Option<MailboxId> {
        self.nodes.keys().copied().find(|id| self.record(*id).is_some_and(|r| r.role == Some(role.number())))
    }

    /// Follows a path as far as it goes: the last mailbox found, and the names that are left.
    pub(crate) fn follow<'p>(&self, path: &'p MailboxPath) -> (Option<MailboxId>, &'p [MailboxName]) {
        let mut parent = None;
        let mut names = path.names();
        while let Some((name, rest)) = names.split_first() {
            match self.child(parent, name) {
                Some(found) => parent = Some(found),
                None => break,
            }
            names = rest;
        }
        (parent, names)
    }

    /// How deep a mailbox lies; a root is 1 deep.
    pub(crate) fn depth(&self, id: MailboxId) -> usize {
        let parent = |id: &MailboxId| self.record(*id).and_then(|record| record.parent);
        std::iter::successors(Some(id), parent).take(MailboxPath::MAX_DEPTH * 2).count()
    }

    /// Refuses to give a mailbox a name below a parent (its own ones may be these) where it cannot be.
    pub(crate) fn check_move(
        &self,
        mailbox: MailboxId,
        parent: Option<MailboxId>,
        name: &MailboxName,
    ) -> Result<(), Error> {
        if mailbox == MailboxId::INBOX {
            return Err(Error::Inbox);
        }
        if parent.is_some_and(|parent| self.record(parent).is_none()) {
            return Err(Error::NoSuchMailbox);
        }
        let subtree = self.subtree(mailbox);
        if parent.is_some_and(|parent| subtree.contains(&parent)) {
            return Err(Error::Loop);
        }
        let height = subtree.iter().map(|id| self.depth(*id)).max().unwrap_or(1) + 1 - self.depth(mailbox);
        if parent.map_or(0, |parent| self.depth(parent)) + height > MailboxPath::MAX_DEPTH {
            return Err(crate::NameError::Deep.into());
        }
        let taken = self.child(parent, name).is_some_and(|other| other != mailbox);
        if taken || (parent.is_none() && name.is_inbox()) {
            return Err(Error::Exists);
        }
        Ok(())
    }

    /// Refuses to give mailboxes these names all at once where one of them could not have its own in the end.
    pub(crate) fn check_names(&self, names: &[(MailboxId, MailboxName)]) -> Result<(), Error> {
        let renamed: BTreeSet<MailboxId> = names.iter().map(|(mailbox, _)| *mailbox).collect();
        let mut given = BTreeSet::new();
        for (mailbox, name) in names {
            if *mailbox == MailboxId::INBOX {
                return Err(Error::Inbox);
            }
            let parent = self.record(*mailbox).ok_or(Error::NoSuchMailbox)?.parent;
            let taken = self.child(parent, name).is_some_and(|other| !renamed.contains(&other));
            if taken || !given.insert((parent, name)) || (parent.is_none() && name.is_inbox()) {
                return Err(Error::Exists);
            }
        }
        Ok(())
    }

    /// The mailbox as its owner sees it.
    pub(crate) fn info(&self, id: MailboxId) -> Option<MailboxInfo> {
        self.info_at(id, self.path(id)?)
    }

    /// The mailbox as its owner sees it, where its path is known.
    pub(crate) fn info_at(&self, id: MailboxId, path: MailboxPath) -> Option<MailboxInfo> {
        let node = self.nodes.get(&id)?;
        let record = self.record(id)?;
        let name = MailboxName::from_record(record.name.clone());
        let counters = &node.counters;
        Some(MailboxInfo {
            id,
            name,
            path,
            parent: record.parent,
            role: record.role.and_then(Role::from_number),
            subscribed: record.subscribed,
            sort_order: record.sort_order,
            uidvalidity: record.uidvalidity,
            uidnext: counters.uidnext,
            modseq: counters.modseq,
            total: counters.total,
            unread: counters.unread,
            unseen: counters.unseen,
            deleted: counters.deleted,
            size: counters.size,
            threads: u64::try_from(node.threads).unwrap_or(0),
            unread_threads: u64::try_from(node.unread_threads).unwrap_or(0),
        })
    }

    /// All mailboxes, parents before their children.
    pub(crate) fn infos(&self) -> Vec<MailboxInfo> {
        let mut infos: Vec<_> = self.nodes.keys().filter_map(|id| self.info(*id)).collect();
        infos.sort_by_key(|info| (info.path.names().len(), info.id));
        infos
    }

    fn path(&self, id: MailboxId) -> Option<MailboxPath> {
        let parent = |id: &MailboxId| self.record(*id).and_then(|record| record.parent);
        let upwards: Vec<_> =
            std::iter::successors(Some(id), parent).take(MailboxPath::MAX_DEPTH * 2).collect();
        let mut names =
            upwards.iter().rev().map(|id| self.record(*id).map(|r| MailboxName::from_record(r.name.clone())));
        let root = MailboxPath::root(names.next()??);
        names.try_fold(root, |path, name| Some(path.child(name?)))
    }
}
