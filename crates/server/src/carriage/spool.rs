//! A message on its way in: in memory while it is small and memory is there, else in a nameless file.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::budget::{Budget, Memory};

/// The most that one message holds in memory while it is received, in bytes.
const IN_MEMORY: usize = 1 << 20;
/// Memory is taken from the budget in pieces of this size, in bytes.
const STEP: usize = 32 << 10;
/// Room before a message for the fields that we put on top, in bytes. What needs more is copied.
const ROOM: usize = 4 << 10;

/// A message that is being received.
pub(crate) struct Spool {
    directory: PathBuf,
    budget: Budget,
    head: BytesMut,
    memory: Option<Memory>,
    allowed: usize,
    file: Option<File>,
    size: usize,
    hasher: blake3::Hasher,
}

/// A message that was received whole, in one piece, with room before it.
pub(crate) struct Whole {
    buffer: Bytes,
    hash: blake3::Hash,
}

impl Whole {
    /// The message as it came.
    pub(crate) fn message(&self) -> Bytes {
        self.buffer.slice(ROOM..)
    }

    /// The hash of the message as it came.
    pub(crate) fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// The message under these fields, without these ranges of it, which are in ascending order and lie in its header.
    /// Only the header moves, if nobody else holds the message any more.
    pub(crate) fn under(self, fields: &[u8], cut: &[Range<usize>]) -> Bytes {
        let mut buffer = self.buffer.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let mut begin = ROOM;
        for range in cut.iter().rev() {
            // What stands before the range moves up to its end; so much room more is before it.
            let (start, end) = (ROOM + range.start, ROOM + range.end);
            if start <= end && end <= buffer.len() {
                let moved = begin - ROOM;
                buffer.copy_within(begin..start + moved, begin + (end - start));
                begin += end - start;
            }
        }
        match begin.checked_sub(fields.len()) {
            Some(top) => {
                if let Some(place) = buffer.get_mut(top..begin) {
                    place.copy_from_slice(fields);
                }
                buffer.split_off(top).freeze()
            }
            None => [fields, buffer.get(begin..).unwrap_or_default()].concat().into(),
        }
    }
}

impl Spool {
    /// An empty spool whose file, if it needs one, lies in `directory`.
    pub(crate) fn new(directory: PathBuf, budget: Budget) -> Self {
        Self {
            directory,
            budget,
            head: BytesMut::new(),
            memory: None,
            allowed: 0,
            file: None,
            size: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Bytes received so far.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Takes a part of the message that somebody else keeps into the hash.
    pub(crate) fn passes(&mut self, part: &[u8]) {
        self.hasher.update(part);
    }

    /// Appends a part of the message.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.hasher.update(chunk);
        self.size += chunk.len();
        if self.file.is_none() && self.room_for(chunk.len()) {
            self.head.extend_from_slice(chunk);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless(self.directory.clone()).await?),
        };
        file.write_all(chunk).await
    }

    /// The whole message in one piece. The caller holds the memory for it.
    pub(crate) async fn finish(mut self) -> io::Result<Whole> {
        let mut bytes = BytesMut::with_capacity(ROOM + self.size);
        bytes.resize(ROOM, 0);
        bytes.extend_from_slice(&self.head);
        self.head = BytesMut::new();
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
            file.rewind().await?;
            while file.read_buf(&mut bytes).await? > 0 {}
        }
        if bytes.len() != ROOM + self.size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the spool file lost a part of the message",
            ));
        }
        Ok(Whole { buffer: bytes.freeze(), hash: self.hasher.finalize() })
    }

    fn room_for(&mut self, bytes: usize) -> bool {
        let needed = self.head.len() + bytes;
        if needed > IN_MEMORY {
            return false;
        }
        if needed > self.allowed {
            let step = (needed - self.allowed).next_multiple_of(STEP);
            let Some(more) = self.budget.receive(step) else { return false };
            match &mut self.memory {
                Some(memory) => memory.merge(more),
                none => *none = Some(more),
            }
            self.allowed += step;
        }
        true
    }
}

/// A file without a name: it is gone with the process, whatever ends it.
async fn nameless(directory: PathBuf) -> io::Result<File> {
    let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(directory)).await;
    Ok(File::from_std(made.map_err(io::Error::other)??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetLimits;

    async fn round_trip(size: usize, limits: BudgetLimits) -> bool {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(directory.path().to_owned(), Budget::new(limits));
        let message: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        for chunk in message.chunks(10_007) {
            spool.write(chunk).await.unwrap();
        }
        assert_eq!(spool.size(), size);
        let spilled = spool.file.is_some();
        let done = spool.finish().await.unwrap();
        assert_eq!(done.message(), message);
        assert_eq!(done.hash(), blake3::hash(&message));
        assert_eq!(done.under(b"trace", &[]), [b"trace", &message[..]].concat());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
        spilled
    }

    #[tokio::test]
    async fn small_stays_in_memory_and_large_goes_to_a_file() {
        assert!(!round_trip(0, BudgetLimits::default()).await);
        assert!(!round_trip(1 << 20, BudgetLimits::default()).await);
        assert!(round_trip((1 << 20) + 1, BudgetLimits::default()).await);
        assert!(round_trip(3 << 20, BudgetLimits::default()).await);
    }

    #[tokio::test]
    async fn fields_go_on_top_and_ranges_out() {
        let large = vec![b'f'; ROOM + 1];
        let first = 0..2;
        let cuts: [(&[Range<usize>], &str); 4] = [
            (&[], "0123456789"),
            (std::slice::from_ref(&first), "23456789"),
            (&[1..2, 4..7], "023789"),
            (&[2..4, 8..10], "014567"),
        ];
        for fields in [&b""[..], b"A: b\r\n", &large] {
            for (cut, left) in cuts {
                for shared in [false, true] {
                    let directory = tempfile::tempdir().unwrap();
                    let budget = Budget::new(BudgetLimits::default());
                    let mut spool = Spool::new(directory.path().to_owned(), budget);
                    spool.write(b"0123456789").await.unwrap();
                    let whole = spool.finish().await.unwrap();
                    let held = shared.then(|| whole.message());
                    assert_eq!(whole.under(fields, cut), [fields, left.as_bytes()].concat(), "{cut:?}");
                    drop(held);
                }
            }
        }
    }

    #[tokio::test]
    async fn without_memory_it_goes_to_a_file() {
        assert!(round_trip(100_000, BudgetLimits { receiving: 64 << 10, ..BudgetLimits::default() }).await);
    }
}
