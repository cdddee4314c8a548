//! What a submitted message is when it leaves, and that it leaves once.

use std::sync::Arc;

use checks::{KeyKind, SigningKey};
use compose::HeaderReader;
use directory::{
    AccountState, DkimAlgorithm, DomainName, NewDkimKey, NewPassword, Protocol as Scope, Selector,
};
use queue::{LegState, Protection, Transfer};
use smtp::{
    BodyType, Client, DeliveryVerdict, Envelope, ForwardPath, Greeting, Hello, Notify, Origin, Protocol,
    Recipient, RecipientVerdict, ReversePath, SenderVerdict, Submitter,
};
use store::bus::Bus;
use types::{AccountId, Clock, MailboxId, Uid};

use super::super::super::port::Port;
use super::*;
use crate::carriage::world::{World, create};
use crate::carriage::{Carrier, Incoming, Outcome, Recipients, Spool};
use crate::config::Settings;
use crate::meters::PortMeters;
use crate::net::tls::{Certificates, acceptor};
use crate::net::{LinkTimes, TlsMode};
use crate::node::Node;

const ALICE: &str = "alice@example.test";

/// Somebody who has logged in, and what they send.
struct Author<'a> {
    server: &'a SmtpServer,
    who: Authenticated,
    origin: Origin,
    recipients: Vec<Recipient>,
}

impl<'a> Author<'a> {
    async fn log_in(server: &'a SmtpServer, account: AccountId) -> Self {
        let directory = &server.carrier.directory;
        directory.set_password(account, &NewPassword::Clear("correct-horse".to_owned())).await.unwrap();
        let peer = "192.0.2.1".parse().unwrap();
        let who = directory.authenticate(ALICE, "correct-horse", peer, Scope::Submission).await.unwrap();
        let client = Client {
            address: Some(peer),
            name: None,
            hello: Hello::new(Greeting::Ehlo, "laptop").unwrap(),
            tls: None,
        };
        let submitter = Some(Submitter::proven(account.0, ALICE));
        let origin = Origin {
            client,
            sender: ReversePath::Mailbox(ALICE.parse().unwrap()),
            size: None,
            body: BodyType::EightBitMime,
            smtputf8: false,
            ret: None,
            envid: Some("envelope".to_owned()),
            submission: smtp::Submission { submitter, ..smtp::Submission::default() },
        };
        Self { server, who, origin, recipients: Vec::new() }
    }

    fn to(mut self, address: &str, notify: Option<Notify>) -> Self {
        let path = ForwardPath::Mailbox(address.parse().unwrap());
        self.recipients.push(Recipient { path, notify, orcpt: None });
        self
    }

    /// Sends a message, as the connection would: its header is judged before its body comes.
    async fn send(&self, message: &str) -> Outcome {
        let envelope =
            Envelope { origin: Arc::new(self.origin.clone()), recipients: self.recipients.clone() };
        let mut recipients = Recipients::default();
        recipients.begin(&envelope.origin);
        for recipient in &envelope.recipients {
            let verdict = recipients.resolve(&self.server.carrier, recipient).await;
            assert!(matches!(verdict, RecipientVerdict::Accept), "{verdict:?}");
        }
        let mut submission = Submission { who: Some(self.who.clone()), ..Submission::default() };
        let split = HeaderReader::new(1 << 20).push(message.as_bytes()).unwrap().unwrap();
        let mut spool = Spool::new(self.server.spool.clone(), self.server.carrier.budget.clone());
        spool.passes(split.header.octets());
        let verdict = submission.header(self.server, &envelope, Arc::new(split.header)).await;
        assert!(matches!(verdict, HeaderVerdict::Accept), "{verdict:?}");
        submission.body(&split.body);
        spool.write(&split.body).await.unwrap();
        let draft = submission.take_draft();
        Incoming {
            carrier: &self.server.carrier,
            envelope: &envelope,
            recipients: &recipients,
            client: Some("192.0.2.1".parse().unwrap()),
            checks: None,
            draft,
            booking: None,
        }
        .deliver(spool)
        .await
    }
}

fn durable(outcome: &Outcome) -> bool {
    outcome.verdicts.iter().all(|verdict| matches!(verdict, DeliveryVerdict::Durable(_)))
}

/// The messages in an INBOX.
async fn inbox(node: &Node, account: AccountId) -> Vec<String> {
    let mut found = Vec::new();
    for member in node.mail.members(account, MailboxId::INBOX, Uid(1), Uid(u32::MAX), 10).await.unwrap() {
        let source = node.mail.source(account, member.email).await.unwrap();
        found.push(String::from_utf8(source.read(0..source.size()).await.unwrap().to_vec()).unwrap());
    }
    found
}

