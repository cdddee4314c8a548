//! Making, moving and deleting mailboxes.

use store::kv::{Range, Transaction};
use types::{AccountId, MailboxId};

use crate::edit::Edit;
use crate::name::{MailboxName, MailboxPath};
use crate::table::{Changed, MailboxNames, MailboxRecord, Mailboxes, Members};
use crate::tree::{MailboxInfo, Tree};
use crate::{Error, Mail, Role};

/// A mailbox to be made.
#[derive(Clone, Debug)]
pub struct NewMailbox {
    /// Its own name.
    pub name: MailboxName,
    /// The mailbox that it shall lie in.
    pub parent: Option<MailboxId>,
    /// What it is for.
    pub role: Option<Role>,
    /// Whether the owner wants to see it.
    pub subscribed: bool,
    /// Where it stands among its siblings.
    pub sort_order: u32,
}

/// A change of a mailbox; what is not named stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MailboxUpdate {
    /// Its own name.
    pub name: Option<MailboxName>,
    /// The mailbox that it lies in; none is the root.
    pub parent: Option<Option<MailboxId>>,
    /// What it is for.
    pub role: Option<Option<Role>>,
    /// Where it stands among its siblings.
    pub sort_order: Option<u32>,
    /// Whether the owner wants to see it.
    pub subscribed: Option<bool>,
}

/// How much a deletion takes along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteScope {
    /// Only the mailbox, which must have no children.
    Leaf,
    /// The mailbox and all below it.
    Subtree,
}

impl Mail {
    /// Emails that one transaction takes out of a mailbox, or looks at to count anew.
    const EMAILS_AT_ONCE: usize = 500;
    /// Emails up to which a mailbox can become the trash, or stop being it: all are counted in one transaction.
    const MOST_IN_NEW_TRASH: u64 = 2_000;

    /// All mailboxes, parents before their children: one range read.
    pub async fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxInfo>, Error> {
        self.ensure_born(account).await?;
        self.look(|tx| async move { Ok(Tree::read(&tx, account, true).await?.infos()) }).await
    }

    /// One mailbox.
    pub async fn mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxInfo>, Error> {
        self.ensure_born(account).await?;
        self.look(|tx| async move { Ok(Tree::read(&tx, account, true).await?.info(mailbox)) }).await
    }

    /// The mailbox of a path: a few rows, however many mailboxes there are.
    pub async fn find_mailbox(
        &self,
        account: AccountId,
        path: &MailboxPath,
    ) -> Result<Option<MailboxInfo>, Error> {
        self.ensure_born(account).await?;
        self.look(|tx| find_in(tx, account, path)).await
    }

    /// Makes a mailbox.
    pub async fn create_mailbox(&self, account: AccountId, new: NewMailbox) -> Result<MailboxInfo, Error> {
        let new = &new;
        self.finish_deletions(account, new.role).await?;
        self.change_tree(account, |edit, tree| async move {
            if new.parent.is_some_and(|parent| tree.record(parent).is_none()) {
                return Err(Error::NoSuchMailbox);
            }
            self.make(edit, tree, new).await
        })
        .await
    }

    /// Makes the mailbox of a path, with the parents that are missing.
    pub async fn create_path(
        &self,
        account: AccountId,
        path: &MailboxPath,
        role: Option<Role>,
    ) -> Result<MailboxInfo, Error> {
        self.finish_deletions(account, role).await?;
        self.change_tree(account, |edit, tree| async move {
            let (parent, missing) = tree.follow(path);
            let Some((name, parents)) = missing.split_last() else { return Err(Error::Exists) };
            let (edit, tree, parent) = self.make_parents(edit, tree, parent, parents).await?;
            let new = NewMailbox { name: name.clone(), parent, role, subscribed: false, sort_order: 0 };
            self.make(edit, tree, &new).await
        })
        .await
    }

