//! An account as the standards describe it, in the simplest form that gives the right answers: a mailbox is a map
//! from UID to email, everything that can be counted is counted anew. Ids come from the service; the model says
//! which ones would be wrong.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mail::{Error, Quota, Role};
use types::{
    AccountId, EmailId, Keyword, Keywords, MailboxId, ModSeq, ThreadId, Timestamp, Uid, UidValidity,
};

/// A message id under a base subject: emails that share one are in one thread (RFC 8621 §3).
pub type Key = (String, String);

#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub modseq: ModSeq,
    pub boxes: BTreeMap<MailboxId, Mailbox>,
    pub emails: BTreeMap<EmailId, Email>,
    pub expunged: BTreeMap<EmailId, Expunged>,
    /// Paths that are subscribed to though no mailbox has them (RFC 9051 §6.3.7).
    pub lost: BTreeSet<String>,
    keys: BTreeMap<Key, (ThreadId, u64)>,
    next_email: EmailId,
    next_thread: ThreadId,
    next_mailbox: MailboxId,
    next_uidvalidity: UidValidity,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    pub name: String,
    pub parent: Option<MailboxId>,
    pub role: Option<Role>,
    pub subscribed: bool,
    pub uidvalidity: UidValidity,
    pub uidnext: Uid,
    pub modseq: ModSeq,
    pub members: BTreeMap<Uid, Place>,
}

/// An email's place in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub email: EmailId,
    pub deleted: bool,
    /// Raised when a listing of the mailbox shows something else (RFC 7162 §3.1).
    pub modseq: ModSeq,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    pub thread: ThreadId,
    pub keywords: Keywords,
    pub received: Timestamp,
    pub modseq: ModSeq,
    pub content: Content,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    pub raw: Bytes,
    pub keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expunged {
    pub at: Timestamp,
    pub keywords: Keywords,
    pub received: Timestamp,
    pub content: Content,
}

/// What the service said about a new email.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub email: EmailId,
    pub thread: ThreadId,
    pub uid: Uid,
}

/// A new email.
#[derive(Clone, Debug)]
pub struct New {
    pub mailbox: MailboxId,
    pub keywords: Keywords,
    pub deleted: bool,
    pub received: Timestamp,
    pub content: Content,
}

/// What a mailbox counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub total: u64,
    pub unread: u64,
    pub unseen: u64,
    pub deleted: u64,
    pub size: u64,
    pub threads: u64,
    pub unread_threads: u64,
}

impl Account {
    /// The account before its first mail, as the service says that it is.
    pub fn new(id: AccountId, modseq: ModSeq, boxes: BTreeMap<MailboxId, Mailbox>) -> Self {
        let next_mailbox = boxes.keys().max().unwrap().next();
        let next_uidvalidity = boxes.values().map(|b| b.uidvalidity).max().unwrap().next();
        Self {
            id,
            modseq,
            boxes,
            emails: BTreeMap::new(),
            expunged: BTreeMap::new(),
            lost: BTreeSet::new(),
            keys: BTreeMap::new(),
            next_email: EmailId(1),
            next_thread: ThreadId(1),
            next_mailbox,
            next_uidvalidity,
        }
    }

    pub fn unread(keywords: &Keywords) -> bool {
        !keywords.contains("$seen") && !keywords.contains("$draft")
    }

    /// Whether one more email of this size may come.
    pub fn over_quota(&self, quota: Quota, size: u64) -> bool {
        let (bytes, emails) = self.usage();
        quota.bytes.is_some_and(|limit| bytes + size > limit)
            || quota.emails.is_some_and(|limit| emails >= limit)
    }

    pub fn usage(&self) -> (u64, u64) {
        (self.emails.values().map(|e| e.content.raw.len() as u64).sum(), self.emails.len() as u64)
    }

    /// The mailboxes that an email is in, with its UID in each.
    pub fn places(&self, email: EmailId) -> BTreeSet<(MailboxId, Uid)> {
        let all =
            self.boxes.iter().flat_map(|(id, b)| b.members.iter().map(move |(uid, p)| (*id, *uid, p.email)));
        all.filter(|(.., e)| *e == email).map(|(mailbox, uid, _)| (mailbox, uid)).collect()
    }

    pub fn is_in(&self, email: EmailId, mailbox: MailboxId) -> bool {
        self.boxes.get(&mailbox).is_some_and(|b| b.members.values().any(|p| p.email == email))
    }

    /// The emails of each thread, oldest first.
    pub fn threads(&self) -> BTreeMap<ThreadId, Vec<EmailId>> {
        let mut threads: BTreeMap<ThreadId, Vec<EmailId>> = BTreeMap::new();
        for (id, email) in &self.emails {
            threads.entry(email.thread).or_default().push(*id);
        }
        for emails in threads.values_mut() {
            emails.sort_by_key(|id| (self.emails[id].received, *id));
        }
        threads
    }

