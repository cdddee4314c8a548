use std::sync::Arc;
use std::time::Duration;

use queue::LegState;
use smtp::{Client, ForwardPath, Greeting, Hello, Origin, Recipient, RecipientVerdict, ReversePath};
use store::bus::Bus;
use types::{Clock, Uid};

use super::super::world::{World, create, inbound};
use super::*;
use crate::net::Lifecycle;

/// Sends one message to alice and bob.
async fn send(world: &World, carrier: &Carrier) -> Outcome {
    let client = Client {
        address: None,
        name: None,
        hello: Hello::new(Greeting::Ehlo, "client.example.com").unwrap(),
        tls: None,
    };
    let origin = Arc::new(Origin {
        client,
        sender: ReversePath::Mailbox("sender@example.com".parse().unwrap()),
        size: None,
        body: smtp::BodyType::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        submission: smtp::Submission::default(),
    });
    let path = |text: &str| ForwardPath::Mailbox(text.parse().unwrap());
    let recipient = |text| Recipient { path: path(text), notify: None, orcpt: None };
    let envelope = Envelope {
        origin: origin.clone(),
        recipients: vec![recipient("alice@example.test"), recipient("bob@example.test")],
    };
    let mut recipients = Recipients::default();
    recipients.begin(&origin);
    for recipient in &envelope.recipients {
        assert!(matches!(recipients.resolve(carrier, recipient).await, RecipientVerdict::Accept));
    }
    let mut spool = world.spool(carrier);
    spool.write(b"Message-ID: <1@example.com>\r\nSubject: later\r\n\r\nBody.\r\n").await.unwrap();
    Incoming {
        carrier,
        envelope: &envelope,
        recipients: &recipients,
        client: Some("192.0.2.1".parse().unwrap()),
        checks: None,
        draft: None,
        booking: None,
    }
    .deliver(spool)
    .await
}

#[tokio::test]
async fn what_fails_for_a_reason_of_ours_is_queued_and_delivered_later() {
    let world = World::new();
    let bus = Bus::in_process(Clock::system());
    let (well, sick) = (world.node(world.engine.clone(), &bus), world.node(world.sick(), &bus));
    let accounts = [create(&well, "alice").await, create(&well, "bob").await];
    let carrier = world.carrier(Protocol::Smtp, &well, &sick, &well);

    let outcome = send(&world, &carrier).await;
    assert!(outcome.verdicts.iter().all(|verdict| matches!(verdict, DeliveryVerdict::Durable(_))));
    assert_eq!((outcome.verdicts.len(), outcome.settled.len()), (2, 2));
    let page = well.inbound.list(None, 10).await.unwrap();
    let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
    let leg = &entry.legs[0];
    assert_eq!((leg.state, leg.attempts, leg.recipients.len()), (LegState::Waiting, 1, 2));
    assert!(leg.recipients[0].said.as_ref().unwrap().contains("unavailable"), "{leg:?}");
    assert!(leg.due > leg.history[0].at, "not at once again");

    // An operator does not want to wait.
    let mut news = accounts.map(|account| well.mail.subscribe(account));
    well.inbound.retry(entry.id).await.unwrap();
    let lifecycle = Lifecycle::default();
    inbound(&well).start(&lifecycle);
    for news in &mut news {
        tokio::time::timeout(Duration::from_mins(1), news.next()).await.unwrap();
    }
    for account in accounts {
        let members = well.mail.members(account, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 10).await.unwrap();
        assert_eq!(members.len(), 1);
    }
    assert!(well.inbound.list(None, 10).await.unwrap().entries.is_empty());
    assert_eq!(lifecycle.stop(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn what_can_neither_be_delivered_nor_queued_is_not_acknowledged() {
    let world = World::new();
    let bus = Bus::in_process(Clock::system());
    let (well, sick) = (world.node(world.engine.clone(), &bus), world.node(world.sick(), &bus));
    create(&well, "alice").await;
    create(&well, "bob").await;
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        let outcome = send(&world, &world.carrier(protocol, &well, &sick, &sick)).await;
        assert!(outcome.verdicts.iter().all(|verdict| matches!(verdict, DeliveryVerdict::Refuse(_))));
        assert_eq!((outcome.verdicts.len(), outcome.settled.len()), (2, 0));
    }
    assert!(well.inbound.list(None, 10).await.unwrap().entries.is_empty());
}
