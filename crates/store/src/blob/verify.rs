//! Walking every invariant of the blob store and saying what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;

use super::engine::Extent;
use super::sweep::is_referenced;
use super::tables::{
    BlobRecord, BlobTable, Candidate, GarbageTable, ReferenceTable, Task, usage_extent, usage_range,
};
use super::{Blobs, Error, Hash};
use crate::kv::{self, KeyRange, Range, Table, after_key};

/// Something that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// An owner needs a blob that is not there.
    Lost {
        /// The blob.
        hash: Hash,
        /// The owner's bytes.
        owner: Bytes,
    },
    /// A blob cannot be read, or is not what its name says.
    Damaged {
        /// The blob.
        hash: Hash,
        /// Where it lies, what was found, and what to do.
        what: String,
    },
    /// Nobody needs the blob and no sweep will look at it.
    Stray {
        /// The blob.
        hash: Hash,
    },
    /// The count of bytes that blobs have in an extent is wrong.
    Usage {
        /// The extent.
        extent: Extent,
        /// What the counter says.
        counted: i64,
        /// What the blobs' rows sum up to.
        found: i64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { hash, owner } => {
                write!(f, "blob {hash} is missing, but ")?;
                owner.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, " needs it: restore it from a backup")
            }
            Self::Damaged { what, .. } => what.fmt(f),
            Self::Stray { hash } => write!(f, "nobody needs blob {hash}, and no sweep will look at it"),
            Self::Usage { extent, counted, found } => {
                write!(f, "extent {:?} counts {counted} bytes of blobs, but has {found}", extent.0)
            }
        }
    }
}

/// What a verification has looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Blobs looked at.
    pub blobs: u64,
    /// Bytes of content read and checked.
    pub bytes: u64,
    /// References looked at.
    pub references: u64,
    /// How many findings there were.
    pub findings: u64,
}

/// A verification under way.
struct Verification<'b, V> {
    blobs: &'b Blobs,
    visit: V,
    report: VerifyReport,
    unneeded: BTreeSet<Hash>,
    usage: BTreeMap<Extent, i64>,
}

impl Blobs {
    /// Looks at everything: each reference has a blob, each blob its content (if `contents` are to be read; that
    /// takes the time of reading all of them), and each blob that nobody needs is a candidate of the sweep. The
    /// store may be in use; the usage of extents is checked only if nothing was written meanwhile.
    pub async fn verify(
        &self,
        contents: bool,
        visit: impl FnMut(Finding) + Send,
    ) -> Result<VerifyReport, Error> {
        let before = self.kv.read().await?.version();
        let mut verification = Verification {
            blobs: self,
            visit,
            report: VerifyReport::default(),
            unneeded: BTreeSet::new(),
            usage: BTreeMap::new(),
        };
        verification.blobs(contents).await?;
        verification.references().await?;
        verification.strays().await?;
        verification.usage(before).await?;
        Ok(verification.report)
    }
}

