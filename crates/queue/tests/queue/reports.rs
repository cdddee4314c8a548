//! Who is told what, and that it happens once, with the message's leaving.

use queue::{
    Answer, Companion, EntryId, Errand, Error, Facts, Fate, LegState, NewEntry, Notice, Outcome, Passage,
    Queue, Recipient, Report, Settled,
};
use store::kv::Transaction;

use crate::world::{Node, Told, World, entry, id, mail};

/// Puts a notification into a queue, in the transaction that takes the recipients out of another.
struct Bounce<'a> {
    into: &'a Queue,
    id: EntryId,
}

impl Companion for Bounce<'_> {
    async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), Error> {
        let Some(Notice { recipient, fate, .. }) = report.notices.first() else { return Ok(()) };
        let said = recipient.said.clone().unwrap_or_default();
        let notification =
            NewEntry { id: self.id, why: format!("{fate:?}: {said}"), ..entry(1, &["sender"]) };
        self.into.enqueue_with(tx, &notification).await
    }
}

/// A message to several recipients of one destination, who want to be told of what their bits say.
async fn send_to(node: &Node, number: u64, sender: &str, notify: &[Option<u8>]) -> EntryId {
    let mut new = mail(number, "mx.example", 1);
    new.origin.sender = sender.to_owned();
    let recipient = |(number, notify): (usize, &Option<u8>)| Recipient {
        address: format!("user{number}@mx.example"),
        notify: *notify,
        ..Recipient::default()
    };
    new.legs[0].recipients = notify.iter().enumerate().map(recipient).collect();
    node.queue.enqueue(&new).await.unwrap();
    new.id
}

fn never() -> Outcome {
    let facts = Facts {
        status: Some("5.1.1".into()),
        reply: Some(550),
        host: Some("mx1.mx.example".into()),
        at: None,
    };
    Outcome::Never(Answer { text: "550 5.1.1 no such user".into(), facts })
}

fn later(said: &str) -> Outcome {
    Outcome::Later(said.into())
}

#[tokio::test]
async fn a_notification_is_queued_with_the_recipients_leaving() {
    let world = World::new();
    let node = world.sender();
    let inbound = world.node();
    send_to(&node, 1, "a@example.test", &[None]).await;
    let lease = node.due_one().await;
    let bounce = Bounce { into: &inbound.queue, id: id(77) };
    let settled = node.queue.settle_with(&lease, vec![(0, never())], &bounce).await.unwrap();
    assert_eq!(settled, Settled::Reported);
    assert_eq!(node.queue.list(None, 10).await.unwrap().entries, []);
    let notification = inbound.show(id(77)).await;
    assert_eq!(notification.legs[0].history[0].text, "Failed: 550 5.1.1 no such user");
    // The worker did not hear of its success, and says it again.
    let again = node.queue.settle_with(&lease, vec![(0, never())], &bounce).await;
    assert_eq!(again, Err(Error::LeaseLost(lease.id())));
    assert_eq!(inbound.queue.list(None, 10).await.unwrap().entries.len(), 1);
    for node in [&node, &inbound] {
        node.assert_sound().await;
    }
}

#[tokio::test]
async fn a_notification_that_cannot_be_queued_leaves_all_as_it_was() {
    let world = World::new();
    let node = world.sender();
    send_to(&node, 1, "a@example.test", &[None]).await;
    let taken = node.send(2, "other.example").await;
    let lease = node.due().await.into_iter().find(|lease| lease.destination() == "mx.example").unwrap();
    let bounce = Bounce { into: &node.queue, id: taken };
    let settled = node.queue.settle_with(&lease, vec![(0, never())], &bounce).await;
    assert_eq!(settled, Err(Error::Exists(taken)));
    assert_eq!(node.show(lease.id()).await.legs[0].state, LegState::Leased);
    node.assert_sound().await;
}

#[tokio::test]
async fn everybody_is_told_of_once_and_only_what_was_asked_for() {
    let world = World::new();
    let node = world.sender();
    // Nothing said, never, success, failure and delay.
    let id = send_to(&node, 1, "a@example.test", &[None, Some(0), Some(1), Some(6), None]).await;
    let lease = node.due_one().await;
    let passed = Outcome::Passed(Passage::Relayed, "250 queued".into());
    let outcomes = vec![(0, never()), (1, never()), (2, passed.clone()), (3, later("450")), (4, passed)];
    assert_eq!(node.queue.settle_with(&lease, outcomes, &Told).await.unwrap(), Settled::Later);
    let told = [("user0@mx.example/Failed".into(), 1), ("user2@mx.example/Relayed".into(), 1)];
    assert_eq!(node.told().await, told);
    let facts = node.show(id).await.legs[0].recipients[0].facts.clone().unwrap();
    assert_eq!(
        (facts.reply, facts.host.as_deref(), facts.at),
        (Some(550), Some("mx1.mx.example"), Some(node.wall()))
    );

    // The rest of it fails later; who was told of before is not told of again, nor tried.
    node.hand.advance(crate::world::MINUTE * 10);
    let lease = node.due_one().await;
    assert_eq!(lease.pending().map(|(number, _)| number).collect::<Vec<_>>(), [3]);
    assert_eq!(node.queue.settle_with(&lease, vec![(3, never())], &Told).await.unwrap(), Settled::Reported);
    assert_eq!(node.told().await.len(), 3);
    assert!(node.told().await.iter().all(|(_, count)| *count == 1), "{:?}", node.told().await);
    assert!(node.queue.show(id).await.unwrap().is_none());
    node.assert_sound().await;
}

