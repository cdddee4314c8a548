//! Bad days on purpose: an engine that fails, from a seed, in each way that the contract allows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Error;
use super::engine::{Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch};

/// How often each fault is injected: probabilities from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChaosRates {
    /// A commit conflicts though nothing did.
    pub conflict: f64,
    /// A commit is applied, but the answer is lost.
    pub unknown_applied: f64,
    /// A commit is not applied, and the answer is lost.
    pub unknown_dropped: f64,
    /// A read or a commit finds its snapshot too old.
    pub too_old: f64,
    /// A read or a commit takes up to two milliseconds longer.
    pub delay: f64,
}

impl Default for ChaosRates {
    fn default() -> Self {
        Self { conflict: 0.1, unknown_applied: 0.05, unknown_dropped: 0.05, too_old: 0.01, delay: 0.1 }
    }
}

/// The wrapper.
pub struct Chaos {
    inner: Arc<dyn Engine>,
    dice: Arc<Dice>,
}

struct Dice {
    rates: ChaosRates,
    rng: Mutex<StdRng>,
}

impl Chaos {
    /// Faults at `rates` on top of `inner`; the same seed and the same calls give the same faults.
    pub fn new(inner: Arc<dyn Engine>, rates: ChaosRates, seed: u64) -> Self {
        Self { inner, dice: Arc::new(Dice { rates, rng: Mutex::new(StdRng::seed_from_u64(seed)) }) }
    }
}

impl Dice {
    fn roll(&self, rate: f64) -> bool {
        rate > 0.0 && self.rng.lock().random_bool(rate.min(1.0))
    }

    async fn delay(&self) {
        if self.roll(self.rates.delay) {
            let micros = self.rng.lock().random_range(0..2000);
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }

    async fn before_read(&self) -> Result<(), Error> {
        self.delay().await;
        if self.roll(self.rates.too_old) { Err(Error::TooOld) } else { Ok(()) }
    }
}

struct ChaosSnapshot {
    inner: Arc<dyn Snapshot>,
    dice: Arc<Dice>,
}

#[async_trait]
impl Snapshot for ChaosSnapshot {
    fn version(&self) -> Version {
        self.inner.version()
    }

    async fn get(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        self.dice.before_read().await?;
        self.inner.get(keys).await
    }

    async fn page(&self, range: &KeyRange, request: PageRequest) -> Result<Page, Error> {
        self.dice.before_read().await?;
        // Short pages are allowed at any time; a reader that takes one for the end is wrong.
        let rows = if self.dice.roll(0.2) { 1 } else { request.rows };
        self.inner.page(range, PageRequest { rows, ..request }).await
    }
}

#[async_trait]
impl Engine for Chaos {
    async fn snapshot(&self) -> Result<Arc<dyn Snapshot>, Error> {
        self.dice.delay().await;
        let inner = self.inner.snapshot().await?;
        Ok(Arc::new(ChaosSnapshot { inner, dice: self.dice.clone() }))
    }

    async fn commit(&self, mut commit: Commit) -> Result<Version, Error> {
        let snapshot = super::engine::downcast::<ChaosSnapshot>(commit.snapshot)?;
        commit.snapshot = snapshot.inner.clone();
        let rates = self.dice.rates;
        self.dice.before_read().await?;
        if self.dice.roll(rates.conflict) {
            return Err(Error::Conflict { attempts: 1 });
        }
        if self.dice.roll(rates.unknown_dropped) {
            return Err(Error::CommitUnknown);
        }
        let version = self.inner.commit(commit).await?;
        self.dice.delay().await;
        if self.dice.roll(rates.unknown_applied) {
            return Err(Error::CommitUnknown);
        }
        Ok(version)
    }

    fn watch(&self, key: &[u8], seen: Version) -> Watch {
        self.inner.watch(key, seen)
    }

    fn loses_commit_answers(&self) -> bool {
        true
    }

    fn health(&self) -> Result<(), Error> {
        self.inner.health()
    }
}
