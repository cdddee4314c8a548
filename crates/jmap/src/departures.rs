//! Sending, as far as JMAP knows of it: whoever sends mail for this service says what is on offer, takes messages, and gives
//! back those that have not left. Whether somebody may send what, and how it gets there, is decided behind this.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use compose::Receipt;
use directory::Authenticated;
use futures::future::BoxFuture;
use mail::{EmailChanged, Path};
use thiserror::Error;
use types::{AccountId, EmailId, ObjectId, ThreadId};

/// Sends mail for those who have logged in.
pub trait Departures: Send + Sync {
    /// What is on offer.
    fn terms(&self) -> Terms;

    /// Puts a message on its way and writes its submission down, both or neither: when this returns `Ok`, they are durable.
    /// What has the marker of an earlier one, as a repetition has, is sent no second time; its submission is returned.
    fn depart<'d>(
        &'d self,
        user: &'d Authenticated,
        departure: Departure,
    ) -> BoxFuture<'d, Result<ObjectId, NotSent>>;

    /// Sends a receipt for an email to whoever has asked for it, from `<>`, and gives the email the keyword `$mdnsent`, both or
    /// neither: when this returns `Ok`, they are durable. An email that has the keyword gets none.
    fn acknowledge<'d>(
        &'d self,
        user: &'d Authenticated,
        email: EmailChanged,
        receipt: Receipt,
    ) -> BoxFuture<'d, Result<(), NotAcknowledged>>;

    /// Takes back what has not left, and writes that down, both or neither.
    fn recall<'d>(
        &'d self,
        account: AccountId,
        submission: ObjectId,
    ) -> BoxFuture<'d, Result<(), NotRecalled>>;
}

/// What is on offer to those who send (RFC 8621 §1.3.2), and what is enforced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// How long a message may be held at most before it is sent. Zero: it may not.
    pub longest_hold: Duration,
    /// Extensions of submission, and what is said of each.
    pub extensions: BTreeMap<&'static str, Vec<String>>,
    /// Recipients of a message.
    pub recipients: usize,
    /// Octets of a message.
    pub message: u64,
}

/// A message that is to be sent.
#[derive(Clone, Debug)]
pub struct Departure {
    /// From whom.
    pub identity: ObjectId,
    /// Which email.
    pub email: EmailId,
    /// The thread that it is in.
    pub thread: ThreadId,
    /// The message, as it is kept.
    pub message: Bytes,
    /// The sender in the envelope; the address is empty for `<>`.
    pub sender: Path,
    /// Whom it is for; at least one.
    pub recipients: Vec<Path>,
    /// Equal for a repetition, different for everything else.
    pub marker: [u8; 16],
}

/// Why a message is not sent (RFC 8621 §7.5). Nobody gets it, unless it cannot be sent *now*: then some may have it, and
/// will not get it twice when it is sent again.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotSent {
    /// The message is none that can be sent.
    #[error("{0}")]
    Email(String),
    /// It is larger than messages may be.
    #[error("a message may have {0} octets")]
    TooLarge(u64),
    /// These cannot be sent to, each for its reason.
    #[error("{}", .0.iter().map(|(address, why)| format!("{address}: {why}")).collect::<Vec<_>>().join("; "))]
    Recipients(Vec<(String, String)>),
    /// The envelope has a parameter that cannot be.
    #[error("{0}")]
    Parameters(String),
    /// The sender in the envelope is none of the user's addresses.
    #[error("{0}")]
    Sender(String),
    /// An author in the header is none of the user's addresses.
    #[error("{0}")]
    Author(String),
    /// The user may not send, or not so much now.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be sent now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why no receipt is sent (RFC 9007 §2.1). Nobody gets it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotAcknowledged {
    /// One was sent already.
    #[error("the email has the keyword $mdnsent: a receipt for it was sent, or refused, already")]
    Already,
    /// Who has asked for it cannot be reached.
    #[error("nobody can be reached who wants to be told: {0}")]
    Nowhere(String),
    /// The receipt is larger than messages may be.
    #[error("a message may have {0} octets")]
    TooLarge(u64),
    /// The user has sent as much as they may for now.
    #[error("{0}")]
    TooOften(String),
    /// The user may not send.
    #[error("{0}")]
    Forbidden(String),
    /// The email cannot get the keyword.
    #[error(transparent)]
    Mail(#[from] mail::Error),
    /// It cannot be sent now.
    #[error("{0}")]
    Unavailable(String),
}

/// Why a message is not taken back. It is sent, or will be.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotRecalled {
    /// There is no such submission.
    #[error("there is no such submission")]
    NotFound,
    /// It has left, or is leaving.
    #[error("it has been sent already, or is being sent at this moment")]
    TooLate,
    /// The stores are out of reach: it is as it was.
    #[error("{0}")]
    Unavailable(String),
}