    pub fn with_role(&self, role: Role) -> Option<MailboxId> {
        self.boxes.iter().find(|(_, b)| b.role == Some(role)).map(|(id, _)| *id)
    }

    /// What a mailbox counts (RFC 8621 §2, with both exceptions for the trash).
    pub fn counts(&self, mailbox: MailboxId) -> Counts {
        let mut counts = Counts::default();
        let mut threads = BTreeSet::new();
        for place in self.boxes[&mailbox].members.values() {
            let email = &self.emails[&place.email];
            counts.total += 1;
            counts.size += email.content.raw.len() as u64;
            counts.unread += u64::from(Self::unread(&email.keywords));
            counts.unseen += u64::from(!email.keywords.contains(Keyword::SEEN));
            counts.deleted += u64::from(place.deleted);
            threads.insert(email.thread);
        }
        counts.threads = threads.len() as u64;
        counts.unread_threads =
            threads.iter().filter(|thread| self.shows_unread(**thread, mailbox)).count() as u64;
        counts
    }

    fn shows_unread(&self, thread: ThreadId, mailbox: MailboxId) -> bool {
        let trash = self.with_role(Role::Trash);
        self.emails.iter().filter(|(_, e)| e.thread == thread && Self::unread(&e.keywords)).any(|(id, _)| {
            let places: BTreeSet<MailboxId> = self.places(*id).into_iter().map(|(m, _)| m).collect();
            if Some(mailbox) == trash {
                places.contains(&mailbox)
            } else {
                places.iter().any(|m| Some(*m) != trash)
            }
        })
    }

    /// A new email comes in: into the thread of its keys, or as the link that makes several threads one.
    pub fn place(&mut self, new: New, told: Told) {
        assert!(told.email >= self.next_email, "email id {} was given out before", told.email);
        self.next_email = told.email.next();
        self.join(&new.content.keys, told.thread);
        let email = Email {
            thread: told.thread,
            keywords: new.keywords,
            received: new.received,
            modseq: ModSeq(0),
            content: new.content,
        };
        self.emails.insert(told.email, email);
        self.enter(new.mailbox, told.email, new.deleted, told.uid);
    }

    /// An email enters a mailbox.
    pub fn enter(&mut self, mailbox: MailboxId, email: EmailId, deleted: bool, uid: Uid) {
        let mailbox = self.boxes.get_mut(&mailbox).unwrap();
        assert_eq!(uid, mailbox.uidnext, "a UID other than UIDNEXT was given out");
        mailbox.uidnext = uid.next();
        mailbox.members.insert(uid, Place { email, deleted, modseq: ModSeq(0) });
    }

    /// An email leaves a mailbox; from its last it goes to where it can be brought back from.
    pub fn leave(&mut self, mailbox: MailboxId, uid: Uid, at: Timestamp) {
        let place = self.boxes.get_mut(&mailbox).unwrap().members.remove(&uid).unwrap();
        if self.places(place.email).is_empty() {
            let Email { keywords, received, content, .. } = self.emails.remove(&place.email).unwrap();
            self.expunged.insert(place.email, Expunged { at, keywords, received, content });
        }
    }

    fn join(&mut self, keys: &[Key], told: ThreadId) {
        let known: BTreeSet<ThreadId> =
            keys.iter().filter_map(|k| self.keys.get(k)).map(|(t, _)| *t).collect();
        let living: BTreeSet<ThreadId> =
            self.emails.values().map(|e| e.thread).filter(|t| known.contains(t)).collect();
        if living.is_empty() {
            assert!(told >= self.next_thread, "a new thread was expected, not {told}");
            self.next_thread = told.next();
        } else {
            assert!(living.contains(&told), "thread {told} is none of {living:?}");
        }
        for email in self.emails.values_mut().filter(|e| living.contains(&e.thread)) {
            email.thread = told;
            for key in &email.content.keys {
                self.keys.get_mut(key).unwrap().0 = told;
            }
        }
        for key in keys {
            let row = self.keys.entry(key.clone()).or_insert((told, 0));
            *row = (told, row.1 + 1);
        }
    }

    /// An expunged email's content is gone for good.
    pub fn forget(&mut self, email: EmailId) {
        let expunged = self.expunged.remove(&email).unwrap();
        for key in expunged.content.keys {
            let row = self.keys.get_mut(&key).unwrap();
            row.1 -= 1;
            if row.1 == 0 {
                self.keys.remove(&key);
            }
        }
    }

    /// An expunged email comes back as a new one.
    pub fn restore(&mut self, email: EmailId, to: MailboxId, told: Told) {
        let Expunged { keywords, received, content, .. } = self.expunged[&email].clone();
        self.place(New { mailbox: to, keywords, deleted: false, received, content }, told);
        self.forget(email);
    }

    pub fn child(&self, parent: Option<MailboxId>, name: &str) -> Option<MailboxId> {
        self.boxes.iter().find(|(_, b)| b.parent == parent && b.name == name).map(|(id, _)| *id)
    }

