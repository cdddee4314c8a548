//! The rows that blobs have in the key-value store. All keys begin with `b` and the letter of the table.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use types::Timestamp;

use super::Hash;
use super::encoding::Codec;
use super::engine::{Extent, Place};
use crate::kv::{KeyRange, KeyReader, KeyWriter, Table};

/// `bb` hash: a blob that is there, and where. Written by the first transaction that links it, removed by the
/// sweep.
pub enum BlobTable {}

/// What is known of a blob.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct BlobRecord {
    /// Bytes of its content.
    #[n(0)]
    pub size: u64,
    /// Bytes that the engine keeps for it.
    #[n(1)]
    pub stored: u64,
    /// How each frame is compressed.
    #[n(2)]
    pub codec: Codec,
    /// The key that it is encrypted with; zero: none.
    #[n(3)]
    #[cbor(default)]
    pub key: u32,
    /// Where it is.
    #[n(4)]
    pub place: Place,
    /// When it was put.
    #[n(5)]
    #[cbor(default)]
    pub created: Timestamp,
    /// Bytes of content in each frame but the last. Zero: one frame holds all.
    #[n(6)]
    #[cbor(default)]
    pub frame: u32,
    /// For each frame, if there are several: its stored length (4 bytes, big-endian) and the first 16 bytes of
    /// the BLAKE3 hash of its stored bytes.
    #[cbor(n(7), with = "minicbor::bytes", default)]
    pub frames: Vec<u8>,
}

impl BlobRecord {
    /// Bytes that the blob counts for in its extent: never zero, so that an empty blob keeps its extent too.
    pub(super) fn footprint(&self) -> i64 {
        i64::try_from(self.stored.saturating_add(Self::HEADER)).unwrap_or(i64::MAX)
    }

    const HEADER: u64 = 64;
}

impl Table for BlobTable {
    type Key = Hash;
    type Record = BlobRecord;
    const NAME: &'static str = "blob";

    fn key(hash: &Hash) -> Bytes {
        KeyWriter::new(b"bb").bytes(hash.as_bytes()).done()
    }

    fn parse(key: &[u8]) -> Option<Hash> {
        let mut key = KeyReader::new(key, b"bb")?;
        let hash = Hash::from_bytes(key.take()?);
        key.end()?;
        Some(hash)
    }
}

/// `br` hash, owner: somebody needs the blob. The owner's bytes are the caller's own.
pub enum ReferenceTable {}

/// A row that says all by being there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Mark {}

impl ReferenceTable {
    /// All references, for proofs that owners and references agree.
    pub fn all() -> KeyRange {
        KeyRange::prefix(b"br")
    }

    pub(super) fn of(hash: &Hash) -> KeyRange {
        KeyWriter::new(b"br").bytes(hash.as_bytes()).range()
    }
}

impl Table for ReferenceTable {
    type Key = (Hash, Bytes);
    type Record = Mark;
    const NAME: &'static str = "blob reference";

    fn key((hash, owner): &(Hash, Bytes)) -> Bytes {
        KeyWriter::new(b"br").bytes(hash.as_bytes()).bytes(owner).done()
    }

    fn parse(key: &[u8]) -> Option<(Hash, Bytes)> {
        let mut key = KeyReader::new(key, b"br")?;
        Some((Hash::from_bytes(key.take()?), Bytes::copy_from_slice(key.rest())))
    }
}

/// `bg` shard, due, hash, task: look at this blob when the time has come. The shard keeps the queue from being
/// one hot range.
pub enum GarbageTable {}

/// What the sweep is to do when it looks at a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Task {
    /// Remove the blob if nobody needs it: an owner's need has ended.
    Judge,
    /// Delete its doomed objects.
    Delete,
}

/// Names a row of [`GarbageTable`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Candidate {
    /// When to look.
    pub due: Timestamp,
    /// At which blob.
    pub hash: Hash,
    /// What for.
    pub task: Task,
}

