//! Several workers on a store that conflicts, loses answers and forgets snapshots; leases run out under their feet. At
//! the end everybody has each message once, and nothing is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::{Error, Lease, Outcome, Queue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::blob::Content;
use store::kv::{Kv, Range};

use crate::world::{Node, SECOND, Seed, World, entry, seeds};

const MESSAGES: u64 = 40;
const WORKERS: u64 = 3;

/// What "delivering" is here: a counter per message and recipient, in the transaction that strikes it off.
async fn deliver(kv: &Kv, queue: &Queue, lease: &Lease, recipients: &[usize]) -> Result<(), Error> {
    kv.run(|tx| async move {
        for number in recipients {
            tx.add(format!("x/{}/{number}/{}", lease.id(), lease.destination()), 1)?;
        }
        queue.strike(&tx, lease, recipients).await.map(|_settled| ())
    })
    .await
}

/// One worker's next step. What it does, and when it dawdles, is chance.
async fn work(node: &Node, rng: &mut StdRng) {
    let most = rng.random_range(1..6);
    let Ok(leases) = node.queue.claim("worker", most).await else { return };
    for mut lease in leases {
        let pending: Vec<usize> = lease.pending().map(|(number, _)| number).collect();
        match rng.random_range(0..10) {
            // It dies.
            0 => continue,
            // It is so slow that its lease runs out, at least for itself.
            1 => node.hand.advance(node.queue.options().lease * 2),
            2 => drop(node.queue.renew(&mut lease).await),
            3 => {
                drop(node.queue.give_back(&[lease]).await);
                continue;
            }
            _ => {}
        }
        let part = rng.random_range(0..=pending.len());
        let (now, rest) = pending.split_at(part);
        if !now.is_empty() && deliver(&node.kv, &node.queue, &lease, now).await.is_err() {
            continue;
        }
        if rest.is_empty() {
            continue;
        }
        let outcome = |number: &usize| {
            let why = "chance".into();
            (*number, if number.is_multiple_of(7) { Outcome::Never(why) } else { Outcome::Later(why) })
        };
        drop(node.queue.settle(&lease, rest.iter().map(outcome).collect()).await);
    }
}

async fn fill(node: &Node, rng: &mut StdRng) -> BTreeMap<String, i64> {
    let mut expected = BTreeMap::new();
    for message in 0..MESSAGES {
        let recipients: Vec<String> =
            (0..rng.random_range(1..8)).map(|number| format!("user{number}@example.test")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let mut new = entry(message, &recipients);
        if message % 3 == 0 {
            let content = Content::memory(format!("blob {}", message % 2).repeat(1000));
            new.body.blobs = vec![node.blobs.prepare(content).await.unwrap()];
        }
        loop {
            match node.queue.enqueue(&new).await {
                Ok(()) | Err(Error::Exists(_)) => break,
                Err(error) => eprintln!("once more: {error}"),
            }
        }
        expected.extend((0..recipients.len()).map(|number| (format!("x/{}/{number}/", new.id), 1)));
    }
    expected
}

async fn run(seed: u64) {
    let _printed = Seed(seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::new());
    let expected = fill(&world.rough_node(seed), &mut rng).await;
    let workers = (0..WORKERS).map(|worker| {
        let world = world.clone();
        let mut rng = StdRng::seed_from_u64(seed ^ (worker + 1));
        tokio::spawn(async move {
            let node = world.rough_node(seed ^ (worker + 100));
            for _ in 0..60 {
                work(&node, &mut rng).await;
                node.hand.advance(SECOND * rng.random_range(0..30));
                for id in node.queue.failed().await.unwrap_or_default() {
                    drop(node.queue.retry(id).await);
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }

    let node = world.node();
    node.assert_sound().await;
    node.queue.reclaim().await.unwrap();
    for _ in 0..2000 {
        for id in node.queue.failed().await.unwrap() {
            node.queue.retry(id).await.unwrap();
        }
        for lease in node.queue.claim("last", 100).await.unwrap() {
            let pending: Vec<usize> = lease.pending().map(|(number, _)| number).collect();
            deliver(&node.kv, &node.queue, &lease, &pending).await.unwrap();
        }
        if node.queue.list(None, 1).await.unwrap().entries.is_empty() {
            break;
        }
        node.hand.advance(Duration::from_mins(1));
    }
    let tx = node.kv.read().await.unwrap();
    let rows = tx.range(Range::prefix(b"x/")).all().await.unwrap();
    let delivered: BTreeMap<String, i64> = rows
        .iter()
        .map(|(key, value)| (String::from_utf8(key.to_vec()).unwrap(), store::kv::counter(value)))
        .collect();
    assert_eq!(delivered, expected);
    assert_eq!(node.queue.depth().await.unwrap(), queue::Depth::default());
    node.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_everybody_gets_each_message_once() {
    for seed in seeds(3) {
        run(seed).await;
    }
}
