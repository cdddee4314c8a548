use std::sync::Arc;
use std::time::Duration;

use directory::{AccountSpec, Address, Directory, DomainName, DomainSettings, LocalPart, SendingLimits};
use mail::{Mail, MailOptions};
use queue::{LegState, Queue};
use smtp::{Client, Config, ForwardPath, Greeting, Hello, Origin, Recipient, RecipientVerdict, ReversePath};
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Chaos, ChaosRates, Embedded, EmbeddedOptions, Engine, Kv};
use types::{Clock, Uid};

use super::super::retries::Retries;
use super::*;
use crate::config::Settings;
use crate::driver::budget::{Budget, BudgetLimits};
use crate::driver::port::Port;
use crate::inbound::{Inbound, InboundOptions};
use crate::meters::PortMeters;
use crate::net::tls::{Certificates, acceptor, install_provider};
use crate::net::{Lifecycle, LinkTimes, TlsMode};
use crate::node::Node;
use crate::notice::Notifier;

/// One store, and services on it that work or do not.
struct World {
    engine: Arc<dyn Engine>,
    memory: Arc<blob::Memory>,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
        Self { engine, memory: Arc::new(blob::Memory::new(Clock::system())), directory }
    }

    /// A store of which every transaction fails, for now.
    fn sick(&self) -> Arc<dyn Engine> {
        let rates = ChaosRates {
            too_old: 1.0,
            conflict: 0.0,
            unknown_applied: 0.0,
            unknown_dropped: 0.0,
            delay: 0.0,
        };
        Arc::new(Chaos::new(self.engine.clone(), rates, 1))
    }

    fn node(&self, engine: Arc<dyn Engine>, bus: &Bus) -> Node {
        let clock = Clock::system();
        let kv = Kv::new(engine, clock.clone());
        let blobs = Blobs::new(kv.clone(), self.memory.clone(), clock.clone(), BlobsOptions::default());
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), directory::Options::default());
        let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), MailOptions::default());
        let queue = |kind, options| Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options);
        let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
        let outbound = queue(queue::Kind::Outbound, queue::Options::outbound());
        Node { kv, blobs, bus: bus.clone(), directory, mail, inbound, outbound, clock }
    }

    /// A server that resolves on `node`, and delivers and queues on the nodes that are named.
    fn server(&self, protocol: Protocol, node: &Node, delivers: &Node, queues: &Node) -> SmtpServer {
        let settings = Settings::new("mx.example.test", self.directory.path().to_owned());
        let certificates =
            Certificates::load(&settings.tls, self.directory.path(), node.clock.clone()).unwrap();
        let tls = acceptor(&certificates, &[]).unwrap();
        let budget = Budget::new(BudgetLimits::default());
        SmtpServer {
            config: Arc::new(Config::new("mx.example.test", protocol)),
            port: Port {
                mode: TlsMode::StartTls,
                tls,
                times: LinkTimes::default(),
                meters: Arc::new(PortMeters::noop()),
            },
            inbound: inbound(queues),
            outbound: queues.outbound.clone(),
            notifier: Notifier::new(queues, "mx.example.test"),
            budget,
            spool: self.directory.path().to_owned(),
            kv: node.kv.clone(),
            directory: node.directory.clone(),
            mail: delivers.mail.clone(),
            retries: Retries::new(node.bus.clone()),
            checks: None,
            sending: SendingLimits::default(),
            clock: node.clock.clone(),
        }
    }
}

fn inbound(node: &Node) -> Inbound {
    let notifier = Notifier::new(node, "mx.example.test");
    Inbound::new(node, Budget::new(BudgetLimits::default()), InboundOptions::default(), None, notifier)
}

async fn create(node: &Node, name: &str) -> AccountId {
    let domain = DomainName::parse("example.test").unwrap();
    let _there_already = node.directory.create_domain(&domain, DomainSettings::default()).await;
    let address = Address::new(LocalPart::parse(name).unwrap(), domain);
    node.directory.create_account(AccountSpec::new(address, None)).await.unwrap()
}

/// Sends one message to alice and bob.
async fn send(server: &SmtpServer) -> Outcome {
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
        assert!(matches!(recipients.resolve(server, recipient).await, RecipientVerdict::Accept));
    }
    let mut spool = Spool::new(server.spool.clone(), server.budget.clone());
    spool.write(b"Message-ID: <1@example.com>\r\nSubject: later\r\n\r\nBody.\r\n").await.unwrap();
    let client = "192.0.2.1".parse().unwrap();
    Incoming { server, envelope: &envelope, recipients: &recipients, client, checks: None, draft: None }
        .deliver(spool)
        .await
}

#[tokio::test]
async fn what_fails_for_a_reason_of_ours_is_queued_and_delivered_later() {
    let world = World::new();
    let bus = Bus::in_process(Clock::system());
    let (well, sick) = (world.node(world.engine.clone(), &bus), world.node(world.sick(), &bus));
    let accounts = [create(&well, "alice").await, create(&well, "bob").await];
    let server = world.server(Protocol::Smtp, &well, &sick, &well);

    let outcome = send(&server).await;
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
        let outcome = send(&world.server(protocol, &well, &sick, &sick)).await;
        assert!(outcome.verdicts.iter().all(|verdict| matches!(verdict, DeliveryVerdict::Refuse(_))));
        assert_eq!((outcome.verdicts.len(), outcome.settled.len()), (2, 0));
    }
    assert!(well.inbound.list(None, 10).await.unwrap().entries.is_empty());
}
