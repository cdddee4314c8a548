//! References: which owner needs which blob, written in the owner's own transaction.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::prepare::{Fresh, Prepared};
use super::tables::{
    BlobRecord, BlobTable, Candidate, Doomed, DoomedTable, GarbageTable, Mark, ReferenceTable, RetiredTable,
    Task, usage_key,
};
use super::{Blobs, Hash, LinkError, Place};
use crate::kv::{self, Table, Transaction};

impl Blobs {
    /// Makes `owner` need these blobs, in the caller's transaction: one round of reading. An owner needs a blob
    /// once, however often it is linked.
    ///
    /// # Errors
    /// [`LinkError::Vanished`] if a blob that was known has been swept since, or was prepared too long ago:
    /// prepare it again, and run the transaction again.
    pub async fn link(&self, tx: &Transaction, prepared: &[Prepared], owner: &[u8]) -> Result<(), LinkError> {
        let links: Vec<(&Prepared, &[u8])> = prepared.iter().map(|p| (p, owner)).collect();
        self.link_all(tx, &links).await
    }

    /// [`Self::link`] for several owners: one round of reading in all.
    pub async fn link_all(&self, tx: &Transaction, links: &[(&Prepared, &[u8])]) -> Result<(), LinkError> {
        if links.is_empty() {
            return Ok(());
        }
        let mut distinct: Vec<&Prepared> = links.iter().map(|(prepared, _)| *prepared).collect();
        distinct.sort_by_key(|prepared| (prepared.hash, prepared.fresh.is_none()));
        distinct.dedup_by_key(|prepared| prepared.hash);

        let mut keys: Vec<Bytes> = distinct.iter().map(|p| BlobTable::key(&p.hash)).collect();
        let fresh: Vec<Option<&Fresh>> = distinct.iter().map(|p| self.linkable(p)).collect();
        keys.extend(
            distinct.iter().zip(&fresh).filter_map(|(p, fresh)| Some(self.fence(&p.hash, (*fresh)?))),
        );
        let mut values = tx.get_many(keys.clone()).await?.into_iter();
        let rows: Vec<Option<Bytes>> = values.by_ref().take(distinct.len()).collect();

        for ((prepared, fresh), (row, key)) in distinct.iter().zip(fresh).zip(rows.into_iter().zip(&keys)) {
            let fenced = fresh.map(|_| values.next().flatten().is_some());
            let hash = prepared.hash;
            match (row, fresh) {
                (Some(row), fresh) => {
                    let row = kv::decode::<BlobTable>(key, &row)?;
                    if let Some(fresh) = fresh.filter(|fresh| fresh.record.place != row.place) {
                        fresh.spent.store(true, Relaxed);
                        self.doom(tx, &hash, fresh.record.place.clone())?;
                    }
                }
                (None, Some(fresh)) if fenced == Some(false) => self.introduce(tx, &hash, &fresh.record)?,
                (None, _) => return Err(LinkError::Vanished(hash)),
            }
        }
        refer(tx, links.iter().map(|(prepared, owner)| (prepared.hash, *owner)))?;
        Ok(())
    }

    /// Makes `owner` need blobs that another owner needs in the same transaction or did so until now: for
    /// copies. One round of reading.
    ///
    /// # Errors
    /// [`LinkError::Vanished`] if a blob is not there.
    pub async fn share(&self, tx: &Transaction, hashes: &[Hash], owner: &[u8]) -> Result<(), LinkError> {
        if hashes.is_empty() {
            return Ok(());
        }
        let rows = tx.get_many(hashes.iter().map(BlobTable::key).collect()).await?;
        for (hash, row) in hashes.iter().zip(rows) {
            row.ok_or(LinkError::Vanished(*hash))?;
        }
        refer(tx, hashes.iter().map(|hash| (*hash, owner)))?;
        Ok(())
    }

    /// Ends `owner`'s need of a blob. Reads nothing; when the grace period is over, the sweep looks whether
    /// anybody else needs the blob.
    pub fn unlink(&self, tx: &Transaction, hash: &Hash, owner: &[u8]) -> Result<(), kv::Error> {
        tx.remove::<ReferenceTable>(&(*hash, Bytes::copy_from_slice(owner)))?;
        let due = self.clock.now().plus(self.options.grace);
        tx.save::<GarbageTable>(&Candidate { due, hash: *hash, task: Task::Judge }, &Mark {})
    }

    /// What was put for it, if that may still be linked.
    fn linkable<'p>(&self, prepared: &'p Prepared) -> Option<&'p Fresh> {
        let fresh = prepared.fresh.as_deref()?;
        let age = fresh.begun.elapsed().max(self.clock.now().since(fresh.record.created));
        (age < self.link_within() && !fresh.spent.load(Relaxed)).then_some(fresh)
    }

    /// The row that is there if the place is given up.
    fn fence(&self, hash: &Hash, fresh: &Fresh) -> Bytes {
        let place = &fresh.record.place;
        if self.engine.packs() {
            RetiredTable::key(&self.engine.extent(place))
        } else {
            DoomedTable::key(&(*hash, place.clone()))
        }
    }

    fn introduce(&self, tx: &Transaction, hash: &Hash, record: &BlobRecord) -> Result<(), kv::Error> {
        tx.save::<BlobTable>(hash, record)?;
        self.count_usage(tx, record, 1)
    }

    /// Counts the bytes of a blob in (1) or out (-1) of its extent, if it shares one.
    pub(super) fn count_usage(
        &self,
        tx: &Transaction,
        record: &BlobRecord,
        sign: i64,
    ) -> Result<(), kv::Error> {
        if !self.engine.packs() {
            return Ok(());
        }
        let extent = self.engine.extent(&record.place);
        tx.add(usage_key(&extent), sign * record.footprint())
    }

    /// Gives up an object: nobody may link it from now on, and it will be deleted. A packing engine's bytes go
    /// when their extent is compacted.
    pub(super) fn doom(&self, tx: &Transaction, hash: &Hash, place: Place) -> Result<(), kv::Error> {
        if self.engine.packs() {
            return Ok(());
        }
        let due = self.clock.now().plus(self.link_within());
        tx.save::<DoomedTable>(&(*hash, place), &Doomed { due })?;
        tx.save::<GarbageTable>(&Candidate { due, hash: *hash, task: Task::Delete }, &Mark {})
    }
}

fn refer<'l>(tx: &Transaction, links: impl Iterator<Item = (Hash, &'l [u8])>) -> Result<(), kv::Error> {
    for (hash, owner) in links {
        tx.save::<ReferenceTable>(&(hash, Bytes::copy_from_slice(owner)), &Mark {})?;
    }
    Ok(())
}
