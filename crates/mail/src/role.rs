//! What a mailbox is for (RFC 8621 §2 `role`, RFC 6154 special use).

use std::fmt;

/// A mailbox's role. At most one mailbox of an account has each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Where mail arrives.
    Inbox,
    /// Kept for later.
    Archive,
    /// Being written.
    Drafts,
    /// A view of flagged emails.
    Flagged,
    /// A view of important emails.
    Important,
    /// Unwanted.
    Junk,
    /// Sent by the owner.
    Sent,
    /// Thrown away.
    Trash,
    /// A view of all emails.
    All,
}

impl Role {
    const ALL: [(Self, u8, &'static str); 9] = [
        (Self::Inbox, 1, "inbox"),
        (Self::Archive, 2, "archive"),
        (Self::Drafts, 3, "drafts"),
        (Self::Flagged, 4, "flagged"),
        (Self::Important, 5, "important"),
        (Self::Junk, 6, "junk"),
        (Self::Sent, 7, "sent"),
        (Self::Trash, 8, "trash"),
        (Self::All, 9, "all"),
    ];

    /// JMAP's name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(role, ..)| *role == self).map_or("", |(.., name)| name)
    }

    /// The role with this JMAP name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(.., n)| n.eq_ignore_ascii_case(name)).map(|(role, ..)| *role)
    }

    /// The number that records hold; it never changes.
    pub(crate) fn number(self) -> u8 {
        Self::ALL.iter().find(|(role, ..)| *role == self).map_or(0, |(_, number, _)| *number)
    }

    /// The role with this number; `None` for one that only a newer node knows.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == number).map(|(role, ..)| *role)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
