//! Immutable bytes named by their BLAKE3 hash, kept once whoever needs them, with references and a garbage
//! collection that is safe against every other node. Blobs know nothing of mail.
//!
//! ```text
//!   Content ─prepare─> known already: nothing is written ┐
//!             |                                          ├─> Prepared ─link─> row and reference,
//!             └─ new: framed, compressed, Engine::put ───┘                    in the caller's transaction
//!
//!   unlink ─> candidate ─(grace)─> sweep: no reference ─> row gone ─> object deleted, or extent compacted
//! ```
//!
//! **Order of writes.** First the engine has the bytes durably, then one transaction makes them known and
//! referenced. A crash between leaves bytes that nobody knows: [`Blobs::compact`] or [`Blobs::collect_orphans`]
//! removes them. A row never points to bytes that are not there.
//!
//! **Why nothing vanishes under a reader or a writer.** Every transaction that links a blob reads its row, and
//! the row that would say that its place is given up, serialisably; every transaction that gives something up
//! reads the references, or the count of what still points there. So of two that race, one runs again and sees
//! the other. No clock decides; clocks only say how long to wait before looking.

mod chaos;
mod compact;
mod content;
mod encoding;
mod engine;
mod error;
mod hash;
mod link;
mod memory;
mod meter;
mod orphans;
mod prepare;
mod read;
mod segments;
mod spool;
mod sweep;
mod tables;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use types::Clock;

use crate::kv::{self, Kv, Transaction};

pub use chaos::{Chaos, ChaosRates};
pub use compact::{CompactLimits, CompactReport};
pub use content::Content;
pub use encoding::Codec;
pub use engine::{Body, Engine, EngineError, Extent, ExtentInfo, Listed, Listing, Object, Place};
pub use error::{Error, LinkError};
pub use hash::{Hash, HashError};
pub use memory::Memory;
pub use meter::{Counts, Metered};
pub use orphans::OrphanReport;
pub use prepare::Prepared;
pub use read::{BlobReader, Stat};
pub use segments::{OpenError, Segments, SegmentsOptions};
pub use spool::Spool;
pub use sweep::{SweepLimits, SweepReport};
pub use tables::{
    BlobRecord, BlobTable, Candidate, Doomed, DoomedTable, GarbageTable, Mark, ReferenceTable, Retired,
    RetiredTable, Task,
};
pub use verify::{Finding, VerifyReport};

/// How blobs are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobsOptions {
    /// How long an unreferenced blob stays before it may be swept, and bytes that no transaction has linked
    /// before they are taken for orphans. A blob must be linked within half of it after it was prepared.
    pub grace: Duration,
    /// Where content that arrives in pieces waits, in files without a name.
    pub spool: PathBuf,
}

impl Default for BlobsOptions {
    fn default() -> Self {
        Self { grace: Duration::from_secs(3600), spool: std::env::temp_dir() }
    }
}

/// A blob store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Blobs {
    kv: Kv,
    engine: Arc<dyn Engine>,
    clock: Clock,
    options: Arc<BlobsOptions>,
    /// Memory for parts of files that are being stored, in units of [`Self::LOADING_UNIT`].
    loading: Arc<Semaphore>,
    compacting: Arc<Mutex<()>>,
}

impl Blobs {
    /// The largest blob, in bytes: 1 GiB.
    pub const LARGEST: u64 = encoding::LARGEST;
    const LOADING_UNIT: u64 = 64 << 10;
    const LOADING_UNITS: u32 = 1024;

    /// A store that keeps its rows in `kv` and its bytes in `engine`.
    pub fn new(kv: Kv, engine: Arc<dyn Engine>, clock: Clock, options: BlobsOptions) -> Self {
        let loading = Arc::new(Semaphore::new(Self::LOADING_UNITS as usize));
        Self { kv, engine, clock, options: Arc::new(options), loading, compacting: Arc::default() }
    }

    /// Takes content in pieces.
    pub fn spool(&self) -> Spool {
        Spool::new(&self.options.spool)
    }

    /// `Err` with the reason if the store refuses new blobs. Those that are there can still be read.
    pub fn health(&self) -> Result<(), Error> {
        self.engine.health().map_err(Error::storing)
    }

    /// How long after it was prepared a blob may be linked.
    fn link_within(&self) -> Duration {
        self.options.grace / 2
    }

    /// Reads from one snapshot, again if that has become too old.
    async fn look<T, F, Fut>(&self, work: F) -> Result<T, kv::Error>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, kv::Error>>,
    {
        self.kv.run(work).await
    }
}
