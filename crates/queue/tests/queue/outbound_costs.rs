//! What a message through the outbound queue costs, and that it costs the same whatever waits for others.

use std::sync::Arc;

use queue::{Cause, NewEntry, NewLeg, Outcome, Standstill};
use store::kv::{Counts, Metered};

use crate::world::{MINUTE, Node, SECOND, World, entry, mail, refused};

const DEAD: &str = "dead.example";

struct Counted {
    node: Node,
    rows: Arc<Metered>,
    _world: World,
}

impl Counted {
    async fn new() -> Self {
        let world = World::new();
        let rows = Arc::new(Metered::new(world.engine.clone()));
        let node = world.sender_on(rows.clone());
        node.send(0, "first.example").await;
        let lease = node.due_one().await;
        node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
        rows.take();
        Self { node, rows, _world: world }
    }

    /// Sends messages to destinations that work, each by itself, and returns what the whole way of them cost.
    async fn deliver(&self, from: u64, count: u64) -> Counts {
        self.rows.take();
        for number in from..from + count {
            self.node.send(number, &format!("well{number}.example")).await;
            let lease = self.node.due_one().await;
            self.node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
        }
        self.rows.take()
    }

    /// Queues as many legs for the dead destination.
    async fn pile_up(&self, legs: usize) {
        for part in 0..legs / 1000 {
            self.node.queue.enqueue(&mail(1_000_000 + part as u64, DEAD, 1000)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_way_of_one_message_is_three_commits() {
    let counted = Counted::new().await;
    let node = &counted.node;
    node.send(1, "mx.example").await;
    let enqueued = counted.rows.take();
    assert_eq!((enqueued.commits, enqueued.read_rounds), (1, 1), "{enqueued:?}");
    assert!(enqueued.rows_written <= 6, "{enqueued:?}");
    let lease = node.due_one().await;
    let claimed = counted.rows.take();
    // The time twice, a page of each shard of legs and lines, then legs, entries and lines.
    assert_eq!((claimed.commits, claimed.read_rounds), (1, 2 + 16 + 4 + 3), "{claimed:?}");
    assert!(claimed.rows_written <= 3, "{claimed:?}");
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
    let settled = counted.rows.take();
    assert_eq!((settled.commits, settled.read_rounds), (1, 1), "{settled:?}");
    assert!(settled.rows_written <= 5, "{settled:?}");
    assert!(node.due().await.is_empty());
    assert_eq!(counted.rows.take().commits, 0);
    node.queue.reached("mx.example").await.unwrap();
    let reached = counted.rows.take();
    assert_eq!((reached.commits, reached.read_rounds), (0, 1), "{reached:?}");
}

#[tokio::test]
async fn a_claim_for_many_destinations_is_one_commit() {
    let counted = Counted::new().await;
    for number in 1..=100 {
        counted.node.send(number, &format!("mx{number}.example")).await;
    }
    counted.rows.take();
    assert_eq!(counted.node.due().await.len(), 100);
    let counts = counted.rows.take();
    assert_eq!((counts.commits, counts.read_rounds), (1, 2 + 16 + 4 + 3), "{counts:?}");
}

#[tokio::test]
async fn test_65_ten_thousand_behind_a_dead_destination_cost_the_others_nothing() {
    let counted = Counted::new().await;
    let alone = counted.deliver(1, 20).await;
    let node = &counted.node;
    counted.pile_up(10_000).await;
    let capacity = |name: &str| if name == DEAD { 20 } else { 100 };
    let first = node.queue.claim_for("sender", 20, &capacity).await.unwrap();
    assert_eq!(first.len(), 20);
    for lease in &first {
        assert_eq!(lease.destination(), DEAD);
        node.queue.block(lease, Cause::Connection, &refused()).await.unwrap();
    }

    // Though the same claim has put others in line for want of room, that is a failure of the destination.
    let line = node.line(DEAD).await.unwrap();
    assert_eq!((line.why, line.attempts), (Standstill::Failing, 1));

    // The others flow while the dead one's are put in line, at most 512 in a commit, once each.
    counted.rows.take();
    node.send(500, "well500.example").await;
    let lease = loop {
        let mut leases = node.queue.claim_for("sender", 100, &capacity).await.unwrap();
        if let Some(lease) = leases.pop() {
            break lease;
        }
    };
    assert_eq!(lease.destination(), "well500.example");
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
    while !node.due().await.is_empty() {}
    let moved = counted.rows.take();
    assert!(moved.commits <= 10_000 / 256, "{moved:?}");
    // Per leg: its row, its due time and its place; and what is counted.
    assert!(moved.rows_written <= 10_000 * 4 + 200, "{moved:?}");
    assert_eq!(node.line(DEAD).await.unwrap().depth, 10_000);

    // From then on nothing of it is seen.
    let behind = counted.deliver(600, 20).await;
    assert_eq!(
        (behind.commits, behind.read_rounds, behind.rows_read, behind.rows_written),
        (alone.commits, alone.read_rounds, alone.rows_read, alone.rows_written)
    );

    // A probe costs what a message costs, and a row or two of the line.
    node.hand.advance(MINUTE);
    node.queue.tick().await.unwrap();
    counted.rows.take();
    let probe = node.due_one().await;
    let probed = counted.rows.take();
    assert!(probe.is_probe());
    assert!(probed.commits == 1 && probed.rows_read <= 12 && probed.rows_written <= 10, "{probed:?}");
    node.queue.block(&probe, Cause::Connection, &refused()).await.unwrap();
    let blocked = counted.rows.take();
    assert!(blocked.commits == 1 && blocked.read_rounds <= 2 && blocked.rows_written <= 10, "{blocked:?}");
    node.assert_sound().await;
}

#[tokio::test]
async fn an_open_connection_gets_its_next_messages_in_one_commit() {
    let counted = Counted::new().await;
    let node = &counted.node;
    counted.pile_up(1000).await;
    let first = node.queue.claim_for("sender", 10, &|_: &str| 10).await.unwrap();
    assert_eq!(first.len(), 10);
    assert_eq!(node.queue.claim_for("sender", 10, &|_: &str| 0).await.unwrap().len(), 0);
    let line = node.line(DEAD).await.unwrap();
    assert_eq!((line.why, line.depth), (Standstill::Busy, 990));
    counted.rows.take();
    assert_eq!(node.queue.next_in_line("sender", DEAD, 10).await.unwrap().len(), 10);
    let counts = counted.rows.take();
    // The line, the time, the places, then legs and entries.
    assert_eq!((counts.commits, counts.read_rounds), (1, 5), "{counts:?}");
    assert!(counts.rows_read <= 2 + 11 + 20 && counts.rows_written <= 10 * 4 + 1, "{counts:?}");
    node.hand.advance(SECOND);
    node.assert_sound().await;
}

#[tokio::test]
async fn long_rows_are_moved_in_transactions_that_are_not_too_long() {
    let world = World::new();
    let node = world.sender();
    node.queue.hold_destination(DEAD, "wait").await.unwrap();
    let long = |number: usize| queue::Recipient {
        address: format!("{}{number}@{DEAD}", "x".repeat(200)),
        orcpt: Some("y".repeat(400)),
        said: Some("z".repeat(400)),
        ..queue::Recipient::default()
    };
    for number in 0..4 {
        let recipients = (0..4000).map(long).collect();
        let leg = NewLeg { destination: DEAD.into(), recipients, ..NewLeg::default() };
        node.queue.enqueue(&NewEntry { legs: vec![leg], ..entry(number, &["x"]) }).await.unwrap();
    }
    assert!(node.due().await.is_empty());
    assert_eq!(node.line(DEAD).await.unwrap().depth, 320);
}
