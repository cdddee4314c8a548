//! A message that is handed over twice because the answer was lost is in the queue once, or was.

use queue::{Error, Handover, Outcome};

use crate::world::{DAY, World, entry, id};

const NAME: Handover = Handover(*b"sender and bytes");

#[tokio::test]
async fn what_is_handed_over_again_is_known_also_when_it_has_left() {
    let world = World::new();
    let node = world.node();
    let [first, again] = [entry(1, &["a@example.test"]), entry(2, &["a@example.test"])];
    node.queue.enqueue_once(&first, NAME).await.unwrap();
    assert_eq!(node.queue.enqueue_once(&again, NAME).await, Err(Error::Exists(id(1))));
    let lease = node.claim_one().await;
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
    assert!(node.queue.show(id(1)).await.unwrap().is_none(), "it has left");
    node.queue.forget_handovers().await.unwrap();
    assert_eq!(node.queue.enqueue_once(&again, NAME).await, Err(Error::Exists(id(1))));
    node.queue.enqueue_once(&again, Handover(*b"something else..")).await.unwrap();
    node.assert_sound().await;
}

#[tokio::test]
async fn names_are_known_for_a_day_and_forgotten_after_two() {
    let world = World::new();
    let node = world.node();
    node.queue.enqueue_once(&entry(1, &["a@example.test"]), NAME).await.unwrap();
    let again = entry(2, &["a@example.test"]);
    node.hand.advance(DAY);
    node.queue.forget_handovers().await.unwrap();
    assert_eq!(node.queue.enqueue_once(&again, NAME).await, Err(Error::Exists(id(1))));
    node.hand.advance(DAY);
    node.queue.forget_handovers().await.unwrap();
    node.queue.enqueue_once(&again, NAME).await.unwrap();
    node.assert_sound().await;
}

#[tokio::test]
async fn whatever_the_store_does_it_is_there_once() {
    for seed in 0..40 {
        let world = World::new();
        let rough = world.rough_node(seed);
        let (mut taken, mut unknown) = (0, 0);
        for number in 1..=5 {
            match rough.queue.enqueue_once(&entry(number, &["a@example.test"]), NAME).await {
                Ok(()) => taken += 1,
                Err(Error::Exists(_)) => assert!(taken + unknown > 0, "seed {seed}"),
                Err(Error::Kv(_)) => unknown += 1,
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
        assert!(taken <= 1, "seed {seed}");
        assert_eq!(world.node().queue.list(None, 10).await.unwrap().entries.len(), 1, "seed {seed}");
    }
}
