//! Lists by date.

use mail::{Cursor, Delivery, ListRequest};
use types::{AccountId, MailboxId, Timestamp};

use crate::support::{Letter, Node, World, to_inbox};

const ALICE: AccountId = AccountId(1);

async fn at(node: &Node, minute: u64, id: &str, subject: &str, parents: &[&str]) {
    let letter = Letter::new(id, subject).reply_to(parents).text(10);
    let message = node.mail.ingest(letter.write()).await.unwrap();
    let delivery = Delivery { received: Timestamp(minute * 60_000), ..to_inbox(ALICE) };
    node.mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
}

async fn page(node: &Node, after: Option<Cursor>, limit: usize) -> (Vec<u64>, Option<Cursor>) {
    let request = ListRequest { after, limit, collapse: true };
    let page = node.mail.list(ALICE, MailboxId::INBOX, request).await.unwrap();
    (page.rows.iter().map(|row| row.received.0 / 60_000).collect(), page.next)
}

/// What arrives while somebody turns pages neither doubles a row nor hides one.
#[tokio::test]
async fn pages_stay_where_they_are_while_mail_arrives() {
    let world = World::new();
    let node = world.node();
    for minute in 1..=9 {
        at(&node, minute, &minute.to_string(), &format!("subject {minute}"), &[]).await;
    }
    let (first, next) = page(&node, None, 3).await;
    assert_eq!(first, [9, 8, 7]);
    at(&node, 10, "new", "new", &[]).await;
    // A new answer to an email further down: its thread is at the top now, so not below.
    at(&node, 11, "answer", "Re: subject 5", &["5"]).await;
    let (second, next) = page(&node, next, 3).await;
    assert_eq!(second, [6, 4, 3]);
    assert_eq!(page(&node, next, 3).await, (vec![2, 1], None));
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
    assert_eq!(page(&node, None, 3).await, (vec![400, 399, 1], None));
    let counts = meter.take();
    assert!(counts.read_rounds <= 12, "{counts:?}");
    let (first, next) = page(&node, None, 2).await;
    assert_eq!(first, [400, 399]);
    assert_eq!(page(&node, next, 2).await, (vec![1], None));
}
