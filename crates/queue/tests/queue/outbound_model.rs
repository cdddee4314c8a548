//! Two nodes and an operator on a store that conflicts, loses answers and forgets snapshots; destinations come and go,
//! leases run out under their workers' feet. At the end everybody has each message once, or its sender was told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use queue::{
    Action, Cause, Companion, Errand, Error, Fate, Lease, NewEntry, NewLeg, Outcome, Passage, Recipient,
    Report, Whose,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use store::kv::{Range, Transaction};

use crate::world::{Node, SECOND, Seed, World, entry, refused, seeds};

const MESSAGES: u64 = 60;
const NODES: u64 = 2;
const STEPS: usize = 80;
const DESTINATIONS: u64 = 4;

fn destination(number: u64) -> String {
    format!("mx{}.example", number % DESTINATIONS)
}

/// Counts in the settling transaction who has what, and who was told what.
struct Ledger<'a> {
    lease: &'a Lease,
    done: &'a [usize],
}

impl Companion for Ledger<'_> {
    async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), Error> {
        let address =
            |number: &usize| self.lease.pending().find(|(n, _)| n == number).map(|(_, r)| r.address.clone());
        for number in self.done {
            tx.add(format!("x/end/{}/{}", self.lease.id(), address(number).unwrap()), 1)?;
        }
        for notice in &report.notices {
            let (kind, fate) = match notice.fate {
                Fate::Failed | Fate::Expired => ("end", String::new()),
                fate => ("told", format!("{fate:?}")),
            };
            tx.add(format!("x/{kind}/{}/{}{fate}", self.lease.id(), notice.recipient.address), 1)?;
        }
        Ok(())
    }
}

/// One worker's dealing with one lease. What it comes to is chance.
async fn work(node: &Node, mut lease: Lease, rng: &mut StdRng) {
    let queue = &node.queue;
    let pending: Vec<usize> = lease.pending().map(|(number, _)| number).collect();
    if lease.errand() != Errand::Attempt {
        let ledger = Ledger { lease: &lease, done: &[] };
        return drop(queue.settle_with(&lease, vec![], &ledger).await);
    }
    match rng.random_range(0..12) {
        // It dies.
        0 => return,
        // It is so slow that its lease runs out, at least for itself.
        1 => node.hand.advance(queue.options().lease * 2),
        2 => drop(queue.renew(&mut lease).await),
        3 => return drop(queue.give_back(&[lease]).await),
        4 | 5 => return drop(queue.block(&lease, Cause::Connection, &refused()).await),
        _ => {}
    }
    if lease.is_probe() || rng.random_bool(0.2) {
        drop(queue.reached(lease.destination()).await);
    }
    let mut done = Vec::new();
    let outcomes = pending.iter().map(|number| {
        let outcome = match rng.random_range(0..6) {
            0 => Outcome::Later("450 busy".into()),
            1 => Outcome::Never("550 no".into()),
            2 => Outcome::Passed(Passage::Relayed, "250 ok".into()),
            _ => Outcome::Done,
        };
        if matches!(outcome, Outcome::Done | Outcome::Passed(..)) {
            done.push(*number);
        }
        (*number, outcome)
    });
    let outcomes = outcomes.collect();
    drop(queue.settle_with(&lease, outcomes, &Ledger { lease: &lease, done: &done }).await);
}

/// One step of a node: it takes work, or an operator there does something.
async fn step(node: &Node, rng: &mut StdRng) {
    let (most, room) = (rng.random_range(1..8), rng.random_range(0..4));
    let whose = destination(rng.random_range(0..DESTINATIONS));
    let queue = &node.queue;
    let leases = match rng.random_range(0..20) {
        0 => return drop(queue.hold_destination(&whose, "chance").await),
        1..=3 => return drop(queue.release_destination(&whose).await),
        4 => return drop(queue.retry_destination(&whose).await),
        5 => {
            let action = match rng.random_range(0..3) {
                0 => Action::Retry,
                1 => Action::Release,
                _ => Action::Reroute(destination(rng.random_range(0..DESTINATIONS))),
            };
            return drop(queue.sweep(&Whose::Destination(whose), &action, None).await);
        }
        6 => {
            return drop(
                queue
                    .sweep(&Whose::Sender("odd@example.com".into()), &Action::Hold("chance".into()), None)
                    .await,
            );
        }
        7 => {
            return drop(queue.sweep(&Whose::Sender("odd@example.com".into()), &Action::Release, None).await);
        }
        8 => queue.next_in_line("next", &whose, most).await,
        _ => queue.claim_for("worker", most, &|_: &str| room).await,
    };
    for lease in leases.unwrap_or_default() {
        work(node, lease, rng).await;
    }
}

