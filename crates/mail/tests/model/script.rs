//! Random operations, done to the service and to the model, step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use mail::{Delivered, Delivery, DeliveryId, Error, Quota};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use types::{AccountId, Keyword, Keywords, MailboxId, ManualClock, Timestamp, Uid};

use crate::account::{Account, Content, Key, New, Told, refused};
use crate::check;
use crate::support::letter::{self, Letter};
use crate::support::{Node, START};

const SUBJECTS: [&str; 3] = ["budget", "회의록", "lunch on friday"];
const PREFIXES: [&str; 5] = ["", "", "Re: ", "RE: re: ", "Fwd: "];
const FLAGS: [&str; 6] = ["$seen", "$draft", "$flagged", "$answered", "project-x", "later"];

/// A delivery that may be tried again.
#[derive(Clone)]
struct Done {
    deliveries: Vec<Delivery>,
    content: Content,
    results: Vec<Delivered>,
    at: Timestamp,
}

pub struct Script {
    pub node: Node,
    /// A view without injected faults, to look through.
    pub calm: Node,
    pub models: BTreeMap<AccountId, Account>,
    pub rng: StdRng,
    hand: ManualClock,
    now: Timestamp,
    letters: u64,
    done: Vec<Done>,
}

impl Script {
    pub async fn new(node: Node, calm: Node, hand: ManualClock, accounts: u64, seed: u64) -> Self {
        let mut models = BTreeMap::new();
        for id in (1..=accounts).map(AccountId) {
            let boxes = check::fresh_boxes(&node.mail, id).await;
            models.insert(id, Account::new(id, calm.mail.modseq(id).await.unwrap(), boxes));
        }
        let rng = StdRng::seed_from_u64(seed);
        Self { node, calm, models, rng, hand, now: START, letters: 0, done: Vec::new() }
    }

    /// One operation; the model's numbers are those of the service afterwards.
    pub async fn step(&mut self) {
        let before = self.models.clone();
        match self.rng.random_range(0..100) {
            0..22 => self.deliver().await,
            22..25 => self.deliver_again().await,
            25..32 => self.append().await,
            32..42 => self.copy_or_move(true).await,
            42..52 => self.copy_or_move(false).await,
            52..66 => self.store().await,
            66..74 => self.expunge().await,
            74..78 => self.restore().await,
            78..94 => self.change_tree().await,
            94..97 => self.upkeep().await,
            _ => self.let_time_pass(),
        }
        for (id, before) in before {
            let model = self.models.get_mut(&id).unwrap();
            check::take_modseqs(&self.calm.mail, &before, model).await;
        }
    }

    /// Everything that can be seen is as the model has it.
    pub async fn compare(&self) {
        for model in self.models.values() {
            check::compare(&self.calm.mail, model).await;
            for mailbox in model.boxes.keys() {
                let (first, last) = (Uid(1), Uid(u32::MAX));
                let members =
                    self.calm.mail.members(model.id, *mailbox, first, last, usize::MAX).await.unwrap();
                check::compare_roll(&self.node.mail, model, *mailbox, &members).await;
            }
        }
    }

    pub fn account(&mut self) -> AccountId {
        let ids: Vec<AccountId> = self.models.keys().copied().collect();
        ids[self.rng.random_range(0..ids.len())]
    }

