//! Subscriptions are to names, and outlive the mailboxes that have them (RFC 9051 §6.3.7).

use mail::{DeleteScope, MailboxPath};
use types::{AccountId, MailboxId};

use crate::support::{Node, World};

const ALICE: AccountId = AccountId(1);

fn path(text: &str) -> MailboxPath {
    MailboxPath::parse(text).unwrap()
}

async fn subscribed(node: &Node, name: &str) -> MailboxId {
    let made = node.mail.create_path(ALICE, &path(name), None).await.unwrap().id;
    node.mail.set_subscribed(ALICE, made, true).await.unwrap();
    made
}

async fn lost(node: &Node) -> Vec<String> {
    node.mail.lost_subscriptions(ALICE).await.unwrap().iter().map(ToString::to_string).collect()
}

/// A mailbox that comes under a name by RENAME, itself or with its parent, has that name's subscription.
#[tokio::test]
async fn a_name_that_is_taken_again_by_rename() {
    let world = World::new();
    let node = world.node();
    for name in ["a/b", "c", "d"] {
        let made = subscribed(&node, name).await;
        node.mail.delete_mailbox(ALICE, made, DeleteScope::Leaf).await.unwrap();
    }
    assert_eq!(lost(&node).await, ["a/b", "c", "d"]);
    let a = node.mail.find_mailbox(ALICE, &path("a")).await.unwrap().unwrap().id;
    node.mail.delete_mailbox(ALICE, a, DeleteScope::Leaf).await.unwrap();
    let x = node.mail.create_path(ALICE, &path("x"), None).await.unwrap();
    let below = node.mail.create_path(ALICE, &path("x/b"), None).await.unwrap();
    let y = node.mail.create_path(ALICE, &path("y"), None).await.unwrap();
    assert!(!x.subscribed && !below.subscribed && !y.subscribed);
    node.mail.rename_mailbox(ALICE, x.id, &path("a")).await.unwrap();
    node.mail.rename_mailbox(ALICE, y.id, &path("c")).await.unwrap();
    let is_subscribed = async |id| node.mail.mailbox(ALICE, id).await.unwrap().unwrap().subscribed;
    assert!(is_subscribed(below.id).await && is_subscribed(y.id).await && !is_subscribed(x.id).await);
    assert_eq!(lost(&node).await, ["d"]);
    node.mail.end_lost_subscription(ALICE, &path("d")).await.unwrap();
    assert_eq!(node.mail.end_lost_subscription(ALICE, &path("c")).await, Err(mail::Error::NoSuchMailbox));
    node.assert_sound(&[ALICE]).await;
}