/// A message in a queue.
async fn body(node: &Node, queue: &queue::Queue, id: queue::EntryId) -> String {
    let source = node.mail.unpack(&queue.body(id).await.unwrap()).unwrap();
    String::from_utf8(source.read(0..source.size()).await.unwrap().to_vec()).unwrap()
}

struct Stage {
    world: World,
    node: Node,
    alice: AccountId,
    bob: AccountId,
}

impl Stage {
    async fn new() -> Self {
        let world = World::new();
        let node = world.node(world.engine.clone(), &Bus::in_process(Clock::system()));
        let (alice, bob) = (create(&node, "alice").await, create(&node, "bob").await);
        Self { world, node, alice, bob }
    }

    fn listener(&self, carrier: Carrier) -> SmtpServer {
        let directory = self.world.directory.path();
        let settings = Settings::new("mx.example.test", directory.to_owned());
        let certificates = Certificates::load(&settings.tls, directory, carrier.clock.clone()).unwrap();
        let port = Port {
            mode: TlsMode::StartTls,
            tls: acceptor(&certificates, &[]).unwrap(),
            times: LinkTimes::default(),
            meters: Arc::new(PortMeters::noop()),
        };
        let config = smtp::Config::new("mx.example.test", Protocol::Submission);
        SmtpServer::new(config, port, directory.to_owned(), carrier)
    }

    fn server(&self) -> SmtpServer {
        self.listener(self.world.carrier(Protocol::Submission, &self.node, &self.node, &self.node))
    }
}

const LETTER: &str = "Message-ID: <1@laptop>\r\nFrom: alice@example.test\r\nTLS-Required: No\r\n\
                      Bcc: secret@example.test\r\nSubject: s\r\n\r\nBody.\r\n";

