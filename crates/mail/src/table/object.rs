//! Objects: small things of an account that are neither emails nor mailboxes, and that JMAP clients follow like those.
//! Each kind has a table and a record of its own; what they share is how they are named and how the change log tells of
//! them.

use store::kv::{KeyRange, Table};
use types::{AccountId, ObjectId};

/// A kind of objects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ObjectKind {
    /// From whom mail is sent, and how it is signed (RFC 8621 §6).
    Identity,
    /// A message that was given up for sending (RFC 8621 §7).
    Submission,
    /// What is answered while somebody is away (RFC 8621 §8).
    VacationResponse,
    /// What an account may hold (RFC 9425).
    Quota,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Submission, Self::VacationResponse, Self::Quota];
}

/// The table of a kind of objects.
pub(crate) trait ObjectTable: Table<Key = (AccountId, ObjectId), Record: Clone + PartialEq> {
    /// The kind.
    const KIND: ObjectKind;

    /// All rows of an account.
    fn all(account: AccountId) -> KeyRange;
}
