//! What the queue costs, counted where it crosses the store's contract.

use std::sync::Arc;

use queue::{Handover, Options, Outcome, Settled};
use store::blob::Content;
use store::kv::{Counts, Metered};

use crate::world::{Node, START, World, entry};

struct Counted {
    node: Node,
    rows: Arc<Metered>,
    _world: World,
}

impl Counted {
    async fn new() -> Self {
        let world = World::new();
        let rows = Arc::new(Metered::new(world.engine.clone()));
        let node = world.node_on(rows.clone(), START, Options::inbound());
        node.enqueue(0, &["first@example.test"]).await;
        let lease = node.claim_one().await;
        node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
        rows.take();
        Self { node, rows, _world: world }
    }

    fn take(&self) -> Counts {
        self.rows.take()
    }
}

#[tokio::test]
async fn to_enqueue_is_one_commit() {
    let counted = Counted::new().await;
    counted.node.enqueue(1, &["a@example.test", "b@example.test"]).await;
    let counts = counted.take();
    assert_eq!((counts.commits, counts.snapshots, counts.read_rounds), (1, 1, 1), "{counts:?}");
    assert!(counts.rows_written <= 6, "{counts:?}");

    let blob = counted.node.blobs.prepare(Content::memory("x".repeat(100_000))).await.unwrap();
    let mut new = entry(2, &["a@example.test"]);
    new.body.blobs = vec![blob];
    counted.take();
    counted.node.queue.enqueue(&new).await.unwrap();
    let counts = counted.take();
    assert_eq!((counts.commits, counts.read_rounds), (1, 2), "{counts:?}");

    // Under a name of its own: one round more, and the row with the name.
    counted.node.queue.enqueue_once(&entry(3, &["a@example.test"]), Handover([3; 16])).await.unwrap();
    let counts = counted.take();
    assert_eq!((counts.commits, counts.read_rounds), (1, 2), "{counts:?}");
    assert!(counts.rows_written <= 7, "{counts:?}");
}

#[tokio::test]
async fn a_claim_of_many_is_one_commit_and_an_idle_one_none() {
    let counted = Counted::new().await;
    for number in 1..=20 {
        counted.node.enqueue(number, &["a@example.test"]).await;
    }
    counted.take();
    assert_eq!(counted.node.claims().await, 20);
    assert_eq!(counted.take().commits, 1);
    assert_eq!(counted.node.claims().await, 0);
    assert_eq!(counted.take().commits, 0);
}

#[tokio::test]
async fn the_last_recipient_takes_the_entry_along_in_the_delivering_transaction() {
    let counted = Counted::new().await;
    counted.node.enqueue(1, &["a@example.test"]).await;
    let lease = &counted.node.claim_one().await;
    counted.take();
    let queue = &counted.node.queue;
    let settled =
        counted.node.kv.run(|tx| async move { queue.strike(&tx, lease, &[0]).await }).await.unwrap();
    assert_eq!(settled, Settled::Done);
    let counts = counted.take();
    assert_eq!((counts.commits, counts.read_rounds), (1, 1), "{counts:?}");
    assert!(counts.rows_written <= 5, "{counts:?}");
    assert!(queue.list(None, 10).await.unwrap().entries.is_empty());
}
