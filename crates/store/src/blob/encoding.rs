//! How a blob's content becomes the bytes that an engine keeps, and back: frames of fixed size, each compressed
//! for itself, so that a part of a large blob is read and checked without the rest.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

use super::Hash;
use super::content::Source;
use super::tables::BlobRecord;

/// Bytes of content in a frame.
pub(super) const FRAME: usize = 256 << 10;
/// The largest blob, in bytes: more frames than this do not fit into one kv value.
pub(super) const LARGEST: u64 = 4096 * FRAME as u64;
/// Compression must save this share of the first frame, in percent, or it is not worth the time of reading.
const WORTH: usize = 10;
const LEVEL: i32 = 1;
const ENTRY: usize = 20;
const CHECKSUM: usize = 16;

/// How frames are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Codec {
    /// Not at all.
    #[n(0)]
    #[default]
    None,
    /// Each is a zstd frame (RFC 8878).
    #[n(1)]
    Zstd,
}

/// What there is to say of encoded content once all of it is encoded.
#[derive(Clone, Default)]
pub(super) struct Encoded {
    pub(super) stored: u64,
    pub(super) codec: Codec,
    pub(super) frames: Vec<u8>,
}

/// Encodes content frame by frame.
pub(super) struct Encoder {
    source: Source,
    /// Set where what is read must prove to be what was named.
    check: Option<(Hash, blake3::Hasher)>,
    position: u64,
    size: u64,
    done: bool,
    encoded: Encoded,
    result: Arc<Mutex<Encoded>>,
}

impl Encoder {
    /// Reading `source` again must give `hash`; content in memory cannot have changed.
    pub(super) fn new(source: Source, hash: Hash) -> Self {
        let size = source.size();
        let check = match source {
            Source::Memory(_) => None,
            Source::File { .. } => Some((hash, blake3::Hasher::new())),
        };
        Self {
            source,
            check,
            position: 0,
            size,
            done: false,
            encoded: Encoded::default(),
            result: Arc::default(),
        }
    }

    /// Where the result is found when the last frame was taken.
    pub(super) fn result(&self) -> Arc<Mutex<Encoded>> {
        self.result.clone()
    }

    fn frame(&mut self) -> io::Result<Option<Bytes>> {
        let left = self.size - self.position;
        if left == 0 {
            self.finish()?;
            return Ok(None);
        }
        let len = usize::try_from(left).unwrap_or(FRAME).min(FRAME);
        let plain = self.source.read(self.position, len)?;
        if let Some((_, hasher)) = &mut self.check {
            hasher.update(&plain);
        }
        let stored = self.compress(plain)?;
        self.position += len as u64;
        self.encoded.stored += stored.len() as u64;
        if self.size > FRAME as u64 {
            let length = u32::try_from(stored.len()).map_err(io::Error::other)?;
            self.encoded.frames.extend_from_slice(&length.to_be_bytes());
            self.encoded.frames.extend_from_slice(&checksum(&stored));
        }
        Ok(Some(stored))
    }

    /// The first frame decides for all.
    fn compress(&mut self, plain: Bytes) -> io::Result<Bytes> {
        let first = self.position == 0;
        if !first && self.encoded.codec == Codec::None {
            return Ok(plain);
        }
        let compressed = compress(&plain)?;
        if first && compressed.len() * 100 > plain.len() * (100 - WORTH) {
            return Ok(plain);
        }
        self.encoded.codec = Codec::Zstd;
        Ok(compressed.into())
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some((hash, hasher)) = self.check.take()
            && Hash::from(hasher.finalize()) != hash
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file changed while it was stored"));
        }
        self.done = true;
        *self.result.lock() = std::mem::take(&mut self.encoded);
        Ok(())
    }
}

impl Iterator for Encoder {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.done { None } else { self.frame().transpose() }
    }
}

/// A frame of a stored blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Where its stored bytes begin.
    pub(super) offset: u64,
    /// How many there are.
    pub(super) stored: usize,
    /// How many bytes of content they hold.
    pub(super) plain: usize,
    checksum: Option<[u8; CHECKSUM]>,
}

/// How a stored blob is laid out.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    codec: Codec,
    frame: u64,
    pub(super) frames: Vec<Frame>,
}

