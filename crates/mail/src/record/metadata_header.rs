//! The part of a message header that listings ask for, byte for byte as it came.
//!
//! One block serves everybody: ENVELOPE and `BODY[HEADER.FIELDS (…)]` of IMAP and the header properties of
//! JMAP are all views of it, decoded on demand. Kept apart, raw and decoded values would take twice the room.

use minicbor::{CborLen, Decode, Encode};

use super::metadata::Raw;
use crate::ingest::fields::{Field, Fields, header_fields};

/// The kept fields of one header, and the names of the others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct HeaderIndex {
    /// The kept fields in their order, with folding and line ends. A field that was too long is shortened at
    /// a line or list separator and then also listed in `others`.
    #[n(0)]
    #[cbor(default)]
    pub fields: Raw,
    /// Sorted big-endian 16-bit hashes ([`NameHash`]) of the names that are in the header but not, or not
    /// whole, in `fields`.
    #[n(1)]
    #[cbor(default)]
    pub others: Raw,
    /// The header was too long to be read to its end: there may be any further fields.
    #[n(2)]
    #[cbor(skip_if = "is_false")]
    pub partial: bool,
}

/// A [`HeaderIndex`] where it stands: nothing of it is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Decode)]
#[cbor(map)]
pub struct HeaderView<'b> {
    /// As in [`HeaderIndex::fields`].
    #[b(0)]
    #[cbor(default, with = "minicbor::bytes")]
    pub fields: &'b [u8],
    #[b(1)]
    #[cbor(default, with = "minicbor::bytes")]
    others: &'b [u8],
    #[n(2)]
    #[cbor(default)]
    partial: bool,
}

impl HeaderIndex {
    /// The same without owning it.
    pub fn view(&self) -> HeaderView<'_> {
        HeaderView { fields: &self.fields, others: &self.others, partial: self.partial }
    }

    /// As [`HeaderView::last`].
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        self.view().last(name)
    }

    /// As [`HeaderView::all`].
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.view().all(name)
    }

    /// As [`HeaderView::covers`].
    pub fn covers<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> bool {
        self.view().covers(names)
    }

    /// As [`HeaderView::select`].
    pub fn select(&self, names: &[&str]) -> Option<Vec<u8>> {
        self.view().select(names)
    }
}

impl<'b> HeaderView<'b> {
    /// The value of the last field of that name, as it stands in the source after the colon, folded and
    /// undecoded. The last one is what RFC 8621 §4.1.3 asks for when there are several.
    pub fn last(self, name: &str) -> Option<&'b [u8]> {
        let same = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        Fields::new(self.fields).filter(same).last().map(|field| field.value)
    }

    /// The values of all fields of that name in their order.
    pub fn all<'a>(self, name: &'a str) -> impl Iterator<Item = &'b [u8]> + use<'a, 'b> {
        Fields::new(self.fields)
            .filter(move |field| field.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| field.value)
    }

    /// Whether all fields of these names are kept whole, or the header has none.
    pub fn covers<'n>(self, names: impl IntoIterator<Item = &'n str>) -> bool {
        self.has_none_of(names.into_iter().map(|name| NameHash::of(name.as_bytes())))
    }

    /// The same for names whose hashes are known.
    pub fn covers_all(self, names: &[NameHash]) -> bool {
        self.has_none_of(names.iter().copied())
    }

    fn has_none_of(self, mut names: impl Iterator<Item = NameHash>) -> bool {
        let others = self.others.as_chunks::<2>().0;
        let missing = |name: NameHash| others.binary_search(&name.0.to_be_bytes()).is_ok();
        !self.partial && (others.is_empty() || !names.any(missing))
    }

    /// `BODY[HEADER.FIELDS (names)]` (RFC 9051 §6.4.5) with its closing empty line, or nothing if the source
    /// has to be opened for it.
    pub fn select(self, names: &[&str]) -> Option<Vec<u8>> {
        self.covers(names.iter().copied()).then(|| header_fields(self.fields, names, false))
    }
}

/// The hash of a field's name: sixteen bits of FNV-1a over it in lower case. Stands in records, so it must never change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NameHash(u16);

impl NameHash {
    /// That of `name`, in any case.
    pub const fn of(name: &[u8]) -> Self {
        let mut hash = 0x811c_9dc5_u32;
        let mut rest = name;
        while let [byte, tail @ ..] = rest {
            hash = (hash ^ byte.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
            rest = tail;
        }
        Self((hash >> 16) as u16 ^ hash as u16)
    }

    /// As it stands in [`HeaderIndex::others`].
    pub const fn to_be_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_only_what_it_knows() {
        let index = HeaderIndex {
            fields: Raw(b"Subject: one\r\nTo: a@x.test,\r\n\tb@x.test\r\nSUBJECT : two\r\n".to_vec()),
            others: Raw(NameHash::of(b"received").to_be_bytes().to_vec()),
            partial: false,
        };
        assert_eq!(index.last("subject"), Some(&b" two"[..]));
        assert_eq!(index.all("Subject").count(), 2);
        assert_eq!(index.select(&["TO"]).unwrap(), b"To: a@x.test,\r\n\tb@x.test\r\n\r\n");
        assert_eq!(index.select(&["cc"]).unwrap(), b"\r\n");
        assert_eq!(index.select(&["to", "Received"]), None);
        assert!(index.view().covers_all(&[NameHash::of(b"Cc"), NameHash::of(b"to")]));
        assert!(!index.view().covers_all(&[NameHash::of(b"to"), NameHash::of(b"Received")]));
    }

    #[test]
    fn name_hash_is_for_ever() {
        assert_eq!(NameHash::of(b"Received"), NameHash::of(b"RECEIVED"));
        assert_eq!(NameHash::of(b""), NameHash(0x811c ^ 0x9dc5));
        assert_eq!(NameHash::of(b"a"), NameHash(0xe40c ^ 0x292c));
    }
}
