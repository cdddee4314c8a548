//! Orphans: bytes that were put and that no transaction ever linked, because the process died or gave up in
//! between. A packing engine's are left behind by [`Blobs::compact`]; those of an object store are found by
//! listing it.

use super::engine::Listed;
use super::tables::{BlobTable, DoomedTable};
use super::{Blobs, Error, Place};
use crate::kv::{self, Table, Transaction};

/// What a look for orphans has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrphanReport {
    /// Objects looked at.
    pub listed: u64,
    /// Orphans that the next sweeps will delete.
    pub orphans: u64,
    /// Bytes that they take.
    pub orphan_bytes: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

impl Blobs {
    const ORPHAN_BATCH: usize = 100;

    /// Looks at one page of the engine's listing, from its beginning or behind `after`, for objects older than
    /// the grace period that no blob points to, and dooms them: from then on nobody can link them, and the
    /// sweep deletes them. Does nothing for an engine that packs.
    pub async fn collect_orphans(&self, after: Option<&Place>) -> Result<OrphanReport, Error> {
        if self.engine.packs() {
            return Ok(OrphanReport::default());
        }
        let listing = self.engine.list(after).await.map_err(Error::storing)?;
        let mut report = OrphanReport {
            listed: listing.entries.len() as u64,
            next: listing.next,
            ..OrphanReport::default()
        };
        let youngest = self.clock.now().minus(self.options.grace);
        let old: Vec<Listed> = listing.entries.into_iter().filter(|e| e.created <= youngest).collect();
        for batch in old.chunks(Self::ORPHAN_BATCH) {
            let (orphans, bytes) = self.kv.run(|tx| self.doom_orphans(tx, batch)).await?;
            report.orphans += orphans;
            report.orphan_bytes += bytes;
        }
        Ok(report)
    }

    async fn doom_orphans(&self, tx: Transaction, batch: &[Listed]) -> Result<(u64, u64), kv::Error> {
        let mut keys: Vec<_> = batch.iter().map(|entry| BlobTable::key(&entry.hash)).collect();
        keys.extend(batch.iter().map(|entry| DoomedTable::key(&(entry.hash, entry.place.clone()))));
        let mut values = tx.get_many(keys.clone()).await?;
        let doomed = values.split_off(batch.len().min(values.len()));
        let (mut orphans, mut bytes) = (0, 0);
        for (((entry, key), row), doomed) in batch.iter().zip(&keys).zip(values).zip(doomed) {
            let row = row.map(|row| kv::decode::<BlobTable>(key, &row)).transpose()?;
            if doomed.is_none() && row.is_none_or(|row| row.place != entry.place) {
                self.doom(&tx, &entry.hash, entry.place.clone())?;
                orphans += 1;
                bytes += entry.stored;
            }
        }
        Ok((orphans, bytes))
    }
}
