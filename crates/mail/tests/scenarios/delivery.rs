//! Delivery: once, to those who can take it, whatever happens on the way.

use mail::{Delivered, Delivery, DeliveryId, Error, MailOptions, Quota};
use std::sync::Arc;
use store::kv::Metered;
use types::{AccountId, MailboxId};

use crate::support::{DAY, Letter, Node, World, keywords, letter, seeds, to_inbox};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);
const CAROL: AccountId = AccountId(3);

fn named(account: AccountId, name: u8) -> Delivery {
    Delivery { id: Some(DeliveryId([name; 16])), ..to_inbox(account) }
}

async fn total(node: &Node, account: AccountId) -> u64 {
    node.mail.mailbox(account, MailboxId::INBOX).await.unwrap().unwrap().total
}

#[tokio::test]
async fn a_retry_makes_no_second_copy_for_a_day() {
    let world = World::new();
    let node = world.node();
    let message = node.mail.ingest(Letter::new("1", "once").write()).await.unwrap();
    let first = node.mail.deliver(&message, &[named(ALICE, 7)]).await.remove(0).unwrap();
    assert!(!first.duplicate);
    for _ in 0..2 {
        let again = node.mail.deliver(&message, &[named(ALICE, 7)]).await.remove(0).unwrap();
        assert_eq!(again, Delivered { duplicate: true, ..first });
    }
    assert!(
        !node.mail.deliver(&message, &[named(BOB, 7)]).await.remove(0).unwrap().duplicate,
        "not her mail"
    );
    world.hand.advance(DAY);
    node.mail.upkeep(ALICE).await.unwrap();
    assert!(node.mail.deliver(&message, &[named(ALICE, 7)]).await.remove(0).unwrap().duplicate);
    world.hand.advance(DAY * 2);
    node.mail.upkeep(ALICE).await.unwrap();
    assert!(!node.mail.deliver(&message, &[named(ALICE, 7)]).await.remove(0).unwrap().duplicate);
    assert_eq!(total(&node, ALICE).await, 2);
    node.assert_sound(&[ALICE, BOB]).await;
}

/// A delivery to many that was cut off between two transactions is tried again as a whole.
#[tokio::test]
async fn a_retry_for_many_completes_what_was_cut_off() {
    let world = World::new();
    let node = world.node();
    let raw = Letter::new("1", "to all").write();
    let all: Vec<Delivery> = (1..=350).map(|id| named(AccountId(id), 1)).collect();
    let cut = world.cut_node(2, MailOptions::default());
    let message = cut.mail.ingest(raw.clone()).await.unwrap();
    let results = cut.mail.deliver(&message, &all).await;
    let done = results.iter().filter(|r| r.is_ok()).count();
    assert!(done > 0 && done < all.len(), "{done} were done");
    assert!(
        results
            .iter()
            .all(|r| r.as_ref().is_ok_and(|d| !d.duplicate) || matches!(r, Err(Error::Unavailable(_))))
    );
    let message = node.mail.ingest(raw).await.unwrap();
    let again = node.mail.deliver(&message, &all).await;
    assert_eq!(again.iter().filter(|r| r.as_ref().is_ok_and(|d| d.duplicate)).count(), done);
    for delivery in &all {
        assert_eq!(total(&node, delivery.account).await, 1);
    }
    let accounts: Vec<AccountId> = all.iter().map(|d| d.account).collect();
    node.assert_sound(&accounts).await;
}

/// Faults 56: the commit's answer is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_where_the_store_loses_answers() {
    for seed in seeds(3) {
        let world = World::new();
        let (rough, calm) = (world.rough_node(seed, MailOptions::default()), world.node());
        let accounts: Vec<AccountId> = (1..=5).map(AccountId).collect();
        let attachment = letter::noise(seed, 40_000);
        for number in 0..25_u8 {
            let letter =
                Letter::new(&number.to_string(), "often").reply_to(&["0"]).attach(attachment.clone());
            let message = rough.mail.ingest(letter.write()).await.unwrap();
            let deliveries: Vec<Delivery> = accounts.iter().map(|id| named(*id, number)).collect();
            let first = rough.mail.deliver(&message, &deliveries).await;
            assert!(first.iter().all(|r| r.as_ref().is_ok_and(|d| !d.duplicate)), "seed {seed}: {first:?}");
            let again = rough.mail.deliver(&message, &deliveries).await;
            assert!(again.iter().all(|r| r.as_ref().is_ok_and(|d| d.duplicate)), "seed {seed}: {again:?}");
        }
        for id in &accounts {
            let uids = calm.uids(*id, MailboxId::INBOX).await;
            assert_eq!(uids.len(), 25, "seed {seed}");
        }
        calm.assert_sound(&accounts).await;
        assert_eq!(calm.assert_blobs_sound().await.blobs, 1);
    }
}

