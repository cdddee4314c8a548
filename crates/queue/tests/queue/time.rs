//! Fault 64: a clock that is off by a day. Nothing is retried early, given up, or taken from its worker.

use queue::{LegState, Options, Outcome};
use types::Timestamp;

use crate::world::{DAY, MINUTE, SECOND, START, World};

fn later(days: u32) -> Timestamp {
    START.plus(DAY * days)
}

#[tokio::test]
async fn test_64_a_clock_set_ahead_retries_and_takes_nothing() {
    let world = World::new();
    let node = world.node();
    let leased = node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    let waits = node.enqueue(2, &["a@example.test"]).await;
    let failed = node.claim_one().await;
    node.queue.settle(&failed, vec![(0, Outcome::Later("busy".into()))]).await.unwrap();

    // The clock of this node is set ten days ahead, and another node starts ten days ahead.
    node.hand.set(later(10));
    let other = world.node_on(world.engine.clone(), later(10), Options::inbound());
    for node in [&node, &other] {
        assert_eq!(node.claims().await, 0);
        node.queue.tick().await.unwrap();
        assert_eq!(node.claims().await, 0);
    }
    assert_eq!(node.show(leased).await.legs[0].state, LegState::Leased);
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();

    // Nor does what fails now count as ten days old.
    node.hand.advance(SECOND * 10);
    let lease = node.claim_one().await;
    assert_eq!(lease.id(), waits);
    let settled = node.queue.settle(&lease, vec![(0, Outcome::Later("busy".into()))]).await.unwrap();
    assert_eq!(settled, queue::Settled::Later);
    // People are told by the clock that they see.
    let due = node.show(waits).await.legs[0].due;
    assert!(due > later(10) && due < later(10).plus(MINUTE), "{due:?}");
}

#[tokio::test]
async fn test_64_a_clock_set_back_delays_nothing() {
    let world = World::new();
    let node = world.node();
    node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    node.queue.settle(&lease, vec![(0, Outcome::Later("busy".into()))]).await.unwrap();
    node.hand.set(Timestamp(START.0 - 86_400_000));
    node.hand.advance(SECOND * 10);
    assert_eq!(node.claims().await, 1);
}

#[tokio::test]
async fn nodes_agree_on_the_time_and_a_new_one_takes_it_up() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    one.enqueue(1, &["a@example.test"]).await;
    let began = one.queue.now().await.unwrap();
    for minute in 1..=60 {
        for node in [&one, &other] {
            node.hand.advance(MINUTE);
            node.queue.tick().await.unwrap();
        }
        let (a, b) = (one.queue.now().await.unwrap(), other.queue.now().await.unwrap());
        assert_eq!((a, b), (began.plus(MINUTE * minute), began.plus(MINUTE * minute)));
    }
    // A process that starts on another machine, with another wall clock.
    let third = world.node_on(world.engine.clone(), later(3), Options::inbound());
    assert_eq!(third.queue.now().await.unwrap(), began.plus(MINUTE * 60));
}

#[tokio::test]
async fn an_outage_lets_nothing_expire() {
    let world = World::new();
    let id = {
        let node = world.node();
        let id = node.enqueue(1, &["a@example.test"]).await;
        let lease = node.claim_one().await;
        node.queue.settle(&lease, vec![(0, Outcome::Later("busy".into()))]).await.unwrap();
        id
    };
    // A week later the service is started again.
    let node = world.node_on(world.engine.clone(), later(7), Options::inbound());
    assert_eq!(node.claims().await, 0);
    node.hand.advance(SECOND * 10);
    let lease = node.claim_one().await;
    let settled = node.queue.settle(&lease, vec![(0, Outcome::Later("busy".into()))]).await.unwrap();
    assert_eq!((lease.id(), settled), (id, queue::Settled::Later));
}
