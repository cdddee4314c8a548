//! The proof notices: whatever is missing or left over is found.

use queue::Outcome;
use store::kv::{Error, KeyRange, Range};

use crate::world::{Node, World, mail, refused};

/// A queue with something of every kind in it.
async fn full(world: &World) -> Node {
    let node = world.node();
    for number in 0..4 {
        node.enqueue_blob(number, &format!("content {number}")).await;
    }
    let leases = node.queue.claim("tester", 2).await.unwrap();
    node.queue.settle(&leases[0], vec![(0, Outcome::Never("closed".into()))]).await.unwrap();
    let third = node.claim_one_of_two().await;
    node.queue.hold(third, "wait").await.unwrap();
    node.assert_sound().await;
    node
}

impl Node {
    async fn claim_one_of_two(&self) -> queue::EntryId {
        let lease = self.queue.claim("tester", 1).await.unwrap().remove(0);
        self.queue.give_back(std::slice::from_ref(&lease)).await.unwrap();
        lease.id()
    }

    async fn clear(&self, prefix: &[u8]) {
        let range = &KeyRange::prefix(prefix);
        self.kv.run::<_, Error, _, _>(|tx| async move { tx.clear_range(range.clone()) }).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_missing_is_found() {
    for (prefix, says) in [
        (&b"qim"[..], "a leg without its message"),
        (b"qib", "its body is missing"),
        (b"qil", "legs are there, and 1 should be left"),
        (b"qid", "nobody will look at it when it is due"),
        (b"qie", "it has failed, and is not in the error queue"),
        (b"qik", "keeps blob"),
        (b"br", "is not kept for it"),
        (b"bb", "is not kept for it"),
        (b"qin", "are counted, and"),
    ] {
        let world = World::new();
        let node = full(&world).await;
        node.clear(prefix).await;
        let (_, findings) = node.queue.verify().await.unwrap();
        let name = String::from_utf8_lossy(prefix);
        assert!(findings.iter().any(|finding| finding.what.contains(says)), "{name}: {findings:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_line_is_found() {
    for (prefix, says) in [
        (&b"qoh"[..], &["a line that its destination does not have", "that it does not have"][..]),
        (b"qor", &["nobody will look at it when its time has come"]),
        (b"qop", &["nobody will find it in its destination's line", "are counted, and"]),
        (b"qoc", &["0 are counted, and 3 are there"]),
        (b"qod", &["nobody will look at it when it is due"]),
        (b"qol", &["does not stand in it"]),
    ] {
        let world = World::new();
        let node = world.sender();
        for number in 0..3 {
            node.send(number, "dead.example").await;
        }
        for lease in node.due().await {
            node.queue.block(&lease, queue::Cause::Connection, &refused()).await.unwrap();
        }
        node.assert_sound().await;
        node.clear(prefix).await;
        let (_, findings) = node.queue.verify().await.unwrap();
        let name = String::from_utf8_lossy(prefix);
        for says in says {
            assert!(findings.iter().any(|finding| finding.what.contains(says)), "{name}: {findings:?}");
        }
    }
}

#[tokio::test]
async fn rows_of_lines_that_lead_nowhere_hold_nobody_up() {
    let world = World::new();
    let node = world.sender();
    node.queue.enqueue(&mail(1, "mx.example", 5)).await.unwrap();
    assert_eq!(node.queue.claim_for("sender", 9, &|_: &str| 2).await.unwrap().len(), 2);
    let tx = node.kv.read().await.unwrap();
    let mut saved = Vec::new();
    for prefix in [&b"qop"[..], b"qor"] {
        saved.extend(tx.range(Range::prefix(prefix)).all().await.unwrap());
    }
    let rest = node.queue.next_in_line("sender", "mx.example", 9).await.unwrap();
    assert_eq!(rest.len(), 3);
    // The rows are back, and a line for the places with them.
    node.queue.hold_destination("mx.example", "wait").await.unwrap();
    node.queue.release_destination("mx.example").await.unwrap();
    let saved = &saved;
    let restored = node.kv.run::<_, Error, _, _>(|tx| async move {
        saved.iter().try_for_each(|(key, value)| tx.set(key.clone(), value.clone()))
    });
    restored.await.unwrap();
    node.send(2, "mx.example").await;
    node.hand.advance(node.queue.options().busy);
    assert_eq!(node.due_one().await.attempt(), 1);
    assert_eq!(node.line("mx.example").await, None);
    node.assert_sound().await;
}

#[tokio::test]
async fn what_is_left_over_is_found() {
    let world = World::new();
    let node = full(&world).await;
    // The rows of the order and of the error queue, as they were before everything was dropped.
    let mut saved = Vec::new();
    let tx = node.kv.read().await.unwrap();
    for prefix in [&b"qid"[..], b"qie", b"br"] {
        saved.extend(tx.range(Range::prefix(prefix)).all().await.unwrap());
    }
    for entry in node.queue.list(None, 10).await.unwrap().entries {
        node.queue.drop_entry(entry.id).await.unwrap();
    }
    node.assert_sound().await;
    let saved = &saved;
    let restored = node.kv.run::<_, Error, _, _>(|tx| async move {
        saved.iter().try_for_each(|(key, value)| tx.set(key.clone(), value.clone()))
    });
    restored.await.unwrap();
    let (_, findings) = node.queue.verify().await.unwrap();
    for says in ["that the message does not have", "though it has not failed", "and does not need it"] {
        assert!(findings.iter().any(|finding| finding.what.contains(says)), "{says}: {findings:?}");
    }
    // Whoever works on the queue is not held up by it.
    assert_eq!(node.claims().await, 0);
}
