//! Who is away has answers given: to whom they are due, and once.

use bytes::Bytes;
use futures::future::join_all;
use mail::{Companion, Delivered, Delivery, DeliveryId, Due, Error, Mail, MailOptions, Vacation};
use store::kv::{Kv, Transaction, counter};
use types::AccountId;

use crate::support::{DAY, Letter, Node, START, World, seeds, to_inbox};

const ALICE: AccountId = AccountId(1);
const BOB: AccountId = AccountId(2);

/// Sends nothing, but counts how often it would have.
struct Sending;

const SENT: &[u8] = b"test-sent";

impl Companion for Sending {
    async fn join(&self, tx: &Transaction, _: &[(AccountId, Result<Delivered, Error>)]) -> Result<(), Error> {
        Ok(tx.add(SENT, 1)?)
    }
}

async fn sent(kv: &Kv) -> i64 {
    let value = kv.run(|tx| async move { tx.get(SENT).await }).await.unwrap();
    value.map_or(0, |value| counter(&value))
}

async fn go_away(mail: &Mail, account: AccountId) {
    mail.set_vacation(account, &|_| Vacation { enabled: true, ..Vacation::default() }).await.unwrap();
}

async fn deliver(node: &Node, from: Option<&str>, header: &str) {
    let raw = Bytes::from(format!("From: joe@elsewhere.test\r\n{header}\r\ntext\r\n"));
    let message = node.mail.ingest(raw).await.unwrap();
    let delivery = Delivery { answer_to: from.map(str::to_owned), ..to_inbox(ALICE) };
    node.mail.deliver(&message, &[delivery]).await.remove(0).unwrap();
}

async fn due(node: &Node) -> Vec<Due> {
    node.mail.answers_due(None, 100).await.unwrap()
}

#[tokio::test]
async fn a_sender_is_told_once_in_a_week() {
    let world = World::new();
    let node = world.node();
    deliver(&node, Some("joe@x.test"), "").await;
    assert_eq!(due(&node).await, [], "nobody is away");
    go_away(&node.mail, ALICE).await;
    deliver(&node, Some("joe@x.test"), "").await;
    // Before the first is answered.
    deliver(&node, Some("JOE@x.test"), "").await;
    deliver(&node, Some("ann@x.test"), "").await;
    let first = due(&node).await;
    let senders: Vec<&str> = first.iter().map(|due| due.sender.as_str()).collect();
    assert_eq!(senders, ["joe@x.test", "JOE@x.test", "ann@x.test"]);
    assert_eq!((first[0].account, first[0].received), (ALICE, START));
    let behind = node.mail.answers_due(Some((ALICE, first[0].email)), 1).await.unwrap();
    assert_eq!(behind, first[1..2]);
    assert_eq!(node.mail.answer(&first[0], &Sending).await, Ok(true));
    assert_eq!(node.mail.answer(&first[0], &Sending).await, Ok(false), "it was given");
    assert_eq!(node.mail.answer(&first[1], &Sending).await, Ok(false), "joe has been told");
    node.mail.leave_unanswered(&first[2]).await.unwrap();
    assert_eq!((due(&node).await, sent(&node.kv).await), (vec![], 1));
    deliver(&node, Some("joe@x.test"), "").await;
    assert_eq!(due(&node).await, [], "joe knows");
    world.hand.advance(DAY * 7);
    assert_eq!(node.mail.upkeep(ALICE).await.unwrap().answered_forgotten, 1);
    deliver(&node, Some("joe@x.test"), "").await;
    assert_eq!(due(&node).await.len(), 1);
    assert_eq!(node.mail.answer(&due(&node).await[0], &Sending).await, Ok(true));
    // Another absence is news to those who were told of the last one.
    node.mail.set_vacation(ALICE, &|_| Vacation::default()).await.unwrap();
    deliver(&node, Some("joe@x.test"), "").await;
    go_away(&node.mail, ALICE).await;
    assert_eq!(due(&node).await, []);
    deliver(&node, Some("joe@x.test"), "").await;
    assert_eq!(due(&node).await.len(), 1);
    node.assert_sound(&[ALICE]).await;
}

