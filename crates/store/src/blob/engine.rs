//! What an engine must provide: keep bytes and give them back. Names, codecs, checksums, references and
//! garbage collection are done once, above it.
//!
//! The contract asks for no more than an object store has: there is no rename and no append, a listing may be
//! slow and late, and a delete may take effect late. So a put never overwrites: each makes a fresh place, and
//! a late delete of an old place can never hit a new one.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use minicbor::{CborLen, Decode, Encode};
use thiserror::Error;
use types::Timestamp;

use super::Hash;

/// Where an engine has put something, in words that only it understands. Never used twice. At most 256 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Place(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

/// The smallest thing that an engine can delete. For an object store that is one object; an engine that packs
/// many blobs into a file deletes the whole file. Never used twice. At most 256 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Extent(pub Vec<u8>);

/// The bytes that an engine keeps for a blob: framed, perhaps compressed.
pub enum Body {
    /// All at hand.
    Memory(Vec<Bytes>),
    /// Too much to hold in memory: drawn chunk by chunk, on a thread that may block. An error ends the put.
    Chunks(Box<dyn Iterator<Item = std::io::Result<Bytes>> + Send>),
}

/// Something to put.
pub struct Object {
    /// The blob's name; several objects may carry the same.
    pub hash: Hash,
    /// What to keep.
    pub body: Body,
}

/// Something that an engine holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Where it is.
    pub place: Place,
    /// The blob's name.
    pub hash: Hash,
    /// How many bytes are kept.
    pub stored: u64,
    /// When it was put, by the engine's clock.
    pub created: Timestamp,
}

/// A page of what an engine holds, in the order of the places.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// What was found.
    pub entries: Vec<Listed>,
    /// Where to go on, if there may be more.
    pub next: Option<Place>,
}

/// An extent that several blobs share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtentInfo {
    /// Which.
    pub extent: Extent,
    /// A listing behind this place begins with the extent.
    pub start: Place,
    /// What it takes on the disk, in bytes.
    pub bytes: u64,
    /// When something was last put into it, by this process; zero if that was an earlier one.
    pub last_put: Timestamp,
    /// Whether it is so small that it is worth putting together with others.
    pub small: bool,
}

/// Why an engine could not do what it was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum EngineError {
    /// There is nothing at the place, which the text names.
    #[error("{0} is missing")]
    Missing(String),
    /// What is there cannot be what was put. The text names the place.
    #[error("{0}")]
    Damaged(String),
    /// Out of reach, or refusing; the text says why and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// No room; the text says where.
    #[error("{0}")]
    Full(String),
    /// The chunks of a [`Body`] ended with an error.
    #[error("{0}")]
    Content(String),
}

/// A storage engine. `tests/blob_engines.rs` is run against every implementation.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Keeps objects, each at a fresh place; the places are in the order of the objects. Durable when it
    /// returns `Ok`. After an `Err` some may be kept; nobody will ever ask for them.
    async fn put(&self, objects: Vec<Object>) -> Result<Vec<Place>, EngineError>;

    /// Reads a part of what is at a place. A range that goes beyond it is [`EngineError::Damaged`].
    async fn read(&self, place: &Place, range: Range<u64>) -> Result<Bytes, EngineError>;

    /// Deletes an extent. One that is gone already is no error.
    async fn delete(&self, extent: &Extent) -> Result<(), EngineError>;

    /// What is kept behind a place, or from the beginning. May lack what was put lately and show what was
    /// deleted lately.
    async fn list(&self, after: Option<&Place>) -> Result<Listing, EngineError>;

    /// The extent that a place lies in.
    fn extent(&self, place: &Place) -> Extent;

    /// Whether several blobs may share an extent.
    fn packs(&self) -> bool;

    /// The extents that can be deleted, if the engine packs.
    async fn extents(&self) -> Result<Vec<ExtentInfo>, EngineError>;

    /// The place in words for an operator.
    fn describe(&self, place: &Place) -> String;

    /// `Err` with the reason if the engine refuses puts: readiness is red.
    fn health(&self) -> Result<(), EngineError>;
}
