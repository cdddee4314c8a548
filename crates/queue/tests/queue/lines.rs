//! What waits for a destination together.

use std::time::Duration;

use queue::{Cause, Errand, Error, LegState, Outcome, Settled, Standstill};

use crate::world::{MINUTE, Node, SECOND, World, mail, refused};

const DEAD: &str = "dead.example";
const WELL: &str = "well.example";

/// Has a destination fail for as many messages as there are.
async fn fail(node: &Node, count: u64) {
    for number in 0..count {
        node.send(number, DEAD).await;
    }
    for lease in node.due().await {
        node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    }
    node.assert_sound().await;
}

#[tokio::test]
async fn attempts_under_way_together_count_as_one_failure() {
    let world = World::new();
    let node = world.sender();
    fail(&node, 20).await;
    let line = node.line(DEAD).await.unwrap();
    assert_eq!((line.why, line.attempts, line.depth), (Standstill::Failing, 1, 20));
    assert_eq!((line.cause, line.said.as_str()), (Some(Cause::Connection), "connection refused"));
    assert_eq!(line.facts.unwrap().status.as_deref(), Some("4.4.1"));
    assert_eq!(line.oldest, Some(crate::world::START));
    let pause = line.next.unwrap().since(node.wall());
    assert!(pause >= SECOND * 24 && pause <= SECOND * 36, "{pause:?}");
    assert_eq!(node.due().await.len(), 0);
}

#[tokio::test]
async fn what_comes_anew_stands_behind_and_one_is_tried_for_all() {
    let world = World::new();
    let node = world.sender();
    fail(&node, 3).await;
    for number in 3..10 {
        node.send(number, DEAD).await;
    }
    node.send(10, WELL).await;
    let lease = node.due_one().await;
    assert_eq!((lease.destination(), lease.is_probe()), (WELL, false));
    assert_eq!(node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap(), Settled::Done);
    assert_eq!(node.line(DEAD).await.unwrap().depth, 10);

    node.hand.advance(SECOND * 36);
    let probe = node.due_one().await;
    assert!(probe.is_probe());
    assert_eq!(probe.destination_said().unwrap().text, "connection refused");
    assert_eq!(node.line(DEAD).await.unwrap().depth, 9);
    node.queue.reached(DEAD).await.unwrap();
    node.queue.settle(&probe, vec![(0, Outcome::Done)]).await.unwrap();
    // The rest is handed out without another move, and without anybody's own back-off.
    let rest = node.due().await;
    assert_eq!(rest.len(), 9);
    assert!(rest.iter().all(|lease| !lease.is_probe() && lease.errand() == Errand::Attempt));
    assert_eq!(node.line(DEAD).await, None, "nobody stands in it");
    node.assert_sound().await;
}

#[tokio::test]
async fn each_probe_is_another_message() {
    let world = World::new();
    let node = world.sender();
    fail(&node, 4).await;
    let mut probed = Vec::new();
    for _ in 0..8 {
        let next = node.line(DEAD).await.unwrap().next.unwrap();
        node.hand.advance(next.since(node.wall()));
        let lease = node.due_one().await;
        probed.push(lease.id());
        node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    }
    assert_eq!(probed[..4], probed[4..], "in turn");
    probed.truncate(4);
    probed.sort_unstable();
    probed.dedup();
    assert_eq!(probed.len(), 4);
    node.assert_sound().await;
}

