//! Clients that look at everything once and from then on only at what has changed.

use std::collections::{BTreeMap, BTreeSet};

use mail::{Error, Mail, MailboxInfo, MailboxPath, Member};
use types::{AccountId, EmailId, MailboxId, ModSeq, ThreadId, Uid};

/// What IMAP with QRESYNC does with one mailbox.
pub struct ImapFollower {
    account: AccountId,
    mailbox: MailboxId,
    since: ModSeq,
    held: BTreeMap<Uid, Member>,
    /// Nothing changes while it looks, so that all numbers have to be exact.
    strict: bool,
}

/// What a JMAP client does with a whole account.
pub struct JmapFollower {
    account: AccountId,
    since: ModSeq,
    emails: BTreeMap<(EmailId, ThreadId), mail::Email>,
    threads: BTreeMap<ThreadId, Vec<EmailId>>,
    mailboxes: BTreeMap<MailboxId, MailboxInfo>,
}

/// How far a follower got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Followed {
    /// It holds the present state, from changes alone.
    Changes,
    /// The log did not reach back: it read everything anew.
    Anew,
    /// The mailbox is gone.
    Gone,
}

async fn all_members(mail: &Mail, account: AccountId, mailbox: MailboxId) -> Vec<Member> {
    mail.members(account, mailbox, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap()
}

impl ImapFollower {
    pub async fn new(mail: &Mail, account: AccountId, mailbox: MailboxId, strict: bool) -> Self {
        let mut new = Self { account, mailbox, since: ModSeq(0), held: BTreeMap::new(), strict };
        new.read_all(mail).await;
        new
    }

    async fn read_all(&mut self, mail: &Mail) {
        let selected = mail.select(self.account, self.mailbox).await.unwrap();
        self.since = selected.modseq;
        let members = mail.members_at(self.account, self.mailbox, &selected.uids).await.unwrap();
        self.held = members.into_iter().map(|member| (member.uid, member)).collect();
    }

    /// Brings itself up to date.
    pub async fn follow(&mut self, mail: &Mail) -> Followed {
        let changes = match mail.mailbox_changes(self.account, self.mailbox, self.since).await {
            Ok(changes) => changes,
            Err(Error::CannotCalculateChanges) => {
                self.read_all(mail).await;
                return Followed::Anew;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(changes.to >= self.since);
        if changes.gone {
            return Followed::Gone;
        }
        let sets: Vec<BTreeSet<Uid>> = [&changes.added, &changes.removed, &changes.changed]
            .iter()
            .map(|uids| {
                assert!(uids.is_sorted_by(|a, b| a < b), "UIDs are ascending, each once");
                uids.iter().copied().collect()
            })
            .collect();
        assert!(
            sets[0].is_disjoint(&sets[1]) && sets[0].is_disjoint(&sets[2]) && sets[1].is_disjoint(&sets[2])
        );
        for uid in &changes.removed {
            let held = self.held.remove(uid).is_some();
            assert!(held || !self.strict, "UID {uid} was removed, but nobody knew it");
        }
        let wanted: Vec<Uid> = changes.added.iter().chain(&changes.changed).copied().collect();
        let members = mail.members_at(self.account, self.mailbox, &wanted).await.unwrap();
        assert!(members.len() == wanted.len() || !self.strict);
        for member in members {
            let known = self.held.insert(member.uid, member.clone()).is_some();
            assert!(!self.strict || known == sets[2].contains(&member.uid));
        }
        self.since = changes.to;
        Followed::Changes
    }

    /// Follows, and has to hold what a fresh look shows.
    pub async fn check(&mut self, mail: &Mail) -> Followed {
        let followed = self.follow(mail).await;
        if followed == Followed::Gone {
            assert_eq!(mail.mailbox(self.account, self.mailbox).await.unwrap(), None);
            return followed;
        }
        let held: Vec<Member> = self.held.values().cloned().collect();
        assert_eq!(held, all_members(mail, self.account, self.mailbox).await, "what an IMAP client holds");
        followed
    }
}

impl JmapFollower {
    pub async fn new(mail: &Mail, account: AccountId) -> Self {
        let since = mail.modseq(account).await.unwrap();
        let mut new = Self {
            account,
            since,
            emails: BTreeMap::new(),
            threads: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
        };
        new.read_all(mail).await;
        new
    }

    async fn read_all(&mut self, mail: &Mail) {
        self.since = mail.modseq(self.account).await.unwrap();
        let infos = mail.mailboxes(self.account).await.unwrap();
        self.mailboxes = infos.into_iter().map(|info| (info.id, updated_to(None, info))).collect();
        let mut ids = BTreeSet::new();
        for mailbox in self.mailboxes.keys() {
            ids.extend(all_members(mail, self.account, *mailbox).await.into_iter().map(|m| m.email));
        }
        let ids: Vec<EmailId> = ids.into_iter().collect();
        let emails = mail.email(self.account, &ids).await.unwrap();
        self.emails = emails.into_iter().flatten().map(|e| ((e.id, e.thread), e)).collect();
        self.threads.clear();
        let threads: BTreeSet<ThreadId> = self.emails.keys().map(|(_, thread)| *thread).collect();
        for thread in threads {
            self.threads
                .extend(mail.thread(self.account, thread).await.unwrap().map(|emails| (thread, emails)));
        }
    }

    /// Brings itself up to date, `max` emails at a time.
    pub async fn follow(&mut self, mail: &Mail, max: usize) -> Followed {
        loop {
            let changes = match mail.changes(self.account, self.since, max).await {
                Ok(changes) => changes,
                Err(Error::CannotCalculateChanges) => {
                    self.read_all(mail).await;
                    return Followed::Anew;
                }
                Err(error) => panic!("{error}"),
            };
            assert!(changes.to > self.since || !changes.more, "a step has to lead on");
            self.take_emails(mail, &changes).await;
            self.take_threads(mail, &changes).await;
            self.take_mailboxes(mail, &changes).await;
            self.since = changes.to;
            if !changes.more {
                return Followed::Changes;
            }
        }
    }

    async fn take_emails(&mut self, mail: &Mail, changes: &mail::Changes) {
        let lists = [&changes.created, &changes.updated, &changes.destroyed];
        let distinct: BTreeSet<_> = lists.iter().flat_map(|l| l.iter()).collect();
        assert_eq!(distinct.len(), lists.iter().map(|l| l.len()).sum::<usize>(), "each email is in one list");
        for gone in &changes.destroyed {
            self.emails.remove(&(gone.email, gone.thread));
        }
        let asked: Vec<_> = changes.created.iter().chain(&changes.updated).collect();
        let ids: Vec<EmailId> = asked.iter().map(|changed| changed.email).collect();
        for (changed, email) in asked.iter().zip(mail.email(self.account, &ids).await.unwrap()) {
            // One that has gone or moved to another thread since will be told of later.
            if let Some(email) = email.filter(|email| email.thread == changed.thread) {
                self.emails.insert((email.id, email.thread), email);
            }
        }
    }

    async fn take_threads(&mut self, mail: &Mail, changes: &mail::Changes) {
        for gone in &changes.threads_destroyed {
            self.threads.remove(gone);
        }
        for thread in changes.threads_created.iter().chain(&changes.threads_updated) {
            if let Some(emails) = mail.thread(self.account, *thread).await.unwrap() {
                self.threads.insert(*thread, emails);
            }
        }
    }

    async fn take_mailboxes(&mut self, mail: &Mail, changes: &mail::Changes) {
        for gone in &changes.mailboxes_destroyed {
            self.mailboxes.remove(gone);
        }
        let updated = changes.mailboxes_updated.iter().map(|changed| changed.mailbox);
        for id in changes.mailboxes_created.iter().copied().chain(updated) {
            if let Some(info) = mail.mailbox(self.account, id).await.unwrap() {
                let counters_only = |c: &mail::MailboxChanged| c.mailbox == id && c.counters_only;
                let only = changes.mailboxes_updated.iter().any(counters_only);
                let held = self.mailboxes.remove(&id).filter(|_| only);
                self.mailboxes.insert(id, updated_to(held, info));
            }
        }
    }

    /// Follows, and has to hold what a fresh look shows.
    pub async fn check(&mut self, mail: &Mail, max: usize) -> Followed {
        let followed = self.follow(mail, max).await;
        let fresh = Self::new(mail, self.account).await;
        assert_eq!(self.emails, fresh.emails, "emails that a JMAP client holds");
        assert_eq!(self.threads, fresh.threads, "threads that a JMAP client holds");
        assert_eq!(self.mailboxes, fresh.mailboxes, "mailboxes that a JMAP client holds");
        followed
    }
}

/// What a client holds after it fetched `info`: only the counters, if it was told that only they changed (RFC 8621
/// §2.2 `updatedProperties`). Paths are left out: JMAP has none, and a parent's new name changes them.
fn updated_to(held: Option<MailboxInfo>, info: MailboxInfo) -> MailboxInfo {
    let info = MailboxInfo { path: MailboxPath::parse("x").unwrap(), ..info };
    match held {
        Some(MailboxInfo { name, parent, role, subscribed, .. }) => {
            MailboxInfo { name, parent, role, subscribed, ..info }
        }
        None => info,
    }
}