#[tokio::test]
async fn everybody_gets_the_same_signed_octets() {
    let stage = Stage::new().await;
    let domain = DomainName::parse("example.test").unwrap();
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let selector = Selector::parse("s1").unwrap();
    let new = NewDkimKey {
        selector: selector.clone(),
        algorithm: DkimAlgorithm::Ed25519,
        public: key.public().unwrap(),
        private: key.pkcs8().unwrap(),
    };
    stage.node.directory.create_dkim_keys(&domain, &[new]).await.unwrap();
    stage.node.directory.activate_dkim_key(&domain, &selector).await.unwrap();
    let server = stage.server();
    let success = Notify { success: true, failure: true, delay: false };
    let author = Author::log_in(&server, stage.alice).await;
    let author = author.to("bob@example.test", None).to("a@one.example", Some(success));
    let author = author.to("b@two.example", None).to("c@one.example", None);
    assert!(durable(&author.send(LETTER).await));

    let page = stage.node.outbound.list(None, 10).await.unwrap();
    let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
    let origin = &entry.origin;
    assert_eq!((origin.sender.as_str(), origin.envid.as_deref()), (ALICE, Some("envelope")));
    assert_eq!((origin.submitter, origin.transfer), (Some(stage.alice), Transfer::EightBit));
    assert_eq!(origin.protection, Protection::Dispensable);
    let legs: Vec<_> = entry
        .legs
        .iter()
        .map(|leg| {
            let to: Vec<_> = leg.recipients.iter().map(|one| (one.address.as_str(), one.notify)).collect();
            (leg.destination.as_str(), leg.state, to)
        })
        .collect();
    assert_eq!(
        legs,
        [
            ("one.example", LegState::Waiting, vec![("a@one.example", Some(3)), ("c@one.example", None)]),
            ("two.example", LegState::Waiting, vec![("b@two.example", None)]),
        ]
    );
    let leaving = body(&stage.node, &stage.node.outbound, entry.id).await;
    let [here] = &inbox(&stage.node, stage.bob).await[..] else { panic!("one message") };
    assert_eq!(*here, format!("Return-Path: <{ALICE}>\r\n{leaving}"));
    assert!(leaving.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"), "{leaving}");
    assert!(leaving.contains("\r\nDate: ") && !leaving.contains("secret@"), "{leaving}");
    assert!(leaving.contains(&format!("\tid {}", entry.id)), "{leaving}");
    assert!(leaving.ends_with("\r\n\r\nBody.\r\n"));
}

#[tokio::test]
async fn a_retry_leaves_once_and_a_second_message_twice() {
    let stage = Stage::new().await;
    let server = stage.server();
    let author = Author::log_in(&server, stage.alice).await.to("bob@example.test", None);
    let author = author.to("a@one.example", None);
    let first = author.send(LETTER).await;
    assert!(durable(&first) && first.settled.len() == 2);
    assert!(durable(&author.send(LETTER).await), "the answer was lost");
    let count = || async { stage.node.outbound.list(None, 10).await.unwrap().entries.len() };
    assert_eq!((count().await, inbox(&stage.node, stage.bob).await.len()), (1, 1));
    for fingerprint in &first.settled {
        server.carrier.retries.acknowledged(fingerprint).await;
    }
    assert!(durable(&author.send(LETTER).await), "sent again on purpose");
    assert_eq!((count().await, inbox(&stage.node, stage.bob).await.len()), (2, 2));
    let nameless = LETTER.replace("Message-ID", "X-Id");
    assert!(durable(&author.send(&nameless).await) && durable(&author.send(&nameless).await));
    assert_eq!((count().await, inbox(&stage.node, stage.bob).await.len()), (4, 4));
}

#[tokio::test]
async fn what_cannot_be_queued_for_others_is_not_acknowledged() {
    let stage = Stage::new().await;
    let sick = stage.world.node(stage.world.sick(), &Bus::in_process(Clock::system()));
    let server = stage.listener(stage.world.carrier(Protocol::Submission, &stage.node, &stage.node, &sick));
    let author = Author::log_in(&server, stage.alice).await.to("bob@example.test", None);
    let author = author.to("a@one.example", None);
    let refused = author.send(LETTER).await;
    assert!(!durable(&refused) && refused.settled.is_empty());
    // The store is well again.
    let server = stage.server();
    let author = Author { server: &server, ..author };
    assert!(durable(&author.send(LETTER).await));
    assert_eq!(inbox(&stage.node, stage.bob).await.len(), 1, "what was delivered before is not again");
    assert_eq!(stage.node.outbound.list(None, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_full_mailbox_is_told_once_in_the_same_breath() {
    let stage = Stage::new().await;
    let full = directory::Quota { bytes: Some(10), messages: None };
    stage.node.directory.set_quota(stage.bob, full).await.unwrap();
    let server = stage.server();
    let never = Notify::default();
    for (notify, reports) in [(Some(never), 0), (None, 1), (None, 1)] {
        let author = Author::log_in(&server, stage.alice).await.to("bob@example.test", notify);
        let author = author.to("a@one.example", None);
        assert!(durable(&author.send(LETTER).await), "{notify:?}");
        let page = stage.node.inbound.list(None, 10).await.unwrap();
        assert_eq!(page.entries.len(), reports, "{notify:?}");
        if let [entry] = page.entries.as_slice() {
            assert_eq!(
                (entry.origin.sender.as_str(), entry.legs[0].recipients[0].account),
                ("", Some(stage.alice))
            );
            let report = body(&stage.node, &stage.node.inbound, entry.id).await;
            assert!(
                report.starts_with("Return-Path: <>\r\n") && report.contains("Status: 5.2.2"),
                "{report}"
            );
            assert!(report.contains("Original-Envelope-Id: envelope\r\n"), "{report}");
        }
    }
    // Nobody has it: the client hears that itself.
    let author = Author::log_in(&server, stage.alice).await.to("bob@example.test", None);
    assert!(!durable(&author.send(LETTER).await));
    assert_eq!(stage.node.inbound.list(None, 10).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn an_arrival_is_told_once_however_often_it_is_repeated() {
    let stage = Stage::new().await;
    let server = stage.server();
    let success = Notify { success: true, ..Notify::default() };
    let author = Author::log_in(&server, stage.alice).await.to("bob@example.test", Some(success));
    let author = author.to("a@one.example", None);
    let first = author.send(LETTER).await;
    assert!(durable(&first) && durable(&author.send(LETTER).await), "the answer was lost");
    let page = stage.node.inbound.list(None, 10).await.unwrap();
    let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
    let report = body(&stage.node, &stage.node.inbound, entry.id).await;
    assert!(report.contains("Action: delivered\r\n") && !report.contains("one.example"), "{report}");
    for fingerprint in &first.settled {
        server.carrier.retries.acknowledged(fingerprint).await;
    }
    assert!(durable(&author.send(LETTER).await), "sent again on purpose");
    assert_eq!(stage.node.inbound.list(None, 10).await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn who_was_closed_meanwhile_sends_nothing_more() {
    let stage = Stage::new().await;
    let server = stage.server();
    let author = Author::log_in(&server, stage.alice).await;
    let mut submission = Submission { who: Some(author.who.clone()), ..Submission::default() };
    assert!(matches!(submission.sender(&server, &author.origin).await, SenderVerdict::Accept));
    stage.node.directory.set_state(stage.alice, AccountState::ReceiveOnly).await.unwrap();
    assert!(matches!(submission.sender(&server, &author.origin).await, SenderVerdict::Refuse(_)));
}
