//! What can go wrong with a queue, told apart by what the caller can do about it.

use store::blob::LinkError;
use store::kv;
use thiserror::Error;

use crate::EntryId;

/// Why something was not done. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// The store failed; the text says how.
    #[error(transparent)]
    Kv(#[from] kv::Error),
    /// Bytes of the message that were known to the blob store have been swept since: prepare it again, and enqueue
    /// it again.
    #[error("a part of the message has vanished from the blob store since it was prepared")]
    Vanished,
    /// Another worker has the leg now, or an operator has decided about it: drop the work.
    #[error("the lease on a part of message {0} was lost: somebody else decides about it now")]
    LeaseLost(EntryId),
    /// There is an entry of that name.
    #[error("message {0} is in the queue already")]
    Exists(EntryId),
    /// There is no entry of that name, or not any more.
    #[error("there is no message {0} in the queue: it may have been delivered or dropped since")]
    NoSuchEntry(EntryId),
    /// An entry needs a recipient.
    #[error("a message without recipients cannot be queued")]
    Empty,
    /// More recipients than one entry may have.
    #[error("{recipients} recipients are more than the {limit} that one queued message may have")]
    TooMany {
        /// How many there are.
        recipients: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No name of a next hop.
    #[error(
        "the destination {0:?} is not the name of a host or a route: at most 255 octets, and none of them zero"
    )]
    Destination(String),
    /// A row that must be there is missing.
    #[error("message {id} in the queue is damaged: {what}; run `magpie verify`")]
    Damaged {
        /// The entry.
        id: EntryId,
        /// What is missing.
        what: &'static str,
    },
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Vanished(_) => Self::Vanished,
            LinkError::Kv(error) => Self::Kv(error),
        }
    }
}
