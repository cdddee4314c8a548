//! Deleting mailboxes, whole or cut off in the middle.

use mail::{DeleteScope, Delivery, Error, MailOptions, MailboxPath, Role};
use types::{AccountId, MailboxId};

use crate::support::{Letter, Node, START, World, keywords, to_inbox};

const ALICE: AccountId = AccountId(1);

async fn folder(node: &Node, name: &str) -> MailboxId {
    node.mail.create_path(ALICE, &MailboxPath::parse(name).unwrap(), None).await.unwrap().id
}

async fn fill(node: &Node, mailbox: MailboxId, count: u32) {
    for number in 0..count {
        let letter = Letter::new(&number.to_string(), &format!("subject {number}")).text(10);
        let message = node.mail.ingest(letter.write()).await.unwrap();
        let delivery = Delivery { mailbox, keywords: keywords(&["$seen"]), ..to_inbox(ALICE) };
        node.mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
    }
}

async fn with_role(node: &Node, role: Role) -> Option<MailboxId> {
    let all = node.mail.mailboxes(ALICE).await.unwrap();
    all.into_iter().find(|info| info.role == Some(role)).map(|info| info.id)
}

/// It is gone for its owner at once; the rest is done by upkeep. Until then nobody sees anything of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_was_cut_off() {
    let world = World::new();
    let node = world.node();
    let doomed = folder(&node, "doomed").await;
    fill(&node, doomed, 30).await;
    let cut = world.cut_node(1, MailOptions::default());
    let deleted = cut.mail.delete_mailbox(ALICE, doomed, DeleteScope::Leaf).await;
    assert!(matches!(deleted, Err(Error::Unavailable(_))));
    let since = node.mail.modseq(ALICE).await.unwrap();
    assert_eq!(node.mail.mailbox(ALICE, doomed).await.unwrap(), None);
    assert_eq!(node.mail.select(ALICE, doomed).await, Err(Error::NoSuchMailbox));
    let message = node.mail.ingest(Letter::new("x", "x").write()).await.unwrap();
    let delivery = Delivery { mailbox: doomed, ..to_inbox(ALICE) };
    assert_eq!(node.mail.deliver(&message, &[delivery]).await, [Err(Error::NoSuchMailbox)]);
    assert_eq!(node.mail.delete_mailbox(ALICE, doomed, DeleteScope::Leaf).await, Err(Error::NoSuchMailbox));
    node.assert_sound(&[ALICE]).await;
    // An answer to something that is still in it changes its thread counters; nobody may hear of them.
    node.deliver(ALICE, Letter::new("r", "Re: subject 3").reply_to(&["3"]).write()).await.unwrap();
    let changes = node.mail.changes(ALICE, since, 100).await.unwrap();
    assert!(changes.mailboxes_updated.iter().all(|c| c.mailbox != doomed), "{changes:?}");
    let again = folder(&node, "doomed").await;
    assert_ne!(again, doomed);
    node.assert_sound(&[ALICE]).await;
    assert_eq!(node.mail.upkeep(ALICE).await.unwrap().mailboxes_removed, 1);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 1);
    assert_eq!(node.mail.expunged(ALICE, None, 100).await.unwrap().len(), 30);
    node.assert_sound(&[ALICE]).await;
}

/// The trash can be deleted and another one made, even while the old one is still being emptied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_trash_while_the_old_one_goes() {
    let world = World::new();
    let node = world.node();
    let old = with_role(&node, Role::Trash).await.unwrap();
    fill(&node, old, 20).await;
    node.deliver(ALICE, Letter::new("r", "Re: subject 3").reply_to(&["3"]).write()).await.unwrap();
    let cut = world.cut_node(1, MailOptions::default());
    assert!(cut.mail.delete_mailbox(ALICE, old, DeleteScope::Leaf).await.is_err());
    assert_eq!(with_role(&node, Role::Trash).await, None);
    node.assert_sound(&[ALICE]).await;
    let bin = folder(&node, "bin").await;
    fill(&node, bin, 5).await;
    node.mail.set_role(ALICE, bin, Some(Role::Trash)).await.unwrap();
    assert_eq!(with_role(&node, Role::Trash).await, Some(bin));
    node.assert_sound(&[ALICE]).await;
    node.mail.upkeep(ALICE).await.unwrap();
    node.assert_sound(&[ALICE]).await;
    assert!(cut.mail.delete_mailbox(ALICE, bin, DeleteScope::Leaf).await.is_err());
    node.mail.delete_mailbox(ALICE, bin, DeleteScope::Leaf).await.unwrap();
    let path = MailboxPath::parse("third").unwrap();
    node.mail.create_path(ALICE, &path, Some(Role::Trash)).await.unwrap();
    node.assert_sound(&[ALICE]).await;
}

/// An email in two of the deleted mailboxes goes once; one that is also elsewhere stays.
#[tokio::test]
async fn emails_outlive_all_but_their_last_mailbox() {
    let world = World::new();
    let node = world.node();
    let (a, b) = (folder(&node, "a").await, folder(&node, "a/b").await);
    fill(&node, a, 2).await;
    let uids = node.uids(ALICE, a).await;
    node.mail.copy(ALICE, a, &uids, b, mail::Quota::default()).await.unwrap();
    node.mail.copy(ALICE, a, &uids[..1], MailboxId::INBOX, mail::Quota::default()).await.unwrap();
    assert_eq!(node.mail.delete_mailbox(ALICE, a, DeleteScope::Leaf).await, Err(Error::HasChildren));
    node.mail.delete_mailbox(ALICE, a, DeleteScope::Subtree).await.unwrap();
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 1);
    let gone = node.mail.expunged(ALICE, None, 10).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].at, START);
    let back = node.mail.restore(ALICE, &gone[0], MailboxId::INBOX, mail::Quota::default()).await.unwrap();
    assert_eq!(node.uids(ALICE, MailboxId::INBOX).await.last(), Some(&back.uid));
    node.assert_sound(&[ALICE]).await;
}
