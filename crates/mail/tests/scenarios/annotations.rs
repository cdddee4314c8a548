//! Annotations come and go with their mailboxes and their account (RFC 5464).

use bytes::Bytes;
use mail::{DeleteScope, EntryName, Error, Mail, MailboxPath};
use types::{AccountId, MailboxId};

use crate::support::{Node, World};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

fn name(text: &str) -> EntryName {
    EntryName::parse(text).unwrap()
}

async fn note(
    node: &Node,
    mailbox: Option<MailboxId>,
    entry: &str,
    value: &'static str,
) -> Result<(), Error> {
    node.mail.annotate(ALICE, mailbox, &[(name(entry), Some(Bytes::from_static(value.as_bytes())))]).await
}

#[tokio::test]
async fn they_belong_to_their_mailbox() {
    let world = World::new();
    let node = world.node();
    let path = MailboxPath::parse("work").unwrap();
    let work = node.mail.create_path(ALICE, &path, None).await.unwrap().id;
    note(&node, Some(work), "/private/comment", "of work").await.unwrap();
    note(&node, Some(INBOX), "/private/comment", "of the inbox").await.unwrap();
    note(&node, None, "/private/comment", "of the account").await.unwrap();
    node.mail.rename_mailbox(ALICE, work, &MailboxPath::parse("play").unwrap()).await.unwrap();
    let values = node.mail.annotations(ALICE, Some(work)).await.unwrap();
    assert_eq!(values.get(&name("/private/comment")).unwrap(), "of work");
    node.mail.delete_mailbox(ALICE, work, DeleteScope::Leaf).await.unwrap();
    assert!(node.mail.annotations(ALICE, Some(work)).await.unwrap().is_empty());
    assert_eq!(note(&node, Some(work), "/private/comment", "x").await, Err(Error::NoSuchMailbox));
    assert_eq!(node.mail.annotations(ALICE, None).await.unwrap().len(), 1);
    node.assert_sound(&[ALICE]).await;
    node.mail.erase_account(ALICE).await.unwrap();
    assert!(node.mail.annotations(ALICE, Some(INBOX)).await.unwrap().is_empty());
    assert!(node.mail.annotations(ALICE, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn all_of_a_change_or_nothing() {
    let world = World::new();
    let node = world.node();
    let long = Bytes::from(vec![0; Mail::ANNOTATION_SIZE + 1]);
    let both = [(name("/private/a"), Some(Bytes::from_static(b"x"))), (name("/private/b"), Some(long))];
    let refused = node.mail.annotate(ALICE, Some(INBOX), &both).await;
    assert_eq!(refused, Err(Error::AnnotationTooLarge { limit: Mail::ANNOTATION_SIZE }));
    assert!(node.mail.annotations(ALICE, Some(INBOX)).await.unwrap().is_empty());
    let many: Vec<_> =
        (0..Mail::ANNOTATIONS).map(|n| (name(&format!("/shared/{n}")), Some(Bytes::new()))).collect();
    node.mail.annotate(ALICE, None, &many).await.unwrap();
    let full = note(&node, Some(INBOX), "/private/one", "too many").await;
    assert!(matches!(full, Err(Error::TooManyAnnotations { .. })), "{full:?}");
    node.mail.annotate(ALICE, None, &[(name("/shared/7"), None)]).await.unwrap();
    note(&node, Some(INBOX), "/private/one", "fits now").await.unwrap();
    node.assert_sound(&[ALICE]).await;
}

/// Writers on two nodes, each with one place left to fill: the limit holds for both together.
#[tokio::test]
async fn two_nodes_keep_one_limit() {
    let world = World::new();
    let (one, two) = (world.node(), world.node());
    let many: Vec<_> =
        (1..Mail::ANNOTATIONS).map(|n| (name(&format!("/shared/{n}")), Some(Bytes::new()))).collect();
    one.mail.annotate(ALICE, None, &many).await.unwrap();
    let (a, b) =
        tokio::join!(note(&one, Some(INBOX), "/private/a", "a"), note(&two, Some(INBOX), "/private/b", "b"));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    one.assert_sound(&[ALICE]).await;
}
