//! Lists by date.

use mail::Delivery;
use mail::search::Scope;
use types::{AccountId, MailboxId, Timestamp};

use crate::support::{Letter, Node, World, newest, to_inbox};

const ALICE: AccountId = AccountId(1);

async fn at(node: &Node, minute: u64, id: &str, subject: &str, parents: &[&str]) {
    let letter = Letter::new(id, subject).reply_to(parents).text(10);
    let message = node.mail.ingest(letter.write()).await.unwrap();
    let delivery = Delivery { received: Timestamp(minute * 60_000), ..to_inbox(ALICE) };
    node.mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
}

async fn first(node: &Node, count: usize) -> Vec<u64> {
    let mut results = node.mail.search(ALICE, Scope::Account, newest(MailboxId::INBOX, true));
    results.reach(count).await.unwrap();
    results.known().iter().take(count).map(|hit| hit.received.0 / 60_000).collect()
}

/// A thread of hundreds in front of everything else costs a few rounds, not one for each of its emails.
#[tokio::test]
async fn a_long_thread_hides_its_older_emails() {
    let world = World::new();
    let meter = std::sync::Arc::new(store::kv::Metered::new(world.engine.clone()));
    let node = world.node_on(meter.clone(), world.memory.clone(), mail::MailOptions::default());
    at(&node, 1, "old", "old", &[]).await;
    for minute in 2..400 {
        at(&node, minute, &minute.to_string(), "Re: endless", &["root"]).await;
    }
    at(&node, 400, "young", "young", &[]).await;
    meter.take();
    assert_eq!(first(&node, 3).await, [400, 399, 1]);
    let counts = meter.take();
    assert!(counts.read_rounds <= 12, "{counts:?}");
    assert_eq!(first(&node, 2).await, [400, 399]);
}
