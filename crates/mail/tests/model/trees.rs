//! The part of the script that makes, moves and deletes mailboxes.

use mail::{DeleteScope, Error, MailboxName, MailboxPath, NewMailbox, Role};
use rand::RngExt;
use types::{AccountId, MailboxId};

use crate::account::{Account, Mailbox, refused};
use crate::script::Script;

/// Few names, so that many collide.
const NAMES: [&str; 4] = ["a", "b", "프로젝트", "INBOX"];
pub const MOST_MAILBOXES: u32 = 14;

impl Script {
    pub async fn change_tree(&mut self) {
        match self.rng.random_range(0..8) {
            0 => self.create_in().await,
            1 => self.create_path().await,
            2 | 3 => self.rename().await,
            4 => self.delete().await,
            5 => self.set_role().await,
            6 if self.rng.random_bool(0.3) => self.end_lost_subscription().await,
            6 => self.subscribe().await,
            _ => self.rename_inbox().await,
        }
    }

    fn role(&mut self) -> Option<Role> {
        let roles = [Role::Trash, Role::Trash, Role::Archive, Role::Junk, Role::Inbox];
        self.rng.random_bool(0.7).then(|| roles[self.rng.random_range(0..roles.len())])
    }

    fn path(&mut self) -> String {
        let depth = self.rng.random_range(1..=3);
        let names: Vec<&str> = (0..depth).map(|_| NAMES[self.rng.random_range(0..NAMES.len())]).collect();
        names.join("/")
    }

    async fn create_in(&mut self) {
        let id = self.account();
        let parent = self.rng.random_bool(0.7).then(|| self.mailbox(id));
        let name = NAMES[self.rng.random_range(0..NAMES.len())];
        let role = if self.rng.random_bool(0.3) { self.role() } else { None };
        let new = NewMailbox {
            name: MailboxName::new(name).unwrap(),
            parent,
            role,
            subscribed: true,
            sort_order: 0,
        };
        let made = self.node.mail.create_mailbox(id, new).await;
        let model = &self.models[&id];
        let mut expected = refusals(model, 1);
        if parent.is_some_and(|parent| !model.boxes.contains_key(&parent)) {
            expected.push(Error::NoSuchMailbox);
        } else if model.child(parent, name).is_some() {
            expected.push(Error::Exists);
        }
        expected.extend(role.and_then(|role| model.with_role(role)).map(|_| Error::RoleTaken));
        if refused(&expected, &made) {
            return;
        }
        let made = made.unwrap();
        let mailbox = Mailbox { role, subscribed: true, modseq: made.modseq, ..Mailbox::named(name, parent) };
        self.models.get_mut(&id).unwrap().make(made.id, made.uidvalidity, mailbox);
        self.assert_shown_as(id, &made).await;
    }

    async fn create_path(&mut self) {
        let id = self.account();
        let path = self.path();
        let role = if self.rng.random_bool(0.2) { self.role() } else { None };
        let made = self.node.mail.create_path(id, &MailboxPath::parse(&path).unwrap(), role).await;
        let model = &self.models[&id];
        let mut expected = refusals(model, missing(model, &path).len());
        expected.extend(model.find(&path).map(|_| Error::Exists));
        expected.extend(role.and_then(|role| model.with_role(role)).map(|_| Error::RoleTaken));
        if refused(&expected, &made) {
            return;
        }
        let made = made.unwrap();
        self.take_new_mailboxes(id, &path).await;
        self.models.get_mut(&id).unwrap().boxes.get_mut(&made.id).unwrap().role = role;
        self.assert_shown_as(id, &made).await;
    }

    async fn assert_shown_as(&self, id: AccountId, made: &mail::MailboxInfo) {
        assert_eq!(self.calm.mail.mailbox(id, made.id).await.unwrap().as_ref(), Some(made));
    }

    /// Mailboxes that the service made on the way down a path.
    async fn take_new_mailboxes(&mut self, id: AccountId, path: &str) {
        for path in missing(&self.models[&id], path) {
            let parsed = MailboxPath::parse(&path).unwrap();
            let info = self.calm.mail.find_mailbox(id, &parsed).await.unwrap().unwrap();
            let (parent, name) = path.rsplit_once('/').map_or((None, &*path), |(p, n)| (Some(p), n));
            let model = self.models.get_mut(&id).unwrap();
            let parent = parent.map(|parent| model.find(parent).unwrap());
            let mailbox = Mailbox { modseq: info.modseq, ..Mailbox::named(name, parent) };
            model.make(info.id, info.uidvalidity, mailbox);
        }
    }