    /// Usually a mailbox that is there, often the INBOX.
    pub fn mailbox(&mut self, id: AccountId) -> MailboxId {
        let boxes: Vec<MailboxId> = self.models[&id].boxes.keys().copied().collect();
        match self.rng.random_range(0..30) {
            0 => MailboxId(9999),
            1..8 => MailboxId::INBOX,
            _ => boxes[self.rng.random_range(0..boxes.len())],
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn missing(&self, id: AccountId, mailbox: MailboxId) -> Vec<Error> {
        if self.models[&id].boxes.contains_key(&mailbox) { Vec::new() } else { vec![Error::NoSuchMailbox] }
    }

    /// Some of the mailbox's UIDs, and some that are not there.
    fn uids(&mut self, id: AccountId, mailbox: MailboxId) -> Vec<Uid> {
        let known: Vec<Uid> = self.models[&id]
            .boxes
            .get(&mailbox)
            .map(|b| b.members.keys().copied().collect())
            .unwrap_or_default();
        let share = [0.1, 0.5, 1.0][self.rng.random_range(0..3)];
        let mut uids: Vec<Uid> = known.into_iter().filter(|_| self.rng.random_bool(share)).collect();
        if self.rng.random_bool(0.2) {
            uids.push(Uid(self.rng.random_range(0..200)));
        }
        if self.rng.random_bool(0.2) {
            uids.extend(uids.first().copied());
            uids.reverse();
        }
        uids
    }

    fn keywords(&mut self) -> Keywords {
        FLAGS.iter().filter(|_| self.rng.random_bool(0.3)).map(|name| Keyword::new(name).unwrap()).collect()
    }

    /// A message that may answer others, some of which are not there yet, or never come.
    fn letter(&mut self) -> Content {
        let number = self.letters;
        self.letters += 1;
        let subject = SUBJECTS[usize::try_from(number % 3).unwrap()];
        let prefix = PREFIXES[self.rng.random_range(0..PREFIXES.len())];
        let mut letter = Letter::new(&format!("m{number}"), &format!("{prefix}{subject}"));
        letter.text = self.rng.random_range(10..600);
        for _ in 0..self.rng.random_range(0..4) {
            // Every third has the same subject; what is ahead of us makes missing links.
            let step: i64 = if self.rng.random_bool(0.8) { 3 } else { 1 };
            let distance = self.rng.random_range(-2..6) * step;
            if let Ok(other) = u64::try_from(i64::try_from(number).unwrap() - distance) {
                letter.references.push(format!("m{other}@example.test"));
            }
        }
        match self.rng.random_range(0..20) {
            0 => letter.id = None,
            1 => letter.id = Some(format!("m{}@example.test", number.saturating_sub(3))),
            _ => {}
        }
        if self.rng.random_bool(0.1) {
            for _ in 0..self.rng.random_range(1..3) {
                letter = letter.attach(letter::noise(self.rng.random_range(0..3), 40_000));
            }
        }
        let ids = letter.id.iter().chain(&letter.references);
        let mut keys: Vec<Key> = ids.map(|id| (id.clone(), subject.to_owned())).collect();
        keys.sort();
        keys.dedup();
        Content { raw: letter.write(), keys }
    }

    fn received(&mut self) -> Timestamp {
        // Coarse, so that some are equal.
        self.now.minus(Duration::from_secs(60 * self.rng.random_range(0..30)))
    }

    fn quota(&mut self, id: AccountId) -> Quota {
        let (bytes, emails) = self.models[&id].usage();
        match self.rng.random_range(0..30) {
            0 => Quota { bytes: Some(bytes + 300), emails: None },
            1 => Quota { bytes: Some(u64::MAX), emails: Some(emails) },
            _ => Quota::default(),
        }
    }

    async fn deliver(&mut self) {
        let content = self.letter();
        let mut deliveries = Vec::new();
        for _ in 0..self.rng.random_range(1..=3) {
            let account = self.account();
            let mailbox = if self.rng.random_bool(0.7) { MailboxId::INBOX } else { self.mailbox(account) };
            let keywords = if self.rng.random_bool(0.3) { self.keywords() } else { Keywords::new() };
            let (received, quota) = (self.received(), self.quota(account));
            let id = self.rng.random_bool(0.4).then(|| DeliveryId(self.rng.random()));
            deliveries.push(Delivery {
                account,
                mailbox,
                keywords,
                received,
                quota,
                id,
                reports_on: None,
                answer_to: None,
            });
        }
        let message = self.node.mail.ingest(content.raw.clone()).await.unwrap();
        let results = self.node.mail.deliver(&message, &deliveries).await;
        assert_eq!(results.len(), deliveries.len());
        let mut done =
            Done { deliveries: Vec::new(), content: content.clone(), results: Vec::new(), at: self.now };
        for (delivery, result) in deliveries.into_iter().zip(results) {
            let (account, mailbox) = (delivery.account, delivery.mailbox);
            let mut expected = self.missing(account, mailbox);
            if self.models[&account].over_quota(delivery.quota, content.raw.len() as u64) {
                expected.push(Error::OverQuota { used: 0, limit: 0, unit: "" });
            }
            if refused(&expected, &result) {
                continue;
            }
            let delivered = result.unwrap();
            assert!(!delivered.duplicate && delivered.mailbox == mailbox);
            let told = Told { email: delivered.email, thread: delivered.thread, uid: delivered.uid };
            let (keywords, received) = (delivery.keywords.clone(), delivery.received);
            let new = New { mailbox, keywords, deleted: false, received, content: content.clone() };
            self.models.get_mut(&account).unwrap().place(new, told);
            if delivery.id.is_some() {
                done.deliveries.push(delivery);
                done.results.push(delivered);
            }
        }
        self.done.push(done);
    }

    /// A sender who did not hear our answer tries again: nothing may change.
    async fn deliver_again(&mut self) {
        self.done
            .retain(|done| done.at.plus(Duration::from_secs(86_400)) > self.now && !done.results.is_empty());
        if self.done.is_empty() {
            return;
        }
        let done = self.done[self.rng.random_range(0..self.done.len())].clone();
        let message = self.node.mail.ingest(done.content.raw).await.unwrap();
        let again = self.node.mail.deliver(&message, &done.deliveries).await;
        for (first, again) in done.results.iter().zip(again) {
            assert_eq!(again, Ok(Delivered { duplicate: true, ..*first }));
        }
    }

    async fn append(&mut self) {
        let account = self.account();
        let mailbox = self.mailbox(account);
        let (content, keywords, received) = (self.letter(), self.keywords(), self.received());
        let (quota, deleted) = (self.quota(account), self.rng.random_bool(0.1));
        let message = self.node.mail.ingest(content.raw.clone()).await.unwrap();
        let appended = self
            .node
            .mail
            .append(account, mailbox, &message, keywords.clone(), deleted, received, quota)
            .await;
        let mut expected = self.missing(account, mailbox);
        if self.models[&account].over_quota(quota, content.raw.len() as u64) {
            expected.push(Error::OverQuota { used: 0, limit: 0, unit: "" });
        }
        if refused(&expected, &appended) {
            return;
        }
        let appended = appended.unwrap();
        let model = self.models.get_mut(&account).unwrap();
        assert_eq!(appended.uidvalidity, model.boxes[&mailbox].uidvalidity);
        let told = Told { email: appended.email, thread: appended.thread, uid: appended.uid };
        model.place(New { mailbox, keywords, deleted, received, content }, told);
    }

    async fn copy_or_move(&mut self, keep: bool) {
        let account = self.account();
        let (from, to) = (self.mailbox(account), self.mailbox(account));
        let uids = self.uids(account, from);
        let mail = &self.node.mail;
        let copied = if keep {
            mail.copy(account, from, &uids, to, Quota::default()).await
        } else {
            mail.r#move(account, from, &uids, to).await
        };
        let expected = [self.missing(account, from), self.missing(account, to)].concat();
        if refused(&expected, &copied) {
            return;
        }
        let copied = copied.unwrap();
        let now = self.now;
        let model = self.models.get_mut(&account).unwrap();
        assert_eq!(copied.uidvalidity, model.boxes[&to].uidvalidity);
        let mut wanted: Vec<Uid> = uids;
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|uid| model.boxes[&from].members.contains_key(uid));
        assert_eq!(copied.pairs.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), wanted);
        let new: Vec<Uid> = copied.pairs.iter().map(|(_, uid)| *uid).collect();
        let members = self.calm.mail.members_at(account, to, &new).await.unwrap();
        assert_eq!(members.len(), new.len());
        for ((old, uid), member) in copied.pairs.into_iter().zip(members) {
            let place = model.boxes[&from].members[&old];
            if model.is_in(place.email, to) && (keep || from != to) {
                // It cannot be there twice: a new email with the same content.
                let email = model.emails[&place.email].clone();
                let (keywords, received, content) = (email.keywords, email.received, email.content);
                let new = New { mailbox: to, keywords, deleted: place.deleted, received, content };
                model.place(new, Told { email: member.email, thread: member.thread, uid });
            } else {
                assert_eq!(member.email, place.email);
                model.enter(to, place.email, place.deleted, uid);
            }
            if !keep {
                model.leave(from, old, now);
            }
        }
    }

