//! What can go wrong here.

use store::kv;
use thiserror::Error;

/// Why something could not be kept, read or put on its way.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// The store failed.
    #[error("the store: {0}")]
    Store(#[from] kv::Error),
    /// Another node has taken the report over, or has sent it.
    #[error("the report on {domain} of {day} is no longer this node's to send")]
    ClaimLost {
        /// Whom it is for.
        domain: String,
        /// The day that it is about.
        day: String,
    },
    /// What is to happen along with it failed, and so nothing happened.
    #[error("the report cannot be put on its way: {0}")]
    Outlet(String),
}
