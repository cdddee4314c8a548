//! What an operator sees of destinations and senders, and decides about them.

use queue::{
    Action, Cause, Cursor, Depth, Errand, Error, LegState, NewEntry, NewLeg, Outcome, Standstill, Whose,
};

use crate::world::{DAY, MINUTE, Node, SECOND, START, Told, World, entry, id, mail, refused};

const ONE: &str = "one.example";
const OTHER: &str = "other.example";

/// Does something with all there is of somebody's.
async fn sweep(node: &Node, whose: &Whose, action: Action) -> usize {
    let (mut changed, mut after): (usize, Option<Cursor>) = (0, None);
    loop {
        let swept = node.queue.sweep(whose, &action, after).await.unwrap();
        changed += swept.changed;
        after = swept.next;
        if after.is_none() {
            node.assert_sound().await;
            return changed;
        }
    }
}

async fn block_all(node: &Node) {
    for lease in node.due().await {
        node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    }
}

#[tokio::test]
async fn lines_are_listed_in_parts_with_their_depth_and_age() {
    let world = World::new();
    let node = world.sender();
    for number in 0..25 {
        node.queue
            .enqueue(&mail(number, &format!("mx{number:02}.example"), 1 + number as usize))
            .await
            .unwrap();
        node.hand.advance(SECOND);
    }
    while !node.due().await.is_empty() {}
    for number in 0..25 {
        node.queue.hold_destination(&format!("mx{number:02}.example"), "wait").await.unwrap();
        node.queue.enqueue(&mail(100 + number, &format!("mx{number:02}.example"), 3)).await.unwrap();
    }
    assert!(node.due().await.is_empty());
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = node.queue.lines(after.as_deref(), 10).await.unwrap();
        seen.extend(page.lines);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    for (number, line) in seen.iter().enumerate() {
        assert_eq!(line.destination, format!("mx{number:02}.example"));
        assert_eq!((line.why, line.depth, line.said.as_str()), (Standstill::Held, 3, "wait"));
        assert_eq!(line.oldest, Some(START.plus(SECOND * 25)));
        assert_eq!(line.next, None);
    }
    // What is in workers' hands is counted by reading.
    let survey = node.queue.survey(None).await.unwrap();
    assert_eq!(survey.tallies[&("mx07.example".to_owned(), LegState::Leased)].legs, 8);
    assert_eq!(survey.tallies[&("mx07.example".to_owned(), LegState::Waiting)].legs, 3);
    assert_eq!(survey.next, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_held_destination_waits_for_its_release_and_loses_nothing() {
    let world = World::new();
    let node = world.sender();
    node.queue.hold_destination(ONE, "they are moving").await.unwrap();
    for number in 0..3 {
        node.send(number, ONE).await;
    }
    node.send(3, OTHER).await;
    assert_eq!(node.due_one().await.destination(), OTHER);
    assert_eq!(node.queue.next_in_line("sender", ONE, 10).await.unwrap().len(), 0);
    assert!(!node.queue.retry_destination(ONE).await.unwrap(), "it is held");
    let mut warned = 0;
    for _ in 0..(10 * 24) {
        node.hand.advance(MINUTE * 60);
        for lease in node.due().await {
            if lease.destination() == ONE {
                assert_eq!(lease.errand(), Errand::Warn);
                node.queue.settle_with(&lease, vec![], &Told).await.unwrap();
                warned += 1;
            }
        }
    }
    assert_eq!((warned, node.line(ONE).await.unwrap().depth), (3, 3));
    node.assert_sound().await;
    // After ten days each is tried, and no sender was told that it was given up.
    assert!(node.queue.release_destination(ONE).await.unwrap());
    assert!(!node.queue.release_destination(ONE).await.unwrap());
    // Whoever has no room for all of them gives up none of them either.
    let first = node.queue.claim_for("sender", 9, &|_: &str| 1).await.unwrap();
    node.hand.advance(DAY);
    let mut leases = node.due().await;
    assert_eq!((first.len(), leases.len()), (1, 3), "and takes up what was lost");
    leases.extend(first);
    assert!(leases.iter().all(|lease| lease.errand() == Errand::Attempt));
    assert_eq!(node.line(ONE).await, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn a_line_that_is_held_stays_without_messages() {
    let world = World::new();
    let node = world.sender();
    node.send(0, OTHER).await;
    node.due().await;
    node.queue.hold_destination(ONE, "wait").await.unwrap();
    node.hand.advance(DAY);
    node.due().await;
    assert_eq!(node.line(ONE).await.unwrap().why, Standstill::Held);
    node.queue.release_destination(ONE).await.unwrap();
    node.due().await;
    assert_eq!(node.line(ONE).await, None);
}

#[tokio::test]
async fn an_operators_retry_goes_past_a_line_and_a_destinations_retry_is_a_probe() {
    let world = World::new();
    let node = world.sender();
    for number in 0..3 {
        node.send(number, ONE).await;
    }
    block_all(&node).await;
    assert_eq!(node.queue.retry(id(1)).await.unwrap(), 1);
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.is_probe(), lease.attempt()), (id(1), false, 1));
    node.queue.block(&lease, Cause::Connection, &refused()).await.unwrap();
    assert_eq!(node.line(ONE).await.unwrap().depth, 3);
    assert!(node.due().await.is_empty());
    node.hand.advance(SECOND);
    assert!(node.queue.retry_destination(ONE).await.unwrap());
    assert!(node.due_one().await.is_probe());
    assert!(!node.queue.retry_destination(OTHER).await.unwrap());

    // Released, it is tried even where the destination is held.
    node.queue.hold_destination(ONE, "wait").await.unwrap();
    node.queue.retry(id(2)).await.unwrap();
    assert!(node.due().await.is_empty());
    node.queue.release(id(2)).await.unwrap();
    assert_eq!(
        node.queue.claim_for("sender", 9, &|_: &str| 0).await.unwrap().len(),
        0,
        "but for want of room"
    );
    node.hand.advance(node.queue.options().busy);
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.is_released()), (id(2), true));
    node.assert_sound().await;
}

