//! Reading blobs: nothing is handed out that was not checked first.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use types::Timestamp;

use super::encoding::{Frame, Layout};
use super::engine::EngineError;
use super::error::RESTORE;
use super::prepare::compute;
use super::tables::BlobRecord;
use super::{Blobs, Error, Hash};
use crate::meters::METERS;

/// What is known of a blob without opening it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Bytes of content.
    pub size: u64,
    /// Bytes kept for it.
    pub stored: u64,
    /// When it was put.
    pub created: Timestamp,
}

/// A blob, or a part of it, as a stream of chunks.
pub struct BlobReader {
    blobs: Blobs,
    hash: Hash,
    record: BlobRecord,
    layout: Layout,
    position: u64,
    end: u64,
    /// Set while the whole blob is read from its beginning.
    hasher: Option<blake3::Hasher>,
    ready: VecDeque<Bytes>,
    frames_at_once: usize,
}

impl Blobs {
    /// What is known of a blob; `None` if there is no such blob.
    pub async fn stat(&self, hash: &Hash) -> Result<Option<Stat>, Error> {
        let row = self.rows(&[*hash]).await?.pop().flatten();
        Ok(row.map(|row| Stat { size: row.size, stored: row.stored, created: row.created }))
    }

    /// Opens a blob to read all of it.
    pub async fn read(&self, hash: &Hash) -> Result<BlobReader, Error> {
        let (record, layout) = self.open(hash).await?;
        let end = record.size;
        Ok(BlobReader::new(self.clone(), *hash, record, layout, 0..end))
    }

    /// Opens a blob to read a part of it. What lies beyond its end is left out.
    pub async fn read_range(&self, hash: &Hash, range: Range<u64>) -> Result<BlobReader, Error> {
        let (record, layout) = self.open(hash).await?;
        let end = range.end.min(record.size);
        Ok(BlobReader::new(self.clone(), *hash, record, layout, range.start.min(end)..end))
    }

    /// A whole blob at once.
    pub async fn get(&self, hash: &Hash) -> Result<Bytes, Error> {
        self.read(hash).await?.collect().await
    }

    async fn open(&self, hash: &Hash) -> Result<(BlobRecord, Layout), Error> {
        let record = self.rows(&[*hash]).await?.pop().flatten().ok_or(Error::NotFound(*hash))?;
        let layout = Layout::new(&record).map_err(|what| self.corrupt(*hash, &record, &what))?;
        Ok((record, layout))
    }

    pub(super) fn corrupt(&self, hash: Hash, record: &BlobRecord, what: &str) -> Error {
        let place = self.engine.describe(&record.place);
        Error::Corrupt { hash, what: format!("{place}: {what}; {RESTORE}") }
    }
}

impl BlobReader {
    /// Frames read from the engine in one go once a reader has shown that it wants more than one.
    const MOST_FRAMES_AT_ONCE: usize = 4;

    fn new(blobs: Blobs, hash: Hash, record: BlobRecord, layout: Layout, range: Range<u64>) -> Self {
        let whole = range.start == 0 && range.end == record.size;
        let hasher = (whole && !layout.is_single()).then(blake3::Hasher::new);
        let (position, end) = (range.start, range.end);
        Self { blobs, hash, record, layout, position, end, hasher, ready: VecDeque::new(), frames_at_once: 1 }
    }

    /// Bytes of the whole blob's content.
    pub const fn size(&self) -> u64 {
        self.record.size
    }

    /// Bytes of content still to come.
    pub fn left(&self) -> u64 {
        self.end - self.position + self.ready.iter().map(|chunk| chunk.len() as u64).sum::<u64>()
    }

