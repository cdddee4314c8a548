//! What mail operations refuse, and why.

use thiserror::Error;
use types::{AccountId, EmailId, MailboxId};

use crate::name::NameError;

/// Why an operation on an account's mail was not done. Nothing was changed, unless the variant says so.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Error {
    /// There is no such mailbox, or not any more.
    #[error("there is no such mailbox")]
    NoSuchMailbox,
    /// There is no such email, or not any more.
    #[error("there is no such email")]
    NoSuchEmail,
    /// A sibling has the name already.
    #[error("a mailbox with this name exists already")]
    Exists,
    /// Another mailbox has the role already.
    #[error("another mailbox has this role already")]
    RoleTaken,
    /// A mailbox with children cannot be deleted alone.
    #[error("the mailbox has child mailboxes: delete or move those first")]
    HasChildren,
    /// The INBOX stays where it is.
    #[error("the INBOX can be neither deleted nor moved, and its role is fixed")]
    Inbox,
    /// A mailbox cannot move below itself.
    #[error("a mailbox cannot be moved below itself")]
    Loop,
    /// The text names no mailbox.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An email is in at least one mailbox.
    #[error("an email must be in at least one mailbox")]
    Nowhere,
    /// The account has changed since the moment that the change was made for.
    #[error("the account has changed meanwhile")]
    Changed,
    /// Emails would be lost with the mailbox.
    #[error("there are emails in the mailbox: move or remove those first")]
    HasEmails,
    /// The account has as many mailboxes as it may.
    #[error("the account has {limit} mailboxes, the most that it may have: delete some first")]
    TooManyMailboxes {
        /// The most that an account may have.
        limit: u32,
    },
    /// The account's quota is used up.
    #[error("the quota is used up: {used} of {limit} {unit} are in use")]
    OverQuota {
        /// What is in use already.
        used: u64,
        /// The limit.
        limit: u64,
        /// `octets` or `emails`.
        unit: &'static str,
    },
    /// The message is longer than a message may be.
    #[error("the message has {size} octets; the limit is {limit}")]
    TooLarge {
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A message without a single octet is none.
    #[error("the message is empty")]
    Empty,
    /// An email has more keywords than it may.
    #[error("an email can have at most {limit} keywords")]
    TooManyKeywords {
        /// The most that an email may have.
        limit: usize,
    },
    /// An email is in as many mailboxes as it may be (RFC 8621 §1.3.1 `maxMailboxesPerEmail`).
    #[error("an email can be in at most {limit} mailboxes")]
    TooManyPlaces {
        /// The most that an email may be in.
        limit: usize,
    },
    /// The value of an annotation is too long.
    #[error("the value of an annotation can have at most {limit} octets")]
    AnnotationTooLarge {
        /// The longest that is kept.
        limit: usize,
    },
    /// The account has as many annotations as it may.
    #[error(
        "an account can have at most {entries} annotations of {bytes} octets together: remove some first"
    )]
    TooManyAnnotations {
        /// The most annotations.
        entries: usize,
        /// The most octets of all of them.
        bytes: usize,
    },
    /// There is no such object, or not any more.
    #[error("there is no such thing in the account")]
    NoSuchObject,
    /// The texts of an object are too long.
    #[error("its texts have {size} octets; the limit is {limit}")]
    ObjectTooLarge {
        /// Octets of all of them.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The mailbox has given out its last UID.
    #[error("the mailbox has no UIDs left: move its emails to a new one")]
    OutOfUids,
    /// The change log does not reach back that far: read everything anew.
    #[error("the change log does not reach back that far: fetch the current state instead")]
    CannotCalculateChanges,
    /// More was asked for at once than one step may do.
    #[error("{what} of {asked} is over the limit of {limit}: ask for less at once")]
    TooMany {
        /// What there was too much of.
        what: &'static str,
        /// How much was asked.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// The change is too large for the store to make at once, and cannot be made in parts.
    #[error("the change is too large to be made at once: {0}")]
    TooMuch(String),
    /// The stores are out of reach or overloaded. Trying again later may help.
    #[error("mail storage is unavailable: {0}")]
    Unavailable(String),
    /// The disk has no room for more. Reading works; making room is the operator's.
    #[error("mail storage is full: {0}")]
    Full(String),
    /// What is stored contradicts itself. `magpie verify` says more.
    #[error("mail storage is damaged (account {account}): {what}; run `magpie verify`")]
    Corrupt {
        /// The account.
        account: AccountId,
        /// What was found, and where.
        what: String,
    },
    /// A packed message cannot be put together any more.
    #[error("a packed message is damaged: {0}; run `magpie verify`")]
    DamagedPack(String),
    /// Whoever asked for a delivery has no right to it any more: nothing was delivered.
    #[error("the delivery was withdrawn: {0}")]
    Withdrawn(String),
}

impl Error {
    pub(crate) fn lost_email(account: AccountId, email: EmailId, what: &str) -> Self {
        Self::Corrupt { account, what: format!("email {email}: {what}") }
    }

    pub(crate) fn lost_mailbox(account: AccountId, mailbox: MailboxId, what: &str) -> Self {
        Self::Corrupt { account, what: format!("mailbox {mailbox}: {what}") }
    }

    /// Whether a part of the same change may fit where all of it did not.
    pub(crate) const fn is_too_much(&self) -> bool {
        matches!(self, Self::TooMuch(_))
    }

    /// Whether the same request may succeed later without anybody doing anything.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}

impl From<store::kv::Error> for Error {
    fn from(error: store::kv::Error) -> Self {
        match error {
            store::kv::Error::TooLarge { .. } => Self::TooMuch(error.to_string()),
            store::kv::Error::Full(why) => Self::Full(why),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<store::blob::Error> for Error {
    fn from(error: store::blob::Error) -> Self {
        match error {
            store::blob::Error::Full(why) => Self::Full(why),
            store::blob::Error::Kv(error) => error.into(),
            error => Self::Unavailable(error.to_string()),
        }
    }
}