    /// Gives a mailbox another path; what lies below it moves along. Missing parents are made.
    pub async fn rename_mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        new: &MailboxPath,
    ) -> Result<(), Error> {
        if mailbox == MailboxId::INBOX {
            return Err(Error::Inbox);
        }
        self.change_tree(account, |edit, tree| async move {
            let (parent, missing) = tree.follow(new);
            let Some((name, parents)) = missing.split_last() else { return Err(Error::Exists) };
            let (mut edit, tree, parent) = self.make_parents(edit, tree, parent, parents).await?;
            let subtree = tree.subtree(mailbox);
            if parent.is_some_and(|parent| subtree.contains(&parent)) {
                return Err(Error::Loop);
            }
            let height =
                subtree.iter().map(|id| tree.depth(*id)).max().unwrap_or(1) + 1 - tree.depth(mailbox);
            if parent.map_or(0, |parent| tree.depth(parent)) + height > MailboxPath::MAX_DEPTH {
                return Err(crate::NameError::Deep.into());
            }
            let record = edit.mailbox(mailbox).await?.clone();
            if let Some(info) = tree.info(mailbox) {
                edit.mailbox_was(mailbox, &info.path);
            }
            edit.tx().remove::<MailboxNames>(&(account, record.parent, record.name.clone()))?;
            let name = name.as_str().to_owned();
            edit.tx().save::<MailboxNames>(&(account, parent, name.clone()), &mailbox)?;
            edit.update_mailbox(mailbox, MailboxRecord { name, parent, ..record })?;
            take_subscriptions(&mut edit, mailbox).await?;
            Ok((edit, ()))
        })
        .await
    }

    /// Changes a mailbox, all of it or nothing; what lies below it moves along.
    pub async fn update_mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        update: &MailboxUpdate,
    ) -> Result<(), Error> {
        self.finish_deletions(account, update.role.flatten()).await?;
        self.change_tree(account, |mut edit, tree| async move {
            let before = edit.mailbox(mailbox).await?.clone();
            let mut record = before.clone();
            record.name = update.name.as_ref().map_or(record.name, |name| name.as_str().to_owned());
            record.parent = update.parent.unwrap_or(record.parent);
            record.sort_order = update.sort_order.unwrap_or(record.sort_order);
            record.subscribed = update.subscribed.unwrap_or(record.subscribed);
            if let Some(role) = update.role {
                self.change_role(&mut edit, &tree, mailbox, record.role, role).await?;
                record.role = role.map(Role::number);
            }
            if record == before {
                return Ok((edit, ()));
            }
            let moves = record.name != before.name || record.parent != before.parent;
            if moves {
                tree.check_move(mailbox, record.parent, &MailboxName::from_record(record.name.clone()))?;
                if let Some(info) = tree.info(mailbox) {
                    edit.mailbox_was(mailbox, &info.path);
                }
                edit.tx().remove::<MailboxNames>(&(account, before.parent, before.name))?;
                edit.tx().save::<MailboxNames>(&(account, record.parent, record.name.clone()), &mailbox)?;
            }
            edit.update_mailbox(mailbox, record)?;
            if moves {
                take_subscriptions(&mut edit, mailbox).await?;
            }
            Ok((edit, ()))
        })
        .await
    }

    /// Renames several mailboxes at once, each where it lies: their names must be free in the end, not in between, so that
    /// two can exchange theirs (RFC 8620 §5.3).
    pub async fn rename_mailboxes(
        &self,
        account: AccountId,
        names: &[(MailboxId, MailboxName)],
    ) -> Result<(), Error> {
        self.change_tree(account, |mut edit, tree| async move {
            tree.check_names(names)?;
            let mut renamed = Vec::with_capacity(names.len());
            for (mailbox, name) in names {
                let mut record = edit.mailbox(*mailbox).await?.clone();
                if let Some(info) = tree.info(*mailbox) {
                    edit.mailbox_was(*mailbox, &info.path);
                }
                edit.tx().remove::<MailboxNames>(&(account, record.parent, record.name.clone()))?;
                record.name = name.as_str().to_owned();
                renamed.push((*mailbox, record));
            }
            for (mailbox, record) in renamed {
                edit.tx().save::<MailboxNames>(&(account, record.parent, record.name.clone()), &mailbox)?;
                edit.update_mailbox(mailbox, record)?;
            }
            for (mailbox, _) in names {
                take_subscriptions(&mut edit, *mailbox).await?;
            }
            Ok((edit, ()))
        })
        .await
    }

    /// Renames the INBOX as RFC 9051 §6.3.6 has it: its emails move to a new mailbox, the INBOX stays.
    pub async fn rename_inbox(&self, account: AccountId, new: &MailboxPath) -> Result<MailboxInfo, Error> {
        let made = self.create_path(account, new, None).await?;
        let uids = self.select(account, MailboxId::INBOX).await?.uids;
        self.r#move(account, MailboxId::INBOX, &uids, made.id).await?;
        self.mailbox(account, made.id).await?.ok_or(Error::NoSuchMailbox)
    }

    /// Deletes a mailbox without children in which no emails are.
    pub async fn delete_empty_mailbox(&self, account: AccountId, mailbox: MailboxId) -> Result<(), Error> {
        self.delete_tree(account, mailbox, DeleteScope::Leaf, true).await
    }

    /// Deletes a mailbox. It is gone for its owner when this returns; emails that are in no other mailbox are
    /// expunged, and can be brought back as long as expunged emails can.
    pub async fn delete_mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        scope: DeleteScope,
    ) -> Result<(), Error> {
        self.delete_tree(account, mailbox, scope, false).await
    }

    async fn delete_tree(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        scope: DeleteScope,
        only_empty: bool,
    ) -> Result<(), Error> {
        let gone = self
            .change_tree(account, |mut edit, tree| async move {
                let subtree = tree.subtree(mailbox);
                if subtree.contains(&MailboxId::INBOX) {
                    return Err(Error::Inbox);
                }
                if scope == DeleteScope::Leaf && subtree.len() > 1 {
                    return Err(Error::HasChildren);
                }
                if only_empty && tree.counters(mailbox).is_some_and(|(counters, ..)| counters.total > 0) {
                    return Err(Error::HasEmails);
                }
                edit.read_mailboxes(subtree.iter().copied()).await?;
                let infos = subtree.iter().filter_map(|id| tree.info(*id)).filter(|info| info.subscribed);
                edit.keep_subscriptions(infos.map(|info| info.path).collect()).await?;
                for id in &subtree {
                    let record = edit.mailbox(*id).await?.clone();
                    edit.tx().remove::<MailboxNames>(&(account, record.parent, record.name.clone()))?;
                    if let Some(info) = tree.info(*id) {
                        edit.mailbox_was(*id, &info.path);
                        edit.mailbox_subscribed(*id, info.subscribed);
                    }
                    edit.update_mailbox(*id, MailboxRecord { deleting: true, ..record })?;
                    edit.mailbox_changed(*id, Changed::Destroyed);
                    edit.state_mut().mailboxes = edit.state().mailboxes.saturating_sub(1);
                }
                Ok((edit, subtree))
            })
            .await?;
        for mailbox in gone {
            self.finish_deletion(account, mailbox).await?;
        }
        Ok(())
    }

    /// Shows a mailbox in mail apps, or no longer.
    pub async fn set_subscribed(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        subscribed: bool,
    ) -> Result<(), Error> {
        self.change_tree(account, |mut edit, _| async move {
            let record = edit.mailbox(mailbox).await?.clone();
            if record.subscribed != subscribed {
                edit.update_mailbox(mailbox, MailboxRecord { subscribed, ..record })?;
            }
            Ok((edit, ()))
        })
        .await
    }

    /// Gives a mailbox a role that no other has, or takes it away.
    pub async fn set_role(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        role: Option<Role>,
    ) -> Result<(), Error> {
        self.finish_deletions(account, role).await?;
        self.change_tree(account, |mut edit, tree| async move {
            let record = edit.mailbox(mailbox).await?.clone();
            let number = role.map(Role::number);
            if record.role != number {
                self.change_role(&mut edit, &tree, mailbox, record.role, role).await?;
                edit.update_mailbox(mailbox, MailboxRecord { role: number, ..record })?;
            }
            Ok((edit, ()))
        })
        .await
    }

    /// Makes ready for another role, or none, what else depends on it; the record is the caller's to write.
    async fn change_role(
        &self,
        edit: &mut Edit,
        tree: &Tree,
        mailbox: MailboxId,
        before: Option<u8>,
        role: Option<Role>,
    ) -> Result<(), Error> {
        let number = role.map(Role::number);
        if before == number {
            return Ok(());
        }
        if mailbox == MailboxId::INBOX || role == Some(Role::Inbox) {
            return Err(Error::Inbox);
        }
        if role.is_some_and(|role| is_taken(role, edit, tree)) {
            return Err(Error::RoleTaken);
        }
        if [before, number].contains(&Some(Role::Trash.number())) {
            let total = tree.counters(mailbox).map_or(0, |(counters, ..)| counters.total);
            if total > Self::MOST_IN_NEW_TRASH {
                let (asked, limit) = (usize::try_from(total).unwrap_or(usize::MAX), 2_000);
                return Err(Error::TooMany { what: "the number of emails in a new trash", asked, limit });
            }
            read_threads_of(edit, mailbox).await?;
            edit.state_mut().trash = (role == Some(Role::Trash)).then_some(mailbox);
        }
        Ok(())
    }

    /// Finishes deletions that were cut off, before a mailbox becomes the trash: an old one must be empty by then.
    async fn finish_deletions(&self, account: AccountId, role: Option<Role>) -> Result<(), Error> {
        if role == Some(Role::Trash) {
            let tree = self.look(|tx| async move { Tree::read(&tx, account, true).await }).await?;
            for mailbox in tree.deleting() {
                self.finish_deletion(account, mailbox).await?;
            }
        }
        Ok(())
    }

    /// Takes the emails out of a mailbox that is being deleted, in steps, then removes its rows. Continues where
    /// an earlier run was cut off.
    pub(crate) async fn finish_deletion(&self, account: AccountId, mailbox: MailboxId) -> Result<(), Error> {
        let mut at_once = Self::EMAILS_AT_ONCE;
        loop {
            let _turn = self.turn(account).await;
            let step = self
                .kv()
                .run(|tx| async move {
                    let mut edit = Edit::open(&tx, account, self.now()).await?;
                    edit.read_mailboxes([mailbox]).await?;
                    let range = Range::new(Members::all(account, mailbox)).limit(at_once);
                    let members = tx.rows::<Members>(range).all().await?;
                    let emails: Vec<_> = members.iter().map(|(_, member)| member.email).collect();
                    edit.read_emails(&emails).await?;
                    for ((.., uid), member) in &members {
                        edit.remove_membership(member.email, mailbox, *uid);
                    }
                    let done = members.is_empty();
                    if done {
                        edit.remove_mailbox(mailbox)?;
                        // A deleted trash counts as the trash until it is empty, so that nothing is counted anew.
                        let state = edit.state_mut();
                        state.trash = state.trash.filter(|trash| *trash != mailbox);
                    }
                    Ok::<_, Error>((edit.finish().await?, done))
                })
                .await;
            match step {
                Ok((_, true)) => return Ok(()),
                Ok((modseq, false)) => self.announce(account, modseq).await,
                Err(error) if error.is_too_much() && at_once > 1 => at_once /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a change of the tree, and announces it. The whole tree is read so that what is checked holds.
    async fn change_tree<T, F, Fut>(&self, account: AccountId, work: F) -> Result<T, Error>
    where
        F: Fn(Edit, Tree) -> Fut,
        Fut: Future<Output = Result<(Edit, T), Error>>,
    {
        self.ensure_born(account).await?;
        let _turn = self.turn(account).await;
        let work = &work;
        let (modseq, result) = self
            .kv()
            .run(|tx: Transaction| async move {
                let edit = Edit::open(&tx, account, self.now()).await?;
                let tree = Tree::read(&tx, account, false).await?;
                let (edit, result) = work(edit, tree).await?;
                Ok::<_, Error>((edit.finish().await?, result))
            })
            .await?;
        self.announce(account, modseq).await;
        Ok(result)
    }

    async fn make_parents(
        &self,
        mut edit: Edit,
        mut tree: Tree,
        mut parent: Option<MailboxId>,
        names: &[MailboxName],
    ) -> Result<(Edit, Tree, Option<MailboxId>), Error> {
        for name in names {
            let new = NewMailbox { name: name.clone(), parent, role: None, subscribed: false, sort_order: 0 };
            let (made_in, info) = self.make(edit, tree, &new).await?;
            parent = Some(info.id);
            tree = Tree::read(made_in.tx(), made_in.account(), false).await?;
            edit = made_in;
        }
        Ok((edit, tree, parent))
    }

    async fn make(&self, mut edit: Edit, tree: Tree, new: &NewMailbox) -> Result<(Edit, MailboxInfo), Error> {
        let limit = self.options().mailboxes;
        if edit.state().mailboxes >= limit {
            return Err(Error::TooManyMailboxes { limit });
        }
        if tree.child(new.parent, &new.name).is_some() || (new.parent.is_none() && new.name.is_inbox()) {
            return Err(Error::Exists);
        }
        if new.parent.map_or(0, |parent| tree.depth(parent)) >= MailboxPath::MAX_DEPTH {
            return Err(crate::NameError::Deep.into());
        }
        if new.role.is_some_and(|role| is_taken(role, &edit, &tree)) {
            return Err(Error::RoleTaken);
        }
        let name = new.name.as_str().to_owned();
        let path = match new.parent.and_then(|parent| tree.info(parent)) {
            Some(parent) => parent.path.child(new.name.clone()),
            None => MailboxPath::root(new.name.clone()),
        };
        let subscribed = edit.take_subscription(path).await? || new.subscribed;
        let mailbox = edit.create_mailbox(MailboxRecord {
            name: name.clone(),
            parent: new.parent,
            role: new.role.map(Role::number),
            subscribed,
            uidvalidity: edit.state().next_uidvalidity,
            deleting: false,
            sort_order: new.sort_order,
        })?;
        let _given_out = edit.new_uidvalidity();
        if new.role == Some(Role::Trash) {
            edit.state_mut().trash = Some(mailbox);
        }
        let tree = Tree::read(edit.tx(), edit.account(), false).await?;
        let mut info = tree.info(mailbox).ok_or(Error::NoSuchMailbox)?;
        // The counters are written with the end of the change.
        (info.uidnext, info.modseq) = (types::Uid(1), edit.modseq());
        Ok((edit, info))
    }
}

/// A mailbox and all below it have new paths: names that were subscribed to without a mailbox have one again.
async fn take_subscriptions(edit: &mut Edit, mailbox: MailboxId) -> Result<(), Error> {
    let lost = edit.lost_subscriptions().await?;
    if lost.is_empty() {
        return Ok(());
    }
    let tree = Tree::read(edit.tx(), edit.account(), false).await?;
    for info in tree.subtree(mailbox).into_iter().filter_map(|id| tree.info(id)) {
        if lost.contains(&info.path) {
            edit.take_subscription(info.path).await?;
            let record = edit.mailbox(info.id).await?.clone();
            edit.update_mailbox(info.id, MailboxRecord { subscribed: true, ..record })?;
        }
    }
    Ok(())
}

/// Whether a mailbox has the role, or has it still while it is being deleted.
fn is_taken(role: Role, edit: &Edit, tree: &Tree) -> bool {
    tree.with_role(role).is_some() || (role == Role::Trash && edit.state().trash.is_some())
}

async fn find_in(
    tx: Transaction,
    account: AccountId,
    path: &MailboxPath,
) -> Result<Option<MailboxInfo>, Error> {
    let Some(mailbox) = id_of(tx.clone(), account, path).await? else { return Ok(None) };
    let tree = Tree::read_one(&tx, account, mailbox).await?;
    Ok(tree.info_at(mailbox, path.clone()))
}

/// Follows a path, name by name.
pub(crate) async fn id_of(
    tx: Transaction,
    account: AccountId,
    path: &MailboxPath,
) -> Result<Option<MailboxId>, Error> {
    let mut found = None;
    for name in path.names() {
        let key = (account, found, name.as_str().to_owned());
        match tx.snapshot_load::<MailboxNames>(&key).await? {
            Some(mailbox) => found = Some(mailbox),
            None => return Ok(None),
        }
    }
    Ok(found)
}

impl Edit {
    /// Writes what a mailbox is.
    fn update_mailbox(&mut self, mailbox: MailboxId, record: MailboxRecord) -> Result<(), Error> {
        self.tx().save::<Mailboxes>(&(self.account(), mailbox), &record)?;
        self.mailbox_is(mailbox, record);
        self.mailbox_changed(mailbox, Changed::Updated);
        Ok(())
    }
}

/// Reads the threads of all emails in a mailbox, so that a change of the trash counts them anew.
async fn read_threads_of(edit: &mut Edit, mailbox: MailboxId) -> Result<(), Error> {
    let range = Range::new(Members::all(edit.account(), mailbox));
    let members = edit.tx().rows::<Members>(range).all().await?;
    edit.read_threads(members.iter().map(|(_, member)| member.thread)).await
}
