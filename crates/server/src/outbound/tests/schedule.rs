//! Days of attempts, in a moment.

use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// Lets an hour pass in steps of a minute; how many attempts were made.
async fn hour(world: &World, outbound: &Outbound, node: &Node) -> usize {
    let mut errands = 0;
    for _ in 0..60 {
        world.hand.advance(Duration::from_mins(1));
        errands += work(outbound, node).await;
    }
    errands
}

#[tokio::test]
async fn five_days_of_refusals() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, Manner::Answers("RCPT", "452 4.2.2 full"));
    send(&node, ALICE, vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    let mut attempts = 0;
    for number in 1..=5 * 24 + 3 {
        attempts += hour(&world, &outbound, &node).await;
        let told = all(&node.inbound).await.len();
        match number {
            1..=3 => assert_eq!(told, 0, "hour {number}"),
            5..=119 => assert_eq!(told, 1, "hour {number}"),
            _ => {}
        }
    }
    // Five, ten, twenty … minutes at first, every two hours then.
    assert!((60..=90).contains(&attempts), "{attempts}");
    assert!(all(&node.outbound).await.is_empty());
    let mut texts = Vec::new();
    for entry in all(&node.inbound).await {
        texts.push(text(&node, &node.inbound, entry.id).await);
    }
    texts.sort_by_key(|text| text.contains("Action: failed"));
    let [delayed, failed] = texts.as_slice() else { panic!("{texts:?}") };
    assert!(delayed.contains("Action: delayed") && delayed.contains("Will-Retry-Until: "), "{delayed}");
    assert!(delayed.contains("Status: 4.2.2"), "{delayed}");
    assert!(failed.contains("Status: 5.2.2") && failed.contains("452 4.2.2 full"), "{failed}");
    is_sound(&node).await;
}

#[tokio::test]
async fn five_days_of_silence_are_told_of_once_to_everybody() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.kill(X);
    for number in 0..10 {
        send(&node, ALICE, vec![to(&format!("b{number}@x.test"))]).await;
    }
    work(&outbound, &node).await;
    for number in 1..=5 * 24 + 1 {
        hour(&world, &outbound, &node).await;
        let told = all(&node.inbound).await.len();
        match number {
            1..=3 => assert_eq!(told, 0, "hour {number}"),
            5..=119 => assert_eq!(told, 10, "hour {number}"),
            _ => {}
        }
    }
    assert!(all(&node.outbound).await.is_empty());
    assert_eq!(all(&node.inbound).await.len(), 20);
    // At most every half an hour, for all of them together.
    let calls = world.peers.calls();
    assert!((240..=330).contains(&calls), "{calls}");
    is_sound(&node).await;
}

#[tokio::test]
async fn nothing_passes_while_nobody_works() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    world.peers.kill(X);
    let id = send(&node, ALICE, vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    // Somebody sets the clock a week ahead: no time has passed for the queue.
    world.hand.set(START.plus(HOUR * 24 * 7));
    work(&outbound, &node).await;
    assert!(node.outbound.show(id).await.unwrap().is_some());
    assert!(all(&node.inbound).await.is_empty());
}
