//! How destinations stand as a whole, and that it costs the same however much waits.

use std::sync::Arc;

use queue::{Action, Cause, Cursor, Heap, NewEntry, Outcome, Standing, Standstill, Whose};
use store::kv::Metered;

use crate::world::{MINUTE, Node, SECOND, World, entry, id, mail, refused};

/// Queues as many messages for a destination as it has failed for.
async fn fail(node: &Node, from: u64, count: u64, destination: &str, cause: Cause) {
    for number in from..from + count {
        node.send(number, destination).await;
    }
    for lease in node.due().await {
        node.queue.block(&lease, cause, &refused()).await.unwrap();
    }
}

#[tokio::test]
async fn the_longest_lines_have_names_and_the_rest_is_summed() {
    let world = World::new();
    let node = world.sender();
    assert_eq!(node.queue.standing(2, 100).await.unwrap(), Standing::default());
    fail(&node, 100, 3, "three.example", Cause::Connection).await;
    node.hand.advance(SECOND);
    fail(&node, 200, 5, "five.example", Cause::Security).await;
    node.hand.advance(SECOND);
    for (number, name) in ["one.example", "single.example"].iter().enumerate() {
        fail(&node, 300 + number as u64, 1, name, Cause::Connection).await;
    }
    node.queue.hold_destination("held.example", "wait").await.unwrap();
    node.hand.advance(SECOND);

    let standing = node.queue.standing(2, 100).await.unwrap();
    let longest: Vec<_> =
        standing.longest.iter().map(|line| (line.destination.as_str(), line.depth)).collect();
    assert_eq!(longest, [("five.example", 5), ("three.example", 3)]);
    assert_eq!(standing.longest[1].oldest, Some(SECOND * 3));
    assert_eq!(standing.rest, Heap { lines: 3, legs: 2, oldest: Some(SECOND) });
    let connection = standing.kinds[&(Standstill::Failing, Some(Cause::Connection))];
    assert_eq!(connection, Heap { lines: 3, legs: 5, oldest: Some(SECOND * 3) });
    let held = standing.kinds[&(Standstill::Held, None)];
    assert_eq!((held.lines, held.legs, standing.more), (1, 0, false));
    assert!(node.queue.standing(2, 3).await.unwrap().more);
}

#[tokio::test]
async fn it_costs_the_same_however_much_waits() {
    let world = World::new();
    let rows = Arc::new(Metered::new(world.engine.clone()));
    let node = world.sender_on(rows.clone());
    let mut costs = Vec::new();
    for messages in [1, 3] {
        for number in 0..messages {
            node.queue.enqueue(&mail(messages * 100 + number, "dead.example", 1000)).await.unwrap();
        }
        while let Some(lease) = node.queue.claim_for("sender", 1, &|_: &str| 1).await.unwrap().pop() {
            node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
        }
        rows.take();
        let standing = node.queue.standing(50, 10_000).await.unwrap();
        assert!(standing.longest[0].depth >= messages * 1000 - 1);
        costs.push(rows.take());
    }
    // The time, the lines, their lengths, and the first place of the one that there is.
    assert_eq!((costs[0].read_rounds, costs[0].commits), (4, 0), "{costs:?}");
    assert_eq!(costs[0].read_rounds, costs[1].read_rounds);
}

#[tokio::test]
async fn the_error_queue_is_swept_by_itself() {
    let world = World::new();
    let node = world.sender();
    let nobody = |new: NewEntry| NewEntry { origin: queue::Origin::default(), ..new };
    node.queue.enqueue(&nobody(mail(1, "a.example", 600))).await.unwrap();
    let leg = |destination: &str| mail(2, destination, 1).legs.remove(0);
    let two = NewEntry { legs: vec![leg("a.example"), leg("b.example")], ..entry(2, &["x"]) };
    node.queue.enqueue(&nobody(two)).await.unwrap();
    loop {
        let leases = node.due().await;
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            let outcome = if lease.destination() == "a.example" {
                Outcome::Never("no".into())
            } else {
                Outcome::Later("x".into())
            };
            node.queue.settle(&lease, vec![(0, outcome)]).await.unwrap();
        }
    }
    assert_eq!(node.queue.depth().await.unwrap().failed, 601);
    let (mut changed, mut messages, mut after) = (0, Vec::new(), None::<Cursor>);
    loop {
        let swept = node.queue.sweep(&Whose::Failed, &Action::Drop, after).await.unwrap();
        changed += swept.changed;
        messages.extend(swept.messages);
        // As it travels.
        after = swept.next.map(|cursor| cursor.to_string().parse().unwrap());
        if after.is_none() {
            break;
        }
    }
    messages.sort_unstable();
    messages.dedup();
    assert_eq!((changed, messages.len()), (601, 2));
    assert_eq!(node.show(id(2)).await.legs.len(), 1, "what waits of it stays");
    assert!("0101010101010101".parse::<Cursor>().is_err());
    node.assert_sound().await;
}

#[tokio::test]
async fn what_does_not_stand_in_line_is_swept_by_itself() {
    let world = World::new();
    let node = world.sender();
    node.send(1, "a.example").await;
    let lease = node.due_one().await;
    node.queue.settle(&lease, vec![(0, Outcome::Later("greylisted".into()))]).await.unwrap();
    fail(&node, 2, 2, "a.example", Cause::Connection).await;
    let whose = Whose::Outside("a.example".into());
    let swept = node.queue.sweep(&whose, &Action::Retry, None).await.unwrap();
    assert_eq!((swept.changed, swept.messages.clone()), (1, vec![id(1)]));
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.is_probe()), (id(1), false));
    node.hand.advance(MINUTE);
    assert!(node.due_one().await.is_probe());
    node.assert_sound().await;
}
