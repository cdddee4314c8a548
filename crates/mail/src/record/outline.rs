//! A content record that is read as far as it is asked for: most listings show a small part of it.

use bytes::Bytes;
use minicbor::data::Type;
use minicbor::decode::{Decode, Decoder, Error as Damage};
use types::{AccountId, EmailId};

use super::{Cuts, HeaderView, Metadata, NameHash, SentAt, Structure};
use crate::Error;

/// An email's [`Metadata`] as its row holds it. What is asked for is decoded then, without copying where that can be.
/// Every question may find the row damaged.
#[derive(Clone, Debug)]
pub struct Record {
    account: AccountId,
    email: EmailId,
    row: Bytes,
}

impl Record {
    pub(crate) const fn new(account: AccountId, email: EmailId, row: Bytes) -> Self {
        Self { account, email, row }
    }

    /// The account whose email it is.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The email.
    pub const fn email(&self) -> EmailId {
        self.email
    }

    /// As [`Metadata::size`].
    pub fn size(&self) -> Result<u64, Error> {
        self.field(0)
    }

    /// As [`Metadata::cuts`].
    pub fn cuts(&self) -> Result<Cuts, Error> {
        self.field(1)
    }

    /// As [`Metadata::sent`].
    pub fn sent(&self) -> Result<Option<SentAt>, Error> {
        self.field(2)
    }

    /// As [`Metadata::header`].
    pub fn header(&self) -> Result<HeaderView<'_>, Error> {
        self.field(3)
    }

    /// The header fields that are kept, as in [`super::HeaderIndex::fields`], if all of these are among them or not
    /// in the header at all. They share the row's memory.
    pub fn fields_if_covered(&self, names: &[NameHash]) -> Result<Option<Bytes>, Error> {
        let header = self.header()?;
        Ok(header.covers_all(names).then(|| self.row.slice_ref(header.fields)))
    }

    /// As [`Metadata::structure`].
    pub fn structure(&self) -> Result<Structure, Error> {
        self.field(4)
    }

    /// As [`Metadata::preview`].
    pub fn preview(&self) -> Result<&str, Error> {
        self.field(5)
    }

    /// As [`Metadata::has_attachment`].
    pub fn has_attachment(&self) -> Result<bool, Error> {
        self.field(6)
    }

    /// All of it.
    pub fn whole(&self) -> Result<Metadata, Error> {
        Metadata::from_bytes(&self.row).map_err(|damage| self.damaged(&damage))
    }

    fn field<'b, T: Decode<'b, ()> + Default>(&'b self, number: i64) -> Result<T, Error> {
        field(&self.row, number).map(Option::unwrap_or_default).map_err(|damage| self.damaged(&damage))
    }

    fn damaged(&self, damage: &Damage) -> Error {
        Error::lost_email(self.account, self.email, &format!("its record is unreadable: {damage}"))
    }
}

/// The value of a record's field of that number, if it has one. What comes before it is passed over, what comes behind
/// it is not looked at.
fn field<'b, T: Decode<'b, ()>>(row: &'b [u8], number: i64) -> Result<Option<T>, Damage> {
    let mut decoder = Decoder::new(row);
    let mut left = decoder.map()?;
    loop {
        match &mut left {
            Some(0) => return Ok(None),
            Some(left) => *left -= 1,
            None if decoder.datatype()? == Type::Break => return Ok(None),
            None => {}
        }
        if decoder.i64()? == number {
            return decoder.decode().map(Some);
        }
        decoder.skip()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest;

    fn record(row: Vec<u8>) -> Record {
        Record::new(AccountId(1), EmailId(2), row.into())
    }

    #[test]
    fn each_field_is_that_of_the_whole() {
        let raw = b"Date: Tue, 1 Jul 2003 10:52:37 +0200\r\nSubject: a\r\n b\r\nX-Other: 1\r\n\
                    Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nthe text\r\n--x--\r\n";
        for limits in
            [ingest::Limits::default(), ingest::Limits { parts: 1, fields: 2, ..Default::default() }]
        {
            let metadata = ingest::metadata(raw, &limits);
            let record = record(metadata.to_bytes());
            assert_eq!(record.whole().unwrap(), metadata);
            assert_eq!(record.size().unwrap(), metadata.size);
            assert_eq!(record.cuts().unwrap(), metadata.cuts);
            assert_eq!(record.sent().unwrap(), metadata.sent);
            assert_eq!(record.header().unwrap(), metadata.header.view());
            let fields = |name| record.fields_if_covered(&[NameHash::of(name)]).unwrap();
            // What is left out of a header that was cut, nobody knows.
            let kept = (!metadata.header.partial).then_some(&*metadata.header.fields);
            assert_eq!(fields(b"subject").as_deref(), kept);
            assert_eq!(fields(b"X-Other"), None);
            assert_eq!(record.structure().unwrap(), metadata.structure);
            assert_eq!(record.preview().unwrap(), metadata.preview);
            assert_eq!(record.has_attachment().unwrap(), metadata.has_attachment);
        }
    }

    /// A map without a length, fields in another order, and a field of another release.
    #[test]
    fn other_releases_may_write_otherwise() {
        let row = b"\xbf\x18\x63\x82\x01\x02\x05\x62hi\x00\x18\x2a\xff".to_vec();
        let record = record(row);
        assert_eq!(record.size().unwrap(), 42);
        assert_eq!(record.preview().unwrap(), "hi");
        assert_eq!(record.sent().unwrap(), None);
        assert_eq!(record.header().unwrap(), HeaderView::default());
        assert_eq!(record.whole().unwrap().size, 42);
    }

    #[test]
    fn damage_is_told() {
        let mut row = ingest::metadata(b"Subject: a\r\n\r\nb", &ingest::Limits::default()).to_bytes();
        row.truncate(row.len() / 2);
        let damaged = record(row);
        assert!(damaged.preview().unwrap_err().to_string().contains("unreadable"));
        assert!(record(vec![0x01]).size().is_err());
        assert!(record(Vec::new()).header().is_err());
    }
}
