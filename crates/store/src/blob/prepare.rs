//! Bringing content to the engine, before the transaction that needs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use types::Timestamp;

use super::content::Source;
use super::encoding::{Encoded, Encoder, FRAME, LARGEST};
use super::engine::{Body, Object, Place};
use super::tables::{BlobRecord, BlobTable};
use super::{Blobs, Content, Error, Hash};
use crate::kv::Table;
use crate::meters::METERS;

/// Content up to this size is put from memory, together with what others put; larger content goes its own way.
const TOGETHER: u64 = 4 << 20;
/// Work on at most this many bytes is done at once, without another thread.
const AT_ONCE: u64 = 64 << 10;

/// A blob that is durable in the engine, or was known to be there, and can be linked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) hash: Hash,
    pub(super) size: u64,
    pub(super) fresh: Option<Arc<Fresh>>,
}

/// What was put for this blob and is not linked yet.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) record: BlobRecord,
    /// When the put began: wall clocks jump, this one does not.
    pub(super) begun: Instant,
    /// Once another place was found in the row, this one may be deleted at any time.
    pub(super) spent: AtomicBool,
}

impl Prepared {
    /// The blob's name.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Bytes of content.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether it was not known, so that its bytes were written.
    pub const fn is_fresh(&self) -> bool {
        self.fresh.is_some()
    }
}

impl Blobs {
    /// Makes content durable, unless a blob with this content is there already: then nothing is written. What
    /// is prepared must be linked within half the grace period ([`super::BlobsOptions::grace`]).
    pub async fn prepare(&self, content: Content) -> Result<Prepared, Error> {
        let mut prepared = self.prepare_all(vec![content]).await?;
        prepared.pop().ok_or_else(Error::stopping)
    }

    /// Prepares several contents in one go: one round of reading, one put, in the order given. Equal contents
    /// are put once.
    pub async fn prepare_all(&self, contents: Vec<Content>) -> Result<Vec<Prepared>, Error> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        for size in contents.iter().map(Content::size) {
            if size > LARGEST {
                return Err(Error::TooLarge { size, limit: LARGEST });
            }
        }
        let memory = self.reserve(&contents).await?;
        let contents = name_all(contents).await?;
        let hashes: Vec<Hash> = contents.iter().map(|(hash, _)| *hash).collect();
        let known = self.rows(&hashes).await?;
        let sizes: Vec<u64> = contents.iter().map(|(_, source)| source.size()).collect();

        let mut new: HashMap<Hash, Source> = HashMap::new();
        for ((hash, source), known) in contents.into_iter().zip(&known) {
            if known.is_none() {
                new.entry(hash).or_insert(source);
            }
        }
        let fresh = if new.is_empty() { HashMap::new() } else { self.put(new).await? };
        drop(memory);

        let prepared = hashes.into_iter().zip(sizes).map(|(hash, size)| {
            let fresh = fresh.get(&hash).cloned();
            Prepared { hash, size, fresh }
        });
        Ok(prepared.collect())
    }

    /// The rows of blobs, as they are now.
    pub(super) async fn rows(&self, hashes: &[Hash]) -> Result<Vec<Option<BlobRecord>>, Error> {
        let keys: Vec<Bytes> = hashes.iter().map(BlobTable::key).collect();
        let keys = &keys;
        let values = self.look(|tx| async move { tx.snapshot_get_many(keys.clone()).await }).await?;
        let rows = keys.iter().zip(values);
        let rows =
            rows.map(|(key, value)| value.map(|v| crate::kv::decode::<BlobTable>(key, &v)).transpose());
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Encodes and puts.
    async fn put(&self, new: HashMap<Hash, Source>) -> Result<HashMap<Hash, Arc<Fresh>>, Error> {
        let (created, begun) = (self.clock.now(), Instant::now());
        let size: u64 = new.values().map(Source::size).sum();
        let (drafts, objects): (Vec<Draft>, Vec<Object>) = encode_all(new).await?.into_iter().unzip();
        let places = self.engine.put(objects).await.map_err(Error::storing)?;
        METERS.blob_written.increment(size);
        let fresh = drafts.into_iter().zip(places).map(|(draft, place)| {
            let hash = draft.hash;
            (
                hash,
                Arc::new(Fresh {
                    record: draft.record(place, created),
                    begun,
                    spent: AtomicBool::new(false),
                }),
            )
        });
        Ok(fresh.collect())
    }

    /// Waits for the memory that files will be loaded into.
    async fn reserve(&self, contents: &[Content]) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let loaded = |content: &Content| match &content.source {
            Source::File { .. } => content.size().min(TOGETHER),
            Source::Memory(_) => 0,
        };
        let bytes: u64 = contents.iter().map(loaded).sum();
        if bytes == 0 {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(Self::LOADING_UNIT)).unwrap_or(u32::MAX);
        let permit = self.loading.clone().acquire_many_owned(units.min(Self::LOADING_UNITS)).await;
        permit.map(Some).map_err(|_| Error::stopping())
    }
}