    async fn rename(&mut self) {
        let id = self.account();
        let mailbox = self.mailbox(id);
        let path = self.path();
        let renamed = self.node.mail.rename_mailbox(id, mailbox, &MailboxPath::parse(&path).unwrap()).await;
        let model = &self.models[&id];
        let parents = path.rsplit_once('/').map_or(Vec::new(), |(parents, _)| missing(model, parents));
        let mut expected = refusals(model, parents.len());
        expected.extend((mailbox == MailboxId::INBOX).then_some(Error::Inbox));
        expected.extend(model.find(&path).map(|_| Error::Exists));
        match model.boxes.contains_key(&mailbox) {
            false => expected.push(Error::NoSuchMailbox),
            true => {
                let below = format!("{}/", model.path(mailbox));
                expected.extend(path.starts_with(&below).then_some(Error::Loop));
            }
        }
        if refused(&expected, &renamed) {
            return;
        }
        // The mailbox itself takes the last name, so only its parents are new.
        if let Some((parents, _)) = path.rsplit_once('/') {
            self.take_new_mailboxes(id, parents).await;
        }
        let model = self.models.get_mut(&id).unwrap();
        let (parent, name) = path.rsplit_once('/').map_or((None, &*path), |(p, n)| (model.find(p), n));
        let this = model.boxes.get_mut(&mailbox).unwrap();
        (this.parent, this.name) = (parent, name.to_owned());
        model.take_subscriptions(mailbox);
    }

    async fn delete(&mut self) {
        let id = self.account();
        let mailbox = self.mailbox(id);
        let scope = if self.rng.random_bool(0.5) { DeleteScope::Leaf } else { DeleteScope::Subtree };
        let deleted = self.node.mail.delete_mailbox(id, mailbox, scope).await;
        let now = self.now();
        let mut expected = self.missing(id, mailbox);
        let model = self.models.get_mut(&id).unwrap();
        let subtree = if expected.is_empty() { model.subtree(mailbox) } else { Vec::new() };
        expected.extend(subtree.contains(&MailboxId::INBOX).then_some(Error::Inbox));
        expected.extend((scope == DeleteScope::Leaf && subtree.len() > 1).then_some(Error::HasChildren));
        if refused(&expected, &deleted) {
            return;
        }
        model.delete(mailbox, now);
    }

    async fn set_role(&mut self) {
        let id = self.account();
        let (mailbox, role) = (self.mailbox(id), self.role());
        let set = self.node.mail.set_role(id, mailbox, role).await;
        let mut expected = self.missing(id, mailbox);
        let model = self.models.get_mut(&id).unwrap();
        let same = model.boxes.get(&mailbox).is_some_and(|b| b.role == role);
        if !same {
            expected
                .extend((mailbox == MailboxId::INBOX || role == Some(Role::Inbox)).then_some(Error::Inbox));
            expected.extend(role.and_then(|role| model.with_role(role)).map(|_| Error::RoleTaken));
        }
        if !refused(&expected, &set) {
            model.boxes.get_mut(&mailbox).unwrap().role = role;
        }
    }

    async fn subscribe(&mut self) {
        let id = self.account();
        let (mailbox, subscribed) = (self.mailbox(id), self.rng.random_bool(0.5));
        let set = self.node.mail.set_subscribed(id, mailbox, subscribed).await;
        if !refused(&self.missing(id, mailbox), &set) {
            self.models.get_mut(&id).unwrap().boxes.get_mut(&mailbox).unwrap().subscribed = subscribed;
        }
    }

    async fn end_lost_subscription(&mut self) {
        let (id, path) = (self.account(), self.path());
        let ended = self.node.mail.end_lost_subscription(id, &MailboxPath::parse(&path).unwrap()).await;
        let expected =
            if self.models[&id].lost.contains(&path) { vec![] } else { vec![Error::NoSuchMailbox] };
        if !refused(&expected, &ended) {
            self.models.get_mut(&id).unwrap().lost.remove(&path);
        }
    }

    async fn rename_inbox(&mut self) {
        let id = self.account();
        let path = self.path();
        let renamed = self.node.mail.rename_inbox(id, &MailboxPath::parse(&path).unwrap()).await;
        let now = self.now();
        let model = &self.models[&id];
        let mut expected = refusals(model, missing(model, &path).len());
        expected.extend(model.find(&path).map(|_| Error::Exists));
        if refused(&expected, &renamed) {
            return;
        }
        let made = renamed.unwrap();
        self.take_new_mailboxes(id, &path).await;
        let model = self.models.get_mut(&id).unwrap();
        let members: Vec<_> = model.boxes[&MailboxId::INBOX].members.iter().map(|(u, p)| (*u, *p)).collect();
        for ((old, place), number) in members.into_iter().zip(1..) {
            model.enter(made.id, place.email, place.deleted, types::Uid(number));
            model.leave(MailboxId::INBOX, old, now);
        }
    }
}

/// The paths on the way down `path` that are not there yet.
fn missing(model: &Account, path: &str) -> Vec<String> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| path[..end].to_owned()).filter(|path| model.find(path).is_none()).collect()
}

/// Whether so many more mailboxes would be too many.
fn refusals(model: &Account, more: usize) -> Vec<Error> {
    let over = model.boxes.len() + more > MOST_MAILBOXES as usize;
    over.then_some(Error::TooManyMailboxes { limit: MOST_MAILBOXES }).into_iter().collect()
}
