//! The worker itself: it finds what is due, keeps a destination busy, and ends with the server.

use std::task::Poll;

use tokio::time::timeout;

use super::*;
use crate::net::Lifecycle;

/// Waits until the queue is empty.
async fn empty(node: &Node) {
    let depth = async {
        while node.outbound.depth().await.unwrap().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, depth).await.unwrap();
}

#[tokio::test]
async fn a_busy_line_is_drained_over_the_connections_that_there_are() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 2);
    let lifecycle = Lifecycle::default();
    outbound.start(&lifecycle);
    for number in 0..100 {
        send(&node, ALICE, vec![to(&format!("b{number}@x.test"))]).await;
    }
    // No time passes: nobody waits for a line to come due.
    timeout(PATIENCE, world.peers.wait_for(100)).await.unwrap();
    empty(&node).await;
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
    assert_eq!(world.peers.mail.lock().len(), 100);
    let (_, most) = *world.peers.at_once.lock();
    assert!(most <= 2, "{most} connections at once");
    assert!(world.peers.calls() <= 4, "{} connections", world.peers.calls());
    assert!(*world.peers.goodbyes.lock() >= 1);
    is_sound(&node).await;
}

#[tokio::test]
async fn many_destinations_and_few_places() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 20);
    let lifecycle = Lifecycle::default();
    for number in 0..60 {
        send(&node, ALICE, vec![to(&format!("b{number}@x.test")), to(&format!("b{number}@y.test"))]).await;
    }
    outbound.start(&lifecycle);
    timeout(PATIENCE, world.peers.wait_for(120)).await.unwrap();
    empty(&node).await;
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
    let (_, most) = *world.peers.at_once.lock();
    assert!(most <= 10, "{most} connections at once, and there are 10 places");
}

#[tokio::test]
async fn what_a_dead_process_had_in_hand_is_taken_up_again() {
    let world = World::new();
    let node = world.node();
    send(&node, ALICE, vec![to("b@x.test")]).await;
    assert_eq!(claim(&node).await.len(), 1);
    // It dies. No time passes until the next one starts.
    let next = world.node();
    let lifecycle = Lifecycle::default();
    world.outbound(&next, 4).start(&lifecycle);
    timeout(PATIENCE, world.peers.wait_for(1)).await.unwrap();
    empty(&next).await;
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
}

#[tokio::test]
async fn what_cannot_be_finished_in_time_is_given_back() {
    let world = World::new();
    let node = world.node();
    world.peers.set(X, Manner::Silent);
    let outbound = world.outbound(&node, 4);
    let lifecycle = Lifecycle::default();
    outbound.start(&lifecycle);
    let id = send(&node, ALICE, vec![to("b@x.test")]).await;
    timeout(PATIENCE, world.peers.wait_for(1)).await.unwrap();
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
    let entry = node.outbound.show(id).await.unwrap().unwrap();
    let leg = &entry.legs[0];
    assert_eq!((leg.state, leg.attempts, leg.holder.as_deref()), (queue::LegState::Waiting, 0, None));
    // The next process has it at once, and nothing against it.
    world.peers.set(X, Manner::Good);
    let lifecycle = Lifecycle::default();
    world.outbound(&node, 4).start(&lifecycle);
    timeout(PATIENCE, world.peers.wait_for(2)).await.unwrap();
    empty(&node).await;
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
}

#[tokio::test]
async fn what_was_taken_is_written_down_however_late_it_is() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    send(&node, ALICE, vec![to("b@x.test")]).await;
    let lease = claim(&node).await.remove(0);
    let (peers, relay) = (world.peers.clone(), outbound.inner.relay.clone());
    // The time to finish ends as soon as the message is there and the connection is free again.
    let too_late = std::future::poll_fn(move |context| {
        if peers.mail.lock().len() == 1 && relay.room("x.test") == 4 {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    });
    attempt(&outbound, &lease, too_late).await.unwrap();
    assert!(all(&node.outbound).await.is_empty());
    is_sound(&node).await;
}
