//! Ordered keys with strictly serialisable, optimistic transactions: FoundationDB's contract, on every engine.
//!
//! ```text
//!   Kv::run(closure) ──> Transaction ──reads──> Snapshot ┐
//!        ^   retry           |                           ├ Engine: embedded (FoundationDB, PostgreSQL later),
//!        └── conflict ── commit(reads, writes) ──────────┘         or a wrapper: Chaos, Metered
//! ```
//!
//! A transaction reads one consistent snapshot, sees its own writes, and commits only if nothing that it read
//! has changed since. When [`Kv::run`] returns, its writes survive `kill -9` and power loss.

mod chaos;
mod embedded;
mod engine;
mod error;
pub mod limits;
mod memory;
mod meter;
mod once;
mod range;
mod table;
mod transaction;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use types::Clock;

use crate::meters::METERS;

pub use chaos::{Chaos, ChaosRates};
pub use embedded::{CommitStats, Embedded, EmbeddedOptions, OpenError};
pub use engine::{Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch, Write, after_key};
pub use error::Error;
pub use memory::Memory;
pub use meter::{Counts, Metered};
pub use range::{Range, Rows};
pub use table::{KeyReader, KeyWriter, Table, TableRows, decode, encode};
pub use transaction::{Transaction, counter};

/// A key-value store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Kv {
    engine: Arc<dyn Engine>,
    clock: Clock,
}

impl Kv {
    /// How often a transaction is tried before it is given up as [`Error::Conflict`].
    pub const ATTEMPTS: u32 = 50;
    const TOO_OLD_ATTEMPTS: u32 = 10;
    const LONGEST_PAUSE: Duration = Duration::from_millis(100);

    /// A store on an engine.
    pub fn new(engine: Arc<dyn Engine>, clock: Clock) -> Self {
        Self { engine, clock }
    }

    /// Runs a transaction: `work` reads and writes through the [`Transaction`] that it is given; when it returns
    /// `Ok` the writes are committed. On a conflict, and where the engine lost track, `work` is run again on a
    /// fresh snapshot, so it must have no effect but through the transaction. An `Err` of `work` writes nothing.
    ///
    /// The result is that of the attempt which was committed, exactly once. A transaction in which a read failed
    /// is not committed, whatever `work` made of that. If the returned future is dropped, the commit may still
    /// happen.
    pub async fn run<T, E, F, Fut>(&self, mut work: F) -> Result<T, E>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let mut attempts = once::Attempts::new(self.engine.as_ref(), &self.clock);
        let mut too_old = 0;
        for attempt in 1..=Self::ATTEMPTS {
            match self.attempt(attempt, &mut work, &mut attempts).await {
                Ok(done) => return done,
                Err(Error::Conflict { .. }) => {}
                Err(Error::CommitUnknown) if attempts.can_be_settled() => {}
                Err(Error::TooOld) if too_old < Self::TOO_OLD_ATTEMPTS => too_old += 1,
                Err(error) => return Err(attempts.give_up(error).into()),
            }
            METERS.retries.increment(1);
            pause(attempt).await;
        }
        Err(attempts.give_up(Error::Conflict { attempts: Self::ATTEMPTS }).into())
    }

    /// One attempt: what `work` returned, once that is certain, or the error for which to try again or give up.
    async fn attempt<T, E, F, Fut>(
        &self,
        number: u32,
        work: &mut F,
        attempts: &mut once::Attempts<T>,
    ) -> Result<Result<T, E>, Error>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let tx = Transaction::begin(self.engine.clone()).await?;
        if let Some(result) = attempts.settled(&tx).await? {
            return Ok(Ok(result));
        }
        match (work(tx.clone()).await, tx.failure()) {
            (Ok(_), Some(failure)) => Err(failure),
            (Err(_), Some(failure)) if failure.is_retryable() => Err(failure),
            (Err(error), _) if !attempts.any_open() => Ok(Err(error)),
            (Err(error), _) => {
                let settling = Transaction::begin(self.engine.clone()).await?;
                Ok(attempts.settle(&settling).await?.ok_or(error))
            }
            (Ok(result), None) => {
                attempts.mark(&tx, number)?;
                match tx.commit().await {
                    Ok(()) => Ok(Ok(result)),
                    Err(Error::CommitUnknown) => {
                        attempts.lost(number, result);
                        Err(Error::CommitUnknown)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// A transaction that only reads: one consistent snapshot, for at most [`limits::AGE`].
    pub async fn read(&self) -> Result<Transaction, Error> {
        Transaction::begin(self.engine.clone()).await
    }

    /// `Err` with the reason if the store refuses writes.
    pub fn health(&self) -> Result<(), Error> {
        self.engine.health()
    }

    /// Forgets the idempotency markers of transactions that ended over an hour ago. Run now and then; engines
    /// that never lose a commit's answer have none.
    pub async fn forget_markers(&self) -> Result<(), Error> {
        once::forget(self).await
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Waits a random time below a bound that doubles with each attempt: those who collided do not meet again.
async fn pause(attempt: u32) {
    if attempt == 1 {
        tokio::task::yield_now().await;
        return;
    }
    let bound = Duration::from_micros(200).saturating_mul(1 << attempt.min(20)).min(Kv::LONGEST_PAUSE);
    let micros = rand::rng().random_range(0..=bound.as_micros());
    tokio::time::sleep(Duration::from_micros(u64::try_from(micros).unwrap_or(0))).await;
}
