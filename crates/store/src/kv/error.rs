//! What can go wrong in a transaction, told apart by what the caller can do about it.

use thiserror::Error;

/// Why a transaction, or a read in it, did not succeed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// Others kept changing what the transaction read. Nothing was written; try again under less load.
    #[error("gave up after {attempts} attempts: other transactions kept changing what this one read")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
    /// The transaction outlived [`super::limits::AGE`] or its snapshot is gone. Nothing was written.
    #[error("the transaction is too old: it must commit within {} s of its first read", super::limits::AGE.as_secs())]
    TooOld,
    /// A key, a value or the whole transaction is over a limit of [`super::limits`]. A bug or bad input.
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Which of the three it is.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A key begins with 0xff: those belong to the engines, as in FoundationDB. A bug.
    #[error("a key that begins with 0xff belongs to the storage engine")]
    Reserved,
    /// The commit may have been applied or not, and the engine cannot tell.
    #[error("the commit may or may not have been applied")]
    CommitUnknown,
    /// The engine is out of reach or refuses writes; the text says why and what to do.
    #[error("the key-value store is unavailable: {0}")]
    Unavailable(String),
    /// There is no room for more writes; the text says where to make some. Reads still work.
    #[error("no room for more writes: {0}")]
    Full(String),
    /// What is stored cannot be what was written. The text says where and what to do.
    #[error("the key-value store is damaged: {0}")]
    Corrupt(String),
}

impl Error {
    /// Whether a fresh attempt of the same transaction may succeed.
    pub(super) const fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::TooOld | Self::CommitUnknown)
    }
}