    async fn store(&mut self) {
        let account = self.account();
        let mailbox = self.mailbox(account);
        let mut uids = self.uids(account, mailbox);
        if uids.is_empty() {
            uids.push(Uid(1));
        }
        let (keywords, deleted) = (self.keywords(), self.rng.random_bool(0.3));
        let action = [mail::FlagAction::Add, mail::FlagAction::Remove, mail::FlagAction::Replace];
        let action = action[self.rng.random_range(0..3)];
        let since = self.models[&account].modseq.0.saturating_sub(self.rng.random_range(0..20));
        let since = self.rng.random_bool(0.3).then_some(types::ModSeq(since.max(1)));
        let change = mail::FlagChange { action, keywords: keywords.clone(), deleted };
        let stored = self.node.mail.store(account, mailbox, &uids, &change, since).await;
        if refused(&self.missing(account, mailbox), &stored) {
            return;
        }
        let stored = stored.unwrap();
        let model = self.models.get_mut(&account).unwrap();
        uids.sort_unstable();
        uids.dedup();
        uids.retain(|uid| model.boxes[&mailbox].members.contains_key(uid));
        let newer = |uid: &Uid| since.is_some_and(|since| model.boxes[&mailbox].members[uid].modseq > since);
        let (conflicting, changed): (Vec<Uid>, Vec<Uid>) = uids.into_iter().partition(newer);
        assert!(stored.conflicting.iter().map(|m| m.uid).eq(conflicting));
        assert!(stored.members.iter().map(|m| m.uid).eq(changed.iter().copied()));
        for (uid, told) in changed.into_iter().zip(stored.members) {
            let place = model.boxes.get_mut(&mailbox).unwrap().members.get_mut(&uid).unwrap();
            let email = model.emails.get_mut(&place.email).unwrap();
            (email.keywords, place.deleted) = flags_after(&change, &email.keywords, place.deleted);
            assert_eq!((&told.keywords, told.deleted), (&email.keywords, place.deleted));
        }
    }

