//! `quota`: what an account may hold, as its clients were told last (RFC 9425). What holds is said elsewhere; this is here so that
//! the change log tells when it has become something else.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, ObjectId};

use super::{Number, ObjectKind, ObjectTable, reader, table};

/// Key: account, object (8 bytes): one for each [`QuotaKind`], where there is a limit.
pub(crate) struct Quotas;

/// What a quota counts. An account has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum QuotaKind {
    /// Octets of all emails.
    Octets,
    /// Emails.
    Emails,
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(map)]
pub(crate) struct QuotaRow {
    #[n(0)]
    pub(crate) limit: u64,
}

impl QuotaKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Octets, Self::Emails];

    pub(crate) const fn object(self) -> ObjectId {
        match self {
            Self::Octets => ObjectId(0),
            Self::Emails => ObjectId(1),
        }
    }

    pub(crate) fn of(object: ObjectId) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.object() == object)
    }
}

impl ObjectTable for Quotas {
    const KIND: ObjectKind = ObjectKind::Quota;

    fn all(account: AccountId) -> KeyRange {
        table(account, Number::Quota).range()
    }
}

impl Table for Quotas {
    type Key = (AccountId, ObjectId);
    type Record = QuotaRow;
    const NAME: &'static str = "quota";

    fn key((account, object): &Self::Key) -> Bytes {
        table(*account, Number::Quota).u64(object.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Quota)?;
        let object = ObjectId(rest.u64()?);
        rest.end().map(|()| (account, object))
    }
}
