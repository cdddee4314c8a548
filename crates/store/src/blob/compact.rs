//! Compaction, for engines that pack: what still lives in an extent that is mostly dead is put again elsewhere,
//! and then the extent is deleted.
//!
//! An extent is given up only in a transaction that reads that no blob counts in it any more, and that leaves a
//! row which every later link of something prepared in it finds. So neither a crash nor a race can delete what
//! a row points to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::encoding::{Frame, Layout};
use super::engine::{Body, Engine, Extent, ExtentInfo, Listed, Object, Place};
use super::prepare::compute;
use super::tables::{BlobRecord, BlobTable, Retired, RetiredTable, usage_key};
use super::{Blobs, Error, Hash};
use crate::kv::{self, Range, Table, Transaction};

/// How much a compaction does in one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompactLimits {
    /// An extent is compacted when at least this share of it is dead, in percent. At 50, what is written again
    /// is at most as much as what is freed.
    pub dead_percent: u8,
    /// Bytes to put again; what was begun is finished.
    pub move_bytes: u64,
}

impl Default for CompactLimits {
    fn default() -> Self {
        Self { dead_percent: 50, move_bytes: 1 << 30 }
    }
}

/// What a compaction has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CompactReport {
    /// Extents deleted.
    pub removed: u64,
    /// Bytes on the disk that they took.
    pub freed_bytes: u64,
    /// Blobs put again.
    pub moved: u64,
    /// Bytes put again.
    pub moved_bytes: u64,
    /// Blobs left where they are because they are damaged; each was logged. They keep their extent.
    pub damaged: u64,
    /// Whether the limit was reached, so that another call finds more to do.
    pub more: bool,
}

impl Blobs {
    /// So many small extents are put together; fewer are not worth it.
    const SMALL_EXTENTS: usize = 4;
    const MOVE_TOGETHER: u64 = 8 << 20;

    /// Frees what dead blobs take in shared extents. Run it now and then. It is safe against links, readers and
    /// sweeps, and a crash at any point loses nothing. Does nothing for an engine that does not pack.
    pub async fn compact(&self, limits: CompactLimits) -> Result<CompactReport, Error> {
        let mut report = CompactReport::default();
        if !self.engine.packs() {
            return Ok(report);
        }
        let _one_at_a_time = self.compacting.lock().await;
        self.finish_retired().await?;
        for info in self.worth_compacting(limits).await? {
            if report.moved_bytes >= limits.move_bytes {
                report.more = true;
                break;
            }
            self.move_out(&info, &mut report).await?;
            if self.retire(&info.extent).await? {
                self.engine.delete(&info.extent).await.map_err(Error::storing)?;
                report.removed += 1;
                report.freed_bytes += info.bytes;
            }
        }
        Ok(report)
    }

    /// Extents that nobody is putting into or about to link from, the emptiest first.
    async fn worth_compacting(&self, limits: CompactLimits) -> Result<Vec<ExtentInfo>, Error> {
        let quiet = self.clock.now().minus(self.options.grace);
        let extents = self.engine.extents().await.map_err(Error::storing)?;
        let extents: Vec<ExtentInfo> = extents.into_iter().filter(|e| e.last_put <= quiet).collect();
        let keys: Vec<Bytes> = extents.iter().map(|info| usage_key(&info.extent)).collect();
        let keys = &keys;
        let used = self.look(|tx| async move { tx.snapshot_get_many(keys.clone()).await }).await?;
        let used = used.iter().map(|value| u64::try_from(kv::counter(value.as_deref().unwrap_or_default())));

        let merge = extents.iter().filter(|info| info.small).count() >= Self::SMALL_EXTENTS;
        let alive_percent = u64::from(100_u8.saturating_sub(limits.dead_percent));
        let worth = |used: u64, info: &ExtentInfo| {
            used.saturating_mul(100) <= info.bytes.saturating_mul(alive_percent) || (merge && info.small)
        };
        let extents = extents.into_iter().zip(used).filter_map(|(info, used)| Some((used.ok()?, info)));
        let mut extents: Vec<(u64, ExtentInfo)> = extents.filter(|(used, info)| worth(*used, info)).collect();
        extents.sort_by_key(|(used, _)| *used);
        Ok(extents.into_iter().map(|(_, info)| info).collect())
    }

