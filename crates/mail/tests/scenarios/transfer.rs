//! COPY and MOVE, and what a session sees of them.

use mail::{Error, MailboxPath, Quota};
use types::{AccountId, MailboxId, Uid};

use crate::support::{Letter, Node, World};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

async fn folder(node: &Node, name: &str) -> MailboxId {
    node.mail.create_path(ALICE, &MailboxPath::parse(name).unwrap(), None).await.unwrap().id
}

/// A copy in another mailbox is the same email; a second one in the same mailbox is a new email.
#[tokio::test]
async fn what_a_copy_is() {
    let world = World::new();
    let node = world.node();
    let there = folder(&node, "there").await;
    let first = node.deliver(ALICE, Letter::new("1", "x").write()).await.unwrap();
    let copied = node.mail.copy(ALICE, INBOX, &[first.uid], there, Quota::default()).await.unwrap();
    assert_eq!(copied.pairs, [(first.uid, Uid(1))]);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 1);
    let again = node.mail.copy(ALICE, INBOX, &[first.uid], there, Quota::default()).await.unwrap();
    assert_eq!(again.pairs, [(first.uid, Uid(2))]);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 2);
    let members = node.mail.members_at(ALICE, there, &[Uid(1), Uid(2)]).await.unwrap();
    assert_eq!(members[0].email, first.email);
    assert_ne!(members[1].email, first.email);
    assert_eq!(members[1].thread, first.thread);
    let within = node.mail.r#move(ALICE, there, &[Uid(1)], there).await.unwrap();
    assert_eq!(within.pairs, [(Uid(1), Uid(3))], "a move within a mailbox gives a new UID");
    let full = Quota { bytes: None, emails: Some(2) };
    let refused = node.mail.copy(ALICE, there, &[Uid(2)], there, full).await;
    assert!(matches!(refused, Err(Error::OverQuota { .. })));
    assert!(
        node.mail.copy(ALICE, there, &[Uid(2)], INBOX, full).await.is_ok(),
        "no new email, no more quota"
    );
    node.assert_sound(&[ALICE]).await;
}

/// Faults 66: a long move is never half done for any one email.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_was_cut_off() {
    let world = World::new();
    let node = world.node();
    let there = folder(&node, "there").await;
    for number in 0..3 {
        node.deliver(ALICE, Letter::new(&number.to_string(), "x").write()).await.unwrap();
    }
    let mut all = node.uids(ALICE, INBOX).await;
    for _ in 0..8 {
        all.extend(
            node.mail
                .copy(ALICE, INBOX, &all, INBOX, Quota::default())
                .await
                .unwrap()
                .pairs
                .iter()
                .map(|p| p.1),
        );
    }
    assert_eq!(all.len(), 768);
    let cut = world.cut_node(2, mail::MailOptions::default());
    assert!(cut.mail.r#move(ALICE, INBOX, &all, there).await.is_err());
    let (left, arrived) = (node.uids(ALICE, INBOX).await.len(), node.uids(ALICE, there).await.len());
    assert!(left > 0 && arrived > 0);
    assert_eq!(left + arrived, 768);
    node.assert_sound(&[ALICE]).await;
    let rest = node.uids(ALICE, INBOX).await;
    node.mail.r#move(ALICE, INBOX, &rest, there).await.unwrap();
    assert_eq!(node.uids(ALICE, there).await.len(), 768);
    assert_eq!(node.mail.usage(ALICE).await.unwrap().emails, 768);
}

#[tokio::test]
async fn the_mailboxes_have_to_be_there_even_for_nothing() {
    let world = World::new();
    let node = world.node();
    let nowhere = MailboxId(99);
    assert_eq!(node.mail.copy(ALICE, INBOX, &[], nowhere, Quota::default()).await, Err(Error::NoSuchMailbox));
    assert_eq!(node.mail.r#move(ALICE, nowhere, &[Uid(1)], INBOX).await, Err(Error::NoSuchMailbox));
    let copied = node.mail.copy(ALICE, INBOX, &[Uid(5)], INBOX, Quota::default()).await.unwrap();
    assert_eq!(copied.pairs, []);
}
