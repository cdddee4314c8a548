//! The sweep: blobs that nobody needs any more lose their row in one transaction, and only then their bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::try_join_all;
use types::Timestamp;

use super::engine::Place;
use super::tables::{BlobTable, Candidate, DoomedTable, GarbageTable, ReferenceTable, Task};
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
            report.candidates += candidates.len() as u64;
            let (judge, delete): (Vec<_>, Vec<_>) =
                candidates.into_iter().partition(|c| c.task == Task::Judge);
            for batch in judge.chunks(Self::BATCH) {
                let (removed, bytes) = self.kv.run(|tx| self.judge(tx, batch)).await?;
                report.removed += removed;
                report.removed_bytes += bytes;
            }
            for candidate in delete {
                report.deleted += self.delete(candidate, now).await?;
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

    /// Removes the blobs among the candidates that nobody needs; returns how many, and the bytes that they took.
    async fn judge(&self, tx: Transaction, candidates: &[Candidate]) -> Result<(u64, u64), kv::Error> {
        let hashes: BTreeSet<Hash> = candidates.iter().map(|candidate| candidate.hash).collect();
        let hashes: Vec<Hash> = hashes.into_iter().collect();
        let needed = try_join_all(hashes.iter().map(|hash| is_referenced(&tx, hash))).await?;
        let rows = tx.load_many::<BlobTable>(&hashes).await?;
        let (mut removed, mut bytes) = (0, 0);
        for ((hash, needed), row) in hashes.iter().zip(needed).zip(rows) {
            if let Some(row) = row.filter(|_| !needed) {
                removed += 1;
                bytes += row.stored;
                tx.remove::<BlobTable>(hash)?;
                self.count_usage(&tx, &row, -1)?;
                self.doom(&tx, hash, row.place)?;
            }
        }
        candidates.iter().try_for_each(|candidate| tx.remove::<GarbageTable>(candidate))?;
        Ok((removed, bytes))
    }

    /// Deletes the doomed objects of a blob whose time has come: first the objects, then the rows that say so.
    async fn delete(&self, candidate: Candidate, now: Timestamp) -> Result<u64, Error> {
        let range = Range::new(DoomedTable::of(&candidate.hash)).snapshot();
        let range = &range;
        let doomed = self.look(|tx| async move { tx.rows::<DoomedTable>(range.clone()).all().await }).await?;
        let due = doomed.into_iter().filter(|(_, doomed)| doomed.due <= now).map(|((_, place), _)| place);
        let places: Vec<Place> = due.collect();
        for place in &places {
            self.engine.delete(&self.engine.extent(place)).await.map_err(Error::storing)?;
        }
        let places = &places;
        let forget = self.kv.run(|tx| async move {
            for place in places {
                tx.remove::<DoomedTable>(&(candidate.hash, place.clone()))?;
            }
            // Another object of the blob may have been doomed under the same candidate since they were looked at: without
            // it nobody would come for that one.
            let all = Range::new(DoomedTable::of(&candidate.hash));
            let rest = tx.rows::<DoomedTable>(all).all().await?;
            let mut due = rest.iter().filter(|(_, doomed)| doomed.due <= now);
            match due.any(|((_, place), _)| !places.contains(place)) {
                true => Ok(()),
                false => tx.remove::<GarbageTable>(&candidate),
            }
        });
        forget.await?;
        Ok(places.len() as u64)
    }
}

/// Whether anybody needs a blob: a later link by others is a conflict.
pub(super) async fn is_referenced(tx: &Transaction, hash: &Hash) -> Result<bool, kv::Error> {
    let first: Option<(Bytes, Bytes)> =
        tx.range(Range::new(ReferenceTable::of(hash)).limit(1)).next().await?;
    Ok(first.is_some())
}
