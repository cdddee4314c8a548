//! Counts what crosses the contract, so that tests can assert what a hot path costs.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;

use super::engine::{Body, Engine, EngineError, Extent, ExtentInfo, Listing, Object, Place};

/// An engine that counts and passes on.
pub struct Metered {
    inner: Arc<dyn Engine>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    put_rounds: AtomicU64,
    puts: AtomicU64,
    bytes_put: AtomicU64,
    reads: AtomicU64,
    bytes_read: AtomicU64,
    deletes: AtomicU64,
}

/// What has been done since the last look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Calls that put any number of objects.
    pub put_rounds: u64,
    /// Objects in them.
    pub puts: u64,
    /// Bytes to store in them.
    pub bytes_put: u64,
    /// Reads tried.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Extents deleted.
    pub deletes: u64,
}

impl Metered {
    /// Counts on top of `inner`.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner, counters: Arc::default() }
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Counts {
        let c = &self.counters;
        Counts {
            put_rounds: c.put_rounds.swap(0, Relaxed),
            puts: c.puts.swap(0, Relaxed),
            bytes_put: c.bytes_put.swap(0, Relaxed),
            reads: c.reads.swap(0, Relaxed),
            bytes_read: c.bytes_read.swap(0, Relaxed),
            deletes: c.deletes.swap(0, Relaxed),
        }
    }

    fn count(&self, body: Body) -> Body {
        let counters = self.counters.clone();
        let count = move |chunk: &Bytes| {
            counters.bytes_put.fetch_add(chunk.len() as u64, Relaxed);
        };
        match body {
            Body::Memory(chunks) => {
                chunks.iter().for_each(count);
                Body::Memory(chunks)
            }
            Body::Chunks(chunks) => Body::Chunks(Box::new(
                chunks.inspect(move |chunk| chunk.as_ref().into_iter().for_each(&count)),
            )),
        }
    }
}

#[async_trait]
impl Engine for Metered {
    async fn put(&self, objects: Vec<Object>) -> Result<Vec<Place>, EngineError> {
        self.counters.put_rounds.fetch_add(1, Relaxed);
        self.counters.puts.fetch_add(objects.len() as u64, Relaxed);
        let counted =
            objects.into_iter().map(|Object { hash, body }| Object { hash, body: self.count(body) });
        self.inner.put(counted.collect()).await
    }

    async fn read(&self, place: &Place, range: Range<u64>) -> Result<Bytes, EngineError> {
        self.counters.reads.fetch_add(1, Relaxed);
        let bytes = self.inner.read(place, range).await?;
        self.counters.bytes_read.fetch_add(bytes.len() as u64, Relaxed);
        Ok(bytes)
    }

    async fn delete(&self, extent: &Extent) -> Result<(), EngineError> {
        self.counters.deletes.fetch_add(1, Relaxed);
        self.inner.delete(extent).await
    }

    async fn list(&self, after: Option<&Place>) -> Result<Listing, EngineError> {
        self.inner.list(after).await
    }

    fn extent(&self, place: &Place) -> Extent {
        self.inner.extent(place)
    }

    fn packs(&self) -> bool {
        self.inner.packs()
    }

    async fn extents(&self) -> Result<Vec<ExtentInfo>, EngineError> {
        self.inner.extents().await
    }

    fn describe(&self, place: &Place) -> String {
        self.inner.describe(place)
    }

    fn health(&self) -> Result<(), EngineError> {
        self.inner.health()
    }
}
