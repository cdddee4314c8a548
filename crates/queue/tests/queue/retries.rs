//! Days of retries in virtual time.

use std::time::Duration;

use queue::{EventKind, LegState, Outcome, Settled};

use crate::world::{DAY, SECOND, START, World};

#[tokio::test]
async fn five_days_of_retries_and_then_the_error_queue() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test"]).await;
    let schedule = node.queue.options().schedule;
    let mut pauses = Vec::new();
    let mut total = Duration::ZERO;
    let settled = loop {
        let lease = node.claim_one().await;
        match node.queue.settle(&lease, vec![(0, Outcome::Later("no room".into()))]).await.unwrap() {
            Settled::Later => {}
            settled => break settled,
        }
        let pause = node.show(id).await.legs[0].due.since(START.plus(total));
        node.hand.advance(pause.saturating_sub(SECOND));
        assert_eq!(node.claims().await, 0, "a second early");
        node.hand.advance(SECOND);
        total += pause;
        pauses.push(pause);
    };
    assert_eq!(settled, Settled::Failed);
    assert!(total >= schedule.give_up && total < schedule.give_up + schedule.longest * 2, "{total:?}");
    assert!(pauses[0] <= schedule.first * 2 && pauses[1] > pauses[0] && pauses[2] > pauses[1]);
    let tail = &pauses[12..];
    assert!(
        tail.iter().all(|p| *p >= schedule.longest * 7 / 10 && *p <= schedule.longest * 13 / 10),
        "{tail:?}"
    );
    assert!(tail.windows(2).any(|pair| pair[0] != pair[1]), "chance spreads them");
    let leg = node.show(id).await.legs.remove(0);
    let last = leg.history.last().unwrap();
    assert_eq!((leg.state, last.kind), (LegState::Failed, EventKind::Failed));
    assert!(
        last.text.starts_with("given up after ") && last.text.ends_with("in 5 days: no room"),
        "{last:?}"
    );
    node.hand.advance(DAY * 30);
    assert_eq!(node.claims().await, 0, "the error queue is nobody's work");
    node.assert_sound().await;
}

#[tokio::test]
async fn each_recipient_has_a_fate_of_its_own() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test", "b@example.test", "c@example.test"]).await;
    let lease = node.claim_one().await;
    let queue = &node.queue;
    let strike = node.kv.run(|tx| {
        let lease = &lease;
        async move { queue.strike(&tx, lease, &[0]).await }
    });
    assert_eq!(strike.await.unwrap(), Settled::Open);
    let outcomes = vec![(1, Outcome::Never("closed".into())), (2, Outcome::Later("busy".into()))];
    assert_eq!(node.queue.settle(&lease, outcomes).await.unwrap(), Settled::Later);
    node.assert_sound().await;

    node.hand.advance(SECOND * 10);
    let lease = node.claim_one().await;
    let pending: Vec<(usize, &str)> = lease.pending().map(|(n, r)| (n, r.address.as_str())).collect();
    assert_eq!(pending, [(2, "c@example.test")]);
    assert_eq!(node.queue.settle(&lease, vec![(2, Outcome::Done)]).await.unwrap(), Settled::Failed);
    assert_eq!(node.queue.failed().await.unwrap(), [id]);

    // An operator opens the mailbox: only who lacks the message gets it.
    assert_eq!(node.queue.retry(id).await.unwrap(), 1);
    let lease = node.claim_one().await;
    assert_eq!((lease.pending().next().unwrap().0, lease.attempt()), (1, 1));
    assert_eq!(node.queue.settle(&lease, vec![(1, Outcome::Done)]).await.unwrap(), Settled::Done);
    assert!(node.queue.show(id).await.unwrap().is_none());
    node.assert_sound().await;
}

#[tokio::test]
async fn the_last_delivery_beside_a_failure_ends_the_attempt() {
    let world = World::new();
    let node = world.node();
    let id = node.enqueue(1, &["a@example.test", "b@example.test"]).await;
    let lease = node.claim_one().await;
    let outcomes = vec![(0, Outcome::Never("closed".into())), (1, Outcome::Later("busy".into()))];
    assert_eq!(node.queue.settle(&lease, outcomes).await.unwrap(), Settled::Later);
    node.hand.advance(SECOND * 10);
    let (queue, lease) = (&node.queue, &node.claim_one().await);
    let strike = node.kv.run(|tx| async move { queue.strike(&tx, lease, &[1]).await });
    // Nobody settles what has no recipient left to be tried.
    assert_eq!(strike.await.unwrap(), Settled::Failed);
    assert_eq!(node.queue.failed().await.unwrap(), [id]);
    node.assert_sound().await;
}

#[tokio::test]
async fn many_recipients_are_cut_into_legs_and_the_last_one_takes_all_along() {
    let world = World::new();
    let node = world.node();
    let many: Vec<String> = (0..120).map(|n| format!("user{n}@example.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let id = node.enqueue(1, &many).await;
    let leases = node.queue.claim("tester", 10).await.unwrap();
    assert_eq!(leases.iter().map(|lease| lease.pending().count()).collect::<Vec<_>>(), [50, 50, 20]);
    for (number, lease) in leases.iter().enumerate() {
        assert!(node.queue.show(id).await.unwrap().is_some(), "leg {number}");
        let done = lease.pending().map(|(recipient, _)| (recipient, Outcome::Done)).collect();
        assert_eq!(node.queue.settle(lease, done).await.unwrap(), Settled::Done);
        node.assert_sound().await;
    }
    assert!(node.queue.show(id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_blob_lives_as_long_as_its_message_waits() {
    let world = World::new();
    let node = world.node();
    let content = "a large attachment ".repeat(10_000);
    let first = node.enqueue_blob(1, &content).await;
    let second = node.enqueue_blob(2, &content).await;
    node.assert_sound().await;
    node.queue.drop_entry(first).await.unwrap();
    let sweep = async || {
        node.hand.advance(DAY);
        node.blobs.sweep(store::blob::SweepLimits::default()).await.unwrap().removed
    };
    assert_eq!(sweep().await, 0, "the other message needs it");
    node.assert_sound().await;
    assert_eq!(node.queue.body(second).await.unwrap(), "message 2");
    node.queue.drop_entry(second).await.unwrap();
    assert_eq!(sweep().await, 1);
    node.assert_sound().await;
}
