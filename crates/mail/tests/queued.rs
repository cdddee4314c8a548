//! Mail and the queue together, on a store that conflicts and loses answers, with workers whose leases run out: what
//! was queued is in each mailbox once, byte for byte, and shares its blobs with the queue meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::{Companion, Delivered, Delivery, Error, MailOptions, Message};
use queue::{Body, Dice, EntryId, Kind, Lease, NewEntry, NewLeg, Options, Origin, Outcome, Queue, Recipient};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv::{Metered, Transaction};
use support::{Letter, Node, START, Seed, World, letter, seeds, to_inbox};
use types::{AccountId, MailboxId};

const MESSAGES: u64 = 24;
const ACCOUNTS: u64 = 4;

/// A machine with workers.
struct Site {
    node: Node,
    queue: Queue,
}

impl Site {
    fn new(world: &World, node: Node, seed: u64) -> Self {
        let options = Options { dice: Dice::seeded(seed), ..Options::inbound() };
        let queue =
            Queue::new(Kind::Inbound, node.kv.clone(), node.blobs.clone(), world.clock.clone(), options);
        Self { node, queue }
    }

    async fn enqueue(&self, number: u64, raw: Bytes, accounts: &[u64]) {
        let recipient = |account: &u64| Recipient {
            address: format!("user{account}@example.test"),
            account: Some(AccountId(*account)),
            ..Recipient::default()
        };
        loop {
            let packed = self.node.mail.pack(raw.clone()).await.unwrap();
            let entry = NewEntry {
                id: EntryId((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()),
                origin: Origin::default(),
                received: START,
                size: raw.len() as u64,
                body: Body { row: packed.row, blobs: packed.blobs },
                why: "a test".into(),
                legs: vec![NewLeg {
                    recipients: accounts.iter().map(recipient).collect(),
                    ..NewLeg::default()
                }],
            };
            match self.queue.enqueue(&entry).await {
                Ok(()) => return,
                Err(error) => eprintln!("once more: {error}"),
            }
        }
    }

    async fn read(&self, id: EntryId) -> Option<Message> {
        let row = self.queue.body(id).await.ok()?;
        let source = self.node.mail.unpack(&row).ok()?;
        let raw = source.read(0..source.size()).await.ok()?;
        self.node.mail.ingest(raw).await.ok()
    }

    /// Delivers to some of a leg's recipients, as a worker does.
    async fn deliver(&self, lease: &Lease, most: usize) {
        let Some(message) = self.read(lease.id()).await else { return };
        let pending: Vec<(usize, AccountId)> =
            lease.pending().take(most).map(|(number, r)| (number, r.account.unwrap())).collect();
        let deliveries: Vec<Delivery> = pending.iter().map(|(_, account)| to_inbox(*account)).collect();
        let strike = Strike { queue: &self.queue, lease, pending: &pending };
        let results = self.node.mail.deliver_with(&message, &deliveries, &strike).await;
        if results.iter().all(Result::is_ok) && most >= lease.pending().count() {
            return;
        }
        let failed = pending.iter().zip(results).filter_map(|((number, _), result)| {
            result.err().map(|error| (*number, Outcome::Later(error.to_string().into())))
        });
        let _lease_may_be_lost = self.queue.settle(lease, failed.collect()).await;
    }
}

struct Strike<'a> {
    queue: &'a Queue,
    lease: &'a Lease,
    pending: &'a [(usize, AccountId)],
}

impl Companion for Strike<'_> {
    async fn join(
        &self,
        tx: &Transaction,
        fates: &[(AccountId, Result<Delivered, Error>)],
    ) -> Result<(), Error> {
        let done = |account| fates.iter().any(|(other, fate)| *other == account && fate.is_ok());
        let done: Vec<usize> =
            self.pending.iter().filter(|(_, account)| done(*account)).map(|(number, _)| *number).collect();
        match self.queue.strike(tx, self.lease, &done).await {
            Ok(_) => Ok(()),
            Err(queue::Error::Kv(error)) => Err(error.into()),
            Err(error) => Err(Error::Withdrawn(error.to_string())),
        }
    }
}

/// Short ones, long ones, ones with attachments that others have too; some without a Message-ID.
fn raw(number: u64, rng: &mut StdRng) -> Bytes {
    let mut letter = Letter::new(&format!("queued-{number}"), &format!("queued {number}"));
    match rng.random_range(0..4) {
        0 => letter = letter.attach(letter::noise(rng.random_range(0..3), 60_000)),
        1 => letter = letter.text(40_000),
        2 => letter.id = None,
        _ => {}
    }
    letter.write()
}

