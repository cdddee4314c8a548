//! Garbage collection against everything that links and unlinks: deliveries, copies, expunges and purges on two nodes,
//! all with the same few attachments, while sweeps and compactions run and time flies (faults 57 and 59).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mail::{FlagAction, FlagChange, MailOptions, Quota};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::blob::{self, CompactLimits, Engine, Segments, SegmentsOptions, SweepLimits};
use support::{GRACE, Letter, Node, Seed, World, keywords, letter, seeds, to_inbox};
use types::{AccountId, Keywords, MailboxId};

const INBOX: MailboxId = MailboxId::INBOX;
const ATTACHMENTS: u64 = 5;
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

fn options() -> MailOptions {
    MailOptions { retention: HOUR * 2, ..MailOptions::default() }
}

/// One task: what happens to the mail of one account.
async fn live(node: Node, account: AccountId, seed: u64, steps: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for step in 0..steps {
        match rng.random_range(0..10) {
            0..5 => {
                let mut letter = Letter::new(&format!("{account}.{step}"), "shared");
                for _ in 0..rng.random_range(1..3) {
                    letter = letter.attach(letter::noise(rng.random_range(0..ATTACHMENTS), 40_000));
                }
                let raw = letter.write();
                let message = node.mail.ingest(raw.clone()).await.unwrap();
                // Time may fly between the two, and what the message shares may be swept.
                tokio::task::yield_now().await;
                let other = AccountId(100 + account.0);
                for (id, result) in [account, other]
                    .into_iter()
                    .zip(node.mail.deliver(&message, &[to_inbox(account), to_inbox(other)]).await)
                {
                    let source = node.mail.source(id, result.unwrap().email).await.unwrap();
                    assert!(source.read(0..u64::MAX).await.unwrap() == raw, "at once after its delivery");
                }
            }
            5 => {
                let uids = node.uids(account, INBOX).await;
                let some: Vec<_> = uids.into_iter().filter(|_| rng.random_bool(0.3)).collect();
                node.mail.copy(account, INBOX, &some, INBOX, Quota::default()).await.unwrap();
            }
            6..8 => {
                let uids = node.uids(account, INBOX).await;
                let some: Vec<_> = uids.into_iter().filter(|_| rng.random_bool(0.7)).collect();
                delete(&node, account, &some).await;
            }
            8 => {
                let gone = node.mail.expunged(account, None, 3).await.unwrap();
                for gone in gone {
                    match node.mail.restore(account, &gone, INBOX, Quota::default()).await {
                        Ok(_) | Err(mail::Error::NoSuchEmail) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            _ => {
                node.mail.upkeep(account).await.unwrap();
                node.mail.upkeep(AccountId(100 + account.0)).await.unwrap();
            }
        }
    }
}

async fn delete(node: &Node, account: AccountId, uids: &[types::Uid]) {
    let deleted = FlagChange { action: FlagAction::Add, keywords: keywords(&[]), deleted: true };
    node.mail.store(account, INBOX, uids, &deleted, None).await.unwrap();
    node.mail.expunge(account, INBOX, None).await.unwrap();
}

async fn collect(node: &Node) {
    node.blobs.sweep(SweepLimits::default()).await.unwrap();
    node.blobs.compact(CompactLimits { dead_percent: 10, ..CompactLimits::default() }).await.unwrap();
    let mut after = None;
    loop {
        after = node.blobs.collect_orphans(after.as_ref()).await.unwrap().next;
        if after.is_none() {
            return;
        }
    }
}

async fn race(world: &World, objects: Arc<dyn Engine>, seed: u64) -> Node {
    let node = || world.node_on(world.engine.clone(), objects.clone(), options());
    let nodes = [node(), node()];
    let living = Arc::new(AtomicBool::new(true));
    let mut collectors = tokio::task::JoinSet::new();
    for (number, node) in nodes.iter().cloned().enumerate() {
        let (hand, living) = (world.hand.clone(), living.clone());
        let mut rng = StdRng::seed_from_u64(seed + number as u64);
        collectors.spawn(async move {
            while living.load(Ordering::SeqCst) {
                hand.advance(MINUTE * rng.random_range(0..25));
                collect(&node).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let mut tasks = tokio::task::JoinSet::new();
    for account in 1..=6 {
        let node = nodes[usize::try_from(account % 2).unwrap()].clone();
        tasks.spawn(live(node, AccountId(account), seed * 31 + account, 60));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    living.store(false, Ordering::SeqCst);
    while let Some(done) = collectors.join_next().await {
        done.unwrap();
    }
    let [node, _] = nodes;
    node
}

fn accounts() -> Vec<AccountId> {
    (1..=6).chain(101..=106).map(AccountId).collect()
}

/// Nothing is missing; and when all that was expunged is purged, nothing is left over.
async fn settle(world: &World, node: &Node, survivors: usize) -> blob::VerifyReport {
    node.assert_sound(&accounts()).await;
    node.assert_blobs_sound().await;
    for account in accounts() {
        let uids = node.uids(account, INBOX).await;
        delete(node, account, &uids[..uids.len().saturating_sub(survivors)]).await;
    }
    world.hand.advance(HOUR * 3);
    for account in accounts() {
        node.mail.upkeep(account).await.unwrap();
    }
    for _ in 0..4 {
        world.hand.advance(GRACE * 2);
        collect(node).await;
    }
    node.assert_sound(&accounts()).await;
    node.assert_blobs_sound().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_blob_vanishes_and_none_is_left_over() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let node = race(&world, world.memory.clone(), seed).await;
        let report = settle(&world, &node, 1).await;
        assert!(report.blobs <= ATTACHMENTS);
        assert_eq!(world.memory.len() as u64, report.blobs, "objects that nobody knows");
        let report = settle(&world, &node, 0).await;
        assert_eq!((report.blobs, report.references, world.memory.len()), (0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_in_segments_that_are_compacted() {
    for seed in seeds(2) {
        let _seed = Seed(seed);
        let world = World::new();
        let directory = world.directory().join("blobs");
        let options = SegmentsOptions { segment_bytes: 200_000, ..SegmentsOptions::default() };
        let segments = Arc::new(Segments::open(&directory, world.clock.clone(), options).unwrap());
        let node = race(&world, segments.clone(), seed).await;
        settle(&world, &node, 1).await;
        let report = settle(&world, &node, 0).await;
        assert_eq!((report.blobs, report.references), (0, 0));
        segments.seal().await.unwrap();
        world.hand.advance(GRACE * 2);
        collect(&node).await;
        let left: u64 = segments.extents().await.unwrap().iter().map(|extent| extent.bytes).sum();
        assert!(left < 200_000, "{left} bytes are left in segments without a blob");
    }
}

/// A message whose delivery is refused leaves bytes that nobody needs; they go after the grace period.
#[tokio::test]
async fn what_was_ingested_and_refused_is_collected() {
    let world = World::new();
    let node = world.node();
    let raw = Letter::new("1", "too much").attach(letter::noise(1, 50_000)).write();
    let message = node.mail.ingest(raw).await.unwrap();
    let refused = mail::Delivery {
        quota: Quota { bytes: Some(10), emails: None },
        keywords: Keywords::new(),
        ..to_inbox(AccountId(1))
    };
    assert!(node.mail.deliver(&message, &[refused]).await[0].is_err());
    assert_eq!(world.memory.len(), 1);
    collect(&node).await;
    assert_eq!(world.memory.len(), 1, "it may still be delivered to somebody else");
    world.hand.advance(GRACE);
    collect(&node).await;
    world.hand.advance(GRACE);
    collect(&node).await;
    assert_eq!(world.memory.len(), 0);
}
