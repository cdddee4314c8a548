//! Stores in a temporary directory, and nodes that share them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use queue::{
    Answer, Body, Client, Companion, Dice, Entry, EntryId, Facts, Kind, Lease, Line, Moment, NewEntry,
    NewLeg, Options, Origin, Queue, Recipient, Report,
};
use store::blob::{self, Blobs, BlobsOptions, Content};
use store::kv::{self, Embedded, EmbeddedOptions, Kv, Range, Transaction};
use tempfile::TempDir;
use types::{Clock, ManualClock, Timestamp};

pub const START: Timestamp = Timestamp(1_700_000_000_000);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_mins(1);
pub const DAY: Duration = Duration::from_hours(24);

pub struct World {
    pub engine: Arc<Embedded>,
    pub memory: Arc<blob::Memory>,
    directory: TempDir,
    nodes: AtomicU64,
}

/// A machine: its queue, its blobs, and the hand of its own clock.
pub struct Node {
    pub queue: Queue,
    pub blobs: Blobs,
    pub kv: Kv,
    pub hand: ManualClock,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let memory = Arc::new(blob::Memory::new(Clock::system()));
        Self { engine, memory, directory, nodes: AtomicU64::new(1 << 40) }
    }

    /// A node whose wall clock shows `START`.
    pub fn node(&self) -> Node {
        let seed = self.nodes.fetch_add(1, Ordering::Relaxed);
        self.node_on(self.engine.clone(), START, Options { dice: Dice::seeded(seed), ..Options::inbound() })
    }

    /// A node that fails as the contract allows, from a seed.
    pub fn rough_node(&self, seed: u64) -> Node {
        let rates = kv::ChaosRates {
            conflict: 0.1,
            unknown_applied: 0.1,
            unknown_dropped: 0.1,
            too_old: 0.01,
            delay: 0.02,
        };
        let chaos = kv::Chaos::new(self.engine.clone(), rates, seed);
        self.node_on(Arc::new(chaos), START, Options { dice: Dice::seeded(seed), ..Options::inbound() })
    }

    pub fn node_on(&self, engine: Arc<dyn kv::Engine>, wall: Timestamp, options: Options) -> Node {
        let (clock, hand) = Clock::manual(wall);
        let kv = Kv::new(engine, clock.clone());
        let spool = self.directory.path().to_owned();
        let blob_options = BlobsOptions { grace: Duration::from_hours(1), spool };
        let blobs = Blobs::new(kv.clone(), self.memory.clone(), clock.clone(), blob_options);
        let queue = Queue::new(Kind::Inbound, kv.clone(), blobs.clone(), clock, options);
        Node { queue, blobs, kv, hand }
    }

    /// A node that works on the outbound queue.
    pub fn sender(&self) -> Node {
        self.sender_on(self.engine.clone())
    }

    /// One that fails as the contract allows, from a seed.
    pub fn rough_sender(&self, seed: u64) -> Node {
        let rates = kv::ChaosRates {
            conflict: 0.05,
            unknown_applied: 0.05,
            unknown_dropped: 0.05,
            too_old: 0.01,
            delay: 0.01,
        };
        self.sender_on(Arc::new(kv::Chaos::new(self.engine.clone(), rates, seed)))
    }

    pub fn sender_on(&self, engine: Arc<dyn kv::Engine>) -> Node {
        let (clock, hand) = Clock::manual(START);
        let seed = self.nodes.fetch_add(1, Ordering::Relaxed);
        let kv = Kv::new(engine, clock.clone());
        let blob_options =
            BlobsOptions { grace: Duration::from_hours(1), spool: self.directory.path().to_owned() };
        let blobs = Blobs::new(kv.clone(), self.memory.clone(), clock.clone(), blob_options);
        let options = Options { dice: Dice::seeded(seed), ..Options::outbound() };
        let queue = Queue::new(Kind::Outbound, kv.clone(), blobs.clone(), clock, options);
        Node { queue, blobs, kv, hand }
    }
}

impl Node {
    /// Queues a short message to these recipients.
    pub async fn enqueue(&self, number: u64, recipients: &[&str]) -> EntryId {
        let new = entry(number, recipients);
        self.queue.enqueue(&new).await.unwrap();
        new.id
    }

    /// Queues a message with a blob of its own, or one that others have too.
    pub async fn enqueue_blob(&self, number: u64, content: &str) -> EntryId {
        let prepared = self.blobs.prepare(Content::memory(content.to_owned())).await.unwrap();
        let mut new = entry(number, &["a@example.test"]);
        new.body.blobs = vec![prepared];
        self.queue.enqueue(&new).await.unwrap();
        new.id
    }

