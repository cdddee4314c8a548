//! What a message through worker and relay costs the store: docs/queue.md has the table.

use super::*;

#[tokio::test]
async fn a_relayed_message_is_one_commit_after_its_claim() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    send(&node, ALICE, vec![to("b@x.test")]).await;
    assert_eq!(work(&outbound, &node).await, 1);
    send(&node, ALICE, vec![to("b@x.test")]).await;
    let lease = claim(&node).await.remove(0);
    world.engine.take();
    attempt(&outbound, &lease, std::future::pending()).await.unwrap();
    let counts = world.engine.take();
    // The message, and the end of its leg.
    assert_eq!((counts.commits, counts.read_rounds), (1, 2), "{counts:?}");
}

#[tokio::test]
async fn a_report_costs_no_commit_of_its_own() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, Manner::Answers("RCPT", "550 5.1.1 no such user"));
    send(&node, ALICE, vec![to("b@x.test")]).await;
    let lease = claim(&node).await.remove(0);
    world.engine.take();
    attempt(&outbound, &lease, std::future::pending()).await.unwrap();
    let counts = world.engine.take();
    // The message, and the end of its leg twice; the sender, the message again; and the report's entry.
    assert_eq!((counts.commits, counts.read_rounds), (1, 6), "{counts:?}");
}

#[tokio::test]
async fn a_destination_that_fails_costs_one_commit() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    world.peers.kill(X);
    send(&node, ALICE, vec![to("b@x.test")]).await;
    let lease = claim(&node).await.remove(0);
    world.engine.take();
    attempt(&outbound, &lease, std::future::pending()).await.unwrap();
    let counts = world.engine.take();
    assert_eq!((counts.commits, counts.read_rounds), (1, 3), "{counts:?}");
}
