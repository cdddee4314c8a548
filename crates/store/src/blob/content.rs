//! What is to be stored: bytes at hand, or a part of a file.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::Hash;

/// Content to store. Cheap to clone: a caller keeps it until the transaction that links it has succeeded.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) source: Source,
    pub(super) hash: Option<Hash>,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Memory(Bytes),
    File { file: Arc<File>, range: Range<u64> },
}

impl Content {
    /// Bytes in memory.
    pub fn memory(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Memory(bytes.into()), hash: None }
    }

    /// A part of a file, which nobody may change until it is stored. The file's own position is left alone.
    pub const fn file(file: Arc<File>, range: Range<u64>) -> Self {
        Self { source: Source::File { file, range }, hash: None }
    }

    /// Says that this is the content's name, so that it need not be hashed to be looked up. Debug builds check
    /// it; files are checked always, while they are stored.
    #[must_use]
    pub const fn with_hash(mut self, hash: Hash) -> Self {
        self.hash = Some(hash);
        self
    }

    /// Bytes of content.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The content's name, if it is known already.
    pub const fn hash(&self) -> Option<Hash> {
        self.hash
    }
}

impl Source {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { range, .. } => range.end.saturating_sub(range.start),
        }
    }

    /// A part of it. Blocks on a file.
    pub(super) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => {
                let begin = usize::try_from(position).unwrap_or(usize::MAX);
                let part = begin.checked_add(len).filter(|end| *end <= bytes.len());
                part.map(|end| bytes.slice(begin..end)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Self::File { file, range } => {
                let mut part = vec![0; len];
                file.read_exact_at(&mut part, range.start.saturating_add(position))?;
                Ok(part.into())
            }
        }
    }

    /// Its name. Blocks on a file.
    pub(super) fn hash(&self) -> io::Result<Hash> {
        if let Self::Memory(bytes) = self {
            return Ok(Hash::of(bytes));
        }
        let mut hasher = blake3::Hasher::new();
        let (mut position, size) = (0, self.size());
        while position < size {
            let len = usize::try_from(size - position).unwrap_or(usize::MAX).min(256 << 10);
            hasher.update(&self.read(position, len)?);
            position += len as u64;
        }
        Ok(hasher.finalize().into())
    }
}