/// The same delivery on two nodes at once: a client that connected to the second before the first was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_where_two_nodes_deliver_the_same() {
    let world = World::new();
    let (one, two) = (world.node(), world.node());
    let message = one.mail.ingest(Letter::new("1", "race").write()).await.unwrap();
    let accounts: Vec<AccountId> = (1..=20).map(AccountId).collect();
    let deliveries: Vec<Delivery> = accounts.iter().map(|id| named(*id, 9)).collect();
    let (a, b) =
        tokio::join!(one.mail.deliver(&message, &deliveries), two.mail.deliver(&message, &deliveries));
    for (a, b) in a.into_iter().zip(b) {
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.email, a.uid), (b.email, b.uid));
        assert!(a.duplicate != b.duplicate);
    }
    one.assert_sound(&accounts).await;
}

#[tokio::test]
async fn one_recipient_over_quota_does_not_touch_the_others() {
    let world = World::new();
    let node = world.node();
    let message = node.mail.ingest(Letter::new("1", "much").text(5000).write()).await.unwrap();
    let full = Quota { bytes: Some(message.size() + 10), emails: None };
    let few = Quota { bytes: None, emails: Some(1) };
    let deliveries = [
        to_inbox(ALICE),
        Delivery { quota: full, ..to_inbox(BOB) },
        Delivery { quota: few, ..to_inbox(CAROL) },
    ];
    assert!(node.mail.deliver(&message, &deliveries).await.iter().all(Result::is_ok));
    let again = node.mail.deliver(&message, &deliveries).await;
    assert!(again[0].is_ok());
    let size = message.size();
    assert_eq!(again[1], Err(Error::OverQuota { used: size, limit: size + 10, unit: "octets" }));
    assert_eq!(again[2], Err(Error::OverQuota { used: 1, limit: 1, unit: "emails" }));
    assert_eq!((total(&node, ALICE).await, total(&node, BOB).await, total(&node, CAROL).await), (2, 1, 1));
    node.assert_sound(&[ALICE, BOB, CAROL]).await;
}

/// A refusal writes nothing, not even for an account that never had mail.
#[tokio::test]
async fn a_refusal_writes_nothing() {
    let world = World::new();
    let meter = Arc::new(Metered::new(world.engine.clone()));
    let node = world.node_on(meter.clone(), world.memory.clone(), MailOptions::default());
    let message = node.mail.ingest(Letter::new("1", "no").write()).await.unwrap();
    let refused = [
        Delivery { quota: Quota { bytes: Some(0), emails: None }, ..to_inbox(ALICE) },
        Delivery { mailbox: MailboxId(77), ..to_inbox(BOB) },
    ];
    meter.take();
    let results = node.mail.deliver(&message, &refused).await;
    assert!(matches!(results[0], Err(Error::OverQuota { .. })) && results[1] == Err(Error::NoSuchMailbox));
    assert_eq!(meter.take().commits, 0);
}

#[tokio::test]
async fn an_unknown_mailbox_refuses_one_recipient() {
    let world = World::new();
    let node = world.node();
    let message = node.mail.ingest(Letter::new("1", "where").write()).await.unwrap();
    let deliveries = [to_inbox(ALICE), Delivery { mailbox: MailboxId(77), ..to_inbox(BOB) }, to_inbox(CAROL)];
    let results = node.mail.deliver(&message, &deliveries).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1], Err(Error::NoSuchMailbox));
    assert_eq!(total(&node, BOB).await, 0);
    node.assert_sound(&[ALICE, BOB, CAROL]).await;
}

