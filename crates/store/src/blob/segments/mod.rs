//! The engine for one machine: append-only files, many blobs to a file, one fsync for all puts that wait.
//!
//! ```text
//!   0000000000000007.segment:  head | record head, bytes | record head, bytes | …
//! ```
//!
//! A place is (segment, offset, length). Nothing is ever written over. After a restart a fresh segment is begun
//! and whatever a crash left at the end of the last one is ignored: only what a row points to counts, and a row
//! is written after the fsync. What is larger than a few megabytes gets a segment of its own, so that it does
//! not hold up the others and is freed without copying.

mod format;
mod log;
mod shelf;
mod solo;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;
use types::Clock;

use self::format::{Address, address};
use self::log::Log;
use super::engine::{Body, Engine, EngineError, Extent, ExtentInfo, Listing, Object, Place};

/// How segments are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentsOptions {
    /// A segment that has grown to this many bytes is sealed and another one begun.
    pub segment_bytes: u64,
    /// Disk space kept free, in bytes: below it puts are refused. At most a twentieth of the disk.
    pub reserve_bytes: u64,
    /// Files kept open for reading.
    pub open_files: usize,
    /// Whether puts are made durable. `false` is for one test only: the power-loss test's negative control.
    pub sync: bool,
}

impl Default for SegmentsOptions {
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, reserve_bytes: 256 << 20, open_files: 256, sync: true }
    }
}

/// Why segments could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has them open.
    #[error("{} is in use by another process: stop that one first", .0.display())]
    InUse(PathBuf),
    /// The operating system refused.
    #[error("cannot open {}: {error}", .path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A newer release wrote a format that this one does not know.
    #[error("{} was written by a newer release (format {version}): start that one", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u8,
    },
}

/// The engine.
pub struct Segments {
    log: Arc<Log>,
}

impl Segments {
    /// Reads up to this many bytes are done on the spot.
    const AT_ONCE: u64 = 64 << 10;

    /// Opens or creates the segments in `directory`. Refuses a directory that another process has open.
    pub fn open(directory: &Path, clock: Clock, options: SegmentsOptions) -> Result<Self, OpenError> {
        Ok(Self { log: Arc::new(Log::open(directory, clock, options)?) })
    }

    /// Seals the segment that is written to and begins another, so that all that was put can be compacted or
    /// copied as it is.
    pub async fn seal(&self) -> Result<(), EngineError> {
        let log = self.log.clone();
        blocking(move || log.seal()).await
    }
}

#[async_trait]
impl Engine for Segments {
    async fn put(&self, objects: Vec<Object>) -> Result<Vec<Place>, EngineError> {
        let mut places: Vec<Option<Place>> = vec![None; objects.len()];
        let mut together = Vec::new();
        for (slot, object) in places.iter_mut().zip(objects) {
            match object.body {
                Body::Memory(chunks) => together.push((slot, object.hash, chunks)),
                Body::Chunks(chunks) => {
                    let (log, hash) = (self.log.clone(), object.hash);
                    *slot = Some(blocking(move || solo::put(&log, hash, chunks)).await?);
                }
            }
        }
        if !together.is_empty() {
            let (slots, objects): (Vec<_>, Vec<_>) =
                together.into_iter().map(|(slot, hash, chunks)| (slot, (hash, chunks))).unzip();
            let put = self.log.append(objects).await?;
            slots.into_iter().zip(put).for_each(|(slot, place)| *slot = Some(place));
        }
        let places: Option<Vec<Place>> = places.into_iter().collect();
        places.ok_or_else(stopping)
    }

    async fn read(&self, place: &Place, range: Range<u64>) -> Result<Bytes, EngineError> {
        let address = address(place)?;
        let log = self.log.clone();
        if range.end.saturating_sub(range.start) <= Self::AT_ONCE {
            return log.shelf.read(address, range);
        }
        blocking(move || log.shelf.read(address, range)).await
    }

    async fn delete(&self, extent: &Extent) -> Result<(), EngineError> {
        let segment = format::segment_of(extent)?;
        let log = self.log.clone();
        blocking(move || log.shelf.delete(segment)).await
    }

    async fn list(&self, after: Option<&Place>) -> Result<Listing, EngineError> {
        let after = after.map(address).transpose()?;
        let log = self.log.clone();
        blocking(move || log.shelf.list(after)).await
    }

    fn extent(&self, place: &Place) -> Extent {
        format::extent_of(place)
    }

    fn packs(&self) -> bool {
        true
    }

    async fn extents(&self) -> Result<Vec<ExtentInfo>, EngineError> {
        Ok(self.log.shelf.extents())
    }

    fn describe(&self, place: &Place) -> String {
        match address(place) {
            Ok(Address { segment, offset, .. }) => {
                let path = self.log.shelf.path(segment);
                format!("the record at offset {offset} of segment {}", path.display())
            }
            Err(error) => error.to_string(),
        }
    }

    fn health(&self) -> Result<(), EngineError> {
        self.log.health()
    }
}

async fn blocking<T, F>(work: F) -> Result<T, EngineError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, EngineError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_| stopping())?
}

fn stopping() -> EngineError {
    EngineError::Unavailable("the process is stopping".into())
}

/// What a failed write means: a full disk costs this put, anything else is up to the caller.
fn full(error: &io::Error, path: &Path) -> Option<EngineError> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(EngineError::Full(format!("writing {} failed: {error}: make room", path.display())))
        }
        _ => None,
    }
}
