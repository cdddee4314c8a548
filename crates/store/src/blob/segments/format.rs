//! The bytes of a segment.
//!
//! Segment head, 64 bytes: `MAGPSEGM`, format (1), kind (1: shared, 2: one record), 6 zero bytes, segment
//! number (8), creation in ms since 1970 (8), 28 zero bytes, CRC-32 of what is before (4).
//!
//! Record head, 64 bytes: `MREC`, format (1), 3 zero bytes, BLAKE3 hash of the plain content (32), length of
//! the bytes that follow (8), creation (8), 4 zero bytes, CRC-32 of what is before (4).
//!
//! All numbers are big-endian. The bytes of a record need no checksum here: the blob's name is one, so that the
//! rows could be told from the segments alone if they were ever lost (a record is either the content itself or
//! a row of zstd frames).

use types::Timestamp;

use crate::blob::Hash;
use crate::blob::engine::{EngineError, Extent, Place};

/// Bytes of either head.
pub(super) const HEAD: u64 = 64;
/// The newest format that this release knows.
pub(super) const FORMAT: u8 = 1;

const SEGMENT_MAGIC: &[u8; 8] = b"MAGPSEGM";
const RECORD_MAGIC: &[u8; 4] = b"MREC";

pub(super) type Head = [u8; HEAD as usize];

/// What a segment is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Records of whoever comes.
    Shared,
    /// One large record.
    Solo,
}

/// A place, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Address {
    pub(super) segment: u64,
    /// Where the record's head begins.
    pub(super) offset: u64,
    /// Bytes behind the head.
    pub(super) len: u64,
}

/// A record's head, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) hash: Hash,
    pub(super) len: u64,
    pub(super) created: Timestamp,
}

impl Address {
    pub(super) fn place(self) -> Place {
        let numbers = [self.segment, self.offset, self.len];
        Place(numbers.iter().flat_map(|n| n.to_be_bytes()).collect())
    }
}

/// The address that a place stands for.
pub(super) fn address(place: &Place) -> Result<Address, EngineError> {
    match place.0.as_chunks::<8>() {
        ([segment, offset, len], []) => Ok(Address {
            segment: u64::from_be_bytes(*segment),
            offset: u64::from_be_bytes(*offset),
            len: u64::from_be_bytes(*len),
        }),
        _ => Err(EngineError::Damaged("the blob's row does not name a place in a segment".into())),
    }
}

pub(super) fn extent_of(place: &Place) -> Extent {
    Extent(place.0.get(..8).unwrap_or_default().to_vec())
}

pub(super) fn segment_of(extent: &Extent) -> Result<u64, EngineError> {
    let number = <[u8; 8]>::try_from(extent.0.as_slice()).map(u64::from_be_bytes);
    number.map_err(|_| EngineError::Damaged("an extent's name is not a segment number".into()))
}

/// The name of a segment's file.
pub(super) fn file_name(segment: u64) -> String {
    format!("{segment:016x}.segment")
}

/// The segment whose file has this name.
pub(super) fn parse_file_name(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".segment").filter(|number| number.len() == 16)?;
    u64::from_str_radix(number, 16).ok()
}

pub(super) fn segment_head(segment: u64, kind: Kind, created: Timestamp) -> Head {
    let mut head = [0; HEAD as usize];
    head[..8].copy_from_slice(SEGMENT_MAGIC);
    head[8] = FORMAT;
    head[9] = match kind {
        Kind::Shared => 1,
        Kind::Solo => 2,
    };
    head[16..24].copy_from_slice(&segment.to_be_bytes());
    head[24..32].copy_from_slice(&created.0.to_be_bytes());
    sealed(head)
}

/// What a segment's head says: its format, and its kind if this release knows the format.
pub(super) fn parse_segment_head(head: &Head) -> Option<(u8, Option<Kind>)> {
    if !is_sealed(head) || !head.starts_with(SEGMENT_MAGIC) {
        return None;
    }
    let kind = match head[9] {
        1 => Some(Kind::Shared),
        2 => Some(Kind::Solo),
        _ => None,
    };
    Some((head[8], kind))
}

pub(super) fn record_head(record: &Record) -> Head {
    let mut head = [0; HEAD as usize];
    head[..4].copy_from_slice(RECORD_MAGIC);
    head[4] = FORMAT;
    head[8..40].copy_from_slice(record.hash.as_bytes());
    head[40..48].copy_from_slice(&record.len.to_be_bytes());
    head[48..56].copy_from_slice(&record.created.0.to_be_bytes());
    sealed(head)
}

/// What a record's head says, if it is one and whole.
pub(super) fn parse_record_head(head: &Head) -> Option<Record> {
    if !is_sealed(head) || !head.starts_with(RECORD_MAGIC) || head[4] > FORMAT {
        return None;
    }
    let hash = <[u8; 32]>::try_from(&head[8..40]).ok()?;
    let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    Some(Record { hash: Hash::from_bytes(hash), len: number(40)?, created: Timestamp(number(48)?) })
}

fn sealed(mut head: Head) -> Head {
    let crc = crc32fast::hash(&head[..60]);
    head[60..].copy_from_slice(&crc.to_be_bytes());
    head
}

fn is_sealed(head: &Head) -> bool {
    head[60..] == crc32fast::hash(&head[..60]).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_back_and_no_flipped_bit_goes_unnoticed() {
        let record = Record { hash: Hash::of(b"x"), len: 7, created: Timestamp(9) };
        let head = record_head(&record);
        assert_eq!(parse_record_head(&head), Some(record));
        let segment = segment_head(3, Kind::Solo, Timestamp(9));
        assert_eq!(parse_segment_head(&segment), Some((FORMAT, Some(Kind::Solo))));
        for bit in 0..HEAD * 8 {
            let flip = |mut head: Head| {
                head[(bit / 8) as usize] ^= 1 << (bit % 8);
                head
            };
            assert_eq!(parse_record_head(&flip(head)), None);
            assert_eq!(parse_segment_head(&flip(segment)), None);
        }
    }

    #[test]
    fn addresses_are_read_back_and_anything_else_is_refused() {
        let place = Address { segment: 1, offset: 2, len: 3 }.place();
        assert_eq!(address(&place), Ok(Address { segment: 1, offset: 2, len: 3 }));
        assert_eq!(segment_of(&extent_of(&place)), Ok(1));
        for len in 0..place.0.len() {
            assert!(address(&Place(place.0[..len].to_vec())).is_err());
        }
    }

    #[test]
    fn only_segments_look_like_segments() {
        assert_eq!(parse_file_name(&file_name(77)), Some(77));
        for name in ["lock", "77.segment", "00000000000000zz.segment", "0000000000000001.segment.old"] {
            assert_eq!(parse_file_name(name), None);
        }
    }
}
