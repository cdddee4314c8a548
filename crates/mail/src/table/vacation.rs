//! `vacation`: what is answered while somebody is away (RFC 8621 §8).

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, ObjectId, Timestamp};

use super::{Number, ObjectKind, ObjectTable, reader, table};

/// Key: account, object (8 bytes): there is only [`Vacations::ONLY`].
pub(crate) struct Vacations;

/// What is answered, and when.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Vacation {
    /// Whether anything is.
    #[n(0)]
    pub enabled: bool,
    /// What comes from then on is answered.
    #[n(1)]
    pub from: Option<Timestamp>,
    /// What comes before then is.
    #[n(2)]
    pub until: Option<Timestamp>,
    /// The answer's subject.
    #[n(3)]
    pub subject: Option<String>,
    /// The answer as plain text.
    #[n(4)]
    pub text: Option<String>,
    /// The answer as HTML.
    #[n(5)]
    pub html: Option<String>,
}

impl Vacation {
    /// Whether what comes at a moment is answered.
    pub fn is_on(&self, at: Timestamp) -> bool {
        self.enabled && self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    /// Octets of all texts.
    pub fn size(&self) -> usize {
        [&self.subject, &self.text, &self.html].into_iter().flatten().map(String::len).sum()
    }
}

impl Vacations {
    /// The one object of an account.
    pub(crate) const ONLY: ObjectId = ObjectId(0);
}

impl ObjectTable for Vacations {
    const KIND: ObjectKind = ObjectKind::VacationResponse;

    fn all(account: AccountId) -> KeyRange {
        table(account, Number::Vacation).range()
    }
}

impl Table for Vacations {
    type Key = (AccountId, ObjectId);
    type Record = Vacation;
    const NAME: &'static str = "vacation";

    fn key((account, object): &Self::Key) -> Bytes {
        table(*account, Number::Vacation).u64(object.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Vacation)?;
        let object = ObjectId(rest.u64()?);
        rest.end().map(|()| (account, object))
    }
}
