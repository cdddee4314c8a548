//! What is known of an email's content without opening it: written once at ingest, read by every listing.
//!
//! **How the record evolves.** Every struct is a CBOR map from field number to value. A reader skips numbers
//! that it does not know and takes the default for those that are missing, so nodes of two releases read each
//! other's records. A number is never used for something else, a field never changes its type, and a new
//! field always has a default that means "not known".
//!
//! **How long it gets.** Never over [`Metadata::MAX_LEN`] bytes encoded, whatever the message is: lists are
//! cut and [`Cuts`] says which. A cut costs speed, not truth: who needs the rest opens the source and asks
//! [`crate::ingest::structure`] or the header itself.

use std::fmt;
use std::ops::Deref;

use minicbor::{CborLen, Decode, Encode};

use super::metadata_header::HeaderIndex;
use super::metadata_parts::Structure;

/// The content record of one email.
#[derive(Clone, PartialEq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Metadata {
    /// Octets of the whole source (RFC822.SIZE, RFC 9051 §2.3.4).
    #[n(0)]
    #[cbor(default)]
    pub size: u64,
    /// What had to be left out.
    #[n(1)]
    #[cbor(skip_if = "Cuts::is_empty")]
    pub cuts: Cuts,
    /// The Date field, if it holds a date.
    #[n(2)]
    pub sent: Option<SentAt>,
    /// The header fields that listings ask for, and which others there are.
    #[n(3)]
    #[cbor(default)]
    pub header: HeaderIndex,
    /// The MIME tree.
    #[n(4)]
    #[cbor(default)]
    pub structure: Structure,
    /// The beginning of the readable text, at most 256 characters on one line (RFC 8621 §4.1.4).
    #[n(5)]
    #[cbor(default)]
    pub preview: String,
    /// Whether there is a part that a reader would call an attachment (RFC 8621 §4.1.4 `hasAttachment`).
    #[n(6)]
    #[cbor(default)]
    pub has_attachment: bool,
    /// Emails that share one of these belong to one thread (RFC 8621 §3); the email's own id comes first.
    #[n(7)]
    #[cbor(default)]
    pub thread_keys: ThreadKeys,
}

impl Metadata {
    /// The longest encoding, in bytes: a kv value may be 100,000, and a row has more than this in it.
    pub const MAX_LEN: usize = 90_000;

    /// The record's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(minicbor::len(self));
        // A Vec never refuses a write, and no field encodes itself by hand.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }

    /// Reads a record that this or another release wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}

/// What a [`Metadata`] lacks because it would have been too long or too costly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Cuts(#[n(0)] pub u32);

impl Cuts {
    /// Some header field that is usually kept is shortened or missing.
    pub const HEADER: Self = Self(1);
    /// Parts, parameters or nested envelopes are shortened or missing.
    pub const STRUCTURE: Self = Self(2);
    /// There were more references than are kept.
    pub const THREAD: Self = Self(4);

    /// Whether nothing was cut.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether `what` was cut.
    pub const fn contains(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    /// Notes that `what` was cut.
    pub const fn insert(&mut self, what: Self) {
        self.0 |= what.0;
    }
}

/// When an email says that it was sent (RFC 5322 §3.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct SentAt {
    /// Seconds since 1970-01-01T00:00:00Z; may be negative.
    #[n(0)]
    #[cbor(default)]
    pub secs: i64,
    /// The sender's zone: minutes east of UTC.
    #[n(1)]
    #[cbor(skip_if = "is_zero")]
    pub zone: i16,
}

/// The name of a message id together with a base subject; equal keys make a thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadKey(pub [u8; Self::LEN]);

impl ThreadKey {
    /// Octets of a key: at 96 bits a collision within an account is beyond reach.
    pub const LEN: usize = 12;
}

/// The thread keys of one email, kept as one byte string: the own message id's first if there is one, then
/// those that the email refers to, newest last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct ThreadKeys {
    #[n(0)]
    #[cbor(default)]
    keys: Raw,
}

impl ThreadKeys {
    /// Every key, the own one first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ThreadKey> + '_ {
        self.keys.0.as_chunks::<{ ThreadKey::LEN }>().0.iter().map(|key| ThreadKey(*key))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.0.len() / ThreadKey::LEN
    }

    /// Whether the email can be in no thread but its own.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<ThreadKey> for ThreadKeys {
    fn from_iter<I: IntoIterator<Item = ThreadKey>>(keys: I) -> Self {
        let mut bytes = Vec::new();
        for key in keys {
            bytes.extend_from_slice(&key.0);
        }
        Self { keys: Raw(bytes) }
    }
}

/// Bytes as they stand in the source: of any charset, or none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Raw(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub Vec<u8>,
);

impl Deref for Raw {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Raw {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn is_zero(zone: &i16) -> bool {
    *zone == 0
}
