//! What can go wrong with blobs, told apart by what the caller can do about it.

use thiserror::Error;

use super::Hash;
use super::engine::EngineError;
use crate::kv;

/// Why something could not be done with a blob.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// No such blob.
    #[error("there is no blob {0}")]
    NotFound(Hash),
    /// What is stored is not what was written. The text says where and what to do.
    #[error("blob {hash} is damaged: {what}")]
    Corrupt {
        /// Which blob.
        hash: Hash,
        /// Where it lies, what was found, and what to do.
        what: String,
    },
    /// The storage is out of reach or refuses; the text says why and what to do. Try again later.
    #[error("the blob store is unavailable: {0}")]
    Unavailable(String),
    /// There is no room for more; the text says where to make some.
    #[error("no room for more blobs: {0}")]
    Full(String),
    /// The content is larger than a blob may be.
    #[error("a blob of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The content that was to be stored could not be read, or changed while it was read.
    #[error("the content to store cannot be read: {0}")]
    Content(String),
    /// The metadata could not be read or written.
    #[error(transparent)]
    Kv(#[from] kv::Error),
}

impl Error {
    /// What an engine said about reading the blob `hash`.
    pub(super) fn reading(hash: Hash, error: EngineError) -> Self {
        match error {
            EngineError::Missing(place) => {
                let what = format!("{place} is missing, though the metadata points to it; {RESTORE}");
                Self::Corrupt { hash, what }
            }
            EngineError::Damaged(what) => Self::Corrupt { hash, what: format!("{what}; {RESTORE}") },
            other => Self::storing(other),
        }
    }

    /// What an engine said, where no particular blob is to blame.
    pub(super) fn storing(error: EngineError) -> Self {
        match error {
            EngineError::Full(why) => Self::Full(why),
            EngineError::Content(why) => Self::Content(why),
            EngineError::Missing(what) => Self::Unavailable(format!("{what} is missing")),
            EngineError::Damaged(why) | EngineError::Unavailable(why) => Self::Unavailable(why),
        }
    }

    pub(super) fn stopping() -> Self {
        Self::Unavailable("the process is stopping".into())
    }
}

/// What to do about a damaged blob.
pub(super) const RESTORE: &str = "check the disk and restore this blob from a backup";

/// Why blobs could not be linked in a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LinkError {
    /// The blob was known when it was prepared and has been swept since, or was prepared too long ago. Prepare
    /// it again and run the transaction again; where there is only a hash, the blob is gone.
    #[error("blob {0} has vanished since it was prepared")]
    Vanished(Hash),
    /// The transaction failed.
    #[error(transparent)]
    Kv(#[from] kv::Error),
}
