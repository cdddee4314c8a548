//! Several tasks on two nodes do what they like to the same accounts. Nobody knows in which order it happens, so the
//! model is made from the emails' rows afterwards, and everything that follows from them is compared with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use mail::{
    DeleteScope, Delivered, Delivery, DeliveryId, Error, FlagAction, FlagChange, MailboxPath, Quota, Role,
};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use types::{AccountId, Keyword, Keywords, MailboxId, ModSeq, Uid};

use crate::check;
use crate::followers::{ImapFollower, JmapFollower};
use crate::support::{Letter, Node, START, Seed, World, letter, seeds, to_inbox};

const ACCOUNTS: u64 = 2;
const TASKS: u64 = 5;

/// What all tasks have been told.
#[derive(Default)]
struct Told {
    /// Every UID that was given out: none may be given out twice.
    uids: Mutex<BTreeSet<(AccountId, MailboxId, Uid)>>,
    delivered: Mutex<Vec<(Delivery, Delivered, bytes::Bytes)>>,
}

struct Task {
    node: Node,
    told: Arc<Told>,
    rng: StdRng,
    number: u64,
    letters: u64,
    /// The highest modseq heard of, per account: it never goes back.
    modseqs: [ModSeq; ACCOUNTS as usize],
}

impl Task {
    fn account(&mut self) -> AccountId {
        AccountId(self.rng.random_range(1..=ACCOUNTS))
    }

    fn hear(&mut self, account: AccountId, modseq: ModSeq) {
        let heard = &mut self.modseqs[usize::try_from(account.0 - 1).unwrap()];
        assert!(modseq >= *heard, "the modseq of account {account} went back");
        *heard = modseq;
    }

    fn given(&self, account: AccountId, mailbox: MailboxId, uids: impl IntoIterator<Item = Uid>) {
        let mut told = self.told.uids.lock();
        for uid in uids {
            assert!(told.insert((account, mailbox, uid)), "UID {uid} of {mailbox} was given out twice");
        }
    }

    async fn mailbox(&mut self, account: AccountId) -> MailboxId {
        if self.rng.random_bool(0.4) {
            return MailboxId::INBOX;
        }
        let all = self.node.mail.mailboxes(account).await.unwrap();
        all[self.rng.random_range(0..all.len())].id
    }

    async fn uids(&mut self, account: AccountId, mailbox: MailboxId) -> Vec<Uid> {
        let Ok(selected) = self.node.mail.select(account, mailbox).await else { return Vec::new() };
        self.hear(account, selected.modseq);
        assert!(selected.uids.is_sorted_by(|a, b| a < b));
        selected.uids.into_iter().filter(|_| self.rng.random_bool(0.3)).collect()
    }

    async fn step(&mut self) {
        let account = self.account();
        match self.rng.random_range(0..20) {
            0..6 => self.deliver().await,
            6 => self.deliver_again().await,
            7..12 => self.transfer(account).await,
            12..15 => self.store(account).await,
            15..17 => self.expunge(account).await,
            17 => self.restore(account).await,
            _ => self.change_tree(account).await,
        }
    }

    fn letter(&mut self) -> Letter {
        let (task, number) = (self.number, self.letters);
        self.letters += 1;
        let mut letter = Letter::new(&format!("{task}.{number}"), "Re: everything");
        letter.text = 30 + usize::try_from(task * 1000 + number).unwrap();
        for _ in 0..self.rng.random_range(0..3) {
            let other = (self.rng.random_range(0..TASKS), self.rng.random_range(0..number + 3));
            letter.references.push(format!("{}.{}@example.test", other.0, other.1));
        }
        if self.rng.random_bool(0.1) { letter.attach(letter::noise(number % 2, 40_000)) } else { letter }
    }

    async fn deliver(&mut self) {
        let raw = self.letter().write();
        let message = self.node.mail.ingest(raw.clone()).await.unwrap();
        let mut deliveries = Vec::new();
        for account in (1..=ACCOUNTS).map(AccountId) {
            let received = START.plus(std::time::Duration::from_secs(self.rng.random_range(0..500)));
            let id = Some(DeliveryId(self.rng.random()));
            let mailbox = self.mailbox(account).await;
            deliveries.push(Delivery { mailbox, received, id, ..to_inbox(account) });
        }
        let results = self.node.mail.deliver(&message, &deliveries).await;
        for (delivery, result) in deliveries.into_iter().zip(results) {
            if let Some(delivered) = allowed(result) {
                assert!(!delivered.duplicate);
                self.given(delivery.account, delivered.mailbox, [delivered.uid]);
                self.told.delivered.lock().push((delivery, delivered, raw.clone()));
            }
        }
    }

    async fn deliver_again(&mut self) {
        let chosen = {
            let told = self.told.delivered.lock();
            if told.is_empty() {
                return;
            }
            told[self.rng.random_range(0..told.len())].clone()
        };
        let (delivery, first, raw) = chosen;
        let message = self.node.mail.ingest(raw).await.unwrap();
        let again = self.node.mail.deliver(&message, &[delivery]).await.remove(0);
        assert_eq!(again, Ok(Delivered { duplicate: true, ..first }));
    }