async fn run(seed: u64) {
    let _printed = Seed(seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::new());
    let first = Site::new(&world, world.rough_node(seed, MailOptions::default()), seed);
    let mut expected: BTreeMap<u64, Vec<Bytes>> = BTreeMap::new();
    for number in 0..MESSAGES {
        let raw = raw(number, &mut rng);
        let accounts: Vec<u64> = (1..=ACCOUNTS).filter(|_| rng.random_bool(0.5)).collect();
        let accounts = if accounts.is_empty() { vec![1] } else { accounts };
        first.enqueue(number, raw.clone(), &accounts).await;
        for account in accounts {
            expected.entry(account).or_default().push(raw.clone());
        }
    }
    let workers: Vec<_> = (1..=2)
        .map(|worker| {
            let world = world.clone();
            let mut rng = StdRng::seed_from_u64(seed ^ worker);
            tokio::spawn(async move {
                let node = world.rough_node(seed ^ (worker + 100), MailOptions::default());
                let site = Site::new(&world, node, seed ^ worker);
                for _ in 0..30 {
                    let most = rng.random_range(1..4);
                    for lease in site.queue.claim("worker", most).await.unwrap_or_default() {
                        match rng.random_range(0..6) {
                            0 => continue,
                            // The others may take it while this one is still at it.
                            1 => world.hand.advance(site.queue.options().lease * 2),
                            _ => {}
                        }
                        site.deliver(&lease, rng.random_range(1..5)).await;
                    }
                    world.hand.advance(Duration::from_secs(10));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }

    let last = Site::new(&world, world.node(), seed);
    last.queue.reclaim().await.unwrap();
    for _ in 0..500 {
        for id in last.queue.failed().await.unwrap() {
            last.queue.retry(id).await.unwrap();
        }
        for lease in last.queue.claim("last", 50).await.unwrap() {
            last.deliver(&lease, usize::MAX).await;
        }
        world.hand.advance(Duration::from_mins(1));
        if last.queue.list(None, 1).await.unwrap().entries.is_empty() {
            break;
        }
    }
    for account in 1..=ACCOUNTS {
        let mut expected = expected.remove(&account).unwrap_or_default();
        let id = AccountId(account);
        let emails = last.node.mail.members(id, MailboxId::INBOX, types::Uid(1), types::Uid(u32::MAX), 1000);
        let mut found = Vec::new();
        for member in emails.await.unwrap() {
            found.push(
                last.node.mail.source(id, member.email).await.unwrap().read(0..u64::MAX).await.unwrap(),
            );
        }
        expected.sort();
        found.sort();
        assert!(found == expected, "account {account}: {} of {}", found.len(), expected.len());
        last.node.assert_sound(&[id]).await;
    }
    let (entries, findings) = last.queue.verify().await.unwrap();
    assert_eq!((entries, findings), (0, Vec::new()));
    last.node.assert_blobs_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_mail_is_delivered_once_whatever_happens() {
    for seed in seeds(3) {
        run(seed).await;
    }
}

#[tokio::test]
async fn a_delivery_from_the_queue_writes_no_blob_and_commits_once() {
    let world = World::new();
    let rows = Arc::new(Metered::new(world.engine.clone()));
    let objects = Arc::new(store::blob::Metered::new(world.memory.clone()));
    let node = world.node_on(rows.clone(), objects.clone(), MailOptions::default());
    let site = Site::new(&world, node, 1);
    let raw = Letter::new("1", "report").attach(letter::noise(1, 750_000)).write();
    site.enqueue(1, raw.clone(), &[1]).await;
    assert_eq!(objects.take().puts, 1);
    let lease = site.queue.claim("worker", 1).await.unwrap().remove(0);
    rows.take();
    site.deliver(&lease, usize::MAX).await;
    assert_eq!((rows.take().commits, objects.take().puts), (1, 0));
    assert!(site.queue.list(None, 1).await.unwrap().entries.is_empty());
    site.node.assert_blobs_sound().await;
}

#[tokio::test]
async fn packed_and_unpacked_is_the_same() {
    let node = World::new().node();
    for letter in [
        Letter::new("1", "short"),
        Letter::new("2", "long").text(100_000),
        Letter::new("3", "with an attachment").attach(letter::noise(1, 50_000)),
    ] {
        let raw = letter.write();
        for packed in [
            node.mail.pack(raw.clone()).await.unwrap(),
            node.mail.ingest(raw.clone()).await.unwrap().packed(),
        ] {
            let source = node.mail.unpack(&packed.row).unwrap();
            assert_eq!((source.size(), source.hash()), (raw.len() as u64, *blake3::hash(&raw).as_bytes()));
            if packed.blobs.is_empty() {
                assert!(source.read(0..u64::MAX).await.unwrap() == raw);
            }
        }
    }
    assert!(matches!(node.mail.unpack(b"rubbish"), Err(Error::DamagedPack(_))));
    assert!(matches!(node.mail.pack(Bytes::new()).await, Err(Error::Empty)));
}
