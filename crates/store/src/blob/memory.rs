//! An engine that keeps objects in memory and loses them with the process: for tests of those who use blobs. It
//! behaves as an object store does: it does not pack, and lists what it holds by name.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use types::{Clock, Randomness, Timestamp};

use super::Hash;
use super::engine::{Body, Engine, EngineError, Extent, ExtentInfo, Listed, Listing, Object, Place};

/// The engine.
pub struct Memory {
    clock: Clock,
    objects: Mutex<BTreeMap<Place, Kept>>,
}

struct Kept {
    hash: Hash,
    bytes: Bytes,
    created: Timestamp,
}

impl Memory {
    const PAGE: usize = 100;

    /// An engine that holds nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, objects: Mutex::default() }
    }

    /// How many objects it holds, orphans included.
    pub fn len(&self) -> usize {
        self.objects.lock().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.lock().is_empty()
    }
}

#[async_trait]
impl Engine for Memory {
    async fn put(&self, objects: Vec<Object>) -> Result<Vec<Place>, EngineError> {
        let mut places = Vec::with_capacity(objects.len());
        for Object { hash, body } in objects {
            let mut bytes = BytesMut::new();
            match body {
                Body::Memory(chunks) => chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk)),
                Body::Chunks(chunks) => {
                    bytes = tokio::task::spawn_blocking(move || gather(chunks))
                        .await
                        .map_err(|error| EngineError::Unavailable(error.to_string()))?
                        .map_err(|error| EngineError::Content(error.to_string()))?;
                }
            }
            let place = Place([hash.as_bytes().as_slice(), &Randomness::bytes::<8>()].concat());
            let kept = Kept { hash, bytes: bytes.freeze(), created: self.clock.now() };
            self.objects.lock().insert(place.clone(), kept);
            places.push(place);
        }
        Ok(places)
    }

    async fn read(&self, place: &Place, range: Range<u64>) -> Result<Bytes, EngineError> {
        let objects = self.objects.lock();
        let kept = objects.get(place).ok_or_else(|| EngineError::Missing(self.describe(place)))?;
        let part = |n: u64| usize::try_from(n).ok().filter(|n| *n <= kept.bytes.len());
        match (part(range.start), part(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(kept.bytes.slice(start..end)),
            _ => Err(EngineError::Damaged(format!("{} is too short", self.describe(place)))),
        }
    }

    async fn delete(&self, extent: &Extent) -> Result<(), EngineError> {
        self.objects.lock().remove(&Place(extent.0.clone()));
        Ok(())
    }

    async fn list(&self, after: Option<&Place>) -> Result<Listing, EngineError> {
        let objects = self.objects.lock();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries: Vec<Listed> = objects
            .range::<Place, _>((begin, Bound::Unbounded))
            .take(Self::PAGE)
            .map(|(place, kept)| Listed {
                place: place.clone(),
                hash: kept.hash,
                stored: kept.bytes.len() as u64,
                created: kept.created,
            })
            .collect();
        let next = entries.last().filter(|_| entries.len() == Self::PAGE).map(|last| last.place.clone());
        Ok(Listing { entries, next })
    }

    fn extent(&self, place: &Place) -> Extent {
        Extent(place.0.clone())
    }

    fn packs(&self) -> bool {
        false
    }

    async fn extents(&self) -> Result<Vec<ExtentInfo>, EngineError> {
        Ok(Vec::new())
    }

    fn describe(&self, place: &Place) -> String {
        let name: String = place.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("object {name} in memory")
    }

    fn health(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

fn gather(chunks: impl Iterator<Item = std::io::Result<Bytes>>) -> std::io::Result<BytesMut> {
    let mut bytes = BytesMut::new();
    for chunk in chunks {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}
