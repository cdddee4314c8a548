//! Objects, things of an account that are neither emails nor mailboxes, are followed as those are.

use mail::{Error, Identity, Mail, ObjectKind, ObjectsChanged, Person, Quota, QuotaKind};
use types::{AccountId, MailboxId, ModSeq, ObjectId};

use crate::support::{Letter, World};

const ALICE: AccountId = AccountId(1);
const INBOX: MailboxId = MailboxId::INBOX;

fn alice() -> Identity {
    let reply_to = Some(vec![Person { name: None, email: "desk@example.com".into() }]);
    Identity { name: "Alice".into(), email: "alice@example.com".into(), reply_to, ..Identity::default() }
}

#[tokio::test]
async fn each_change_is_told_once_and_to_its_kind() {
    let world = World::new();
    let mail = world.node().mail;
    mail.mailboxes(ALICE).await.unwrap();
    let start = mail.modseq(ALICE).await.unwrap();
    let mut news = mail.subscribe(ALICE);
    let one = mail.create_identity(ALICE, &alice()).await.unwrap();
    assert_eq!(one, ObjectId(start.next().0), "named after the change that made it");
    news.next().await;
    let two = mail.create_identity(ALICE, &Identity { name: "A.".into(), ..alice() }).await.unwrap();
    let renamed = |before: &Identity| Identity { name: "Alice Liddell".into(), ..before.clone() };
    mail.update_identity(ALICE, one, &renamed).await.unwrap();
    let there = mail.modseq(ALICE).await.unwrap();
    mail.update_identity(ALICE, one, &renamed).await.unwrap();
    assert_eq!(mail.modseq(ALICE).await.unwrap(), there, "the same again is no change");

    let (at, all) = mail.identities(ALICE).await.unwrap();
    assert_eq!(at, there);
    assert_eq!(
        all.iter().map(|(id, i)| (*id, i.name.as_str())).collect::<Vec<_>>(),
        [(one, "Alice Liddell"), (two, "A.")]
    );
    let changes = mail.changes(ALICE, start, 100).await.unwrap();
    let expected = ObjectsChanged { created: vec![one, two], ..ObjectsChanged::default() };
    assert_eq!(changes.objects.get(&ObjectKind::Identity), Some(&expected));
    assert_eq!(changes.objects.len(), 1);
    assert!(changes.created.is_empty() && changes.mailboxes_updated.is_empty());

    mail.destroy_identity(ALICE, two).await.unwrap();
    assert_eq!(mail.destroy_identity(ALICE, two).await, Err(Error::NoSuchObject));
    let followed = mail.follow_objects(ALICE, ObjectKind::Identity, start.into(), 100).await.unwrap();
    assert_eq!((followed.created, followed.updated, followed.destroyed), (vec![one], vec![], vec![]));
    let late = mail.follow_objects(ALICE, ObjectKind::Identity, there.into(), 100).await.unwrap();
    assert_eq!((late.created, late.updated, late.destroyed), (vec![], vec![], vec![two]));
    let others = mail.follow_objects(ALICE, ObjectKind::Submission, start.into(), 100).await.unwrap();
    assert!(others.created.is_empty() && others.destroyed.is_empty());
    assert_eq!(others.to, mail.modseq(ALICE).await.unwrap().into());
}

#[tokio::test]
async fn who_follows_a_mailbox_hears_nothing() {
    let world = World::new();
    let node = world.node();
    node.deliver(ALICE, Letter::new("a", "hello").write()).await.unwrap();
    let before = node.mail.modseq(ALICE).await.unwrap();
    let roll = node.mail.select(ALICE, INBOX).await.unwrap();
    node.mail.create_identity(ALICE, &alice()).await.unwrap();
    let own = std::collections::BTreeSet::new();
    let news = node.mail.news(ALICE, before, &own, 100).await.unwrap();
    assert!(news.stirred.is_empty() && news.events.is_empty() && !news.untold);
    assert_eq!(news.to, before.next());
    let again = node.mail.select(ALICE, INBOX).await.unwrap();
    assert_eq!(roll.uids, again.uids);
}

