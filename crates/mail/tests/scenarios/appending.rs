//! What an owner adds: several messages as one change, and one in the place of another.

use mail::{DeleteScope, Error, FlagAction, FlagChange, MailboxPath, NewEmail, Quota};
use types::{AccountId, Keywords, MailboxId, Uid};

use crate::support::{Letter, Node, START, World, keywords};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

async fn new(node: &Node, letter: Letter) -> NewEmail {
    let message = node.mail.ingest(letter.write()).await.unwrap();
    NewEmail { message, keywords: Keywords::new(), deleted: false, received: START }
}

async fn drafts(node: &Node) -> MailboxId {
    node.mail.find_mailbox(ALICE, &MailboxPath::parse("Drafts").unwrap()).await.unwrap().unwrap().id
}

/// RFC 3502: the second one is over the quota, so the first is not there either.
#[tokio::test]
async fn several_messages_or_none() {
    let world = World::new();
    let node = world.node();
    let emails = vec![new(&node, Letter::new("1", "a")).await, new(&node, Letter::new("2", "Re: a")).await];
    let before = node.mail.modseq(ALICE).await.unwrap();
    let one = Quota { bytes: None, emails: Some(1) };
    let refused = node.mail.append_all(ALICE, INBOX, emails.clone(), one).await;
    assert!(matches!(refused, Err(Error::OverQuota { .. })), "{refused:?}");
    assert_eq!(node.mail.modseq(ALICE).await.unwrap(), before);
    assert_eq!(
        node.mail.append_all(ALICE, MailboxId(99), emails.clone(), one).await,
        Err(Error::NoSuchMailbox)
    );
    let appended = node.mail.append_all(ALICE, INBOX, emails, Quota::default()).await.unwrap();
    assert_eq!(appended.iter().map(|a| a.uid).collect::<Vec<_>>(), [Uid(1), Uid(2)]);
    assert_eq!(appended[0].modseq, appended[1].modseq);
    node.assert_sound(&[ALICE]).await;
}

/// RFC 8508: the new one is there and the old one is not, in one change; what the old one used is free for it.
#[tokio::test]
async fn one_message_in_the_place_of_another() {
    let world = World::new();
    let node = world.node();
    let drafts = drafts(&node).await;
    let first = new(&node, Letter::new("1", "draft").text(1000)).await;
    let old = node.mail.append_all(ALICE, drafts, vec![first], Quota::default()).await.unwrap()[0];
    let full = Quota { bytes: Some(node.mail.usage(ALICE).await.unwrap().bytes + 10), emails: Some(1) };
    let second = new(&node, Letter::new("1", "draft").text(1000)).await;
    let replaced = node.mail.replace(ALICE, (drafts, old.uid), drafts, second, full).await.unwrap();
    assert_eq!((replaced.uid, replaced.modseq), (Uid(2), old.modseq.next()));
    assert_eq!(node.uids(ALICE, drafts).await, [Uid(2)]);
    assert_eq!(replaced.thread, old.thread);
    // What does not fit, or replaces nothing, changes nothing.
    let large = new(&node, Letter::new("2", "draft").text(100_000)).await;
    let refused = node.mail.replace(ALICE, (drafts, replaced.uid), drafts, large, full).await;
    assert!(matches!(refused, Err(Error::OverQuota { .. })), "{refused:?}");
    let third = new(&node, Letter::new("3", "draft")).await;
    let gone = node.mail.replace(ALICE, (drafts, old.uid), drafts, third.clone(), Quota::default()).await;
    assert_eq!(gone, Err(Error::NoSuchEmail));
    assert_eq!(node.uids(ALICE, drafts).await, [Uid(2)]);
    // To another mailbox: the other place of the old one stays.
    node.mail.copy(ALICE, drafts, &[Uid(2)], INBOX, Quota::default()).await.unwrap();
    node.mail.replace(ALICE, (drafts, Uid(2)), INBOX, third, Quota::default()).await.unwrap();
    assert_eq!(
        (node.uids(ALICE, drafts).await, node.uids(ALICE, INBOX).await),
        (vec![], vec![Uid(1), Uid(2)])
    );
    node.assert_sound(&[ALICE]).await;
}

/// The new message joins two threads, and the one that it replaces was alone in the shorter.
#[tokio::test]
async fn a_replacement_that_links_threads() {
    let world = World::new();
    let node = world.node();
    node.deliver(ALICE, Letter::new("a", "trip").write()).await.unwrap();
    node.deliver(ALICE, Letter::new("b", "Re: trip").reply_to(&["a"]).write()).await.unwrap();
    let drafts = drafts(&node).await;
    let draft = new(&node, Letter::new("d", "Re: trip").reply_to(&["x"])).await;
    let other = new(&node, Letter::new("e", "Re: trip").reply_to(&["y"])).await;
    let old = node.mail.append_all(ALICE, drafts, vec![draft, other], Quota::default()).await.unwrap();
    let link = new(&node, Letter::new("f", "Re: trip").reply_to(&["a", "b", "x", "y"])).await;
    node.mail.replace(ALICE, (drafts, old[0].uid), drafts, link, Quota::default()).await.unwrap();
    node.assert_sound(&[ALICE]).await;
    let all = FlagChange { action: FlagAction::Add, keywords: keywords(&["$seen"]), deleted: true };
    let uids = node.uids(ALICE, drafts).await;
    node.mail.store(ALICE, drafts, &uids, &all, None).await.unwrap();
    node.mail.expunge(ALICE, drafts, None).await.unwrap();
    node.mail.delete_mailbox(ALICE, drafts, DeleteScope::Leaf).await.unwrap();
    node.assert_sound(&[ALICE]).await;
}
