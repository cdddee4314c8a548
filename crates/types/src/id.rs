//! Numbers that name things. Each is a type of its own, so that a UID can never be taken for an email id.

use std::fmt;

use minicbor::{Decode, Encode};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode, Default)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $int);

        impl $name {
            /// Big-endian bytes: the order of the bytes is the order of the numbers, as keys need it.
            pub const fn to_be_bytes(self) -> [u8; size_of::<$int>()] {
                self.0.to_be_bytes()
            }

            /// The reverse of [`Self::to_be_bytes`].
            pub const fn from_be_bytes(bytes: [u8; size_of::<$int>()]) -> Self {
                Self(<$int>::from_be_bytes(bytes))
            }

            /// The id that follows this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// An account: the owner of mailboxes and the partition key of everything below it. Never reused.
    AccountId(u64)
}
id! {
    /// A mail domain that this service is responsible for. Never reused.
    DomainId(u64)
}
id! {
    /// A mailbox within its account. Never reused.
    MailboxId(u32)
}
id! {
    /// An email within its account: immutable content plus mutable state. Never reused.
    EmailId(u64)
}
id! {
    /// A thread within its account. Never reused.
    ThreadId(u64)
}
id! {
    /// The number of an email in one mailbox; strictly ascending, never zero (RFC 9051 §2.3.1.1).
    Uid(u32)
}
id! {
    /// Names one life of a mailbox; with a UID it names a message for ever (RFC 9051 §2.3.1.1).
    UidValidity(u32)
}
id! {
    /// The account's change counter: increased by every changing transaction, shared by CONDSTORE
    /// (RFC 7162), JMAP states and push.
    ModSeq(u64)
}

id! {
    /// A small thing of an account that is neither an email nor a mailbox, such as an identity: the modseq of the change
    /// that made it. Within its account and kind it is never reused.
    ObjectId(u64)
}

impl MailboxId {
    /// INBOX exists in every account from its first day, under this id.
    pub const INBOX: Self = Self(1);
}