impl Layout {
    /// From the blob's row; `Err` says what is wrong with it.
    pub(super) fn new(record: &BlobRecord) -> Result<Self, String> {
        if record.key != 0 {
            return Err(format!("it is encrypted with key {}, which this release cannot use", record.key));
        }
        let wrong = || "its row contradicts itself".to_owned();
        if record.size > LARGEST || record.stored > LARGEST * 2 {
            return Err(wrong());
        }
        if record.frame == 0 {
            let stored = usize::try_from(record.stored).map_err(|_| wrong())?;
            let plain = usize::try_from(record.size).ok().ok_or_else(wrong)?;
            let only = Frame { offset: 0, stored, plain, checksum: None };
            return Ok(Self { codec: record.codec, frame: FRAME as u64, frames: vec![only] });
        }
        let frame = u64::from(record.frame);
        let entries = record.frames.as_chunks::<ENTRY>();
        if !entries.1.is_empty() || entries.0.len() as u64 != record.size.div_ceil(frame) {
            return Err(wrong());
        }
        let mut frames = Vec::with_capacity(entries.0.len());
        let (mut offset, mut left) = (0, record.size);
        for [a, b, c, d, checksum @ ..] in entries.0 {
            let stored = u32::from_be_bytes([*a, *b, *c, *d]);
            let plain = left.min(frame);
            let stored_len = usize::try_from(stored).map_err(|_| wrong())?;
            let plain_len = usize::try_from(plain).map_err(|_| wrong())?;
            frames.push(Frame { offset, stored: stored_len, plain: plain_len, checksum: Some(*checksum) });
            offset += u64::from(stored);
            left -= plain;
        }
        if offset != record.stored {
            return Err(wrong());
        }
        Ok(Self { codec: record.codec, frame, frames })
    }

    /// Which frame holds the byte of content at `position`.
    pub(super) fn index(&self, position: u64) -> usize {
        usize::try_from(position / self.frame).unwrap_or(usize::MAX)
    }

    /// Where the content of a frame begins.
    pub(super) const fn begin(&self, index: usize) -> u64 {
        index as u64 * self.frame
    }

    /// The stored bytes of a run of frames.
    pub(super) fn stored(&self, frames: Range<usize>) -> Option<Range<u64>> {
        let frames = self.frames.get(frames)?;
        let (first, last) = (frames.first()?, frames.last()?);
        Some(first.offset..last.offset + last.stored as u64)
    }

    /// Whether one frame, checked by the blob's name, is all there is.
    pub(super) fn is_single(&self) -> bool {
        self.frames.iter().all(|frame| frame.checksum.is_none())
    }

    /// The content of a frame; `Err` says what is wrong with the stored bytes. A single frame is checked by the
    /// caller: it knows the blob's name.
    pub(super) fn decode(&self, frame: &Frame, stored: Bytes) -> Result<Bytes, &'static str> {
        if !frame.matches(&stored) {
            return Err("its bytes are not those that were written");
        }
        let plain = match self.codec {
            Codec::None => stored,
            Codec::Zstd => decompress(&stored, frame.plain).map_err(|_| "it cannot be decompressed")?,
        };
        if plain.len() == frame.plain { Ok(plain) } else { Err("it has another length than was written") }
    }
}

impl Frame {
    /// Whether stored bytes are those that were written, as far as a checksum can tell.
    pub(super) fn matches(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored && self.checksum.is_none_or(|expected| expected == checksum(stored))
    }
}

fn checksum(stored: &[u8]) -> [u8; CHECKSUM] {
    let mut checksum = [0; CHECKSUM];
    blake3::Hasher::new().update(stored).finalize_xof().fill(&mut checksum);
    checksum
}

thread_local! {
    // A context costs more than compressing a small frame with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(compressor) => compressor.compress(plain),
        None => slot.insert(Compressor::new(LEVEL)?).compress(plain),
    })
}

fn decompress(stored: &[u8], plain: usize) -> io::Result<Bytes> {
    let content = DECOMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(decompressor) => decompressor.decompress(stored, plain),
        None => slot.insert(Decompressor::new()?).decompress(stored, plain),
    });
    content.map(Bytes::from)
}
