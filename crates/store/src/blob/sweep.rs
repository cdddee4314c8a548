//! The sweep: blobs that nobody needs any more lose their row in one transaction, and only then their bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::try_join_all;
use types::Timestamp;

use super::engine::Place;
use super::tables::{BlobTable, Candidate, DoomedTable, GarbageTable, ReferenceTable};
use super::{Blobs, Error, Hash};
use crate::kv::{self, Range, Transaction};

/// How much a sweep does in one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweepLimits {
    /// Candidates looked at.
    pub candidates: usize,
}

impl Default for SweepLimits {
    fn default() -> Self {
        Self { candidates: 10_000 }
    }
}

/// What a sweep has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepReport {
    /// Candidates whose time had come.
    pub candidates: u64,
    /// Blobs that are gone: nobody needed them.
    pub removed: u64,
    /// Bytes of storage that they took.
    pub removed_bytes: u64,
    /// Objects deleted from the engine. A packing engine's bytes go in [`Blobs::compact`].
    pub deleted: u64,
    /// Whether the limit was reached, so that another call finds more to do.
    pub more: bool,
}

/// What one transaction found out about a few candidates.
#[derive(Default)]
struct Batch {
    removed: u64,
    removed_bytes: u64,
    /// Objects whose time has come, by candidate.
    deletable: BTreeMap<Candidate, Vec<Place>>,
}

impl Blobs {
    /// Candidates in one transaction: few, so that one that is linked meanwhile makes few run again.
    const BATCH: usize = 32;

    /// Looks at candidates whose grace period is over and removes the blobs that nobody needs. Run it now and
    /// then, on any node, on several at once if need be: it is safe against links and other sweeps, and a crash
    /// at any point leaves work for the next call but loses nothing.
    pub async fn sweep(&self, limits: SweepLimits) -> Result<SweepReport, Error> {
        let now = self.clock.now();
        let mut report = SweepReport::default();
        let mut left = limits.candidates;
        for shard in 0..GarbageTable::SHARDS {
            let (candidates, more) = self.due(shard, now, left).await?;
            left -= candidates.len();
            report.more |= more;
            for batch in candidates.chunks(Self::BATCH) {
                self.sweep_batch(batch, now, &mut report).await?;
            }
        }
        Ok(report)
    }

    async fn due(&self, shard: u8, now: Timestamp, limit: usize) -> Result<(Vec<Candidate>, bool), Error> {
        let range = Range::new(GarbageTable::due(shard, now)).limit(limit + 1).snapshot();
        let range = &range;
        let rows = self.look(|tx| async move { tx.rows::<GarbageTable>(range.clone()).all().await }).await?;
        let more = rows.len() > limit;
        Ok((rows.into_iter().take(limit).map(|(candidate, _)| candidate).collect(), more))
    }

    async fn sweep_batch(
        &self,
        candidates: &[Candidate],
        now: Timestamp,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let batch = self.kv.run(|tx| self.judge(tx, candidates, now)).await?;
        report.candidates += candidates.len() as u64;
        report.removed += batch.removed;
        report.removed_bytes += batch.removed_bytes;
        for (candidate, places) in batch.deletable {
            for place in &places {
                self.engine.delete(&self.engine.extent(place)).await.map_err(Error::storing)?;
            }
            report.deleted += places.len() as u64;
            let places = &places;
            self.kv
                .run(|tx| async move {
                    for place in places {
                        tx.remove::<DoomedTable>(&(candidate.hash, place.clone()))?;
                    }
                    tx.remove::<GarbageTable>(&candidate)
                })
                .await?;
        }
        Ok(())
    }

    /// Removes what nobody needs. A candidate is done with, unless it has objects to delete: those first.
    async fn judge(
        &self,
        tx: Transaction,
        candidates: &[Candidate],
        now: Timestamp,
    ) -> Result<Batch, kv::Error> {
        let hashes: Vec<Hash> = candidates.iter().map(|candidate| candidate.hash).collect();
        let referenced = try_join_all(hashes.iter().map(|hash| is_referenced(&tx, hash))).await?;
        let doomed = try_join_all(hashes.iter().map(|hash| self.doomed(&tx, hash, now))).await?;
        let rows = tx.load_many::<BlobTable>(&hashes).await?;

        let mut batch = Batch::default();
        let mut seen = std::collections::HashSet::new();
        for (((candidate, referenced), doomed), row) in
            candidates.iter().zip(referenced).zip(doomed).zip(rows)
        {
            if doomed.is_empty() {
                tx.remove::<GarbageTable>(candidate)?;
            } else {
                batch.deletable.insert(*candidate, doomed);
            }
            let first = seen.insert(candidate.hash);
            if let Some(row) = row.filter(|_| !referenced && first) {
                batch.removed += 1;
                batch.removed_bytes += row.stored;
                tx.remove::<BlobTable>(&candidate.hash)?;
                self.count_usage(&tx, &row, -1)?;
                self.doom(&tx, &candidate.hash, row.place)?;
            }
        }
        Ok(batch)
    }

    /// The objects of this blob that may be deleted now.
    async fn doomed(&self, tx: &Transaction, hash: &Hash, now: Timestamp) -> Result<Vec<Place>, kv::Error> {
        if self.engine.packs() {
            return Ok(Vec::new());
        }
        let rows = tx.rows::<DoomedTable>(Range::new(DoomedTable::of(hash)).snapshot()).all().await?;
        Ok(rows.into_iter().filter(|(_, doomed)| doomed.due <= now).map(|((_, place), _)| place).collect())
    }
}

/// Whether anybody needs a blob: a later link by others is a conflict.
pub(super) async fn is_referenced(tx: &Transaction, hash: &Hash) -> Result<bool, kv::Error> {
    let first: Option<(Bytes, Bytes)> =
        tx.range(Range::new(ReferenceTable::of(hash)).limit(1)).next().await?;
    Ok(first.is_some())
}