    pub fn find(&self, path: &str) -> Option<MailboxId> {
        path.split('/').try_fold(None, |parent, name| self.child(parent, name).map(Some)).flatten()
    }

    pub fn path(&self, mailbox: MailboxId) -> String {
        let this = &self.boxes[&mailbox];
        match this.parent {
            Some(parent) => format!("{}/{}", self.path(parent), this.name),
            None => this.name.clone(),
        }
    }

    /// A mailbox and all below it.
    pub fn subtree(&self, root: MailboxId) -> Vec<MailboxId> {
        let children = self.boxes.iter().filter(|(_, b)| b.parent == Some(root)).map(|(id, _)| *id);
        std::iter::once(root).chain(children.flat_map(|child| self.subtree(child))).collect()
    }

    /// A mailbox was made; the service told its id and UIDVALIDITY.
    pub fn make(&mut self, id: MailboxId, uidvalidity: UidValidity, mailbox: Mailbox) {
        assert!(id >= self.next_mailbox, "mailbox id {id} was given out before");
        assert!(uidvalidity >= self.next_uidvalidity, "UIDVALIDITY {uidvalidity} was given out before");
        (self.next_mailbox, self.next_uidvalidity) = (id.next(), uidvalidity.next());
        self.boxes.insert(id, Mailbox { uidvalidity, ..mailbox });
        self.take_subscriptions(id);
    }

    /// A mailbox and all below it have new paths: those that were subscribed to are so again.
    pub fn take_subscriptions(&mut self, root: MailboxId) {
        for id in self.subtree(root) {
            if self.lost.remove(&self.path(id)) {
                self.boxes.get_mut(&id).unwrap().subscribed = true;
            }
        }
    }

    /// A mailbox goes with all below it, and with the emails that are in no other.
    pub fn delete(&mut self, root: MailboxId, at: Timestamp) {
        let subtree = self.subtree(root);
        let subscribed = subtree.iter().filter(|id| self.boxes[id].subscribed).map(|id| self.path(*id));
        let subscribed: Vec<String> = subscribed.collect();
        self.lost.extend(subscribed);
        for mailbox in subtree {
            let uids: Vec<Uid> = self.boxes[&mailbox].members.keys().copied().collect();
            uids.into_iter().for_each(|uid| self.leave(mailbox, uid, at));
            self.boxes.remove(&mailbox);
        }
    }

    /// Whether clients can see a difference.
    pub fn differs(&self, before: &Self) -> bool {
        let boxes = |account: &Self| -> Vec<(MailboxId, Mailbox)> {
            account.boxes.iter().map(|(id, b)| (*id, without_modseqs(b))).collect()
        };
        boxes(self) != boxes(before)
            || self.lost != before.lost
            || self.emails.len() != before.emails.len()
            || self.emails.keys().any(|id| self.email_differs(before, *id))
    }

    /// Whether a mailbox shows something else at a UID than before.
    pub fn place_differs(&self, before: &Self, mailbox: MailboxId, uid: Uid) -> bool {
        let face = |account: &Self| {
            let place = account.boxes.get(&mailbox)?.members.get(&uid)?;
            let email = &account.emails[&place.email];
            Some((place.email, place.deleted, email.thread, email.keywords.clone()))
        };
        face(self) != face(before)
    }

    /// Whether an email is not as it was.
    pub fn email_differs(&self, before: &Self, id: EmailId) -> bool {
        let face = |account: &Self| {
            let deleted: Vec<_> = account.boxes.values().flat_map(|b| b.members.values()).collect();
            let deleted: Vec<bool> = deleted.iter().filter(|p| p.email == id).map(|p| p.deleted).collect();
            account.emails.get(&id).map(|e| (e.thread, e.keywords.clone(), account.places(id), deleted))
        };
        face(self) != face(before)
    }
}

fn without_modseqs(mailbox: &Mailbox) -> Mailbox {
    let members = mailbox.members.iter().map(|(uid, place)| (*uid, Place { modseq: ModSeq(0), ..*place }));
    Mailbox { modseq: ModSeq(0), members: members.collect(), ..mailbox.clone() }
}

impl Mailbox {
    pub fn named(name: &str, parent: Option<MailboxId>) -> Self {
        Self {
            name: name.to_owned(),
            parent,
            role: None,
            subscribed: false,
            uidvalidity: UidValidity(0),
            uidnext: Uid(1),
            modseq: ModSeq(0),
            members: BTreeMap::new(),
        }
    }
}

/// Whether the service refused when and as the model would have: any of `expected`, if there is one.
pub fn refused<T: std::fmt::Debug>(expected: &[Error], got: &Result<T, Error>) -> bool {
    match got {
        Ok(done) => assert!(expected.is_empty(), "{expected:?} was expected, got {done:?}"),
        Err(error) => assert!(
            expected.iter().any(|e| std::mem::discriminant(e) == std::mem::discriminant(error)),
            "{expected:?} was expected, got {error:?}"
        ),
    }
    got.is_err()
}