/// Two aliases of one person in one delivery: two copies, as two addresses were written to.
#[tokio::test]
async fn an_account_may_be_there_twice() {
    let world = World::new();
    let node = world.node();
    let message = node.mail.ingest(Letter::new("1", "twice").write()).await.unwrap();
    let deliveries = [named(ALICE, 1), named(BOB, 1), named(ALICE, 1), named(ALICE, 2)];
    let results: Vec<Delivered> =
        node.mail.deliver(&message, &deliveries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().map(|d| d.duplicate).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(results[2].uid, results[0].uid);
    assert_eq!(total(&node, ALICE).await, 2);
    node.assert_sound(&[ALICE, BOB]).await;
}

#[tokio::test]
async fn hundreds_of_recipients_share_transactions_and_attachments() {
    let world = World::new();
    let meter = Arc::new(Metered::new(world.engine.clone()));
    let node = world.node_on(meter.clone(), world.memory.clone(), MailOptions::default());
    let letter = Letter::new("1", "all of you").attach(letter::noise(1, 100_000));
    let message = node.mail.ingest(letter.write()).await.unwrap();
    let accounts: Vec<AccountId> = (1..=420).map(AccountId).collect();
    let deliveries: Vec<Delivery> = accounts.iter().map(|id| to_inbox(*id)).collect();
    meter.take();
    let results = node.mail.deliver(&message, &deliveries).await;
    assert!(results.iter().all(Result::is_ok));
    let commits = meter.take().commits;
    assert!(commits <= 10, "{commits} commits");
    assert_eq!(world.memory.len(), 1);
    for id in [1, 100, 101, 420].map(AccountId) {
        assert_eq!(total(&node, id).await, 1);
    }
    node.assert_sound(&accounts[..10]).await;
    let report = node.assert_blobs_sound().await;
    assert_eq!((report.blobs, report.references), (1, 420));
}

#[tokio::test]
async fn empty_and_too_large_messages_are_refused() {
    let world = World::new();
    let node = world.node_with(MailOptions { message_size: 100_000, ..MailOptions::default() });
    assert_eq!(node.mail.ingest(bytes::Bytes::new()).await.err(), Some(Error::Empty));
    let most = Letter::new("1", "x").text(200_000).write();
    assert!(node.mail.ingest(most.slice(..100_000)).await.is_ok());
    let refused = node.mail.ingest(most.slice(..100_001)).await.err();
    assert_eq!(refused, Some(Error::TooLarge { size: 100_001, limit: 100_000 }));
    let delivered = node.deliver(ALICE, most.slice(..1)).await.unwrap();
    let source = node.mail.source(ALICE, delivered.email).await.unwrap();
    assert_eq!(source.read(0..9).await.unwrap(), most.slice(..1), "one octet is a message");
}

/// Attachments that were known when the message was prepared, and swept before it was delivered.
#[tokio::test]
async fn a_message_outlives_the_sweep_of_what_it_shares() {
    let world = World::new();
    let node = world.node();
    let letter = |id: &str| Letter::new(id, "shared").attach(letter::noise(5, 60_000)).write();
    let first = node.deliver(ALICE, letter("1")).await.unwrap();
    let waiting = node.mail.ingest(letter("2")).await.unwrap();
    let uid = first.uid;
    let delete = mail::FlagChange { action: mail::FlagAction::Add, keywords: keywords(&[]), deleted: true };
    node.mail.store(ALICE, MailboxId::INBOX, &[uid], &delete, None).await.unwrap();
    node.mail.expunge(ALICE, MailboxId::INBOX, None).await.unwrap();
    world.hand.advance(DAY * 15);
    assert_eq!(node.mail.upkeep(ALICE).await.unwrap().purged, 1);
    world.hand.advance(DAY);
    assert_eq!(node.blobs.sweep(store::blob::SweepLimits::default()).await.unwrap().removed, 1);
    let delivered = node.mail.deliver(&waiting, &[to_inbox(ALICE), to_inbox(BOB)]).await;
    for (id, delivered) in [ALICE, BOB].into_iter().zip(delivered) {
        let source = node.mail.source(id, delivered.unwrap().email).await.unwrap();
        assert_eq!(source.read(0..u64::MAX).await.unwrap(), letter("2"));
    }
    node.assert_sound(&[ALICE, BOB]).await;
}

/// RFC 8621 §2: an account has its mailboxes from the first look on, and every way to look works.
#[tokio::test]
async fn an_account_is_there_before_its_first_mail() {
    let world = World::new();
    let node = world.node();
    let inbox = MailboxId::INBOX;
    assert_eq!(node.mail.expunge(AccountId(10), inbox, None).await.unwrap().uids, []);
    assert_eq!(node.mail.select(AccountId(11), inbox).await.unwrap().uids, []);
    assert_eq!(node.mail.mailboxes(AccountId(12)).await.unwrap().len(), 6);
    let since = node.mail.modseq(AccountId(13)).await.unwrap();
    node.deliver(AccountId(13), Letter::new("1", "x").write()).await.unwrap();
    let changes = node.mail.changes(AccountId(13), since, 100).await.unwrap();
    assert_eq!((changes.created.len(), changes.mailboxes_created.len()), (1, 6));
    assert_eq!(node.mail.verify(AccountId(14)).await.unwrap(), []);
    node.mail.upkeep(AccountId(15)).await.unwrap();
    node.mail.erase_account(AccountId(13)).await.unwrap();
    assert_eq!(node.mail.usage(AccountId(13)).await.unwrap(), mail::Usage::default());
}