    /// Puts again what blobs point to in an extent.
    async fn move_out(&self, info: &ExtentInfo, report: &mut CompactReport) -> Result<(), Error> {
        let mut after = info.start.clone();
        loop {
            let listing = self.engine.list(Some(&after)).await.map_err(Error::storing)?;
            let inside = |entry: &Listed| self.engine.extent(&entry.place) == info.extent;
            let ends = listing.entries.iter().any(|entry| !inside(entry));
            let entries: Vec<Listed> = listing.entries.into_iter().filter(inside).collect();
            for batch in entries.chunk_by(by_size()) {
                self.move_batch(batch, report).await?;
            }
            match listing.next {
                Some(next) if !ends && self.engine.extent(&next) == info.extent => after = next,
                _ => return Ok(()),
            }
        }
    }

    async fn move_batch(&self, batch: &[Listed], report: &mut CompactReport) -> Result<(), Error> {
        let hashes: Vec<Hash> = batch.iter().map(|entry| entry.hash).collect();
        let rows = self.rows(&hashes).await?;
        let (mut living, mut objects) = (Vec::new(), Vec::new());
        for (entry, row) in batch.iter().zip(rows) {
            let Some(record) = row.filter(|row| row.place == entry.place) else { continue };
            match self.copy(entry.hash, record).await {
                Ok((record, object)) => {
                    living.push((entry.hash, record));
                    objects.push(object);
                }
                Err(error @ (Error::Corrupt { .. } | Error::Content(_))) => skip(entry, &error, report),
                Err(error) => return Err(error),
            }
        }
        if objects.is_empty() {
            return Ok(());
        }
        let places = match self.engine.put(objects).await.map_err(Error::storing) {
            Ok(places) => places,
            Err(error @ Error::Content(_)) => {
                batch.iter().for_each(|entry| skip(entry, &error, report));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut moved = BTreeMap::new();
        for ((hash, record), place) in living.into_iter().zip(places) {
            report.moved += 1;
            report.moved_bytes += record.stored;
            moved.insert(hash, (place, record));
        }
        let moved = &moved;
        Ok(self.kv.run(|tx| self.repoint(tx, moved)).await?)
    }

    /// Points rows to the new places, where they still point to the old ones.
    async fn repoint(
        &self,
        tx: Transaction,
        moved: &BTreeMap<Hash, (Place, BlobRecord)>,
    ) -> Result<(), kv::Error> {
        let hashes: Vec<Hash> = moved.keys().copied().collect();
        let rows = tx.load_many::<BlobTable>(&hashes).await?;
        let fences = moved.values().map(|(place, _)| RetiredTable::key(&self.engine.extent(place)));
        let fences = tx.get_many(fences.collect()).await?;
        for (((hash, (place, old)), row), fence) in moved.iter().zip(rows).zip(fences) {
            if let Some(row) = row.filter(|row| row.place == old.place && fence.is_none()) {
                self.count_usage(&tx, &row, -1)?;
                let row = BlobRecord { place: place.clone(), ..row };
                self.count_usage(&tx, &row, 1)?;
                tx.save::<BlobTable>(hash, &row)?;
            }
        }
        Ok(())
    }

    /// What to put again of a blob, checked.
    async fn copy(&self, hash: Hash, record: BlobRecord) -> Result<(BlobRecord, Object), Error> {
        let layout = Layout::new(&record).map_err(|what| self.corrupt(hash, &record, &what))?;
        let body = if record.stored <= Self::MOVE_TOGETHER {
            let stored = self.engine.read(&record.place, 0..record.stored).await;
            let stored = stored.map_err(|error| Error::reading(hash, error))?;
            let (check, bytes) = (layout.clone(), stored.clone());
            let whole = compute(record.stored, false, move || Ok(is_whole(hash, &check, &bytes))).await?;
            if !whole {
                return Err(self.corrupt(hash, &record, "its bytes are not those that were written"));
            }
            Body::Memory(vec![stored])
        } else {
            Body::Chunks(Box::new(Copying {
                engine: self.engine.clone(),
                runtime: Handle::current(),
                place: record.place.clone(),
                frames: layout.frames.clone().into_iter(),
            }))
        };
        Ok((record, Object { hash, body }))
    }

    /// Gives an extent up, unless a blob still counts in it.
    async fn retire(&self, extent: &Extent) -> Result<bool, Error> {
        let at = self.clock.now();
        let used = self
            .kv
            .run(|tx| async move {
                let key = usage_key(extent);
                let used = kv::counter(&tx.get(key.clone()).await?.unwrap_or_default());
                if used == 0 {
                    tx.clear(key)?;
                    tx.save::<RetiredTable>(extent, &Retired { at })?;
                }
                Ok::<_, kv::Error>(used)
            })
            .await?;
        if used != 0 {
            tracing::warn!(?extent, used, "an extent was compacted but still counts bytes: it is kept");
        }
        Ok(used == 0)
    }

    /// Deletes what was retired before a crash, and forgets what nobody can link any more.
    async fn finish_retired(&self) -> Result<(), Error> {
        let forget = self.clock.now().minus(self.options.grace);
        let rows = self
            .look(|tx| async move { tx.rows::<RetiredTable>(Range::prefix(b"bt").snapshot()).all().await })
            .await?;
        for (extent, retired) in rows {
            self.engine.delete(&extent).await.map_err(Error::storing)?;
            if retired.at < forget {
                let extent = &extent;
                self.kv.run(|tx| async move { tx.remove::<RetiredTable>(extent) }).await?;
            }
        }
        Ok(())
    }
}

fn skip(entry: &Listed, error: &Error, report: &mut CompactReport) {
    tracing::error!(blob = %entry.hash, %error, "a damaged blob is left where it is");
    report.damaged += 1;
}

/// Groups entries so that each group stays below [`Blobs::MOVE_TOGETHER`], or is one entry.
fn by_size() -> impl FnMut(&Listed, &Listed) -> bool {
    let mut bytes = 0;
    move |before, next| {
        bytes += before.stored;
        let together = bytes + next.stored <= Blobs::MOVE_TOGETHER;
        if !together {
            bytes = 0;
        }
        together
    }
}

/// Whether stored bytes are those of the blob.
fn is_whole(hash: Hash, layout: &Layout, stored: &Bytes) -> bool {
    let mut rest = stored.clone();
    let mut frames = layout.frames.iter();
    let fits = |rest: &mut Bytes, frame: &Frame| {
        let bytes = (rest.len() >= frame.stored).then(|| rest.split_to(frame.stored))?;
        if layout.is_single() {
            return layout.decode(frame, bytes).ok().filter(|plain| Hash::of(plain) == hash).map(|_| ());
        }
        frame.matches(&bytes).then_some(())
    };
    frames.all(|frame| fits(&mut rest, frame).is_some()) && rest.is_empty()
}

/// Reads a large blob frame by frame, for a put that draws it on a thread that may block.
struct Copying {
    engine: Arc<dyn Engine>,
    runtime: Handle,
    place: Place,
    frames: std::vec::IntoIter<Frame>,
}

impl Iterator for Copying {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let frame = self.frames.next()?;
        let range = frame.offset..frame.offset + frame.stored as u64;
        let read = self.runtime.block_on(self.engine.read(&self.place, range));
        Some(match read {
            Ok(bytes) if frame.matches(&bytes) => Ok(bytes),
            Ok(_) => Err(io::Error::other("a frame's bytes are not those that were written")),
            Err(error) => Err(io::Error::other(error)),
        })
    }
}
