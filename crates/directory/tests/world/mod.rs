//! A directory on an embedded store, with a clock that the test moves and an engine that counts, fails or is away.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use directory::{
    AccountSpec, Address, Cost, Directory, DomainName, DomainSettings, NewPassword, Options, Resolution,
    ScramIterations,
};
use store::bus::Bus;
use store::kv::{
    Chaos, ChaosRates, Commit, Embedded, EmbeddedOptions, Engine, Error, KeyRange, Kv, Metered, Snapshot,
    Transaction, Version, Watch,
};
use tempfile::TempDir;
use types::{AccountId, Clock, ManualClock, Timestamp};

pub struct World {
    pub directory: Directory,
    pub hand: ManualClock,
    pub meter: Arc<Metered>,
    pub switch: Arc<Switch>,
    pub kv: Kv,
    pub bus: Bus,
    pub clock: Clock,
    _files: TempDir,
}

/// An engine that can be switched off.
pub struct Switch {
    inner: Arc<dyn Engine>,
    pub off: AtomicBool,
}

/// Cheap hashes: the tests count them.
pub fn options() -> Options {
    Options {
        cost: Cost::new(8, 1, 1).unwrap(),
        scram: Some(ScramIterations::new(4096).unwrap()),
        hashes_at_once: NonZeroUsize::new(2).unwrap(),
        password_min_chars: 4,
        ..Options::default()
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(options(), None)
    }

    pub fn chaotic(seed: u64) -> Self {
        Self::with(options(), Some(seed))
    }

    pub fn with(options: Options, chaos: Option<u64>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let mut engine: Arc<dyn Engine> =
            Arc::new(Embedded::open(files.path(), EmbeddedOptions::default()).unwrap());
        if let Some(seed) = chaos {
            engine = Arc::new(Chaos::new(engine, ChaosRates::default(), seed));
        }
        let switch = Arc::new(Switch { inner: engine, off: AtomicBool::new(false) });
        let meter = Arc::new(Metered::new(switch.clone()));
        let (clock, hand) = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let kv = Kv::new(meter.clone(), clock.clone());
        let bus = Bus::in_process(clock.clone());
        let directory = Directory::new(kv.clone(), bus.clone(), clock.clone(), options);
        Self { directory, hand, meter, switch, kv, bus, clock, _files: files }
    }

    /// Another node on the same store and bus.
    pub fn node(&self, options: Options) -> Directory {
        Directory::new(self.kv.clone(), self.bus.clone(), self.clock.clone(), options)
    }

    /// With the domain `example.test`.
    pub async fn with_domain(self) -> Self {
        self.domain("example.test").await;
        self
    }

    pub async fn domain(&self, name: &str) {
        self.directory.create_domain(&domain(name), DomainSettings::default()).await.unwrap();
    }

    pub async fn account(&self, at: &str) -> AccountId {
        self.directory.create_account(AccountSpec::new(address(at), None)).await.unwrap()
    }

    pub async fn account_with(&self, at: &str, password: &str) -> AccountId {
        let password = Some(NewPassword::Clear(password.to_owned()));
        self.directory.create_account(AccountSpec::new(address(at), password)).await.unwrap()
    }

    pub async fn alias(&self, at: &str, targets: &[&str]) {
        let targets: Vec<_> = targets.iter().map(|target| address(target)).collect();
        self.directory.create_alias(&address(at), &targets).await.unwrap();
    }

    pub async fn group(&self, at: &str, members: &[&str]) {
        let members: Vec<_> = members.iter().map(|member| address(member)).collect();
        self.directory.create_group(&address(at), None, &members).await.unwrap();
    }

    pub async fn resolve(&self, at: &str) -> Resolution {
        self.directory.resolve(at).await.unwrap()
    }

    /// The accounts that an address leads to, sorted.
    pub async fn accounts_of(&self, at: &str) -> Vec<AccountId> {
        match self.resolve(at).await {
            Resolution::Local { recipients, .. } => {
                let mut accounts: Vec<_> = recipients.iter().map(|r| r.account).collect();
                accounts.sort();
                accounts
            }
            other => panic!("{at}: {other:?}"),
        }
    }

    /// The addresses elsewhere that an address leads to, sorted.
    pub async fn forwards_of(&self, at: &str) -> Vec<String> {
        match self.resolve(at).await {
            Resolution::Local { forwards, .. } => {
                let mut forwards: Vec<_> = forwards.iter().map(|f| f.address.to_string()).collect();
                forwards.sort();
                forwards
            }
            other => panic!("{at}: {other:?}"),
        }
    }

    /// How many read rounds `work` took.
    /// Forgets which names aliases lead to, as if an older release had made them.
    pub async fn forget_referrers(&self) {
        let rows = &KeyRange { begin: "dr".into(), end: "ds".into() };
        let forget = |tx: Transaction| async move { tx.clear_range(rows.clone()) };
        self.kv.run(forget).await.unwrap();
    }

    pub async fn rounds<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        self.meter.take();
        let result = work.await;
        (self.meter.take().read_rounds, result)
    }
}

pub fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[async_trait]
impl Engine for Switch {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.health()?;
        self.inner.snapshot().await
    }

    async fn commit(&self, commit: Commit) -> Result<Version, Error> {
        self.health()?;
        self.inner.commit(commit).await
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.inner.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        self.inner.loses_commit_answers()
    }

    fn health(&self) -> Result<(), Error> {
        match self.off.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable("switched off".into())),
            false => self.inner.health(),
        }
    }
}
