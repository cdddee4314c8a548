//! Table `sequences`: the numbers that were given out last. A number is never given out twice.
//!
//! Key: `d` `s` which sequence (1 byte)

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{self, KeyReader, KeyWriter, Table, Transaction};

use super::DIRECTORY;

const PREFIX: [u8; 2] = [DIRECTORY, b's'];

/// The table.
pub(crate) struct Sequences;

/// Which numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sequence {
    /// Of domains.
    Domains = 0,
    /// Of names of all kinds.
    Names = 1,
}

/// The last number given out.
#[derive(Clone, PartialEq, Debug, Encode, Decode)]
pub(crate) struct SequenceRow {
    #[n(0)]
    last: u64,
}

impl Sequences {
    /// A new number for a domain.
    pub(crate) async fn next_domain(tx: &Transaction) -> Result<u64, kv::Error> {
        Self::next(tx, Sequence::Domains).await
    }

    /// A new number for a name.
    pub(crate) async fn next_name(tx: &Transaction) -> Result<u64, kv::Error> {
        Self::next(tx, Sequence::Names).await
    }

    async fn next(tx: &Transaction, sequence: Sequence) -> Result<u64, kv::Error> {
        let last = tx.load::<Self>(&sequence).await?.map_or(0, |row| row.last);
        let next = last.checked_add(1).ok_or_else(|| {
            kv::Error::Corrupt(format!("{}: the last {sequence:?} number is impossible", Self::NAME))
        })?;
        tx.save::<Self>(&sequence, &SequenceRow { last: next })?;
        Ok(next)
    }
}

impl Table for Sequences {
    type Key = Sequence;
    type Record = SequenceRow;
    const NAME: &'static str = "directory.sequences";

    fn key(sequence: &Sequence) -> Bytes {
        KeyWriter::new(&PREFIX).u8(*sequence as u8).done()
    }

    fn parse(key: &[u8]) -> Option<Sequence> {
        let mut key = KeyReader::new(key, &PREFIX)?;
        let sequence = match key.u8()? {
            0 => Sequence::Domains,
            1 => Sequence::Names,
            _ => return None,
        };
        key.end().map(|()| sequence)
    }
}