/// What is known of a blob on its way to the engine.
struct Draft {
    hash: Hash,
    size: u64,
    encoded: Arc<Mutex<Encoded>>,
}

impl Draft {
    /// The blob's row, once the engine has taken the last frame.
    fn record(self, place: Place, created: Timestamp) -> BlobRecord {
        let Encoded { stored, codec, frames } = std::mem::take(&mut *self.encoded.lock());
        let frame = if frames.is_empty() { 0 } else { FRAME as u32 };
        BlobRecord { size: self.size, stored, codec, key: 0, place, created, frame, frames }
    }
}

/// Finds out the names, and loads files that are small.
async fn name_all(contents: Vec<Content>) -> Result<Vec<(Hash, Source)>, Error> {
    let work = |content: &Content| match (&content.hash, &content.source) {
        (None, source) => source.size(),
        (Some(_), Source::File { .. } | Source::Memory(_)) => 0,
    };
    let bytes = contents.iter().map(work).sum();
    let blocks = contents.iter().any(|c| c.hash.is_none() && matches!(c.source, Source::File { .. }));
    compute(bytes, blocks, move || contents.into_iter().map(name).collect()).await
}

fn name(content: Content) -> Result<(Hash, Source), Error> {
    let Content { source, hash } = content;
    let Some(hash) = hash else {
        let source = load(source)?;
        let hash = source.hash().map_err(unreadable)?;
        return Ok((hash, source));
    };
    if let Source::Memory(bytes) = &source {
        debug_assert_eq!(Hash::of(bytes), hash, "the caller named other content");
    }
    Ok((hash, source))
}

/// A file that is small enough becomes memory.
fn load(source: Source) -> Result<Source, Error> {
    match source {
        Source::File { .. } if source.size() <= TOGETHER => {
            let len = usize::try_from(source.size()).unwrap_or(usize::MAX);
            source.read(0, len).map(Source::Memory).map_err(unreadable)
        }
        other => Ok(other),
    }
}

async fn encode_all(new: HashMap<Hash, Source>) -> Result<Vec<(Draft, Object)>, Error> {
    let together = |source: &&Source| source.size() <= TOGETHER;
    let bytes = new.values().filter(together).map(Source::size).sum();
    let blocks = new.values().any(|source| matches!(source, Source::File { .. }));
    compute(bytes, blocks, move || new.into_iter().map(|(hash, source)| encode(hash, source)).collect()).await
}

fn encode(hash: Hash, source: Source) -> Result<(Draft, Object), Error> {
    let size = source.size();
    let encoder = Encoder::new(source, hash);
    let draft = Draft { hash, size, encoded: encoder.result() };
    let body = if size <= TOGETHER {
        Body::Memory(encoder.collect::<Result<_, _>>().map_err(unreadable)?)
    } else {
        Body::Chunks(Box::new(encoder))
    };
    Ok((draft, Object { hash, body }))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::Content(error.to_string())
}

/// Runs work here if it is short, else on a thread that may block.
pub(super) async fn compute<T, F>(bytes: u64, blocks: bool, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    if bytes <= AT_ONCE && !blocks {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::stopping())?
}
