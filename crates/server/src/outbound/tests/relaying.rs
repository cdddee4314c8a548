//! Messages that get there, or do not, one attempt at a time.

use std::time::Duration;

use queue::{Cause, LegState, RecipientState, Standstill};

use super::*;

#[tokio::test]
async fn messages_share_a_connection_and_leave_the_queue() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    for number in 0..5 {
        send(&node, ALICE, vec![to(&format!("b{number}@x.test")), to("c@X.test")]).await;
    }
    assert_eq!(work(&outbound, &node).await, 5);
    assert!(all(&node.outbound).await.is_empty() && all(&node.inbound).await.is_empty());
    {
        let mail = world.peers.mail.lock();
        assert_eq!((mail.len(), world.peers.calls()), (5, 1));
        assert!(mail.iter().all(|one| one.contains("RCPT TO:<c@X.test>") && one.contains("\r\nhello\r\n")));
    }
    is_sound(&node).await;
}

#[tokio::test]
async fn a_large_message_is_streamed_as_it_was() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    // An attachment that is cut out and put together again, in lines of base64.
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n";
    let letter = format!(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        line.repeat(20_000)
    );
    let origin = Origin { sender: ALICE.to_owned(), ..Origin::default() };
    send_as(&node, origin, &letter, vec![to("b@x.test")]).await;
    assert_eq!(work(&outbound, &node).await, 1);
    assert!(world.peers.mail.lock()[0].ends_with(&format!("{letter}.\r\n")));
    assert!(all(&node.outbound).await.is_empty());
    is_sound(&node).await;
}

#[tokio::test]
async fn a_recipient_that_is_refused_for_now_waits_for_itself() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, Manner::Answers("RCPT", "450 4.7.1 greylisted"));
    let id = send(&node, ALICE, vec![to("b@x.test")]).await;
    assert_eq!(work(&outbound, &node).await, 1);
    let entry = node.outbound.show(id).await.unwrap().unwrap();
    let leg = &entry.legs[0];
    assert_eq!((leg.state, leg.plan.in_line, leg.attempts), (LegState::Waiting, false, 1));
    let recipient = &leg.recipients[0];
    let facts = recipient.facts.as_ref().unwrap();
    assert_eq!(recipient.said.as_deref(), Some("450 4.7.1 greylisted"));
    assert_eq!((facts.reply, facts.status.as_deref()), (Some(450), Some("4.7.1")));
    assert_eq!(facts.host.as_deref(), Some("mx.x.test"));
    assert_eq!(node.outbound.line_of("x.test").await.unwrap(), None);

    world.peers.set(X, Manner::Good);
    world.hand.advance(Duration::from_mins(6));
    assert_eq!(work(&outbound, &node).await, 1);
    assert_eq!(world.peers.mail.lock().len(), 1);
    is_sound(&node).await;
}

#[tokio::test]
async fn fault_65_a_destination_that_fails_has_a_line_and_the_first_to_get_through_opens_it() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    world.peers.kill(X);
    for number in 0..20 {
        send(&node, ALICE, vec![to(&format!("b{number}@x.test"))]).await;
    }
    send(&node, ALICE, vec![to("b@y.test")]).await;
    work(&outbound, &node).await;
    assert_eq!(world.peers.mail.lock().len(), 1, "the other destination does not notice");
    let line = node.outbound.line_of("x.test").await.unwrap().unwrap();
    assert_eq!((line.why, line.cause, line.depth), (Standstill::Failing, Some(Cause::Connection), 20));
    assert!(line.said.contains("refused"), "{}", line.said);

    // One at a time, less and less often.
    let calls = world.peers.calls();
    for _ in 0..10 {
        world.hand.advance(Duration::from_mins(1));
        work(&outbound, &node).await;
    }
    let tried = world.peers.calls() - calls;
    assert!((3..=6).contains(&tried), "{tried}");

    world.peers.set(X, Manner::Good);
    world.hand.advance(Duration::from_mins(30));
    work(&outbound, &node).await;
    assert_eq!(world.peers.mail.lock().len(), 21);
    assert!(all(&node.outbound).await.is_empty());
    is_sound(&node).await;
}

#[tokio::test]
async fn what_keeps_a_destination_from_being_reached_is_told_apart() {
    let table = [
        ("connect", "554 go away", Cause::Refusal),
        ("connect", "nonsense", Cause::Connection),
        ("EHLO", "421 too busy", Cause::Refusal),
        ("MAIL", "421 4.3.2 going down", Cause::Refusal),
    ];
    for (command, answer, cause) in table {
        let world = World::new();
        let node = world.node();
        let outbound = world.outbound(&node, 4);
        world.peers.set(X, Manner::Answers(command, answer));
        send(&node, ALICE, vec![to("b@x.test")]).await;
        work(&outbound, &node).await;
        let line = node.outbound.line_of("x.test").await.unwrap();
        assert_eq!(line.and_then(|line| line.cause), Some(cause), "{command} {answer}");
    }
}

#[tokio::test]
async fn a_domain_that_does_not_exist_fails_at_once() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    send(&node, ALICE, vec![to("b@nowhere.test")]).await;
    work(&outbound, &node).await;
    assert!(all(&node.outbound).await.is_empty());
    let (_, report) = only(&node, &node.inbound).await;
    assert!(report.contains("Status: 5.1.2"), "{report}");
}

#[tokio::test]
async fn who_has_the_message_is_not_tried_again_with_the_others() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    // The second one is refused: the peer answers RCPT by the address.
    let id = send(&node, ALICE, vec![to("b@x.test"), to("<bad>@x.test")]).await;
    work(&outbound, &node).await;
    let entry = node.outbound.show(id).await.unwrap();
    assert!(entry.is_none_or(|entry| entry.legs[0].recipients[0].state == RecipientState::Done));
    assert_eq!(world.peers.mail.lock().len(), 1);
}
