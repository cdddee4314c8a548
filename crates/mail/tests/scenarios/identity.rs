//! What of an email never changes, whatever happens to it, and what a client that was away has missed.

use std::time::Duration;

use mail::{Error, MailboxPath, Quota};
use types::{AccountId, MailboxId, ModSeq, Uid};

use crate::support::{DAY, Letter, Node, START, World, keywords};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

async fn folder(node: &Node, name: &str) -> MailboxId {
    node.mail.create_path(ALICE, &MailboxPath::parse(name).unwrap(), None).await.unwrap().id
}

async fn member(node: &Node, mailbox: MailboxId, uid: Uid) -> mail::Member {
    node.mail.members_at(ALICE, mailbox, &[uid]).await.unwrap().remove(0)
}

async fn clean(node: &Node) {
    assert_eq!(node.mail.verify(ALICE).await.unwrap(), []);
}

#[tokio::test]
async fn a_copy_has_the_same_content_and_the_same_first_thread() {
    let world = World::new();
    let node = world.node();
    let first = node.deliver(ALICE, Letter::new("1", "x").write()).await.unwrap();
    let copy =
        async |uid| node.mail.copy(ALICE, INBOX, &[uid], INBOX, Quota::default()).await.unwrap().pairs[0].1;
    let second = copy(first.uid).await;
    let third = copy(second).await;
    for uid in [first.uid, second, third] {
        let member = member(&node, INBOX, uid).await;
        assert_eq!((member.content, member.first_thread), (first.email, first.thread));
    }
    assert_ne!(member(&node, INBOX, third).await.email, first.email);
    clean(&node).await;
}

#[tokio::test]
async fn the_first_thread_outlives_a_merge() {
    let world = World::new();
    let node = world.node();
    let a = node.deliver(ALICE, Letter::new("a", "trip").write()).await.unwrap();
    node.deliver(ALICE, Letter::new("b", "Re: trip").reply_to(&["a"]).write()).await.unwrap();
    let c = node.deliver(ALICE, Letter::new("c", "trip").write()).await.unwrap();
    assert_ne!(a.thread, c.thread);
    let link = Letter::new("d", "Re: trip").reply_to(&["a", "c"]).write();
    assert_eq!(node.deliver(ALICE, link).await.unwrap().thread, a.thread);
    let merged = member(&node, INBOX, c.uid).await;
    assert_eq!((merged.thread, merged.first_thread), (a.thread, c.thread));
    let copied = node.mail.copy(ALICE, INBOX, &[c.uid], INBOX, Quota::default()).await.unwrap();
    assert_eq!(member(&node, INBOX, copied.pairs[0].1).await.first_thread, c.thread);
    clean(&node).await;
}

/// RFC 8514 §3: when it was put into this mailbox, which flags do not change and every copy and move does.
#[tokio::test]
async fn when_an_email_was_saved() {
    let world = World::new();
    let node = world.node();
    let there = folder(&node, "there").await;
    let hour = Duration::from_secs(3600);
    let first = node.deliver(ALICE, Letter::new("1", "x").write()).await.unwrap();
    assert_eq!(member(&node, INBOX, first.uid).await.saved, START);
    world.hand.advance(hour);
    let flagged =
        mail::FlagChange { action: mail::FlagAction::Add, keywords: keywords(&["$flagged"]), deleted: true };
    node.mail.store(ALICE, INBOX, &[first.uid], &flagged, None).await.unwrap();
    let copied = node.mail.copy(ALICE, INBOX, &[first.uid], there, Quota::default()).await.unwrap();
    assert_eq!(member(&node, INBOX, first.uid).await.saved, START);
    let copy = member(&node, there, copied.pairs[0].1).await;
    assert_eq!(
        (copy.saved, copy.received),
        (START.plus(hour), member(&node, INBOX, first.uid).await.received)
    );
    world.hand.advance(hour);
    let moved = node.mail.r#move(ALICE, there, &[copy.uid], there).await.unwrap();
    assert_eq!(member(&node, there, moved.pairs[0].1).await.saved, START.plus(hour * 2));
    clean(&node).await;
}

#[tokio::test]
async fn what_was_missed() {
    let world = World::new();
    let node = world.node();
    let there = folder(&node, "there").await;
    let mut uids = Vec::new();
    for id in ["1", "2", "3"] {
        uids.push(node.deliver(ALICE, Letter::new(id, "x").write()).await.unwrap().uid);
    }
    let since = node.mail.modseq(ALICE).await.unwrap();
    let seen =
        mail::FlagChange { action: mail::FlagAction::Add, keywords: keywords(&["$seen"]), deleted: false };
    node.mail.store(ALICE, INBOX, &uids[..2], &seen, None).await.unwrap();
    node.mail.r#move(ALICE, INBOX, &uids[..1], there).await.unwrap();
    // One that comes and goes.
    let brief = node.deliver(ALICE, Letter::new("4", "x").write()).await.unwrap().uid;
    node.mail.r#move(ALICE, INBOX, &[brief], there).await.unwrap();
    let stays = node.deliver(ALICE, Letter::new("5", "x").write()).await.unwrap().uid;
    let missed = node.mail.missed(ALICE, INBOX, since, 100).await.unwrap();
    assert_eq!(missed.vanished, [uids[0], brief]);
    assert_eq!(missed.changed, [uids[1], stays]);
    let now = node.mail.modseq(ALICE).await.unwrap();
    assert_eq!(node.mail.missed(ALICE, INBOX, now, 0).await.unwrap(), mail::Missed::default());
    let too_much = node.mail.missed(ALICE, INBOX, since, now.0 - since.0 - 1).await;
    assert_eq!(too_much, Err(Error::CannotCalculateChanges));
    let ahead = node.mail.missed(ALICE, INBOX, ModSeq(now.0 + 1), 100).await;
    assert_eq!(ahead, Err(Error::CannotCalculateChanges));
    world.hand.advance(DAY * 31);
    node.mail.upkeep(ALICE).await.unwrap();
    assert_eq!(node.mail.missed(ALICE, INBOX, since, 100).await, Err(Error::CannotCalculateChanges));
}
