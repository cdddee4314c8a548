//! What senders who have logged in hear of mail that goes to mailboxes here by way of the inbound queue.

use tokio::time::timeout;

use queue::{Body, LegState, NewEntry, NewLeg};

use super::*;
use crate::config::Settings;
use crate::driver::budget::{Budget, BudgetLimits};
use crate::inbound::{Inbound, InboundOptions};
use crate::net::Lifecycle;
use crate::notice::Notifier;
use crate::reporting::Reporting;

/// Queues a message from alice to somebody here, and works until nothing waits.
async fn deliver(node: &Node, origin: Origin, recipient: Recipient) {
    let raw = bytes::Bytes::from_static(LETTER.as_bytes());
    let packed = node.mail.pack(raw.clone()).await.unwrap();
    let entry = NewEntry {
        id: EntryId([7; 8]),
        origin,
        received: node.clock.now(),
        size: raw.len() as u64,
        body: Body { row: packed.row, blobs: packed.blobs },
        why: "there was much to do".to_owned(),
        legs: vec![NewLeg { recipients: vec![recipient], ..NewLeg::default() }],
    };
    node.inbound.enqueue(&entry).await.unwrap();
    let notifications = Notifications::new("mail.example.test", node);
    let budget = Budget::new(BudgetLimits::default());
    let lifecycle = Lifecycle::default();
    let reports = Settings::new("mail.example.test", "unused".into()).reports;
    let reporting = Reporting::new(reports, node, None, &lifecycle);
    let notifier = Notifier::new(node, "mail.example.test");
    let options = InboundOptions::default();
    Inbound::new(node, budget, options, None, notifier, notifications, reporting).start(&lifecycle);
    let empty = async {
        while node.inbound.depth().await.unwrap().waiting > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, empty).await.unwrap();
    assert_eq!(lifecycle.stop(PATIENCE).await, 0);
}

async fn inbox(node: &Node, account: AccountId) -> Vec<String> {
    let first = types::Uid(1);
    let inbox = types::MailboxId::INBOX;
    let members = node.mail.members(account, inbox, first, types::Uid(u32::MAX), 10).await.unwrap();
    let mut texts = Vec::new();
    for member in members {
        let source = node.mail.source(account, member.email).await.unwrap();
        let octets = source.read(0..source.size()).await.unwrap();
        texts.push(String::from_utf8(octets.to_vec()).unwrap());
    }
    texts
}

#[tokio::test]
async fn our_own_senders_hear_of_failure_and_others_do_not() {
    // Whether alice has logged in; whether bob is there still; what she hears.
    let table = [
        (true, true, None),
        (true, false, Some("Action: failed")),
        (false, true, None),
        (false, false, None),
    ];
    for (is_ours, is_there, told) in table {
        let world = World::new();
        let node = world.node();
        let (alice, bob) = (create(&node, "alice").await, create(&node, "bob").await);
        let account = if is_there { bob } else { AccountId(9_999) };
        let submitter = is_ours.then_some(alice);
        let origin = Origin { sender: ALICE.to_owned(), submitter, ..Origin::default() };
        let recipient = Recipient { account: Some(account), ..to("bob@example.test") };
        deliver(&node, origin, recipient).await;
        assert_eq!(inbox(&node, bob).await.len(), usize::from(is_there));
        let heard = inbox(&node, alice).await;
        assert_eq!(heard.len(), usize::from(told.is_some()), "{is_ours} {is_there}: {heard:?}");
        if let Some(told) = told {
            assert!(heard[0].contains(told) && heard[0].contains("bob@example.test"), "{}", heard[0]);
        }
        let failed = all(&node.inbound).await;
        assert_eq!(failed.len(), usize::from(!is_ours && !is_there));
        assert!(failed.iter().all(|entry| entry.legs[0].state == LegState::Failed));
        is_sound(&node).await;
    }
}