#[tokio::test]
async fn what_is_rerouted_leaves_the_line_and_goes_elsewhere() {
    let world = World::new();
    let node = world.sender();
    for number in 0..4 {
        node.send(number, ONE).await;
    }
    block_all(&node).await;
    assert_eq!(node.queue.reroute(id(0), OTHER, "relay.example").await.unwrap(), 0);
    assert_eq!(node.queue.reroute(id(0), ONE, "relay.example").await.unwrap(), 1);
    assert_eq!(node.due_one().await.destination(), "relay.example");
    let whose = Whose::Destination(ONE.into());
    assert_eq!(sweep(&node, &whose, Action::Reroute("relay.example".into())).await, 3);
    assert_eq!(node.due().await.len(), 3);
    let text = node.show(id(1)).await.legs[0].history.last().unwrap().text.clone();
    assert_eq!(text, ", by way of \"relay.example\" instead of \"one.example\"");
    let bad = "x".repeat(256);
    assert!(matches!(node.queue.reroute(id(0), ONE, &bad).await, Err(Error::Destination(_))));
    assert!(matches!(node.queue.enqueue(&mail(9, &bad, 1)).await, Err(Error::Destination(_))));
}

#[tokio::test]
async fn what_is_for_later_keeps_its_time_whatever_happens_to_its_destination() {
    let world = World::new();
    let node = world.sender();
    for number in 0..3 {
        let leg = mail(number, ONE, 1).legs.remove(0);
        let legs = vec![NewLeg { after: DAY, ..leg }];
        node.queue.enqueue(&NewEntry { legs, ..mail(number, ONE, 1) }).await.unwrap();
    }
    let before = node.show(id(1)).await.legs.remove(0);
    assert_eq!(before.plan.begins, Some(START.plus(DAY)));
    node.hand.advance(MINUTE);
    assert_eq!(node.queue.retry(id(0)).await.unwrap(), 0);
    let whose = Whose::Destination(ONE.into());
    let swept = node.queue.sweep(&whose, &Action::Retry, None).await.unwrap();
    assert_eq!((swept.changed, swept.later), (0, 3));
    assert_eq!(node.queue.reroute(id(0), ONE, OTHER).await.unwrap(), 1);
    assert_eq!(sweep(&node, &whose, Action::Reroute(OTHER.into())).await, 2);
    let after = node.show(id(1)).await.legs.remove(0);
    assert_eq!((after.destination.as_str(), after.due, after.plan), (OTHER, before.due, before.plan));
    assert!(node.due().await.is_empty());

    // It can still be taken back, or be sent before its time by who wants just that.
    let queue = &node.queue;
    assert!(node.kv.run(|tx| async move { queue.withdraw(&tx, id(2)).await }).await.unwrap());
    assert_eq!(node.queue.release(id(0)).await.unwrap(), 1);
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.destination()), (id(0), OTHER));
    node.queue.settle(&lease, vec![(0, Outcome::Done)]).await.unwrap();
    node.hand.advance(DAY - MINUTE - SECOND);
    assert!(node.due().await.is_empty());
    node.hand.advance(SECOND);
    let lease = node.due_one().await;
    assert_eq!((lease.id(), lease.destination()), (id(1), OTHER));
    assert_eq!(node.show(id(1)).await.legs[0].plan.begins, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn what_a_sender_has_sent_is_held_released_and_dropped_in_bounded_parts() {
    let world = World::new();
    let node = world.sender();
    let theirs = |number: u64, sender: &str| NewEntry {
        origin: queue::Origin { sender: sender.into(), ..queue::Origin::default() },
        ..mail(number, ONE, 40)
    };
    for number in 0..20 {
        node.queue.enqueue(&theirs(number, "spam@Example.com")).await.unwrap();
        node.queue.enqueue(&theirs(100 + number, "other@example.com")).await.unwrap();
    }
    let whose = Whose::Sender("spam@example.com".into());
    let first = node.queue.sweep(&whose, &Action::Hold("spam".into()), None).await.unwrap();
    assert!(first.next.is_some() && first.changed < 500, "{first:?}");
    assert_eq!(sweep(&node, &whose, Action::Hold("spam".into())).await + first.changed, 800);
    assert_eq!(node.queue.depth().await.unwrap(), Depth { waiting: 800, held: 800, failed: 0 });
    assert_eq!(sweep(&node, &whose, Action::Retry).await, 0, "it is held");
    assert_eq!(sweep(&node, &whose, Action::Release).await, 800);
    assert_eq!(sweep(&node, &whose, Action::Drop).await, 800);
    assert_eq!(node.queue.depth().await.unwrap(), Depth { waiting: 800, held: 0, failed: 0 });
    assert_eq!(node.queue.list(None, 100).await.unwrap().entries.len(), 20);
}

#[tokio::test]
async fn what_is_dropped_for_a_destination_leaves_the_rest_of_the_message() {
    let world = World::new();
    let node = world.sender();
    let leg = |destination: &str| NewLeg {
        destination: destination.into(),
        ..mail(1, destination, 1).legs.remove(0)
    };
    let new = NewEntry { legs: vec![leg(ONE), leg(OTHER)], ..entry(1, &["x"]) };
    let blob = node.blobs.prepare(store::blob::Content::memory("x".repeat(50_000))).await.unwrap();
    let body = queue::Body { blobs: vec![blob], ..new.body.clone() };
    node.queue.enqueue(&NewEntry { body, ..new }).await.unwrap();
    let lease = node.due().await.into_iter().find(|lease| lease.destination() == ONE).unwrap();
    assert_eq!(sweep(&node, &Whose::Destination(ONE.into()), Action::Drop).await, 1);
    assert_eq!(node.queue.settle(&lease, vec![(0, Outcome::Done)]).await, Err(Error::LeaseLost(id(1))));
    assert_eq!(node.show(id(1)).await.legs.len(), 1);
    assert_eq!(sweep(&node, &Whose::Destination(OTHER.into()), Action::Drop).await, 1);
    assert_eq!(node.queue.show(id(1)).await.unwrap(), None::<queue::Entry>);
}