    async fn transfer(&mut self, account: AccountId) {
        let (from, to) = (self.mailbox(account).await, self.mailbox(account).await);
        let uids = self.uids(account, from).await;
        let done = if self.rng.random_bool(0.4) {
            self.node.mail.copy(account, from, &uids, to, Quota::default()).await
        } else {
            self.node.mail.r#move(account, from, &uids, to).await
        };
        if let Some(copied) = allowed(done) {
            self.hear(account, copied.modseq);
            self.given(account, to, copied.pairs.iter().map(|(_, uid)| *uid));
        }
    }

    async fn store(&mut self, account: AccountId) {
        let mailbox = self.mailbox(account).await;
        let uids = self.uids(account, mailbox).await;
        let names = ["$seen", "$draft", "$flagged"].into_iter().filter(|_| self.rng.random_bool(0.5));
        let keywords: Keywords = names.map(|name| Keyword::new(name).unwrap()).collect();
        let action = [FlagAction::Add, FlagAction::Remove, FlagAction::Replace][self.rng.random_range(0..3)];
        let change = FlagChange { action, keywords, deleted: self.rng.random_bool(0.5) };
        if let Some(stored) = allowed(self.node.mail.store(account, mailbox, &uids, &change, None).await) {
            self.hear(account, stored.modseq);
        }
    }

    async fn expunge(&mut self, account: AccountId) {
        let mailbox = self.mailbox(account).await;
        if let Some(expunged) = allowed(self.node.mail.expunge(account, mailbox, None).await) {
            self.hear(account, expunged.modseq);
        }
    }

    async fn restore(&mut self, account: AccountId) {
        let gone = self.node.mail.expunged(account, None, 50).await.unwrap();
        if gone.is_empty() {
            return;
        }
        let to = self.mailbox(account).await;
        let chosen = &gone[self.rng.random_range(0..gone.len())];
        if let Some(back) = allowed(self.node.mail.restore(account, chosen, to, Quota::default()).await) {
            self.hear(account, back.modseq);
            self.given(account, to, [back.uid]);
        }
    }

    async fn change_tree(&mut self, account: AccountId) {
        let mailbox = self.mailbox(account).await;
        let names: Vec<&str> = (0..2).map(|_| ["a", "b", "c"][self.rng.random_range(0..3)]).collect();
        let path = MailboxPath::parse(&names.join("/")).unwrap();
        let mail = self.node.mail.clone();
        let roles = [None, Some(Role::Trash), Some(Role::Archive)];
        let done = match self.rng.random_range(0..8) {
            0..3 => mail.create_path(account, &path, None).await.map(|_| ()),
            3 | 4 => mail.rename_mailbox(account, mailbox, &path).await,
            5 => mail.delete_mailbox(account, mailbox, DeleteScope::Leaf).await,
            6 => mail.set_role(account, mailbox, roles[self.rng.random_range(0..3)]).await,
            _ => mail.set_subscribed(account, mailbox, self.rng.random_bool(0.5)).await,
        };
        allowed(done);
    }
}

/// What others did in between may get in the way; a store that fails or is damaged may not.
fn allowed<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(error @ (Error::Unavailable(_) | Error::Corrupt { .. } | Error::TooMuch(_))) => panic!("{error}"),
        Err(_) => None,
    }
}

async fn run(nodes: [Node; 2], calm: Node, seed: u64, steps: u64) {
    let accounts: Vec<AccountId> = (1..=ACCOUNTS).map(AccountId).collect();
    let mut followers = Vec::new();
    for account in &accounts {
        let imap = ImapFollower::new(&calm.mail, *account, MailboxId::INBOX, false).await;
        followers.push((imap, JmapFollower::new(&calm.mail, *account).await));
    }
    let told = Arc::new(Told::default());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..TASKS {
        let node = nodes[usize::try_from(number % 2).unwrap()].clone();
        let rng = StdRng::seed_from_u64(seed + number * 1_000_000);
        let (told, modseqs) = (told.clone(), [ModSeq(0); ACCOUNTS as usize]);
        let mut task = Task { node, told, rng, number, letters: 0, modseqs };
        tasks.spawn(async move {
            for _ in 0..steps {
                task.step().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
        // While the others go on.
        for (imap, jmap) in &mut followers {
            imap.follow(&calm.mail).await;
            jmap.follow(&calm.mail, 7).await;
        }
    }
    for (imap, jmap) in &mut followers {
        imap.check(&calm.mail).await;
        jmap.check(&calm.mail, 7).await;
    }
    calm.assert_sound(&accounts).await;
    for account in &accounts {
        let model = check::read(&calm.mail, *account).await;
        check::compare(&calm.mail, &model).await;
        let there = model.emails.values().map(|e| &e.content.raw);
        let there: BTreeSet<_> = there.chain(model.expunged.values().map(|e| &e.content.raw)).collect();
        for (delivery, _, raw) in told.delivered.lock().iter().filter(|(d, ..)| d.account == *account) {
            assert!(there.contains(raw), "what was delivered to {} is lost", delivery.mailbox);
        }
    }
    calm.assert_blobs_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_and_many_tasks_on_the_same_accounts() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        run([world.node(), world.node()], world.node(), seed, 90).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_where_answers_are_lost() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let options = mail::MailOptions::default;
        let nodes = [world.rough_node(seed, options()), world.rough_node(seed + 1, options())];
        run(nodes, world.node(), seed, 35).await;
    }
}
