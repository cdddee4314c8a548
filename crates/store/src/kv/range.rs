//! Reading ranges as a stream of pages, so that nobody needs to know how long a range is to read it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::engine::{KeyRange, PageRequest, after_key};
use super::{Error, Transaction};

/// Which rows to read, from which end, and how many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    keys: KeyRange,
    reverse: bool,
    limit: Option<usize>,
    snapshot: bool,
    drained: bool,
}

impl Range {
    /// All rows of a range of keys, in order.
    pub const fn new(keys: KeyRange) -> Self {
        Self { keys, reverse: false, limit: None, snapshot: false, drained: false }
    }

    /// All rows whose key begins with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self::new(KeyRange::prefix(prefix))
    }

    /// From the last key to the first.
    #[must_use]
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most this many rows.
    #[must_use]
    pub const fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Changes by others to what is read are no conflict.
    #[must_use]
    pub const fn snapshot(mut self) -> Self {
        self.snapshot = true;
        self
    }

    /// Rows are taken away from the beginning of this range again and again, as at the front of a queue. What is read
    /// is the same; some engines read it faster.
    #[must_use]
    pub const fn drained(mut self) -> Self {
        self.drained = true;
        self
    }
}

/// The rows of a range, page by page.
pub struct Rows {
    tx: Transaction,
    rest: KeyRange,
    reverse: bool,
    left: usize,
    snapshot: bool,
    drained: bool,
    ready: VecDeque<(Bytes, Bytes)>,
    done: bool,
    page: usize,
}

impl Rows {
    const FIRST_PAGE: usize = 128;
    const LARGEST_PAGE: usize = 4096;
    const PAGE_BYTES: usize = 1 << 20;

    pub(super) fn new(tx: Transaction, range: Range) -> Self {
        let left = range.limit.unwrap_or(usize::MAX);
        let done = left == 0 || range.keys.is_empty();
        // Whoever says how many rows there are wants them all; others may stop at any.
        let page = range.limit.map_or(Self::FIRST_PAGE, |rows| rows.min(Self::LARGEST_PAGE));
        let Range { keys: rest, reverse, snapshot, drained, .. } = range;
        Self { tx, rest, reverse, left, snapshot, drained, ready: VecDeque::new(), done, page }
    }

    /// The next row, or `None` behind the last.
    pub async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Error> {
        while self.ready.is_empty() {
            if self.done {
                return Ok(None);
            }
            self.fetch().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// All remaining rows. Only for ranges that are known to be short, or limited.
    pub async fn all(mut self) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let rows = self.page.min(self.left);
        let request =
            PageRequest { rows, bytes: Self::PAGE_BYTES, reverse: self.reverse, drained: self.drained };
        let (mut page, mut read) = self.tx.page(&self.rest, request).await?;
        self.done = !page.more || page.rows.len() >= self.left;
        page.rows.truncate(self.left);
        if let Some((last, _)) = page.rows.last()
            && page.rows.len() >= self.left
        {
            // What lies behind the last row that was asked for has not been seen.
            if self.reverse { read.begin = last.clone() } else { read.end = after_key(last) }
        }
        self.left -= page.rows.len();
        if self.reverse {
            self.rest.end = read.begin.clone();
        } else {
            self.rest.begin = read.end.clone();
        }
        if !self.snapshot {
            self.tx.conflict_on(read)?;
        }
        self.ready = page.rows.into();
        // Only its beginning is.
        self.drained = false;
        self.page = (self.page * 4).min(Self::LARGEST_PAGE);
        Ok(())
    }
}
