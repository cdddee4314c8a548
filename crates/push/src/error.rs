//! What can go wrong: on our side, and on that of who subscribes.

use store::kv;
use thiserror::Error;

/// It cannot be done, whoever asks.
#[derive(Debug, Error)]
pub enum Error {
    /// The store is out of reach.
    #[error(transparent)]
    Store(#[from] kv::Error),
    /// The directory is out of reach.
    #[error("the directory: {0}")]
    Directory(#[from] directory::Error),
    /// What has changed cannot be read.
    #[error("what has changed cannot be read: {0}")]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// The key by which push services know us cannot be made, or what is stored of it is none.
    #[error("the key for push services cannot be used: {0}; its row in the store is `pk`")]
    Key(&'static str),
}

/// A subscription is not as it must be.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Too many at once.
    #[error("a user may have {0} push subscriptions: destroy one that is not needed")]
    TooMany(usize),
    /// Too many lately.
    #[error("a user may make {0} push subscriptions an hour: try again later")]
    TooOften(u64),
    /// There is none, or none that these credentials have made.
    #[error("there is no such push subscription")]
    NotFound,
    /// It is not the code that was sent.
    #[error("this is not the code that was sent to the push service")]
    WrongCode,
    /// It would be over already.
    #[error("this time is over")]
    Over,
    /// Whoever asks has lost the right to, meanwhile.
    #[error("the credentials that were used are not valid any more")]
    Revoked,
    /// Something of ours.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<kv::Error> for Refusal {
    fn from(error: kv::Error) -> Self {
        Self::Failed(error.into())
    }
}
