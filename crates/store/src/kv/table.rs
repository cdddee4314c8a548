//! Tables as types: a table's key layout, its record and its documentation are one Rust type, and nobody else
//! puts bytes together. `docs/keyspace.md` lists all tables.
//!
//! Records are CBOR with numbered fields: a reader skips numbers that it does not know and takes the default
//! for those that are missing, so nodes of neighbouring versions read each other's rows.

use std::marker::PhantomData;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::range::{Range, Rows};
use super::{Error, KeyRange, Transaction};

/// A kind of row.
pub trait Table {
    /// What names a row.
    type Key;
    /// What a row holds.
    type Record: Encode<()> + for<'b> Decode<'b, ()>;
    /// The table's name in errors and in `docs/keyspace.md`.
    const NAME: &'static str;

    /// The bytes of a key. Their order is the order of the rows.
    fn key(key: &Self::Key) -> Bytes;

    /// The reverse of [`Self::key`]; `None` if the bytes are no key of this table.
    fn parse(key: &[u8]) -> Option<Self::Key>;
}

impl Transaction {
    /// The record of a row.
    pub async fn load<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, Error> {
        let key = T::key(key);
        self.get(key.clone()).await?.map(|value| decode::<T>(&key, &value)).transpose()
    }

    /// The record of a row; later changes by others are no conflict.
    pub async fn snapshot_load<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, Error> {
        let key = T::key(key);
        self.snapshot_get(key.clone()).await?.map(|value| decode::<T>(&key, &value)).transpose()
    }

    /// The records of several rows in the order asked: one round trip.
    pub async fn load_many<T: Table>(&self, keys: &[T::Key]) -> Result<Vec<Option<T::Record>>, Error> {
        let keys: Vec<Bytes> = keys.iter().map(T::key).collect();
        let values = self.get_many(keys.clone()).await?;
        let records =
            keys.iter().zip(values).map(|(key, value)| value.map(|v| decode::<T>(key, &v)).transpose());
        records.collect()
    }

    /// Writes a row.
    pub fn save<T: Table>(&self, key: &T::Key, record: &T::Record) -> Result<(), Error> {
        self.set(T::key(key), encode::<T>(record)?)
    }

    /// Removes a row.
    pub fn remove<T: Table>(&self, key: &T::Key) -> Result<(), Error> {
        self.clear(T::key(key))
    }

    /// The rows of a range of one table.
    pub fn rows<T: Table>(&self, range: Range) -> TableRows<T> {
        TableRows { rows: self.range(range), table: PhantomData }
    }
}

/// A stream of typed rows.
pub struct TableRows<T> {
    rows: Rows,
    table: PhantomData<fn() -> T>,
}

impl<T: Table> TableRows<T> {
    /// The next row, or `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<(T::Key, T::Record)>, Error> {
        match self.rows.next().await? {
            Some((key, value)) => Ok(Some((parse::<T>(&key)?, decode::<T>(&key, &value)?))),
            None => Ok(None),
        }
    }

    /// All remaining rows. Only for ranges that are known to be short, or limited.
    pub async fn all(mut self) -> Result<Vec<(T::Key, T::Record)>, Error> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The bytes of a record.
pub fn encode<T: Table>(record: &T::Record) -> Result<Bytes, Error> {
    let encoded = minicbor::to_vec(record);
    encoded
        .map(Bytes::from)
        .map_err(|e| Error::Corrupt(format!("a {} record cannot be encoded: {e}", T::NAME)))
}

/// The record that a row's bytes hold.
pub fn decode<T: Table>(key: &[u8], value: &[u8]) -> Result<T::Record, Error> {
    minicbor::decode(value).map_err(|e| damaged(T::NAME, key, &e.to_string()))
}

fn parse<T: Table>(key: &[u8]) -> Result<T::Key, Error> {
    T::parse(key).ok_or_else(|| damaged(T::NAME, key, "the key is not of this table"))
}

fn damaged(table: &str, key: &[u8], why: &str) -> Error {
    let key: String = key.iter().map(|b| format!("{b:02x}")).collect();
    Error::Corrupt(format!("table {table}, key {key}: {why}"))
}

/// Puts keys together. Numbers are big-endian, so that their order is that of the bytes.
#[derive(Clone, Default)]
pub struct KeyWriter(Vec<u8>);

impl KeyWriter {
    /// A key that begins with `prefix`.
    pub fn new(prefix: &[u8]) -> Self {
        let mut key = Vec::with_capacity(prefix.len() + 32);
        key.extend_from_slice(prefix);
        Self(key)
    }

    /// Appends one byte.
    #[must_use]
    pub fn u8(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }

    /// Appends a number.
    #[must_use]
    pub fn u32(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// Appends a number.
    #[must_use]
    pub fn u64(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// Appends bytes as they are: only at the end of a key, or where all have one length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a text of any length so that it sorts before longer ones and more may follow: a zero byte ends
    /// it. The text must hold none.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.extend(text.bytes().filter(|b| *b != 0));
        self.0.push(0);
        self
    }

    /// The key.
    pub fn done(self) -> Bytes {
        self.0.into()
    }

    /// All keys that begin with what was written so far.
    pub fn range(&self) -> KeyRange {
        KeyRange::prefix(&self.0)
    }
}

/// Takes keys apart.
#[derive(Clone, Copy)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Reads `key`, which must begin with `prefix`.
    pub fn new(key: &'a [u8], prefix: &[u8]) -> Option<Self> {
        key.strip_prefix(prefix).map(Self)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    /// The next number.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// The next number.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    /// The next text, up to its zero byte.
    pub fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        std::str::from_utf8(text).ok()
    }

    /// Whatever is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// `Some` if nothing is left.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
