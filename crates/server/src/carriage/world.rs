//! What the tests of deliveries stand on: one store, and servers on it that work or do not.

use std::sync::Arc;

use directory::{AccountSpec, Address, Directory, DomainName, DomainSettings, LocalPart, SendingLimits};
use mail::{Mail, MailOptions};
use queue::Queue;
use smtp::Protocol;
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Chaos, ChaosRates, Embedded, EmbeddedOptions, Engine, Kv};
use types::{AccountId, Clock};

use super::{Carrier, Retries, Spool};
use crate::budget::{Budget, BudgetLimits};
use crate::config::Settings;
use crate::inbound::{Inbound, InboundOptions};
use crate::net::Lifecycle;
use crate::net::tls::install_provider;
use crate::node::Node;
use crate::notice::Notifier;
use crate::reporting::Reporting;

/// One store, and services on it that work or do not.
pub(crate) struct World {
    pub(crate) engine: Arc<dyn Engine>,
    memory: Arc<blob::Memory>,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        install_provider();
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
        Self { engine, memory: Arc::new(blob::Memory::new(Clock::system())), directory }
    }

    /// A store of which every transaction fails, for now.
    pub(crate) fn sick(&self) -> Arc<dyn Engine> {
        let rates = ChaosRates {
            too_old: 1.0,
            conflict: 0.0,
            unknown_applied: 0.0,
            unknown_dropped: 0.0,
            delay: 0.0,
        };
        Arc::new(Chaos::new(self.engine.clone(), rates, 1))
    }

    pub(crate) fn node(&self, engine: Arc<dyn Engine>, bus: &Bus) -> Node {
        let clock = Clock::system();
        let kv = Kv::new(engine, clock.clone());
        let blobs = Blobs::new(kv.clone(), self.memory.clone(), clock.clone(), BlobsOptions::default());
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), directory::Options::default());
        let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), MailOptions::default());
        let queue = |kind, options| Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options);
        let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
        let outbound = queue(queue::Kind::Outbound, queue::Options::outbound());
        let reports = reports::Reports::new(kv.clone(), clock.clone(), reports::Limits::default());
        Node { kv, blobs, bus: bus.clone(), directory, mail, inbound, outbound, reports, clock }
    }

    /// What resolves on `node`, and delivers and queues on the nodes that are named.
    pub(crate) fn carrier(&self, protocol: Protocol, node: &Node, delivers: &Node, queues: &Node) -> Carrier {
        let (inbound, outbound) = (inbound(queues), queues.outbound.clone());
        let notifier = Notifier::new(queues, "mx.example.test");
        Carrier { mail: delivers.mail.clone(), inbound, outbound, notifier, ..carrier(protocol, node) }
    }

    /// A spool for a message.
    pub(crate) fn spool(&self, carrier: &Carrier) -> Spool {
        Spool::new(self.directory.path().to_owned(), carrier.budget.clone())
    }
}

/// What does everything on one node.
pub(crate) fn carrier(protocol: Protocol, node: &Node) -> Carrier {
    Carrier {
        hostname: "mx.example.test".to_owned(),
        protocol,
        kv: node.kv.clone(),
        directory: node.directory.clone(),
        mail: node.mail.clone(),
        inbound: inbound(node),
        outbound: node.outbound.clone(),
        notifier: Notifier::new(node, "mx.example.test"),
        retries: Arc::new(Retries::new(node.bus.clone())),
        budget: Budget::new(BudgetLimits::default()),
        checks: None,
        sending: SendingLimits::default(),
        reporting: reporting(node),
        clock: node.clock.clone(),
    }
}

pub(crate) fn inbound(node: &Node) -> Inbound {
    let notifier = Notifier::new(node, "mx.example.test");
    let (budget, options) = (Budget::new(BudgetLimits::default()), InboundOptions::default());
    Inbound::new(node, budget, options, None, notifier, reporting(node))
}

fn reporting(node: &Node) -> Reporting {
    let options = Settings::new("mx.example.test", "unused".into()).reports;
    Reporting::new(options, node, None, &Lifecycle::default())
}

pub(crate) async fn create(node: &Node, name: &str) -> AccountId {
    let domain = DomainName::parse("example.test").unwrap();
    let _there_already = node.directory.create_domain(&domain, DomainSettings::default()).await;
    let address = Address::new(LocalPart::parse(name).unwrap(), domain);
    node.directory.create_account(AccountSpec::new(address, None)).await.unwrap()
}