/// Puts the messages into the queue, and says who is to have or to be told of what.
async fn fill(node: &Node, rng: &mut StdRng) -> BTreeMap<String, i64> {
    let mut expected = BTreeMap::new();
    for message in 0..MESSAGES {
        let mut new = NewEntry { legs: Vec::new(), ..entry(message, &["x"]) };
        new.origin.sender = if message % 2 == 0 { "even@example.com" } else { "odd@example.com" }.into();
        for leg in 0..rng.random_range(1..4) {
            let recipient = |number: u64| Recipient {
                address: format!("user{leg}.{number}@example"),
                notify: (number == 0).then_some(7),
                ..Recipient::default()
            };
            let recipients: Vec<Recipient> = (0..rng.random_range(1..4)).map(recipient).collect();
            expected.extend(recipients.iter().map(|r| (format!("x/end/{}/{}", new.id, r.address), 1)));
            new.legs.push(NewLeg {
                destination: destination(message + leg),
                recipients,
                ..NewLeg::default()
            });
        }
        while !matches!(node.queue.enqueue(&new).await, Ok(()) | Err(Error::Exists(_))) {}
    }
    expected
}

/// Brings everything to its end, on a store that works.
async fn finish(node: &Node) {
    for number in 0..DESTINATIONS {
        node.queue.release_destination(&destination(number)).await.unwrap();
        node.queue.reached(&destination(number)).await.unwrap();
    }
    for sender in ["even@example.com", "odd@example.com"] {
        node.queue.sweep(&Whose::Sender(sender.into()), &Action::Release, None).await.unwrap();
    }
    for _ in 0..2000 {
        for lease in node.due().await {
            let pending: Vec<usize> = match lease.errand() {
                Errand::Attempt => lease.pending().map(|(number, _)| number).collect(),
                Errand::Warn | Errand::GiveUp => Vec::new(),
            };
            let outcomes = pending.iter().map(|number| (*number, Outcome::Done)).collect();
            let ledger = Ledger { lease: &lease, done: &pending };
            node.queue.settle_with(&lease, outcomes, &ledger).await.unwrap();
        }
        if node.queue.list(None, 1).await.unwrap().entries.is_empty() {
            return;
        }
        node.hand.advance(Duration::from_mins(1));
    }
    let left = node.queue.list(None, 3).await.unwrap().entries;
    panic!("it does not end: {left:#?}");
}

async fn run(seed: u64) {
    let _printed = Seed(seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::new());
    let expected = fill(&world.rough_sender(seed), &mut rng).await;
    let nodes = (0..NODES).map(|number| {
        let world = world.clone();
        let mut rng = StdRng::seed_from_u64(seed ^ (number + 1));
        tokio::spawn(async move {
            let node = world.rough_sender(seed ^ (number + 100));
            for _ in 0..STEPS {
                step(&node, &mut rng).await;
                node.hand.advance(SECOND * rng.random_range(0..900));
            }
        })
    });
    for node in nodes.collect::<Vec<_>>() {
        node.await.unwrap();
    }
    let node = world.sender();
    node.assert_sound().await;
    node.queue.reclaim().await.unwrap();
    node.assert_sound().await;
    for id in node.queue.failed().await.unwrap() {
        node.queue.retry(id).await.unwrap();
    }
    finish(&node).await;
    let tx = node.kv.read().await.unwrap();
    let rows = tx.range(Range::prefix(b"x/")).all().await.unwrap();
    let counts =
        rows.iter().map(|(key, value)| (String::from_utf8(key.to_vec()).unwrap(), store::kv::counter(value)));
    let (ends, told): (BTreeMap<_, _>, BTreeMap<_, _>) =
        counts.partition(|(key, _)| key.starts_with("x/end/"));
    assert_eq!(ends, expected);
    assert!(told.values().all(|count| *count == 1), "{told:#?}");
    assert_eq!(node.queue.depth().await.unwrap(), queue::Depth::default());
    // Lines that nobody stands in go by themselves.
    node.hand.advance(Duration::from_hours(24));
    assert!(node.due().await.is_empty());
    assert_eq!(node.queue.lines(None, 10).await.unwrap().lines, []);
    node.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_everybody_has_it_or_the_sender_knows() {
    for seed in seeds(4) {
        run(seed).await;
    }
}
