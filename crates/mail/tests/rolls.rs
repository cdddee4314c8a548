//! Mailboxes in memory: whatever happens, on this node or another, a roll is what the stores say at that moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;

use mail::{
    Current, DeleteScope, Error, FlagAction, FlagChange, Mail, MailOptions, MailboxPath, Member, NewEmail,
    Quota,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv;
use support::{DAY, Letter, Node, START, Seed, World, keywords, seeds};
use types::{AccountId, Keyword, MailboxId, ModSeq, Uid};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

async fn members(mail: &Mail, mailbox: MailboxId) -> Vec<Member> {
    mail.members(ALICE, mailbox, Uid(1), Uid(u32::MAX), usize::MAX).await.unwrap()
}

/// Nothing changes meanwhile, so everything has to be exact.
async fn check(mail: &Mail, mailbox: MailboxId) {
    let current = mail.current(ALICE, mailbox).await.unwrap();
    let info = mail.mailbox(ALICE, mailbox).await.unwrap().unwrap();
    assert_eq!((current.uidvalidity, current.uidnext), (info.uidvalidity, info.uidnext));
    assert_eq!(current.modseq, info.modseq);
    let members = members(mail, mailbox).await;
    let Some(roll) = current.roll else {
        assert!(members.len() > 200, "{} members are not too many", members.len());
        return;
    };
    let held: Vec<Member> = roll.iter().map(|entry| entry.member()).collect();
    assert_eq!(held, members);
    assert!(roll.uids().iter().eq(members.iter().map(|member| member.uid)));
    assert!(members.iter().all(|member| roll.finder().find(member.uid).unwrap().member() == *member));
    let unseen = members.iter().position(|member| !member.keywords.contains(Keyword::SEEN));
    assert_eq!(roll.first_unseen(), unseen);
    let since = ModSeq(info.modseq.0 / 2);
    let changed = members.iter().filter(|member| member.modseq > since).map(|member| member.uid);
    assert!(roll.changed_since(since).into_iter().eq(changed));
}

async fn append(mail: &Mail, mailbox: MailboxId, count: usize) -> Result<ModSeq, Error> {
    let message = mail.ingest(Letter::new("1", "x").text(10).write()).await.unwrap();
    let email = NewEmail { message, keywords: keywords(&["$seen"]), deleted: false, received: START };
    let appended = mail.append_all(ALICE, mailbox, vec![email; count], Quota::default()).await?;
    Ok(appended.last().unwrap().modseq)
}

/// A script of random operations.
struct Script {
    rng: StdRng,
    made: u32,
}

impl Script {
    fn change(&mut self) -> FlagChange {
        let actions = [FlagAction::Add, FlagAction::Remove, FlagAction::Replace];
        let action = actions[self.rng.random_range(0..3)];
        let names = ["$seen", "$flagged", "work", "a-keyword-of-their-own"];
        let names: Vec<&str> = names.into_iter().filter(|_| self.rng.random_bool(0.4)).collect();
        FlagChange { action, keywords: keywords(&names), deleted: self.rng.random_bool(0.3) }
    }

    fn uids(&mut self, uidnext: Uid) -> Vec<Uid> {
        let count = [1, 1, 1, 5, 40][self.rng.random_range(0..5)];
        (0..count).map(|_| Uid(self.rng.random_range(1..=uidnext.0))).collect()
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.random_range(0..list.len())]
    }

    /// Does something on a node; another may be in its way.
    async fn step(&mut self, mail: &Mail) -> Result<(), Error> {
        let infos = mail.mailboxes(ALICE).await?;
        let boxes: Vec<MailboxId> = infos.iter().map(|info| info.id).collect();
        let (from, to) = (self.one_of(&boxes[..4]), self.one_of(&boxes));
        let uidnext = infos.iter().find(|info| info.id == from).map_or(Uid(1), |info| info.uidnext);
        let uids = self.uids(uidnext);
        match self.rng.random_range(0..24) {
            0..4 => drop(append(mail, from, self.rng.random_range(1..30)).await?),
            4..14 => drop(mail.store(ALICE, from, &uids, &self.change(), None).await?),
            14 => drop(mail.copy(ALICE, from, &uids, to, Quota::default()).await?),
            15 => drop(mail.copy(ALICE, from, &uids, from, Quota::default()).await?),
            16 => drop(mail.r#move(ALICE, from, &uids, to).await?),
            17 | 18 => drop(mail.expunge(ALICE, from, None).await?),
            19 => {
                if let Some(expunged) = mail.expunged(ALICE, None, 1).await?.first() {
                    mail.restore(ALICE, expunged, to, Quota::default()).await?;
                }
            }
            20 => {
                self.made += 1;
                let path = MailboxPath::parse(&format!("made {}", self.made)).unwrap();
                mail.create_path(ALICE, &path, None).await?;
            }
            21 if infos.len() > 8 => {
                mail.delete_mailbox(ALICE, infos.last().unwrap().id, DeleteScope::Subtree).await?;
            }
            22 => {
                let note = (mail::EntryName::parse("/private/x").unwrap(), Some("y".into()));
                mail.annotate(ALICE, Some(from), &[note]).await?;
            }
            _ => drop(mail.upkeep(ALICE).await?),
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_see_what_either_of_them_changes() {
    for seed in seeds(3) {
        let _seed = Seed(seed);
        let world = World::new();
        let options = || MailOptions { change_log: DAY, ..MailOptions::default() };
        // The second can keep two or three of the mailboxes.
        let small = MailOptions { mailbox_cache: 80_000, ..options() };
        let nodes = [world.node_with(options()), world.node_with(small)];
        let mut script = Script { rng: StdRng::seed_from_u64(seed), made: 0 };
        append(&nodes[0].mail, INBOX, 600).await.unwrap();
        for step in 0..150 {
            let node = script.rng.random_range(0..2);
            match script.step(&nodes[node].mail).await {
                Ok(()) | Err(Error::NoSuchMailbox | Error::NoSuchEmail) => {}
                Err(error) => panic!("{error}"),
            }
            if script.rng.random_bool(0.05) {
                // The change log is cut off, so that it does not reach back for who has not looked since.
                world.hand.advance(DAY * 2);
            }
            for node in &nodes {
                if script.rng.random_bool(0.5) {
                    for info in node.mail.mailboxes(ALICE).await.unwrap() {
                        check(&node.mail, info.id).await;
                    }
                }
            }
            assert!(step < 149 || members(&nodes[0].mail, INBOX).await.len() > 1);
        }
    }
}

/// A change is seen everywhere once it was acknowledged, and nobody ever sees a mailbox go back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_seen() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let nodes = [world.node(), world.node()];
        append(&nodes[0].mail, INBOX, 700).await.unwrap();
        let writers: Vec<_> = (0..4_u64).map(|i| tokio::spawn(write(nodes.clone(), seed ^ i))).collect();
        let readers: Vec<_> = (0..4).map(|i| tokio::spawn(read(nodes[i % 2].mail.clone()))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
        append(&nodes[0].mail, INBOX, 1).await.unwrap();
        for reader in readers {
            reader.await.unwrap();
        }
        for node in nodes {
            check(&node.mail, INBOX).await;
        }
    }
}

/// Until the writers have put the message there that says that they are done.
const LAST: usize = 700 + 4 * 40 + 1;

async fn write(nodes: [Node; 2], seed: u64) {
    let mut script = Script { rng: StdRng::seed_from_u64(seed), made: 0 };
    for _ in 0..40 {
        let (here, there) = (script.one_of(&[0, 1]), script.one_of(&[0, 1]));
        let done = append(&nodes[here].mail, INBOX, 1).await.unwrap();
        let current = nodes[there].mail.current(ALICE, INBOX).await.unwrap();
        assert!(current.modseq >= done);
        assert!(current.roll.unwrap().modseq() >= done);
        let uid = Uid(script.rng.random_range(1..700));
        let change = script.change();
        let stored = nodes[here].mail.store(ALICE, INBOX, &[uid], &change, None).await.unwrap();
        let roll = nodes[there].mail.current(ALICE, INBOX).await.unwrap().roll.unwrap();
        let seen = roll.finder().find(uid).unwrap().member();
        assert!(seen.modseq >= stored.members[0].modseq);
        assert!(seen.modseq > stored.members[0].modseq || seen == stored.members[0]);
    }
}

async fn read(mail: Mail) {
    let (mut modseq, mut before) = (ModSeq(0), None::<Current>);
    loop {
        let current = mail.current(ALICE, INBOX).await.unwrap();
        assert!(current.modseq >= modseq, "{} after {modseq}", current.modseq);
        modseq = current.modseq;
        let roll = current.roll.clone().unwrap();
        assert!(roll.iter().all(|entry| entry.modseq() <= modseq));
        assert!(roll.uids().iter().is_sorted_by(|one, two| one < two));
        if let Some(before) = before.and_then(|before| before.roll) {
            let gone = before.uids().minus(roll.uids());
            assert!(gone.is_empty(), "{gone:?} were never expunged");
        }
        if roll.len() >= LAST {
            return;
        }
        before = Some(current);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_who_ask_at_once_read_once() {
    let world = World::new();
    let rows = Arc::new(kv::Metered::new(world.engine.clone()));
    let node = world.node_on(rows.clone(), world.memory.clone(), MailOptions::default());
    append(&node.mail, INBOX, 3000).await.unwrap();
    rows.take();
    let ask = || node.mail.current(ALICE, INBOX);
    let (first, rest) = tokio::join!(ask(), async {
        // One that gives up does no harm.
        tokio::select! {
            biased;
            gone = ask() => assert!(gone.is_ok()),
            () = tokio::task::yield_now() => {}
        }
        futures::future::join_all((0..20).map(|_| ask())).await
    });
    let first = first.unwrap().roll.unwrap();
    assert!(rest.into_iter().all(|current| current.unwrap().roll.unwrap().uids().is(first.uids())));
    let counts = rows.take();
    assert!(counts.rows_read < 2 * 3000 + 200, "{counts:?}");
}

#[tokio::test]
async fn a_mailbox_of_the_same_name_is_another() {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    let path = MailboxPath::parse("work").unwrap();
    let first = node.mail.create_path(ALICE, &path, None).await.unwrap().id;
    append(&node.mail, first, 3).await.unwrap();
    check(&node.mail, first).await;
    check(&other.mail, first).await;
    other.mail.delete_mailbox(ALICE, first, DeleteScope::Leaf).await.unwrap();
    let gone = node.mail.current(ALICE, first).await;
    assert_eq!(gone.err(), Some(Error::NoSuchMailbox));
    assert_eq!(node.mail.mailbox_at(ALICE, &path).await, Ok(None));
    let second = other.mail.create_path(ALICE, &path, None).await.unwrap().id;
    assert_eq!(node.mail.mailbox_at(ALICE, &path).await, Ok(Some(second)));
    check(&node.mail, second).await;
    // An account that was erased begins anew, with mailboxes of the same ids.
    append(&node.mail, INBOX, 5).await.unwrap();
    check(&node.mail, INBOX).await;
    other.mail.erase_account(ALICE).await.unwrap();
    world.hand.advance(DAY);
    check(&node.mail, INBOX).await;
    append(&other.mail, INBOX, 5).await.unwrap();
    check(&node.mail, INBOX).await;
}

#[tokio::test]
async fn what_is_too_large_for_memory_is_not_kept() {
    let world = World::new();
    let node = world.node_with(MailOptions { mailbox_cache: 20_000, ..MailOptions::default() });
    append(&node.mail, INBOX, 300).await.unwrap();
    let current = node.mail.current(ALICE, INBOX).await.unwrap();
    assert!(current.roll.is_none());
    assert_eq!(current.uidnext, Uid(301));
    let deleted = FlagChange { action: FlagAction::Add, keywords: keywords(&[]), deleted: true };
    let most: Vec<Uid> = (1..=250).map(Uid).collect();
    node.mail.store(ALICE, INBOX, &most, &deleted, None).await.unwrap();
    assert_eq!(node.mail.expunge(ALICE, INBOX, None).await.unwrap().uids, most);
    check(&node.mail, INBOX).await;
}