#[tokio::test]
async fn the_only_message_of_a_line_may_be_tried_for_long() {
    let world = World::new();
    let node = world.sender();
    fail(&node, 1).await;
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let next = node.line(DEAD).await.unwrap().next.unwrap();
        node.hand.advance(next.since(node.wall()));
        let mut probe = node.due_one().await;
        // Longer than the line waits to hear of it.
        for _ in 0..3 {
            node.hand.advance(node.queue.options().lease * 2 / 3);
            node.queue.renew(&mut probe).await.unwrap();
            assert_eq!(node.due().await.len(), 0);
        }
        node.queue.block(&probe, Cause::Connection, &refused()).await.unwrap();
        pauses.push(node.line(DEAD).await.unwrap().next.unwrap().since(node.wall()));
        node.assert_sound().await;
    }
    assert_eq!(node.line(DEAD).await.unwrap().attempts, 5);
    assert!(pauses.is_sorted(), "{pauses:?}");
    // What leaves by itself takes the line along, but not at once.
    let next = node.line(DEAD).await.unwrap().next.unwrap();
    node.hand.advance(next.since(node.wall()));
    let probe = node.due_one().await;
    node.queue.settle(&probe, vec![(0, Outcome::Done)]).await.unwrap();
    node.hand.advance(node.queue.options().lease);
    assert_eq!(node.due().await.len(), 0);
    assert!(node.line(DEAD).await.is_some());
    node.hand.advance(node.queue.options().line.longest * 2);
    assert_eq!(node.due().await.len(), 0);
    assert_eq!(node.line(DEAD).await, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_dead_workers_probe_is_repeated_by_another_node() {
    let world = World::new();
    let (dead, other) = (world.sender(), world.sender());
    fail(&dead, 3).await;
    other.queue.tick().await.unwrap();
    for node in [&dead, &other] {
        node.hand.advance(MINUTE);
    }
    let lost = dead.due_one().await;
    assert!(lost.is_probe());
    assert_eq!(other.due().await.len(), 0, "one at a time");
    other.hand.advance(other.queue.options().lease);
    let probe = other.due_one().await;
    assert!(probe.is_probe() && probe.id() != lost.id(), "another message is tried");
    // The lost one has gone back into the line, and its worker is too late.
    assert_eq!(
        dead.queue.block(&lost, Cause::Connection, &refused()).await,
        Err(Error::LeaseLost(lost.id()))
    );
    other.queue.block(&probe, Cause::Connection, &refused()).await.unwrap();
    assert_eq!(other.line(DEAD).await.unwrap().attempts, 2);
    assert_eq!(other.line(DEAD).await.unwrap().depth, 3);
    other.assert_sound().await;
}

#[tokio::test]
async fn where_there_is_no_room_they_wait_in_order_and_come_when_there_is() {
    let world = World::new();
    let node = world.sender();
    for number in 0..12 {
        node.send(number, DEAD).await;
        node.hand.advance(SECOND);
    }
    let first = node.queue.claim_for("sender", 100, &|_: &str| 5).await.unwrap();
    assert_eq!(first.len(), 5);
    let line = node.line(DEAD).await.unwrap();
    assert_eq!((line.why, line.depth), (Standstill::Busy, 7));
    assert_eq!(node.queue.claim_for("sender", 100, &|_: &str| 0).await.unwrap().len(), 0);
    node.assert_sound().await;

    // Whoever is done takes the next ones over the same connection.
    for lease in &first {
        node.queue.settle(lease, vec![(0, Outcome::Done)]).await.unwrap();
    }
    let mut order = Vec::new();
    loop {
        let next = node.queue.next_in_line("sender", DEAD, 3).await.unwrap();
        if next.is_empty() {
            break;
        }
        for lease in next {
            order.push(lease.received());
            node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
        }
    }
    assert_eq!(order.len(), 7);
    assert!(order.is_sorted());
    assert_eq!(node.line(DEAD).await, None);
    assert_eq!(node.queue.list(None, 10).await.unwrap().entries, []);
}

#[tokio::test]
async fn another_node_takes_what_has_no_room_on_the_first() {
    let world = World::new();
    let (full, other) = (world.sender(), world.sender());
    full.queue.enqueue(&mail(1, DEAD, 20)).await.unwrap();
    other.queue.tick().await.unwrap();
    assert_eq!(full.queue.claim_for("sender", 100, &|_: &str| 4).await.unwrap().len(), 4);
    assert_eq!(other.due().await.len(), 0, "not at once");
    other.hand.advance(other.queue.options().busy);
    assert_eq!(other.due().await.len(), 16);
    other.assert_sound().await;
}

#[tokio::test]
async fn what_comes_anew_does_not_overtake_the_line() {
    let world = World::new();
    let node = world.sender();
    node.queue.enqueue(&mail(1, DEAD, 10)).await.unwrap();
    assert_eq!(node.queue.claim_for("sender", 100, &|_: &str| 2).await.unwrap().len(), 2);
    node.hand.advance(SECOND);
    let late = node.send(2, DEAD).await;
    let next = node.queue.claim_for("sender", 100, &|_: &str| 3).await.unwrap();
    assert_eq!(next.len(), 3);
    assert!(next.iter().all(|lease| lease.id() != late));
    node.assert_sound().await;
}

#[tokio::test]
async fn a_full_node_does_not_ask_again_and_again() {
    let world = World::new();
    let node = world.sender();
    node.queue.enqueue(&mail(1, DEAD, 10)).await.unwrap();
    node.queue.claim_for("sender", 100, &|_: &str| 2).await.unwrap();
    node.hand.advance(node.queue.options().busy);
    assert_eq!(node.queue.claim_for("sender", 100, &|_: &str| 0).await.unwrap().len(), 0);
    // Nothing is due: it waits until there may be room on some node.
    let waits = tokio::time::timeout(Duration::from_millis(200), node.queue.wait()).await;
    assert!(waits.is_err(), "it would spin");
}

#[tokio::test]
async fn who_waits_is_woken_when_a_destination_is_reached() {
    let world = World::new();
    let (one, other) = (world.sender(), world.sender());
    fail(&one, 2).await;
    one.hand.advance(MINUTE);
    let probe = one.due_one().await;
    let waiting = {
        let queue = other.queue.clone();
        tokio::spawn(async move {
            loop {
                queue.wait().await.unwrap();
                if let Some(lease) = queue.claim_for("waiter", 1, &|_: &str| 1).await.unwrap().pop() {
                    return lease.destination().to_owned();
                }
            }
        })
    };
    tokio::task::yield_now().await;
    one.queue.reached(DEAD).await.unwrap();
    other.hand.advance(MINUTE);
    assert_eq!(tokio::time::timeout(MINUTE, waiting).await.unwrap().unwrap(), DEAD);
    one.queue.settle(&probe, vec![(0, Outcome::Done)]).await.unwrap();
    one.assert_sound().await;
}

#[tokio::test]
async fn a_refusal_of_one_message_is_its_own_matter() {
    let world = World::new();
    let node = world.sender();
    let id = node.send(1, WELL).await;
    let lease = node.due_one().await;
    let later = Outcome::Later("450 4.2.1 greylisted".into());
    assert_eq!(node.queue.settle(&lease, vec![(0, later)]).await.unwrap(), Settled::Later);
    assert_eq!(node.line(WELL).await, None);
    let leg = node.show(id).await.legs.remove(0);
    assert_eq!((leg.state, leg.plan.in_line), (LegState::Waiting, false));
    let pause = leg.plan.next.unwrap().since(node.wall());
    assert!(pause >= MINUTE * 4 && pause <= MINUTE * 6, "{pause:?}");
    // Another message to the same place is not held up by it.
    node.send(2, WELL).await;
    assert_eq!(node.due().await.len(), 1);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_probe_that_is_given_back_was_never_tried() {
    let world = World::new();
    let node = world.sender();
    fail(&node, 1).await;
    node.hand.advance(MINUTE);
    let probe = node.due_one().await;
    node.queue.give_back(&[probe]).await.unwrap();
    assert_eq!(node.due().await.len(), 0);
    let line = node.line(DEAD).await.unwrap();
    assert_eq!((line.depth, line.attempts), (1, 1));
    node.hand.advance(node.queue.options().lease);
    assert_eq!(node.due_one().await.attempt(), 2);
    node.assert_sound().await;
}
