//! Table `referrers`: which aliases lead to a name. What the aliases themselves say is what counts: a row here only tells
//! where to look.
//!
//! Key: `d` `r` number of the name that is led to (8 bytes), domain of the alias (A-labels) `00` local part (normal form) `00`

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, KeyReader, KeyWriter, Table};

use super::DIRECTORY;
use crate::name::NameKey;

const PREFIX: [u8; 2] = [DIRECTORY, b'r'];

/// The table.
pub(crate) struct Referrers;

/// A row that says all by being there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub(crate) struct ReferrerRow {}

impl Referrers {
    /// The aliases that lead to a name.
    pub(crate) fn of(id: u64) -> KeyRange {
        KeyWriter::new(&PREFIX).u64(id).range()
    }
}

impl Table for Referrers {
    type Key = (u64, NameKey);
    type Record = ReferrerRow;
    const NAME: &'static str = "directory.referrers";

    fn key((id, name): &Self::Key) -> Bytes {
        name.write(KeyWriter::new(&PREFIX).u64(*id)).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let id = key.u64()?;
        let name = NameKey::read(&mut key)?;
        key.end().map(|()| (id, name))
    }
}
