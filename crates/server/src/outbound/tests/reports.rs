//! What senders hear, and that they hear it once.

use queue::{LegState, Protection, Return};

use super::*;

const REFUSED: Manner = Manner::Answers("RCPT", "550 5.1.1 no such user");

#[tokio::test]
async fn a_refusal_is_told_to_a_sender_here() {
    let world = World::new();
    let node = world.node();
    let account = create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    let origin = Origin {
        sender: ALICE.to_owned(),
        ret: Some(Return::Full),
        envid: Some("QQ1".to_owned()),
        ..Origin::default()
    };
    let to = Recipient { orcpt: Some("rfc822;bob@old.test".to_owned()), ..to("b@x.test") };
    send_as(&node, origin, LETTER, vec![to]).await;
    work(&outbound, &node).await;
    assert!(all(&node.outbound).await.is_empty());
    let (entry, report) = only(&node, &node.inbound).await;
    assert_eq!(entry.origin.sender, "");
    assert_eq!(entry.legs[0].recipients[0].account, Some(account));
    for told in [
        "Return-Path: <>\r\n",
        "To: <alice@example.test>\r\n",
        "Original-Envelope-Id: QQ1\r\n",
        "Original-Recipient: rfc822; bob@old.test\r\n",
        "Final-Recipient: rfc822; b@x.test\r\n",
        "Action: failed\r\n",
        "Status: 5.1.1\r\n",
        "Remote-MTA: dns; mx.x.test\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
        "Content-Type: message/rfc822\r\n",
        "\r\nhello\r\n",
    ] {
        assert!(report.contains(told), "{told}\nis not in\n{report}");
    }
    is_sound(&node).await;
}

#[tokio::test]
async fn a_large_message_comes_back_as_its_header() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    let letter = format!("Subject: large\r\n\r\n{}", format!("{}\r\n", "y".repeat(70)).repeat(20_000));
    let origin = Origin { sender: ALICE.to_owned(), ret: Some(Return::Full), ..Origin::default() };
    send_as(&node, origin, &letter, vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    let (entry, report) = only(&node, &node.inbound).await;
    assert!(entry.size < 10_000 && report.contains("Content-Type: text/rfc822-headers"), "{report}");
    assert!(report.contains("Subject: large\r\n") && !report.contains("yyyy"), "{report}");
}

#[tokio::test]
async fn a_sender_elsewhere_is_told_over_there() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    send(&node, "sam@y.test", vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    let mail = world.peers.mail.lock();
    let [report] = mail.as_slice() else { panic!("{mail:?}") };
    assert!(report.starts_with("MAIL FROM:<>") && report.contains("RCPT TO:<sam@y.test>"), "{report}");
    assert!(report.contains("Auto-Submitted: auto-replied"), "{report}");
}

#[tokio::test]
async fn a_report_is_protected_as_the_message_had_to_be() {
    let world = World::new();
    let node = world.node();
    let outbound = world.outbound(&node, 4);
    let origin = Origin {
        sender: "sam@y.test".to_owned(),
        ret: Some(Return::Full),
        protection: Protection::Required,
        ..Origin::default()
    };
    // Nothing proves the servers of either domain.
    send_as(&node, origin, LETTER, vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    assert!(world.peers.mail.lock().is_empty());
    let (entry, report) = only(&node, &node.outbound).await;
    assert_eq!((entry.origin.sender.as_str(), entry.origin.protection), ("", Protection::Required));
    assert_eq!(entry.legs[0].state, LegState::Failed);
    assert!(report.contains("Content-Type: text/rfc822-headers") && !report.contains("hello"), "{report}");
}

#[tokio::test]
async fn a_sender_that_is_gone_is_not_told() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    send(&node, "gone@example.test", vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    assert!(all(&node.outbound).await.is_empty() && all(&node.inbound).await.is_empty());
}

#[tokio::test]
async fn test_17_there_is_no_report_on_a_report() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    world.peers.set(Y, REFUSED);
    // The report goes to y.test, which refuses it.
    send(&node, "sam@y.test", vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    assert!(world.peers.mail.lock().is_empty() && all(&node.inbound).await.is_empty());
    let (entry, _) = only(&node, &node.outbound).await;
    assert_eq!((entry.origin.sender.as_str(), entry.legs[0].state), ("", LegState::Failed));
    is_sound(&node).await;
}

#[tokio::test]
async fn of_success_a_sender_hears_from_whoever_promised_it() {
    for (manner, reports) in [(Manner::Good, 1), (Manner::Notifies, 0)] {
        let world = World::new();
        let node = world.node();
        create(&node, "alice").await;
        let outbound = world.outbound(&node, 4);
        world.peers.set(X, manner.clone());
        send(&node, ALICE, vec![notify("b@x.test", 1), notify("c@x.test", 2)]).await;
        work(&outbound, &node).await;
        let entries = all(&node.inbound).await;
        assert_eq!(entries.len(), reports, "{manner:?}");
        if manner == Manner::Notifies {
            assert!(world.peers.mail.lock()[0].contains("RCPT TO:<b@x.test> NOTIFY=SUCCESS\r\n"));
            continue;
        }
        let report = text(&node, &node.inbound, entries[0].id).await;
        assert!(report.contains("Action: relayed") && report.contains("b@x.test"), "{report}");
        assert!(!report.contains("c@x.test"), "{report}");
    }
}

#[tokio::test]
async fn who_wants_to_hear_nothing_hears_nothing() {
    let world = World::new();
    let node = world.node();
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    send(&node, ALICE, vec![notify("b@x.test", 0)]).await;
    work(&outbound, &node).await;
    assert!(all(&node.outbound).await.is_empty() && all(&node.inbound).await.is_empty());
}

/// A worker is slow, its lease ends, and another one does the work: the sender hears of it once, and not from the first.
#[tokio::test]
async fn a_lease_that_was_taken_over_tells_nobody() {
    let world = World::new();
    let (node, other) = (world.node(), world.node());
    create(&node, "alice").await;
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    send(&node, ALICE, vec![to("b@x.test")]).await;
    let slow = claim(&node).await.remove(0);
    assert!(claim(&other).await.is_empty(), "somebody has it");
    world.hand.advance(Duration::from_mins(6));
    assert_eq!(work(&world.outbound(&other, 4), &other).await, 1);
    let lost = attempt(&outbound, &slow, std::future::pending()).await;
    assert!(matches!(lost, Err(queue::Error::LeaseLost(_))), "{lost:?}");
    assert_eq!(all(&node.inbound).await.len(), 1);
    is_sound(&node).await;
}

/// As all mail to that address does.
#[tokio::test]
async fn a_sender_whose_alias_leads_here_and_elsewhere_is_told_at_both_places() {
    let world = World::new();
    let node = world.node();
    let alice = create(&node, "alice").await;
    let address = |text: &str| Address::parse(text).unwrap();
    let targets = [address(ALICE), address("sam@y.test")];
    node.directory.create_alias(&address("both@example.test"), &targets).await.unwrap();
    let outbound = world.outbound(&node, 4);
    world.peers.set(X, REFUSED);
    send(&node, "both@example.test", vec![to("b@x.test")]).await;
    work(&outbound, &node).await;
    let (entry, _) = only(&node, &node.inbound).await;
    assert_eq!(entry.legs[0].recipients[0].account, Some(alice));
    let mail = world.peers.mail.lock().clone();
    let [report] = mail.as_slice() else { panic!("{mail:?}") };
    assert!(report.contains("RCPT TO:<sam@y.test>"), "{report}");
    is_sound(&node).await;
}
