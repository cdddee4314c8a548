//! The worker and its parts against servers in memory, on stores in memory, and with a clock that the test moves.

mod costs;
mod inbound;
mod peer;
mod relaying;
mod reports;
mod schedule;
mod working;

use std::sync::Arc;
use std::time::Duration;

use directory::{AccountSpec, Address, Directory, DomainName, DomainSettings, LocalPart};
use dns::Zone;
use mail::{Mail, MailOptions};
use queue::{Dice, Entry, EntryId, Lease, Origin, Queue, Recipient};
use relay::{Addresses, Relay, RelayOptions, RouteTable, Router, TlsClient, TlsPolicies};
use rustls::RootCertStore;
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{Engine, Kv, Memory, Metered};
use types::{AccountId, Clock, ManualClock, Timestamp};

use self::peer::{Manner, Peers, Wire};
use super::attempt::attempt;
use super::{LogBook, Outbound, OutboundOptions};
use crate::leaving::Leaving;
use crate::node::Node;
use crate::notice::Notifier;

const START: Timestamp = Timestamp(1_795_000_000_000);
const ZONE: &str =
    "x.test MX 10 mx.x.test\nmx.x.test A 192.0.2.1\ny.test MX 10 mx.y.test\nmx.y.test A 192.0.2.2";
/// The addresses of the servers of `x.test` and `y.test`.
const X: &str = "192.0.2.1";
const Y: &str = "192.0.2.2";
const ALICE: &str = "alice@example.test";
const LETTER: &str =
    "From: alice@example.test\r\nMessage-ID: <1@example.test>\r\nSubject: x\r\n\r\nhello\r\n";
const PATIENCE: Duration = Duration::from_mins(2);

/// A store, other servers, and a clock.
struct World {
    engine: Arc<Metered>,
    memory: Arc<blob::Memory>,
    peers: Arc<Peers>,
    clock: Clock,
    hand: ManualClock,
    bus: Bus,
}

impl World {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(START);
        let peers = Arc::new(Peers::default());
        peers.set(X, Manner::Good);
        peers.set(Y, Manner::Good);
        Self {
            engine: Arc::new(Metered::new(Arc::new(Memory::new()))),
            memory: Arc::new(blob::Memory::new(clock.clone())),
            peers,
            bus: Bus::in_process(clock.clone()),
            clock,
            hand,
        }
    }

    fn node(&self) -> Node {
        let clock = self.clock.clone();
        let engine: Arc<dyn Engine> = self.engine.clone();
        let kv = Kv::new(engine, clock.clone());
        let blobs = Blobs::new(kv.clone(), self.memory.clone(), clock.clone(), BlobsOptions::default());
        let bus = self.bus.clone();
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), directory::Options::default());
        let mail = Mail::new(kv.clone(), blobs.clone(), bus.clone(), clock.clone(), MailOptions::default());
        let queue = |kind, options: queue::Options| {
            let options = queue::Options { dice: Dice::seeded(7), ..options };
            Queue::new(kind, kv.clone(), blobs.clone(), clock.clone(), options)
        };
        let inbound = queue(queue::Kind::Inbound, queue::Options::inbound());
        let outbound = queue(queue::Kind::Outbound, queue::Options::outbound());
        let reports = ::reports::Reports::new(kv.clone(), clock.clone(), ::reports::Limits::default());
        Node { kv, blobs, bus, directory, mail, inbound, outbound, reports, clock }
    }

    /// What sends from a node, over so many connections to a destination.
    fn outbound(&self, node: &Node, connections: u16) -> Outbound {
        let resolver = Arc::new(Zone::parse(ZONE).unwrap());
        let addresses = Addresses { allowed: vec!["192.0.2.0/24".parse().unwrap()], ..Addresses::default() };
        let router = Router::new(resolver.clone(), RouteTable::default(), addresses, Vec::new());
        let stranger = rcgen::generate_simple_self_signed(vec!["stranger.test".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(stranger.cert.der().clone()).unwrap();
        let options = RelayOptions {
            connections: (connections, connections),
            ..RelayOptions::new("mail.example.test")
        };
        let relay = Relay::new(
            options,
            Arc::new(router),
            TlsPolicies::new(resolver, None, false),
            Arc::new(TlsClient::new(roots).unwrap()),
            Arc::new(Wire(self.peers.clone())),
            Some(1),
        );
        let options = OutboundOptions { workers: 10, farewell: Duration::from_millis(50) };
        let notifier = Notifier::new(node, "mail.example.test");
        Outbound::new(options, node, relay, notifier, Arc::new(LogBook))
    }
}

/// Puts a message from a sender into the queue.
async fn send(node: &Node, sender: &str, recipients: Vec<Recipient>) -> EntryId {
    send_as(node, Origin { sender: sender.to_owned(), ..Origin::default() }, LETTER, recipients).await
}

async fn send_as(node: &Node, origin: Origin, letter: &str, recipients: Vec<Recipient>) -> EntryId {
    let raw = bytes::Bytes::from(letter.to_owned());
    let leaving = Leaving {
        id: EntryId(types::Randomness::bytes()),
        origin,
        received: node.clock.now(),
        size: raw.len() as u64,
        packed: node.mail.pack(raw).await.unwrap(),
        why: "it was sent".to_owned(),
        recipients,
        after: Duration::ZERO,
    };
    let entry = leaving.entry();
    node.outbound.enqueue(&entry).await.unwrap();
    entry.id
}

fn to(address: &str) -> Recipient {
    Recipient { address: address.to_owned(), ..Recipient::default() }
}

/// One that wants to hear of this: 1 success, 2 failure, 4 delay.
fn notify(address: &str, notify: u8) -> Recipient {
    Recipient { notify: Some(notify), ..to(address) }
}

async fn claim(node: &Node) -> Vec<Lease> {
    node.outbound.claim("test", 100).await.unwrap()
}

/// Does all that is due. How many errands that was.
async fn work(outbound: &Outbound, node: &Node) -> usize {
    let mut errands = 0;
    loop {
        let leases = claim(node).await;
        if leases.is_empty() {
            return errands;
        }
        for lease in leases {
            attempt(outbound, &lease, std::future::pending()).await.unwrap();
            errands += 1;
        }
    }
}

async fn create(node: &Node, name: &str) -> AccountId {
    let domain = DomainName::parse("example.test").unwrap();
    let _there_already = node.directory.create_domain(&domain, DomainSettings::default()).await;
    let address = Address::new(LocalPart::parse(name).unwrap(), domain);
    node.directory.create_account(AccountSpec::new(address, None)).await.unwrap()
}

async fn all(queue: &Queue) -> Vec<Entry> {
    queue.list(None, 1_000).await.unwrap().entries
}

/// What is in a message that waits in a queue.
async fn text(node: &Node, queue: &Queue, id: EntryId) -> String {
    let row = queue.body(id).await.unwrap();
    let source = node.mail.unpack(&row).unwrap();
    String::from_utf8(source.read(0..source.size()).await.unwrap().to_vec()).unwrap()
}

/// The only message in a queue.
async fn only(node: &Node, queue: &Queue) -> (Entry, String) {
    let mut entries = all(queue).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = entries.remove(0);
    let text = text(node, queue, entry.id).await;
    (entry, text)
}

/// All rows agree, and no blob is left over or lost.
async fn is_sound(node: &Node) {
    for queue in [&node.inbound, &node.outbound] {
        let (_, findings) = queue.verify().await.unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}
