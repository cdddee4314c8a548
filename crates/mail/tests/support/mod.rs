//! What the tests of the mail core share: stores in a temporary directory, and messages made to measure.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod cut;
pub mod letter;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail::search::{Html, Leaf, Order, Query, SortKey};
use mail::{Delivered, Delivery, Error, Mail, MailOptions, Quota};
use store::blob::{self, Blobs, BlobsOptions};
use store::bus::Bus;
use store::kv::{self, Embedded, EmbeddedOptions, Kv};
use tempfile::TempDir;
use types::{AccountId, Clock, Keyword, Keywords, MailboxId, ManualClock, Timestamp, Uid};

#[allow(unused_imports, reason = "each test uses a part of it")]
pub use letter::Letter;

/// The moment at which manual clocks begin.
pub const START: Timestamp = Timestamp(1_700_000_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const GRACE: Duration = Duration::from_secs(3600);

/// Stores that live as long as this, and the hand of their clock.
pub struct World {
    pub engine: Arc<Embedded>,
    pub memory: Arc<blob::Memory>,
    pub clock: Clock,
    pub hand: ManualClock,
    directory: TempDir,
}

/// Mail and the blobs below it, on one set of engines.
#[derive(Clone)]
pub struct Node {
    pub mail: Mail,
    pub blobs: Blobs,
    pub kv: Kv,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(Embedded::open(directory.path(), EmbeddedOptions::default()).unwrap());
        let (clock, hand) = Clock::manual(START);
        let memory = Arc::new(blob::Memory::new(clock.clone()));
        Self { engine, memory, clock, hand, directory }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A node on the plain engines.
    pub fn node(&self) -> Node {
        self.node_with(MailOptions::default())
    }

    pub fn node_with(&self, options: MailOptions) -> Node {
        self.node_on(self.engine.clone(), self.memory.clone(), options)
    }

    /// A node that fails as the contract allows, from a seed.
    pub fn rough_node(&self, seed: u64, options: MailOptions) -> Node {
        let rates = kv::ChaosRates {
            conflict: 0.1,
            unknown_applied: 0.1,
            unknown_dropped: 0.1,
            too_old: 0.01,
            delay: 0.02,
        };
        let chaos = kv::Chaos::new(self.engine.clone(), rates, seed);
        self.node_on(Arc::new(chaos), self.memory.clone(), options)
    }

    /// A node whose store takes so many commits and no more.
    pub fn cut_node(&self, commits: i64, options: MailOptions) -> Node {
        self.node_on(cut::Cut::after(commits, self.engine.clone()), self.memory.clone(), options)
    }

    /// A node on these engines. Several nodes of one world are like several machines: they share nothing but
    /// the engines.
    pub fn node_on(
        &self,
        engine: Arc<dyn kv::Engine>,
        objects: Arc<dyn blob::Engine>,
        options: MailOptions,
    ) -> Node {
        let kv = Kv::new(engine, self.clock.clone());
        let blobs_options = BlobsOptions { grace: GRACE, spool: self.directory().to_owned() };
        let blobs = Blobs::new(kv.clone(), objects, self.clock.clone(), blobs_options);
        let bus = Bus::in_process(self.clock.clone());
        let mail = Mail::new(kv.clone(), blobs.clone(), bus, self.clock.clone(), options);
        Node { mail, blobs, kv }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Node {
    /// Delivers a message to an account's INBOX.
    pub async fn deliver(&self, account: AccountId, raw: Bytes) -> Result<Delivered, Error> {
        let message = self.mail.ingest(raw).await?;
        let mut delivered = self.mail.deliver(&message, &[to_inbox(account)]).await;
        delivered.pop().unwrap()
    }

    /// Fails the test with everything that `verify` finds in these accounts.
    pub async fn assert_sound(&self, accounts: &[AccountId]) {
        for account in accounts {
            let findings = self.mail.verify(*account).await.unwrap();
            let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert!(findings.is_empty(), "account {account}:\n{}", text.join("\n"));
        }
    }

    /// Fails the test with everything that is wrong with the blobs, whose contents are read.
    pub async fn assert_blobs_sound(&self) -> blob::VerifyReport {
        let mut findings = Vec::new();
        let report = self.blobs.verify(true, |finding| findings.push(finding.to_string())).await.unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
        report
    }

    /// The UIDs of a mailbox.
    pub async fn uids(&self, account: AccountId, mailbox: MailboxId) -> Vec<Uid> {
        self.mail.select(account, mailbox).await.unwrap().uids
    }
}

/// A plain delivery to the INBOX.
pub fn to_inbox(account: AccountId) -> Delivery {
    Delivery {
        account,
        mailbox: MailboxId::INBOX,
        keywords: Keywords::new(),
        received: START,
        quota: Quota::default(),
        id: None,
        reports_on: None,
        // Whether anybody is away is read wherever there is a sender, as for nearly all mail.
        answer_to: Some("joe@elsewhere.test".to_owned()),
    }
}

/// A mailbox by date, the newest first.
pub fn newest(mailbox: MailboxId, collapse: bool) -> Query {
    Query {
        filter: Leaf::Mailbox(mailbox).into(),
        sort: vec![Order::descending(SortKey::Received), Order::descending(SortKey::Email)],
        collapse,
        html: Html::Text,
        modseqs: false,
        all: false,
    }
}

pub fn keywords(names: &[&str]) -> Keywords {
    names.iter().map(|name| Keyword::new(name).unwrap()).collect()
}

/// Seeds for random tests: `MAGPIE_TEST_SEED` repeats one, which is in the message of whatever fails.
pub fn seeds(count: u64) -> Vec<u64> {
    let given = std::env::var("MAGPIE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    match given {
        Some(seed) => vec![seed],
        None => {
            let first = u64::from(rand::random::<u32>());
            (first..first + count).collect()
        }
    }
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