impl GarbageTable {
    pub(super) const SHARDS: u8 = 16;

    fn shard(hash: &Hash) -> u8 {
        hash.as_bytes()[0] % Self::SHARDS
    }

    /// The candidates of a shard that are due by `now`.
    pub(super) fn due(shard: u8, now: Timestamp) -> KeyRange {
        let shard = KeyWriter::new(b"bg").u8(shard);
        let begin = shard.clone().done();
        KeyRange { begin, end: shard.u64(now.0.saturating_add(1)).done() }
    }
}

impl Table for GarbageTable {
    type Key = Candidate;
    type Record = Mark;
    const NAME: &'static str = "blob garbage";

    fn key(candidate: &Candidate) -> Bytes {
        let Candidate { due, hash, task } = candidate;
        let task = match task {
            Task::Judge => 0,
            Task::Delete => 1,
        };
        KeyWriter::new(b"bg").u8(Self::shard(hash)).u64(due.0).bytes(hash.as_bytes()).u8(task).done()
    }

    fn parse(key: &[u8]) -> Option<Candidate> {
        let mut key = KeyReader::new(key, b"bg")?;
        key.u8()?;
        let (due, hash) = (Timestamp(key.u64()?), Hash::from_bytes(key.take()?));
        let task = match key.u8()? {
            0 => Task::Judge,
            1 => Task::Delete,
            _ => return None,
        };
        key.end()?;
        Some(Candidate { due, hash, task })
    }
}

/// `bd` hash, place: an object that is to be deleted, and that no blob may be linked to any more. Only for
/// engines that do not pack.
pub enum DoomedTable {}

/// When a doomed object may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Doomed {
    /// Not earlier: whoever has prepared the blob with this place still finds this row, until then.
    #[n(0)]
    pub due: Timestamp,
}

impl DoomedTable {
    pub(super) fn of(hash: &Hash) -> KeyRange {
        KeyWriter::new(b"bd").bytes(hash.as_bytes()).range()
    }
}

impl Table for DoomedTable {
    type Key = (Hash, Place);
    type Record = Doomed;
    const NAME: &'static str = "doomed blob";

    fn key((hash, place): &(Hash, Place)) -> Bytes {
        KeyWriter::new(b"bd").bytes(hash.as_bytes()).bytes(&place.0).done()
    }

    fn parse(key: &[u8]) -> Option<(Hash, Place)> {
        let mut key = KeyReader::new(key, b"bd")?;
        Some((Hash::from_bytes(key.take()?), Place(key.rest().to_vec())))
    }
}

/// `bu` extent: bytes in a shared extent that blobs point to, as a counter of [`crate::kv::counter`] and not a
/// record. Exact: it changes in the transactions that write, move and remove blob rows.
pub(super) fn usage_key(extent: &Extent) -> Bytes {
    KeyWriter::new(b"bu").bytes(&extent.0).done()
}

/// All rows of [`usage_key`].
pub(super) fn usage_range() -> KeyRange {
    KeyRange::prefix(b"bu")
}

/// The extent of a [`usage_key`].
pub(super) fn usage_extent(key: &[u8]) -> Option<Extent> {
    KeyReader::new(key, b"bu").map(|key| Extent(key.rest().to_vec()))
}

/// `bt` extent: a shared extent that is empty and about to be deleted, or was: no blob may be linked to it.
pub enum RetiredTable {}

/// When an extent was retired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub struct Retired {
    /// The moment.
    #[n(0)]
    pub at: Timestamp,
}

impl Table for RetiredTable {
    type Key = Extent;
    type Record = Retired;
    const NAME: &'static str = "retired extent";

    fn key(extent: &Extent) -> Bytes {
        KeyWriter::new(b"bt").bytes(&extent.0).done()
    }

    fn parse(key: &[u8]) -> Option<Extent> {
        KeyReader::new(key, b"bt").map(|key| Extent(key.rest().to_vec()))
    }
}