    /// The next chunk of at most a few hundred kilobytes, or `None` behind the last. Each was checked against
    /// the checksum of its frame before it is handed out, and the last one of a whole blob only if all of it
    /// has the hash that is its name. If the future is dropped before it is done, the reader is of no more use.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ready.is_empty() && self.position < self.end {
            self.fetch().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// All that is left in one piece.
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.left() == 0 {
            return Ok(first);
        }
        let len = first.len() as u64 + self.left();
        let mut all = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
        all.extend_from_slice(&first);
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let mut stored = None;
        for _ in 0..3 {
            let (frames, range) = self.wanted()?;
            match self.blobs.engine.read(&self.record.place, range).await {
                Ok(bytes) => {
                    METERS.blob_read.increment(bytes.len() as u64);
                    stored = Some((frames, bytes));
                    break;
                }
                Err(missing @ EngineError::Missing(_)) => self.follow(missing).await?,
                Err(error) => return Err(Error::reading(self.hash, error)),
            }
        }
        let (frames, stored) = stored
            .ok_or_else(|| Error::Unavailable(format!("blob {} kept moving while it was read", self.hash)))?;
        self.frames_at_once = Self::MOST_FRAMES_AT_ONCE;
        self.decode(frames, stored).await
    }

    /// Which frames to read next, and where their stored bytes are.
    fn wanted(&self) -> Result<(Range<usize>, Range<u64>), Error> {
        let first = self.layout.index(self.position);
        let last = self.layout.index(self.end - 1).min(first.saturating_add(self.frames_at_once - 1));
        let frames = first..last.saturating_add(1);
        let range = self.layout.stored(frames.clone());
        let range =
            range.ok_or_else(|| self.blobs.corrupt(self.hash, &self.record, "its row is too short"))?;
        Ok((frames, range))
    }

    /// The place was given up since the row was read: the blob was moved, or swept.
    async fn follow(&mut self, missing: EngineError) -> Result<(), Error> {
        let (record, layout) = self.blobs.open(&self.hash).await?;
        if record.place == self.record.place {
            return Err(Error::reading(self.hash, missing));
        }
        (self.record, self.layout) = (record, layout);
        Ok(())
    }

    async fn decode(&mut self, frames: Range<usize>, stored: Bytes) -> Result<(), Error> {
        let layout = self.layout.clone();
        let (hash, mut hasher) = (self.hash, self.hasher.take());
        let begin = layout.begin(frames.start);
        let ends = frames.end >= layout.frames.len();
        let work = move || {
            let Some(wanted) = layout.frames.get(frames) else { return Ok(Err("its row is too short")) };
            let plain = split(&layout, wanted, &stored);
            let plain = match plain {
                Ok(plain) => plain,
                Err(what) => return Ok(Err(what)),
            };
            if let Some(hasher) = &mut hasher {
                plain.iter().for_each(|chunk| {
                    hasher.update(chunk);
                });
            }
            let named = match (&hasher, layout.is_single()) {
                (Some(hasher), _) if ends => Hash::from(hasher.finalize()) == hash,
                (None, true) => plain.iter().all(|chunk| Hash::of(chunk) == hash),
                _ => true,
            };
            Ok(if named {
                Ok((plain, hasher))
            } else {
                Err("its content does not have the hash that is its name")
            })
        };
        let decoded = compute(self.record.size.min(1 << 20), false, work).await?;
        let (plain, hasher) = decoded.map_err(|what| self.blobs.corrupt(hash, &self.record, what))?;
        self.hasher = hasher;
        self.hand_out(begin, plain);
        Ok(())
    }

    /// Cuts frames to what was asked for.
    fn hand_out(&mut self, mut begin: u64, plain: Vec<Bytes>) {
        for mut chunk in plain {
            let end = begin + chunk.len() as u64;
            let cut = |position: u64| usize::try_from(position.clamp(begin, end) - begin).unwrap_or_default();
            chunk = chunk.slice(cut(self.position)..cut(self.end));
            self.position = end.min(self.end).max(self.position);
            begin = end;
            if !chunk.is_empty() {
                self.ready.push_back(chunk);
            }
        }
    }
}

fn split(layout: &Layout, frames: &[Frame], stored: &Bytes) -> Result<Vec<Bytes>, &'static str> {
    let mut rest = stored.clone();
    let mut plain = Vec::with_capacity(frames.len());
    for frame in frames {
        if rest.len() < frame.stored {
            return Err("it is too short");
        }
        plain.push(layout.decode(frame, rest.split_to(frame.stored))?);
    }
    Ok(plain)
}
