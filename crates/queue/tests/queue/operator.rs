//! What an operator sees and decides.

use std::time::Duration;

use queue::{Ages, Depth, Error, EventKind, LegState, Options, Outcome};

use crate::world::{DAY, START, World, entry, id};

#[tokio::test]
async fn the_error_queue_is_looked_at_retried_released_and_dropped() {
    let world = World::new();
    let node = world.node();
    for number in 0..4 {
        node.enqueue(number, &["a@example.test"]).await;
    }
    for lease in node.queue.claim("tester", 10).await.unwrap() {
        node.queue.settle(&lease, vec![(0, Outcome::Never("closed".into()))]).await.unwrap();
    }
    assert_eq!(node.queue.depth().await.unwrap(), Depth { waiting: 0, held: 0, failed: 4 });
    assert_eq!(node.queue.failed().await.unwrap().len(), 4);

    assert_eq!(node.queue.retry(id(0)).await.unwrap(), 1);
    let lease = node.claim_one().await;
    assert!(!lease.is_released());
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();

    assert_eq!(node.queue.release(id(1)).await.unwrap(), 1);
    let lease = node.claim_one().await;
    assert!(lease.is_released());
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();

    node.queue.drop_entry(id(2)).await.unwrap();
    assert_eq!(node.queue.drop_entry(id(2)).await, Err(Error::NoSuchEntry(id(2))));
    assert_eq!(node.queue.retry(id(9)).await, Err(Error::NoSuchEntry(id(9))));
    assert_eq!(node.queue.depth().await.unwrap(), Depth { waiting: 0, held: 0, failed: 1 });
    node.assert_sound().await;
}

#[tokio::test]
async fn the_oldest_of_each_state_is_known() {
    let world = World::new();
    let node = world.node();
    let minute = Duration::from_mins(1);
    assert_eq!(node.queue.ages(100).await.unwrap(), Ages::default());
    // The queue's time begins with the first that is done in it.
    node.enqueue(9, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
    for number in 0..3 {
        node.enqueue(number, &["a@example.test"]).await;
        node.hand.advance(minute);
    }
    node.queue.hold(id(0), "let me see").await.unwrap();
    for lease in node.queue.claim("tester", 10).await.unwrap() {
        let outcome =
            if lease.id() == id(1) { Outcome::Never("closed".into()) } else { Outcome::Later("x".into()) };
        node.queue.settle(&lease, vec![(0, outcome)]).await.unwrap();
    }
    node.hand.advance(minute);
    let ages = node.queue.ages(100).await.unwrap();
    assert_eq!((ages.held, ages.failed), (Some(minute * 4), Some(minute)));
    assert_eq!(ages.waiting, Some(minute * 2), "an attempt does not make it younger");
    assert_eq!(node.queue.ages(0).await.unwrap(), Ages::default());
}

#[tokio::test]
async fn a_held_message_waits_for_its_release() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    assert_eq!(node.queue.hold(id, "let me see").await.unwrap(), 1);
    assert_eq!(node.queue.settle(&lease, vec![(0, Outcome::Done)]).await, Err(Error::LeaseLost(id)));
    node.hand.advance(DAY);
    assert_eq!((node.claims().await, node.queue.retry(id).await.unwrap()), (0, 0));
    assert_eq!(node.queue.depth().await.unwrap().held, 1);
    node.assert_sound().await;
    assert_eq!(node.queue.release(id).await.unwrap(), 1);
    assert_eq!(node.claims().await, 1);
    let kinds: Vec<EventKind> = node.show(id).await.legs[0].history.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Entered, EventKind::Held, EventKind::Released]);
}

#[tokio::test]
async fn what_is_dropped_is_not_delivered_by_who_has_it() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    node.queue.drop_entry(id).await.unwrap();
    assert_eq!(node.queue.settle(&lease, vec![(0, Outcome::Done)]).await, Err(Error::LeaseLost(id)));
    node.assert_sound().await;
}

#[tokio::test]
async fn a_list_comes_in_parts() {
    let world = World::new();
    let node = world.node();
    for number in 0..25 {
        node.enqueue(number, &["a@example.test"]).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = node.queue.list(after, 10).await.unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 25);
}

#[tokio::test]
async fn old_failures_are_trimmed_where_that_is_wanted() {
    let world = World::new();
    let options = Options { keep_failed: Some(DAY * 30), ..Options::inbound() };
    let node = world.node_on(world.engine.clone(), START, options);
    for number in 0..2 {
        node.enqueue(number, &["a@example.test"]).await;
        let lease = node.claim_one().await;
        node.queue.settle(&lease, vec![(0, Outcome::Never("closed".into()))]).await.unwrap();
        node.hand.advance(DAY * 20);
    }
    assert_eq!(node.queue.trim().await.unwrap(), [id(0)]);
    assert_eq!(node.queue.trim().await.unwrap(), []);
    assert_eq!(world.node().queue.trim().await.unwrap(), [], "by default nothing is");
    node.assert_sound().await;
}

#[tokio::test]
async fn what_cannot_be_queued_is_refused() {
    let world = World::new();
    let node = world.node();
    let mut new = entry(1, &[]);
    assert_eq!(node.queue.enqueue(&new).await, Err(Error::Empty));
    new = entry(1, &["a@example.test"]);
    node.queue.enqueue(&new).await.unwrap();
    assert_eq!(node.queue.enqueue(&new).await, Err(Error::Exists(new.id)));
    let many = vec!["a@example.test"; 10_001];
    assert!(matches!(node.queue.enqueue(&entry(2, &many)).await, Err(Error::TooMany { .. })));
    node.queue.enqueue(&entry(2, &many[..10_000])).await.unwrap();
    assert_eq!(node.show(id(2)).await.legs.len(), 200);
    assert_eq!(node.show(id(2)).await.legs[199].state, LegState::Waiting);
    node.assert_sound().await;
}