#[tokio::test]
async fn fault_18_only_what_a_person_has_sent_while_somebody_is_away_is_answered() {
    let world = World::new();
    let node = world.node();
    go_away(&node.mail, ALICE).await;
    deliver(&node, None, "").await;
    deliver(&node, Some("mailer-daemon@x.test"), "").await;
    for header in ["List-Id: <a.b>\r\n", "Precedence: bulk\r\n", "Auto-Submitted: auto-replied\r\n"] {
        deliver(&node, Some("joe@x.test"), header).await;
    }
    let (from, until) = (Some(START.plus(DAY)), Some(START.plus(DAY * 2)));
    let span = Vacation { enabled: true, from, until, ..Vacation::default() };
    node.mail.set_vacation(ALICE, &|_| span.clone()).await.unwrap();
    deliver(&node, Some("joe@x.test"), "").await;
    assert_eq!(due(&node).await, []);
    let at = |at| Delivery { received: at, answer_to: Some("joe@x.test".into()), ..to_inbox(ALICE) };
    let message = node.mail.ingest(Letter::new("1", "x").write()).await.unwrap();
    for (received, answers) in [
        (until.unwrap(), 0),
        (from.unwrap(), 1),
        (START.plus(DAY * 2 - std::time::Duration::from_millis(1)), 2),
    ] {
        node.mail.deliver(&message, &[at(received)]).await.remove(0).unwrap();
        assert_eq!(due(&node).await.len(), answers);
    }
}

#[tokio::test]
async fn a_retry_wants_no_second_answer_and_others_are_not_away() {
    let world = World::new();
    let node = world.node();
    go_away(&node.mail, ALICE).await;
    let message = node.mail.ingest(Letter::new("1", "x").write()).await.unwrap();
    let named = |account| Delivery { id: Some(DeliveryId([1; 16])), ..to_inbox(account) };
    for _ in 0..2 {
        for result in node.mail.deliver(&message, &[named(ALICE), named(BOB)]).await {
            result.unwrap();
        }
    }
    let left = due(&node).await;
    assert_eq!(left.iter().map(|due| due.account).collect::<Vec<_>>(), [ALICE]);
    // What is left of an account that is erased does not wait for ever.
    node.mail.erase_account(ALICE).await.unwrap();
    assert_eq!(due(&node).await, []);
}

#[tokio::test]
async fn an_answer_has_an_end() {
    let world = World::new();
    let mail = world.node().mail;
    let long = Vacation { text: Some("x".repeat(Mail::VACATION_SIZE + 1)), ..Vacation::default() };
    let refused = mail.set_vacation(ALICE, &|_| long.clone()).await;
    assert!(matches!(refused, Err(Error::ObjectTooLarge { .. })));
    let told = mail.vacation(ALICE).await.unwrap().1;
    assert_eq!(told, Vacation::default());
}

/// Nodes race for an answer, and commits fail or are lost.
#[tokio::test]
async fn answers_are_given_once_whatever_happens() {
    for seed in seeds(5) {
        let world = World::new();
        let node = world.node();
        go_away(&node.mail, ALICE).await;
        let count = 8;
        for number in 0..count {
            deliver(&node, Some(&format!("sender{number}@x.test")), "").await;
        }
        let nodes: Vec<Node> = (0..3).map(|n| world.rough_node(seed + n, MailOptions::default())).collect();
        for _ in 0..20 {
            let left = due(&node).await;
            if left.is_empty() {
                break;
            }
            let racing =
                nodes.iter().flat_map(|node| left.iter().map(move |due| node.mail.answer(due, &Sending)));
            // What failed is tried again, as it is after a crash.
            let _some_fail = join_all(racing).await;
        }
        assert_eq!((due(&node).await, sent(&node.kv).await), (vec![], count), "seed {seed}");
    }
}