#[tokio::test]
async fn an_address_of_the_accounts_own_gets_one_identity() {
    let world = World::new();
    let (one, two) = (world.node().mail, world.node().mail);
    let own = alice();
    let (a, b) = tokio::join!(one.own_identity(ALICE, &own), two.own_identity(ALICE, &own));
    a.unwrap();
    b.unwrap();
    let (_, all) = one.identities(ALICE).await.unwrap();
    assert_eq!(all.len(), 1);
    assert!(all[0].1.is_own);
}

#[tokio::test]
async fn there_are_limits_and_an_end() {
    let world = World::new();
    let node = world.node();
    let long = Identity { text_signature: "x".repeat(Mail::IDENTITY_SIZE), ..alice() };
    let refused = node.mail.create_identity(ALICE, &long).await;
    assert!(matches!(refused, Err(Error::ObjectTooLarge { .. })), "{refused:?}");
    assert_eq!(node.mail.modseq(ALICE).await.unwrap(), ModSeq(0));
    for _ in 0..Mail::IDENTITIES {
        node.mail.create_identity(ALICE, &alice()).await.unwrap();
    }
    let full = node.mail.create_identity(ALICE, &alice()).await;
    assert!(matches!(full, Err(Error::TooMany { .. })), "{full:?}");
    node.assert_sound(&[ALICE]).await;
    node.mail.erase_account(ALICE).await.unwrap();
    assert!(node.mail.identities(ALICE).await.unwrap().1.is_empty());
}

#[tokio::test]
async fn limits_are_followed_and_so_is_what_is_used() {
    let world = World::new();
    let node = world.node();
    let mail = &node.mail;
    let limits = |bytes, emails| Quota { bytes, emails };
    mail.note_limits(ALICE, limits(Some(9), None)).await.unwrap();
    assert_eq!(mail.modseq(ALICE).await.unwrap(), ModSeq(0), "nobody follows what is not there");
    node.deliver(ALICE, Letter::new("a", "hello").write()).await.unwrap();
    let start = mail.modseq(ALICE).await.unwrap();
    mail.note_limits(ALICE, limits(Some(9_000), Some(7))).await.unwrap();
    let noted = mail.modseq(ALICE).await.unwrap();
    mail.note_limits(ALICE, limits(Some(9_000), Some(7))).await.unwrap();
    assert_eq!(mail.modseq(ALICE).await.unwrap(), noted, "the same again is no change");
    let (at, usage, told) = mail.quotas(ALICE).await.unwrap();
    assert_eq!((at, usage.emails, told), (noted, 1, limits(Some(9_000), Some(7))));
    let (followed, only_used) = mail.follow_quotas(ALICE, start.into(), 10).await.unwrap();
    assert_eq!((followed.created, only_used), (QuotaKind::ALL.to_vec(), false));

    node.deliver(ALICE, Letter::new("b", "hello").write()).await.unwrap();
    let (first, only_used) = mail.follow_quotas(ALICE, noted.into(), 1).await.unwrap();
    assert_eq!((first.updated, first.more, only_used), (vec![QuotaKind::Octets], true, true));
    let (second, only_used) = mail.follow_quotas(ALICE, first.to, 1).await.unwrap();
    assert_eq!((second.updated, second.more, only_used), (vec![QuotaKind::Emails], false, true));
    mail.note_limits(ALICE, limits(None, Some(8))).await.unwrap();
    let (followed, only_used) = mail.follow_quotas(ALICE, noted.into(), 10).await.unwrap();
    assert_eq!((followed.updated, only_used), (vec![QuotaKind::Emails], false));
    assert_eq!(followed.destroyed, [QuotaKind::Octets]);
    assert!(mail.verify(ALICE).await.unwrap().is_empty());
}
