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

pub use chaos::{Chaos, ChaosRates};
pub use embedded::{Embedded, EmbeddedOptions, OpenError};
pub use engine::{Commit, Engine, KeyRange, Page, PageRequest, Snapshot, Version, Watch, Write, after_key};
pub use error::Error;
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
    /// The result is that of the attempt which was committed, exactly once.
    pub async fn run<T, E, F, Fut>(&self, mut work: F) -> Result<T, E>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let mut once = once::Marker::new(self.engine.as_ref(), &self.clock);
        let mut unknown: Option<T> = None;
        let mut too_old = 0;
        for attempt in 1.. {
            let tx = Transaction::begin(self.engine.clone()).await?;
            let mut result = None;
            let failed = match once.was_committed(&tx).await {
                Ok(true) => {
                    if let Some(result) = unknown {
                        return Ok(result);
                    }
                    Error::CommitUnknown
                }
                Err(error) => error,
                Ok(false) => match work(tx.clone()).await {
                    Err(error) => match tx.failure() {
                        Some(failure) if failure.is_retryable() => failure,
                        _ => return Err(error),
                    },
                    Ok(value) => {
                        result = Some(value);
                        once.mark(&tx)?;
                        match tx.commit().await {
                            Ok(()) => match result {
                                Some(value) => return Ok(value),
                                None => Error::CommitUnknown,
                            },
                            Err(error) => error,
                        }
                    }
                },
            };
            match failed {
                Error::Conflict { .. } if attempt >= Self::ATTEMPTS => {
                    return Err(Error::Conflict { attempts: attempt }.into());
                }
                Error::CommitUnknown if once.answers_are_lost() && attempt < Self::ATTEMPTS => {
                    unknown = result.or(unknown);
                }
                Error::TooOld if too_old < Self::TOO_OLD_ATTEMPTS => too_old += 1,
                Error::Conflict { .. } => {}
                final_error => return Err(final_error.into()),
            }
            pause(attempt).await;
        }
        Err(Error::Conflict { attempts: u32::MAX }.into())
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
