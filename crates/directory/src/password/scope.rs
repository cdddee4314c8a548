//! What a login is for.

use minicbor::{Decode, Encode};

/// A way in. The number is the bit in [`Scopes`] and must never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// Reading by IMAP.
    Imap = 0,
    /// Reading by POP3.
    Pop3 = 1,
    /// Sending by SMTP submission.
    Submission = 2,
    /// Scripts by ManageSieve.
    ManageSieve = 3,
    /// Everything by JMAP, the webmail included.
    Jmap = 4,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Imap, Self::Pop3, Self::Submission, Self::ManageSieve, Self::Jmap];

    /// Its name in logs and interfaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
            Self::ManageSieve => "managesieve",
            Self::Jmap => "jmap",
        }
    }

    /// The protocol of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

/// A set of protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Scopes(#[n(0)] u32);

impl Scopes {
    /// None.
    pub const NONE: Self = Self(0);
    /// What a mail app needs: all but JMAP, whose sessions may do everything that the owner may.
    pub const MAIL_APP: Self = Self::NONE
        .with(Protocol::Imap)
        .with(Protocol::Pop3)
        .with(Protocol::Submission)
        .with(Protocol::ManageSieve);

    /// The set with one more.
    #[must_use]
    pub const fn with(self, protocol: Protocol) -> Self {
        Self(self.0 | 1 << protocol as u32)
    }

    /// Whether it is in the set.
    pub const fn contains(self, protocol: Protocol) -> bool {
        self.0 & (1 << protocol as u32) != 0
    }

    /// Those in the set that this version knows.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |protocol| self.contains(*protocol))
    }
}

impl FromIterator<Protocol> for Scopes {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        protocols.into_iter().fold(Self::NONE, Self::with)
    }
}