/// Has as many workers disappear.
async fn lose(node: &Node, workers: u32) {
    for _ in 0..workers {
        node.due_one().await;
        node.hand.advance(node.queue.options().lease);
    }
}

#[tokio::test]
async fn who_sent_what_ends_workers_is_told() {
    let world = World::new();
    let node = world.sender();
    let id = send_to(&node, 1, "a@example.test", &[None]).await;
    lose(&node, 8).await;
    let lease = node.due_one().await;
    assert_eq!(lease.errand(), Errand::GiveUp);
    assert_eq!(node.queue.settle_with(&lease, vec![], &Told).await.unwrap(), Settled::Reported);
    assert_eq!(node.told().await, [("user0@mx.example/Expired".to_owned(), 1)]);
    assert!(node.queue.show(id).await.unwrap().is_none());
    node.assert_sound().await;
}

#[tokio::test]
async fn what_ends_workers_even_so_stays_until_somebody_decides() {
    let world = World::new();
    let node = world.sender();
    let told = send_to(&node, 1, "a@example.test", &[None]).await;
    lose(&node, 16).await;
    assert_eq!(node.due().await.len(), 0);
    let nobody = send_to(&node, 2, "", &[None]).await;
    lose(&node, 8).await;
    assert_eq!(node.due().await.len(), 0);
    assert_eq!(node.queue.failed().await.unwrap().len(), 2);
    node.hand.advance(node.queue.options().keep_failed.unwrap());
    assert_eq!(node.queue.trim().await.unwrap(), [nobody]);
    assert_eq!(node.queue.failed().await.unwrap(), [told]);
    node.assert_sound().await;
}

#[tokio::test]
async fn test_17_mail_without_a_sender_tells_nobody_and_stays_in_the_error_queue() {
    let world = World::new();
    let node = world.sender();
    let id = send_to(&node, 1, "", &[None]).await;
    let lease = node.due_one().await;
    assert_eq!(node.queue.settle_with(&lease, vec![(0, never())], &Told).await.unwrap(), Settled::Failed);
    assert_eq!(node.told().await, []);
    assert_eq!(node.queue.failed().await.unwrap(), [id]);
    node.assert_sound().await;
    node.queue.retry(id).await.unwrap();
    let lease = node.due_one().await;
    assert_eq!(node.queue.settle_with(&lease, vec![(0, Outcome::Done)], &Told).await.unwrap(), Settled::Done);
}

#[tokio::test]
async fn an_operators_retry_leaves_out_who_was_told_of() {
    let world = World::new();
    let node = world.sender();
    let id = send_to(&node, 1, "a@example.test", &[None, None]).await;
    let lease = node.due_one().await;
    let outcomes = vec![(0, never()), (1, later("450 busy"))];
    node.queue.settle_with(&lease, outcomes, &Told).await.unwrap();
    assert_eq!(node.queue.retry(id).await.unwrap(), 1);
    let lease = node.due_one().await;
    assert_eq!(lease.pending().map(|(number, _)| number).collect::<Vec<_>>(), [1]);
    node.assert_sound().await;
}

#[tokio::test]
async fn what_will_be_tried_until_when_is_part_of_the_report() {
    struct Until;
    impl Companion for Until {
        async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), Error> {
            assert_eq!(report.notices.iter().map(|n| n.fate).collect::<Vec<_>>(), [Fate::Delayed]);
            tx.set("until", report.until.unwrap().0.to_string())?;
            Ok(())
        }
    }
    let world = World::new();
    let node = world.sender();
    send_to(&node, 1, "a@example.test", &[None]).await;
    let lease = node.due_one().await;
    node.queue.settle(&lease, vec![(0, later("450 busy"))]).await.unwrap();
    node.hand.advance(std::time::Duration::from_hours(4));
    let lease = node.due_one().await;
    // It was tried as late as that: what it came to and the delay are told in one.
    let outcomes = vec![(0, later("450 still busy"))];
    assert_eq!(node.queue.settle_with(&lease, outcomes, &Until).await.unwrap(), Settled::Later);
    let until = node.kv.read().await.unwrap().get("until").await.unwrap().unwrap();
    assert_eq!(until, crate::world::START.plus(crate::world::DAY * 5).0.to_string());
}