impl<V: FnMut(Finding) + Send> Verification<'_, V> {
    const PAGE: usize = 256;

    fn found(&mut self, finding: Finding) {
        self.report.findings += 1;
        (self.visit)(finding);
    }

    async fn blobs(&mut self, contents: bool) -> Result<(), Error> {
        let mut rest = KeyRange::prefix(b"bb");
        loop {
            let range = &rest;
            let page = self
                .blobs
                .look(|tx| async move {
                    let rows = Range::new(range.clone()).limit(Self::PAGE).snapshot();
                    let rows = tx.rows::<BlobTable>(rows).all().await?;
                    let mut page = Vec::with_capacity(rows.len());
                    for (hash, record) in rows {
                        let needed = is_referenced(&tx, &hash).await?;
                        page.push((hash, record, needed));
                    }
                    Ok(page)
                })
                .await?;
            let Some((last, _, _)) = page.last() else { return Ok(()) };
            rest.begin = after_key(&BlobTable::key(last));
            for (hash, record, needed) in page {
                self.blob(hash, record, needed, contents).await?;
            }
        }
    }

    async fn blob(
        &mut self,
        hash: Hash,
        record: BlobRecord,
        needed: bool,
        contents: bool,
    ) -> Result<(), Error> {
        self.report.blobs += 1;
        if !needed {
            self.unneeded.insert(hash);
        }
        if self.blobs.engine.packs() {
            *self.usage.entry(self.blobs.engine.extent(&record.place)).or_default() += record.footprint();
        }
        if contents {
            match self.content(&hash).await {
                // Swept since its row was read.
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error @ Error::Corrupt { .. }) => {
                    self.found(Finding::Damaged { hash, what: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn content(&mut self, hash: &Hash) -> Result<(), Error> {
        let mut reader = self.blobs.read(hash).await?;
        while let Some(chunk) = reader.next().await? {
            self.report.bytes += chunk.len() as u64;
        }
        Ok(())
    }

    async fn references(&mut self) -> Result<(), Error> {
        let mut rest = KeyRange::prefix(b"br");
        loop {
            let range = &rest;
            let page = self
                .blobs
                .look(|tx| async move {
                    let rows = Range::new(range.clone()).limit(Self::PAGE).snapshot();
                    let rows = tx.rows::<ReferenceTable>(rows).all().await?;
                    let keys = rows.iter().map(|((hash, _), _)| BlobTable::key(hash)).collect();
                    let blobs = tx.snapshot_get_many(keys).await?;
                    let keys = rows.into_iter().map(|(key, _)| key);
                    Ok(keys.zip(blobs).map(|(key, blob)| (key, blob.is_some())).collect::<Vec<_>>())
                })
                .await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            rest.begin = after_key(&ReferenceTable::key(last));
            for ((hash, owner), there) in page {
                self.report.references += 1;
                if !there {
                    self.found(Finding::Lost { hash, owner });
                }
            }
        }
    }

    /// Blobs that nobody needs must be candidates. Twice, as one may be unlinked again, or swept, meanwhile.
    async fn strays(&mut self) -> Result<(), Error> {
        for _ in 0..2 {
            self.strike_candidates().await?;
            let mut still = BTreeSet::new();
            for hash in std::mem::take(&mut self.unneeded) {
                let unneeded = self.blobs.look(|tx| async move {
                    let row = tx.snapshot_load::<BlobTable>(&hash).await?;
                    Ok(row.is_some() && !is_referenced(&tx, &hash).await?)
                });
                if unneeded.await? {
                    still.insert(hash);
                }
            }
            self.unneeded = still;
        }
        for hash in std::mem::take(&mut self.unneeded) {
            self.found(Finding::Stray { hash });
        }
        Ok(())
    }

    async fn strike_candidates(&mut self) -> Result<(), Error> {
        let mut rest = KeyRange::prefix(b"bg");
        while !self.unneeded.is_empty() {
            let range = &rest;
            let page: Vec<Candidate> = self
                .blobs
                .look(|tx| async move {
                    let rows = Range::new(range.clone()).limit(4096).snapshot();
                    let rows = tx.rows::<GarbageTable>(rows).all().await?;
                    Ok(rows.into_iter().map(|(candidate, _)| candidate).collect())
                })
                .await?;
            let Some(last) = page.last() else { return Ok(()) };
            rest.begin = after_key(&GarbageTable::key(last));
            for candidate in page.iter().filter(|candidate| candidate.task == Task::Judge) {
                self.unneeded.remove(&candidate.hash);
            }
        }
        Ok(())
    }

    async fn usage(&mut self, before: kv::Version) -> Result<(), Error> {
        let (now, rows) = self
            .blobs
            .look(|tx| async move {
                let rows = tx.range(Range::new(usage_range()).snapshot()).all().await?;
                Ok((tx.version(), rows))
            })
            .await?;
        if now != before {
            return Ok(());
        }
        let counted = rows.iter().filter_map(|(key, value)| Some((usage_extent(key)?, kv::counter(value))));
        let counted: BTreeMap<Extent, i64> = counted.collect();
        let found = std::mem::take(&mut self.usage);
        let extents: BTreeSet<&Extent> = counted.keys().chain(found.keys()).collect();
        for extent in extents {
            let of = |sums: &BTreeMap<Extent, i64>| sums.get(extent).copied().unwrap_or_default();
            let (counted, found) = (of(&counted), of(&found));
            if counted != found {
                self.found(Finding::Usage { extent: extent.clone(), counted, found });
            }
        }
        Ok(())
    }
}
