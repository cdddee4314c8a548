//! Lists, page by page.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use store::kv::{KeyRange, Kv, Range, Table, after_key};

use crate::error::Error;

/// Which part of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// Where the page before ended; `None` for the first page.
    pub after: Option<Cursor>,
    /// At most this many items, at least 1 and at most [`Self::MAX`].
    pub limit: usize,
}

impl PageRequest {
    /// The most items of one page.
    pub const MAX: usize = 1000;

    /// The first page.
    pub const fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(100)
    }
}

/// Part of a list. It may be shorter than asked for, even empty, though more follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The items, in the order of their names.
    pub items: Vec<T>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// A place in a list. As a text it is opaque, and fit for a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor(Bytes);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
        let digits = digits.filter(|d| d.len().is_multiple_of(2) && d.len() <= 1024).ok_or(Error::Cursor)?;
        Ok(Self(digits.chunks_exact(2).map(|d| d.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()))
    }
}

/// How many rows one page may cost at most, however few of them are items.
const SCANNED: usize = 10_000;

/// Reads a page of a table's range; `pick` makes items of rows, or passes them over.
pub(crate) async fn list<T: Table, I>(
    kv: &Kv,
    range: KeyRange,
    request: &PageRequest,
    pick: impl Fn(&T::Key, T::Record) -> Option<I>,
) -> Result<Page<I>, Error> {
    let rest = match &request.after {
        Some(Cursor(after)) if range.contains(after) => KeyRange { begin: after_key(after), ..range },
        Some(_) => return Err(Error::Cursor),
        None => range,
    };
    let limit = request.limit.clamp(1, PageRequest::MAX);
    let (rest, pick) = (&rest, &pick);
    kv.run(|tx| async move {
        let mut rows = tx.rows::<T>(Range::new(rest.clone()).limit(SCANNED).snapshot());
        let mut items = Vec::new();
        let mut scanned = 0;
        while let Some((key, record)) = rows.next().await? {
            items.extend(pick(&key, record));
            scanned += 1;
            if items.len() == limit || scanned == SCANNED {
                return Ok(Page { items, next: Some(Cursor(T::key(&key))) });
            }
        }
        Ok(Page { items, next: None })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = Cursor(Bytes::from_static(b"dn\x00\xff"));
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for bad in ["0", "zz", "é", "0 "] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }
}
