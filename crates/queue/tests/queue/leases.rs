//! Who works on what, and what happens when a worker does not come back.

use std::time::Duration;

use queue::{Error, EventKind, LegState, Outcome, Settled};

use crate::world::{MINUTE, SECOND, World};

#[tokio::test]
async fn a_leg_has_one_worker_at_a_time() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    let id = one.enqueue(1, &["a@example.test"]).await;
    let lease = one.claim_one().await;
    assert_eq!(other.claims().await, 0);
    assert_eq!(one.show(id).await.legs[0].state, LegState::Leased);
    assert_eq!(one.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap(), Settled::Done);
    assert!(other.queue.show(id).await.unwrap().is_none());
    one.assert_sound().await;
}

#[tokio::test]
async fn a_dead_workers_leg_moves_on_and_its_return_is_in_vain() {
    let world = World::new();
    let (dead, other) = (world.node(), world.node());
    let id = dead.enqueue(1, &["a@example.test"]).await;
    let lost = dead.claim_one().await;
    let lease = other.queue.options().lease;
    // Both nodes see the time pass.
    for node in [&dead, &other] {
        node.queue.tick().await.unwrap();
        node.hand.advance(lease - SECOND);
    }
    assert_eq!(other.claims().await, 0, "the lease still holds");
    other.hand.advance(SECOND);
    let taken = other.claim_one().await;
    assert_eq!((taken.id(), taken.attempt()), (id, 2));
    let history = other.show(id).await.legs[0].history.clone();
    assert_eq!(history[1].kind, EventKind::Lost);
    assert!(history[1].text.starts_with("tester had it"), "{history:?}");

    // The first one was only slow. It can neither deliver nor decide.
    let (queue, lost) = (&dead.queue, &lost);
    let strike = dead.kv.run(|tx| async move {
        tx.set("delivered", "twice")?;
        queue.strike(&tx, lost, &[0]).await
    });
    assert_eq!(strike.await, Err(Error::LeaseLost(id)));
    assert_eq!(queue.settle(lost, vec![]).await, Err(Error::LeaseLost(id)));
    assert_eq!(dead.kv.read().await.unwrap().get("delivered").await.unwrap(), None);
    assert_eq!(other.queue.settle(&taken, vec![(0, Outcome::Done)]).await, Ok(Settled::Done));
    other.assert_sound().await;
}

#[tokio::test]
async fn a_renewed_lease_lasts() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    one.enqueue(1, &["a@example.test"]).await;
    let mut lease = one.claim_one().await;
    other.queue.tick().await.unwrap();
    for _ in 0..10 {
        for node in [&one, &other] {
            node.hand.advance(one.queue.options().lease * 2 / 3);
        }
        one.queue.renew(&mut lease).await.unwrap();
        assert_eq!(other.claims().await, 0);
    }
    other.hand.advance(one.queue.options().lease);
    assert_eq!(other.claims().await, 1);
    assert!(matches!(one.queue.renew(&mut lease).await, Err(Error::LeaseLost(_))));
}

#[tokio::test]
async fn what_is_given_back_was_never_tried() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    node.queue.give_back(std::slice::from_ref(&lease)).await.unwrap();
    assert_eq!(node.show(id).await.legs[0].attempts, 0);
    node.queue.give_back(&[lease]).await.unwrap();
    assert_eq!(node.claim_one().await.attempt(), 1);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_process_that_is_alone_reclaims_at_once() {
    let world = World::new();
    let before = world.node();
    for number in 0..250 {
        before.enqueue(number, &["a@example.test"]).await;
    }
    assert_eq!(before.queue.claim("dead", 250).await.unwrap().len(), 250);
    let after = world.node();
    assert_eq!(after.claims().await, 0);
    assert_eq!(after.queue.reclaim().await.unwrap(), 250);
    after.assert_sound().await;
    assert_eq!(after.queue.claim("alive", 300).await.unwrap().len(), 250);
}

#[tokio::test]
async fn a_message_that_ends_every_worker_goes_to_the_error_queue() {
    let world = World::new();
    let id = world.node().enqueue(1, &["a@example.test"]).await;
    let mut deaths = 0;
    loop {
        // A process that claims, dies, and is started again.
        let node = world.node();
        node.queue.reclaim().await.unwrap();
        for _ in 0..1000 {
            node.hand.advance(SECOND);
            if node.claims().await == 1 {
                deaths += 1;
                break;
            }
        }
        if node.queue.depth().await.unwrap().failed == 1 {
            break;
        }
        assert!(deaths <= 8, "nobody stops it");
    }
    assert_eq!(deaths, 8);
    let node = world.node();
    let leg = node.show(id).await.legs.remove(0);
    assert_eq!(leg.state, LegState::Failed);
    assert_eq!(leg.recipients[0].said.as_deref(), Some("8 workers in a row have ended while they had it"));
    node.assert_sound().await;
}

#[tokio::test]
async fn whoever_waits_is_woken_by_what_comes() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    let waiting = {
        let queue = other.queue.clone();
        tokio::spawn(async move {
            loop {
                queue.wait().await.unwrap();
                if let Some(lease) = queue.claim("waiter", 1).await.unwrap().pop() {
                    return lease.id();
                }
            }
        })
    };
    tokio::task::yield_now().await;
    let id = one.enqueue(1, &["a@example.test"]).await;
    assert_eq!(tokio::time::timeout(MINUTE, waiting).await.unwrap().unwrap(), id);
    // What is due already needs nobody to wake it.
    one.enqueue(2, &["a@example.test"]).await;
    tokio::time::timeout(Duration::from_secs(10), other.queue.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_pause_that_ends_before_they_look_again() {
    let world = World::new();
    let node = world.node();
    node.enqueue(1, &["a@example.test"]).await;
    let lease = node.claim_one().await;
    let waiting = {
        let queue = node.queue.clone();
        tokio::spawn(async move { queue.wait().await })
    };
    tokio::task::yield_now().await;
    // All that is known now is when the lease ends; the next attempt is in five seconds.
    assert!(node.queue.options().schedule.first < Duration::from_secs(10));
    let outcomes = vec![(0, Outcome::Later("no room".into()))];
    assert_eq!(node.queue.settle(&lease, outcomes).await.unwrap(), Settled::Later);
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap();
}
