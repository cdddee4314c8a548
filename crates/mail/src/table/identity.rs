//! `identity`: from whom an account sends mail, and how it is signed (RFC 8621 §6).

use bytes::Bytes;
use minicbor::{Decode, Encode};
use store::kv::{KeyRange, Table};
use types::{AccountId, ObjectId};

use super::{Number, ObjectKind, ObjectTable, reader, table};

/// Key: account, object (8 bytes).
pub(crate) struct Identities;

/// An identity.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Identity {
    /// The name in `From:`.
    #[n(0)]
    pub name: String,
    /// The address in `From:`; never changed. `*` as local part stands for every one of its domain.
    #[n(1)]
    pub email: String,
    /// The suggested `Reply-To:`.
    #[n(2)]
    pub reply_to: Option<Vec<Person>>,
    /// The suggested `Bcc:`.
    #[n(3)]
    pub bcc: Option<Vec<Person>>,
    /// The signature of plain text.
    #[n(4)]
    #[cbor(default)]
    pub text_signature: String,
    /// The signature of HTML.
    #[n(5)]
    #[cbor(default)]
    pub html_signature: String,
    /// Made by the server because the address is the account's, and there for as long as it is.
    #[n(6)]
    #[cbor(default)]
    pub is_own: bool,
}

/// Somebody with an address, as header fields name people.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Person {
    /// The name, if there is one.
    #[n(0)]
    pub name: Option<String>,
    /// The address.
    #[n(1)]
    pub email: String,
}

impl Identity {
    /// Octets of all texts.
    pub fn size(&self) -> usize {
        let people = self.reply_to.iter().chain(&self.bcc).flatten();
        let people = people.map(|person| person.name.as_ref().map_or(0, String::len) + person.email.len());
        let texts = [&self.name, &self.email, &self.text_signature, &self.html_signature];
        people.sum::<usize>() + texts.into_iter().map(String::len).sum::<usize>()
    }
}

impl ObjectTable for Identities {
    const KIND: ObjectKind = ObjectKind::Identity;

    fn all(account: AccountId) -> KeyRange {
        table(account, Number::Identity).range()
    }
}

impl Table for Identities {
    type Key = (AccountId, ObjectId);
    type Record = Identity;
    const NAME: &'static str = "identity";

    fn key((account, object): &Self::Key) -> Bytes {
        table(*account, Number::Identity).u64(object.0).done()
    }

    fn parse(key: &[u8]) -> Option<Self::Key> {
        let (account, mut rest) = reader(key, Number::Identity)?;
        let object = ObjectId(rest.u64()?);
        rest.end().map(|()| (account, object))
    }
}