    async fn expunge(&mut self) {
        let account = self.account();
        let mailbox = self.mailbox(account);
        let mut only = if self.rng.random_bool(0.5) { Some(self.uids(account, mailbox)) } else { None };
        if only.as_ref().is_some_and(Vec::is_empty) {
            only = None;
        }
        let expunged = self.node.mail.expunge(account, mailbox, only.as_deref()).await;
        if refused(&self.missing(account, mailbox), &expunged) {
            return;
        }
        let now = self.now;
        let model = self.models.get_mut(&account).unwrap();
        let asked = |uid: &Uid| only.as_ref().is_none_or(|only| only.contains(uid));
        let members = &model.boxes[&mailbox].members;
        let gone: Vec<Uid> =
            members.iter().filter(|(uid, p)| p.deleted && asked(uid)).map(|(uid, _)| *uid).collect();
        assert_eq!(expunged.unwrap().uids, gone);
        for uid in gone {
            model.leave(mailbox, uid, now);
        }
    }

    async fn restore(&mut self) {
        let account = self.account();
        let to = self.mailbox(account);
        let listed = self.calm.mail.expunged(account, None, 1000).await.unwrap();
        if listed.is_empty() {
            return;
        }
        let chosen = listed[self.rng.random_range(0..listed.len())].clone();
        let quota = self.quota(account);
        let restored = self.node.mail.restore(account, &chosen, to, quota).await;
        let mut expected = self.missing(account, to);
        if self.models[&account].over_quota(quota, chosen.size) {
            expected.push(Error::OverQuota { used: 0, limit: 0, unit: "" });
        }
        if refused(&expected, &restored) {
            return;
        }
        let restored = restored.unwrap();
        let told = Told { email: restored.email, thread: restored.thread, uid: restored.uid };
        self.models.get_mut(&account).unwrap().restore(chosen.email, to, told);
        let again = self.node.mail.restore(account, &chosen, to, Quota::default()).await;
        assert_eq!(again, Err(Error::NoSuchEmail), "it cannot be brought back twice");
    }

    fn let_time_pass(&mut self) {
        let by = Duration::from_secs(3600 * self.rng.random_range(1..48));
        self.hand.advance(by);
        self.now = self.now.plus(by);
    }

    /// Time passes, and what is over is forgotten.
    async fn upkeep(&mut self) {
        self.let_time_pass();
        let retention = mail::MailOptions::default().retention;
        for (id, model) in &mut self.models {
            self.node.mail.upkeep(*id).await.unwrap();
            let over = |at: Timestamp| at < self.now.minus(retention);
            let gone: Vec<_> = model.expunged.iter().filter(|(_, e)| over(e.at)).map(|(id, _)| *id).collect();
            gone.into_iter().for_each(|email| model.forget(email));
        }
    }

    /// All emails' bytes are those that came.
    pub async fn compare_bytes(&self) {
        for (id, model) in &self.models {
            for (email, wanted) in &model.emails {
                let source = self.calm.mail.source(*id, *email).await.unwrap();
                let bytes: Bytes = source.read(0..u64::MAX).await.unwrap();
                assert_eq!(bytes, wanted.content.raw);
            }
        }
    }

    /// Purges everything that was ever expunged: only what emails need is left of the blobs.
    pub async fn clean_up(&mut self) {
        let far = Duration::from_secs(86_400 * 40);
        self.hand.advance(far);
        self.now = self.now.plus(far);
        for (id, model) in &mut self.models {
            self.node.mail.upkeep(*id).await.unwrap();
            let gone: Vec<_> = model.expunged.keys().copied().collect();
            gone.into_iter().for_each(|email| model.forget(email));
        }
    }
}

fn flags_after(change: &mail::FlagChange, keywords: &Keywords, deleted: bool) -> (Keywords, bool) {
    let named = |name: &&str| change.keywords.contains(name);
    let set = |names: Vec<&str>| names.into_iter().map(|n| Keyword::new(n).unwrap()).collect::<Keywords>();
    match change.action {
        mail::FlagAction::Add => {
            (set(keywords.iter().chain(change.keywords.iter()).collect()), deleted || change.deleted)
        }
        mail::FlagAction::Remove => {
            (set(keywords.iter().filter(|name| !named(name)).collect()), deleted && !change.deleted)
        }
        mail::FlagAction::Replace => (change.keywords.clone(), change.deleted),
    }
}