    /// Claims the only leg that is due.
    pub async fn claim_one(&self) -> Lease {
        let mut leases = self.queue.claim("tester", 10).await.unwrap();
        assert_eq!(leases.len(), 1);
        leases.pop().unwrap()
    }

    /// Queues a short message for somebody at a destination.
    pub async fn send(&self, number: u64, destination: &str) -> EntryId {
        let new = mail(number, destination, 1);
        self.queue.enqueue(&new).await.unwrap();
        new.id
    }

    /// Claims what is due, where every destination has room.
    pub async fn due(&self) -> Vec<Lease> {
        self.queue.claim_for("sender", 100, &|_: &str| 100).await.unwrap()
    }

    /// Claims the only leg that is due.
    pub async fn due_one(&self) -> Lease {
        let mut leases = self.due().await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.pop().unwrap()
    }

    pub async fn line(&self, destination: &str) -> Option<Line> {
        self.queue.line_of(destination).await.unwrap()
    }

    /// What its wall clock shows.
    pub fn wall(&self) -> Timestamp {
        self.queue.on_the_wall(Moment(0), Moment(0))
    }

    pub async fn claims(&self) -> usize {
        self.queue.claim("tester", 100).await.unwrap().len()
    }

    pub async fn show(&self, id: EntryId) -> Entry {
        self.queue.show(id).await.unwrap().unwrap()
    }

    /// Fails the test with everything that is wrong with the queue and its blobs.
    pub async fn assert_sound(&self) {
        let (_, findings) = self.queue.verify().await.unwrap();
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", text.join("\n"));
        let mut lost = Vec::new();
        self.blobs.verify(true, |finding| lost.push(finding.to_string())).await.unwrap();
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}

pub fn id(number: u64) -> EntryId {
    // As random as ids are, and the same for the same number.
    EntryId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).to_be_bytes())
}

pub fn entry(number: u64, recipients: &[&str]) -> NewEntry {
    let recipient = |address: &&str| Recipient { address: (*address).to_owned(), ..Recipient::default() };
    let recipients = recipients.iter().map(recipient).collect();
    NewEntry {
        id: id(number),
        origin: Origin {
            sender: "sender@example.com".into(),
            client: Client { address: Some("192.0.2.1".into()), ..Client::default() },
            ..Origin::default()
        },
        received: START,
        size: 12,
        body: Body { row: format!("message {number}").into(), blobs: Vec::new() },
        why: "the load was over the mark".into(),
        legs: vec![NewLeg { recipients, ..NewLeg::default() }],
    }
}

/// A message with as many legs for a destination.
pub fn mail(number: u64, destination: &str, legs: usize) -> NewEntry {
    let leg = |leg: usize| NewLeg {
        destination: destination.to_owned(),
        recipients: vec![Recipient { address: format!("user{leg}@{destination}"), ..Recipient::default() }],
        ..NewLeg::default()
    };
    NewEntry { legs: (0..legs).map(leg).collect(), ..entry(number, &["nobody"]) }
}

pub fn refused() -> Answer {
    let facts = Facts { status: Some("4.4.1".into()), ..Facts::default() };
    Answer { text: "connection refused".into(), facts }
}

/// Writes down who is told what: a counter for each, so that nothing is told twice unseen.
pub struct Told;

impl Companion for Told {
    async fn join(&self, tx: &Transaction, report: &Report) -> Result<(), queue::Error> {
        for notice in &report.notices {
            tx.add(format!("told/{}/{:?}", notice.recipient.address, notice.fate), 1)?;
        }
        Ok(())
    }
}

impl Node {
    /// Who was told what, how often.
    pub async fn told(&self) -> Vec<(String, i64)> {
        let tx = self.kv.read().await.unwrap();
        let rows = tx.range(Range::prefix(b"told/")).all().await.unwrap();
        let name = |key: &[u8]| String::from_utf8_lossy(key).trim_start_matches("told/").to_owned();
        rows.iter().map(|(key, value)| (name(key), kv::counter(value))).collect()
    }
}

/// Seeds for random tests: `MAGPIE_TEST_SEED` repeats one.
pub fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("MAGPIE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = u64::from(rand::random::<u32>());
    given.map_or_else(|| (first..first + count).collect(), |seed| vec![seed])
}

/// Prints the seed if the test panics.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with MAGPIE_TEST_SEED={}", self.0);
        }
    }
}
