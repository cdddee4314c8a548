//! Content that arrives in pieces: hashed on the way, in memory while it is small and in a nameless file, which
//! vanishes with the process, when it is not.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Content, Error, Hash};

/// Takes pieces, and becomes a [`Content`].
pub struct Spool {
    directory: PathBuf,
    buffer: BytesMut,
    file: Option<File>,
    written: u64,
    hasher: blake3::Hasher,
}

impl Spool {
    /// What is held in memory before it goes to the file, in bytes.
    const BUFFER: usize = 256 << 10;

    /// An empty spool, with its file in `directory` if it needs one.
    pub fn new(directory: &Path) -> Self {
        let hasher = blake3::Hasher::new();
        Self { directory: directory.to_owned(), buffer: BytesMut::new(), file: None, written: 0, hasher }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Takes the next piece. After an error, or if the future is dropped before it is done, the spool is of no
    /// more use.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let mut rest = piece;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(Self::BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == Self::BUFFER && !rest.is_empty() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// The content, with its name.
    pub async fn finish(mut self) -> Result<Content, Error> {
        if self.file.is_none() {
            self.hasher.update(&self.buffer);
            let hash = Hash::from(self.hasher.finalize());
            return Ok(Content::memory(self.buffer.freeze()).with_hash(hash));
        }
        self.flush().await?;
        let hash = Hash::from(self.hasher.finalize());
        match self.file {
            Some(file) => Ok(Content::file(Arc::new(file), 0..self.written).with_hash(hash)),
            None => Ok(Content::memory(Bytes::new()).with_hash(hash)),
        }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let (buffer, file) = (std::mem::take(&mut self.buffer), self.file.take());
        let mut hasher = std::mem::take(&mut self.hasher);
        let directory = self.directory.clone();
        let written = tokio::task::spawn_blocking(move || {
            hasher.update(&buffer);
            let mut file = match file {
                Some(file) => file,
                None => tempfile::tempfile_in(&directory)?,
            };
            file.write_all(&buffer)?;
            let len = buffer.len() as u64;
            let mut buffer = buffer;
            buffer.clear();
            Ok::<_, io::Error>((hasher, file, buffer, len))
        });
        let (hasher, file, buffer, len) = written.await.map_err(|_| Error::stopping())?.map_err(|error| {
            let directory = self.directory.display();
            let why = format!("writing a temporary file in {directory} failed: {error}");
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full(why),
                _ => Error::Unavailable(why),
            }
        })?;
        (self.hasher, self.file, self.buffer) = (hasher, Some(file), buffer);
        self.written += len;
        Ok(())
    }
}
