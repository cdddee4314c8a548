//! The MIME tree of a message, flat: every part in the order of its first byte, each followed by its
//! descendants. Nothing that walks, writes or drops it recurses.

use std::ops::Range;

use minicbor::{CborLen, Decode, Encode};

use super::metadata::Raw;

/// All parts of a message; the first is the message's own body.
#[derive(Clone, PartialEq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Structure(#[n(0)] pub Vec<Part>);

/// One body part (RFC 2045). Offsets count octets from the start of the source.
#[derive(Clone, PartialEq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Part {
    /// Where the part's header begins.
    #[n(0)]
    #[cbor(default)]
    pub header: u64,
    /// Where its body begins: after the empty line.
    #[n(1)]
    #[cbor(default)]
    pub body: u64,
    /// Where its body ends: before the line end that belongs to the following boundary.
    #[n(2)]
    #[cbor(default)]
    pub end: u64,
    /// Line feeds in the body; counted for `text/*` and `message/*` only.
    #[n(3)]
    #[cbor(skip_if = "is_zero")]
    pub lines: u64,
    /// How many of the following parts are inside this one.
    #[n(4)]
    #[cbor(skip_if = "is_zero32")]
    pub descendants: u32,
    /// Media type in lower case, `text/plain` where the header says nothing valid; a multipart in which no parts
    /// were found is `text/plain` as well, one that was not opened `application/octet-stream`.
    #[n(5)]
    #[cbor(default)]
    pub media_type: String,
    /// Parameters of Content-Type as they stand there, unquoted; `charset*0*` is a name like any other.
    #[n(6)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub params: Vec<Param>,
    /// Content-Transfer-Encoding in lower case; empty where there is none.
    #[n(7)]
    #[cbor(skip_if = "String::is_empty")]
    pub encoding: String,
    /// Content-Disposition.
    #[n(8)]
    pub disposition: Option<Disposition>,
    /// Content-ID with its angle brackets.
    #[n(9)]
    pub id: Option<Raw>,
    /// Content-Description, unfolded and undecoded.
    #[n(10)]
    pub description: Option<Raw>,
    /// Content-Language, unfolded.
    #[n(11)]
    pub language: Option<Raw>,
    /// Content-Location, unfolded.
    #[n(12)]
    pub location: Option<Raw>,
    /// Content-MD5.
    #[n(13)]
    pub md5: Option<Raw>,
    /// For an embedded message, its envelope fields byte for byte. The message's body is the one child.
    #[n(14)]
    pub envelope: Option<Raw>,
    /// What is special about the part.
    #[n(15)]
    #[cbor(skip_if = "PartFlags::is_empty")]
    pub flags: PartFlags,
}

/// One parameter of a structured field.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
pub struct Param {
    /// Lower case.
    #[n(0)]
    #[cbor(default)]
    pub name: String,
    /// Without quotes, otherwise as it stands.
    #[n(1)]
    #[cbor(default)]
    pub value: Raw,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Disposition {
    /// `inline`, `attachment` or another word, in lower case.
    #[n(0)]
    #[cbor(default)]
    pub kind: String,
    /// As in [`Part::params`].
    #[n(1)]
    #[cbor(skip_if = "Vec::is_empty")]
    pub params: Vec<Param>,
}

/// What is special about a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct PartFlags(#[n(0)] pub u32);

impl PartFlags {
    /// A container that was not opened: nested too deep, or an embedded message in base64.
    pub const OPAQUE: Self = Self(1);
    /// Something of the part is shortened or missing: parameters, the envelope, parts inside it.
    pub const CUT: Self = Self(2);

    /// Whether there is nothing special.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether `flag` is set.
    pub const fn contains(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Sets `flag`.
    pub const fn insert(&mut self, flag: Self) {
        self.0 |= flag.0;
    }
}

impl Structure {
    /// The part with that index.
    pub fn part(&self, index: usize) -> Option<&Part> {
        self.0.get(index)
    }

    /// The indexes of the parts directly inside part `index`, in their order.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.subtree(index).end;
        let step = move |child: usize| (child < end).then_some(child);
        std::iter::successors(step(index.saturating_add(1)), move |child| step(self.subtree(*child).end))
    }

    /// The indexes of part `index` and all parts inside it.
    pub fn subtree(&self, index: usize) -> Range<usize> {
        let inside = self.part(index).map_or(0, |part| part.descendants as usize);
        index..index.saturating_add(inside).saturating_add(1).min(self.0.len())
    }

    /// The index of the container of part `index`. Looks back through the tree: not for loops over all parts.
    pub fn parent(&self, index: usize) -> Option<usize> {
        (0..index).rev().find(|&outer| self.subtree(outer).contains(&index))
    }
}

impl Part {
    /// Octets of the body as it stands, in its transfer encoding (`body-fld-octets`, RFC 9051 §9).
    pub fn size(&self) -> u64 {
        self.end.saturating_sub(self.body)
    }

    /// The body as it stands, of the source that the part was found in.
    pub fn octets<'r>(&self, raw: &'r [u8]) -> &'r [u8] {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(raw.len());
        raw.get(at(self.body)..at(self.end)).unwrap_or_default()
    }

    /// Whether this is a `multipart/*`. It has children, unless they were cut from the record.
    pub fn is_multipart(&self) -> bool {
        self.media_type.starts_with("multipart/")
    }

    /// Whether this is an embedded message that was looked into.
    pub fn is_message(&self) -> bool {
        self.envelope.is_some()
    }

    /// The value of the Content-Type parameter of exactly that (lower-case) name.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        param(&self.params, name)
    }

    /// The kind of Content-Disposition, in lower case.
    pub fn disposition(&self) -> Option<&str> {
        self.disposition.as_ref().map(|disposition| disposition.kind.as_str())
    }
}

/// The first parameter of that name.
pub fn param<'a>(params: &'a [Param], name: &str) -> Option<&'a [u8]> {
    params.iter().find(|param| param.name == name).map(|param| &*param.value)
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_zero32(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_a_flat_tree() {
        let part = |descendants| Part { descendants, ..Part::default() };
        let tree = Structure([5, 2, 0, 0, 0, 0].map(part).to_vec());
        assert_eq!(tree.children(0).collect::<Vec<_>>(), [1, 4, 5]);
        assert_eq!(tree.children(1).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(tree.children(5).count(), 0);
        assert_eq!(
            (0..6).map(|i| tree.parent(i)).collect::<Vec<_>>(),
            [None, Some(0), Some(1), Some(1), Some(0), Some(0)]
        );
    }

    #[test]
    fn lying_counts_do_no_harm() {
        let tree = Structure(vec![Part { descendants: u32::MAX, ..Part::default() }]);
        assert_eq!(tree.children(0).count(), 0);
        assert_eq!(tree.children(usize::MAX - 1).count(), 0);
    }
}
