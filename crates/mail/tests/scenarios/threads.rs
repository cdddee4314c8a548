//! Threads form, merge and fall apart.

use mail::{Delivery, FlagAction, FlagChange, Role};
use types::{AccountId, MailboxId};

use crate::support::{DAY, Letter, Node, World, keywords, to_inbox};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

async fn threads(node: &Node, mailbox: MailboxId) -> (u64, u64) {
    let info = node.mail.mailbox(ALICE, mailbox).await.unwrap().unwrap();
    (info.threads, info.unread_threads)
}

/// The three that RFC 8621 §3 names: an id in common and the same base subject.
#[tokio::test]
async fn the_subject_has_to_agree_too() {
    let world = World::new();
    let node = world.node();
    let first = node.deliver(ALICE, Letter::new("1", "plan").write()).await.unwrap();
    let answer = node.deliver(ALICE, Letter::new("2", "Re: Plan").reply_to(&["1"]).write()).await.unwrap();
    let other =
        node.deliver(ALICE, Letter::new("3", "something else").reply_to(&["1"]).write()).await.unwrap();
    let sibling = node.deliver(ALICE, Letter::new("4", "Fwd: plan").reply_to(&["1"]).write()).await.unwrap();
    assert_eq!((answer.thread, sibling.thread), (first.thread, first.thread));
    assert_ne!(other.thread, first.thread);
    let emails = node.mail.thread(ALICE, first.thread).await.unwrap().unwrap();
    assert_eq!(emails, [first.email, answer.email, sibling.email]);
}

/// A JMAP email id holds its thread: who moves to another one is destroyed and created (RFC 8621 §3).
#[tokio::test]
async fn a_missing_link_moves_the_emails_of_the_shorter_thread() {
    let world = World::new();
    let node = world.node();
    let a = node.deliver(ALICE, Letter::new("a", "trip").write()).await.unwrap();
    let c = node.deliver(ALICE, Letter::new("c", "Re: trip").reply_to(&["b"]).write()).await.unwrap();
    let d = node.deliver(ALICE, Letter::new("d", "Re: trip").reply_to(&["c"]).write()).await.unwrap();
    assert_ne!(a.thread, c.thread);
    assert_eq!(c.thread, d.thread);
    let since = node.mail.modseq(ALICE).await.unwrap();
    let b = node.deliver(ALICE, Letter::new("b", "Re: trip").reply_to(&["a"]).write()).await.unwrap();
    assert_eq!(b.thread, c.thread, "the longer one stays");
    let changes = node.mail.changes(ALICE, since, 100).await.unwrap();
    let pairs = |list: &[mail::EmailChanged]| list.iter().map(|c| (c.email, c.thread)).collect::<Vec<_>>();
    assert_eq!(pairs(&changes.created), [(a.email, c.thread), (b.email, c.thread)]);
    assert_eq!(pairs(&changes.destroyed), [(a.email, a.thread)]);
    assert_eq!((changes.threads_updated, changes.threads_destroyed), (vec![c.thread], vec![a.thread]));
    assert_eq!(threads(&node, INBOX).await, (1, 1));
    node.assert_sound(&[ALICE]).await;
}

/// RFC 8621 §2 `unreadThreads`: what is only in the trash makes a thread unread there and nowhere else.
#[tokio::test]
async fn the_trash_counts_for_itself() {
    let world = World::new();
    let node = world.node();
    let boxes = node.mail.mailboxes(ALICE).await.unwrap();
    let trash = boxes.iter().find(|info| info.role == Some(Role::Trash)).unwrap().id;
    let archive = boxes.iter().find(|info| info.role == Some(Role::Archive)).unwrap().id;
    let read = node.mail.ingest(Letter::new("1", "tea").write()).await.unwrap();
    let seen = Delivery { keywords: keywords(&["$seen"]), ..to_inbox(ALICE) };
    node.mail.deliver(&read, &[seen]).await.remove(0).unwrap();
    let answer = Letter::new("2", "Re: tea").reply_to(&["1"]).write();
    let uid = node.deliver(ALICE, answer).await.unwrap().uid;
    assert_eq!(threads(&node, INBOX).await, (1, 1));
    let uid = node.mail.r#move(ALICE, INBOX, &[uid], trash).await.unwrap().pairs[0].1;
    assert_eq!((threads(&node, INBOX).await, threads(&node, trash).await), ((1, 0), (1, 1)));
    let quota = mail::Quota::default();
    node.mail.copy(ALICE, trash, &[uid], archive, quota).await.unwrap();
    assert_eq!((threads(&node, INBOX).await, threads(&node, archive).await), ((1, 1), (1, 1)));
    node.mail.set_role(ALICE, trash, None).await.unwrap();
    assert_eq!((threads(&node, INBOX).await, threads(&node, trash).await), ((1, 1), (1, 1)));
    node.mail.set_role(ALICE, archive, None).await.unwrap();
    node.mail.set_role(ALICE, archive, Some(Role::Trash)).await.unwrap();
    let draft = FlagChange { action: FlagAction::Add, keywords: keywords(&["$draft"]), deleted: false };
    assert_eq!(threads(&node, archive).await, (1, 1));
    node.mail.store(ALICE, trash, &[uid], &draft, None).await.unwrap();
    assert_eq!((threads(&node, INBOX).await, threads(&node, archive).await), ((1, 0), (1, 0)));
    node.assert_sound(&[ALICE]).await;
}

/// What was expunged still knows where it belonged, until it is purged.
#[tokio::test]
async fn an_expunged_link_still_links() {
    let world = World::new();
    let node = world.node();
    let first = node.deliver(ALICE, Letter::new("1", "tea").write()).await.unwrap();
    let second = node.deliver(ALICE, Letter::new("2", "Re: tea").reply_to(&["1"]).write()).await.unwrap();
    let delete = FlagChange { action: FlagAction::Add, keywords: keywords(&[]), deleted: true };
    node.mail.store(ALICE, INBOX, &[second.uid], &delete, None).await.unwrap();
    node.mail.expunge(ALICE, INBOX, None).await.unwrap();
    let third = node.deliver(ALICE, Letter::new("3", "Re: tea").reply_to(&["2"]).write()).await.unwrap();
    assert_eq!(third.thread, first.thread);
    let gone = node.mail.expunged(ALICE, None, 10).await.unwrap().remove(0);
    assert_eq!(gone.email, second.email);
    let back = node.mail.restore(ALICE, &gone, INBOX, mail::Quota::default()).await.unwrap();
    assert_eq!(back.thread, first.thread);
    assert!(back.email > third.email && back.uid > third.uid, "ids are not used again");
    node.assert_sound(&[ALICE]).await;
    world.hand.advance(DAY * 15);
    assert_eq!(node.mail.upkeep(ALICE).await.unwrap().purged, 0);
    node.assert_sound(&[ALICE]).await;
}

/// A list whose messages have neither id nor references.
#[tokio::test]
async fn without_an_id_each_is_a_thread_of_its_own() {
    let world = World::new();
    let node = world.node();
    let nameless = Letter { id: None, ..Letter::new("", "news") };
    for _ in 0..3 {
        node.deliver(ALICE, nameless.write()).await.unwrap();
    }
    assert_eq!(threads(&node, INBOX).await, (3, 3));
    node.assert_sound(&[ALICE]).await;
}
