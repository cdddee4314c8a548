//! What the driver's services answer to the session's questions.

use crate::reply::{Refusal, Reply};

/// The answer to [`Action::VerifySender`](crate::Action::VerifySender).
#[derive(Clone, Debug)]
pub enum SenderVerdict {
    /// The transaction may go on.
    Accept,
    /// The sender is refused, in the words of the check that refuses it.
    Refuse(Refusal),
}

/// The answer to [`Action::VerifyRecipient`](crate::Action::VerifyRecipient).
#[derive(Clone, Debug)]
pub enum RecipientVerdict {
    /// Mail for this recipient can be delivered.
    Accept,
    /// Our domain, but nobody of that name: `550 5.1.1`.
    Unknown,
    /// The mailbox is there, but takes no mail: `550 5.2.1`.
    Disabled,
    /// Not one of our domains, and the client may not relay: `550 5.7.1`.
    RelayDenied,
    /// The mailbox is over its quota: `452 4.2.2`, so that the sender tries again while its owner makes room.
    OverQuota,
    /// The directory cannot be asked: `451 4.3.0`; never a permanent refusal, never accept-then-bounce.
    Unavailable,
    /// Refused by policy, in the words of the check that refuses.
    Refuse(Refusal),
}

impl RecipientVerdict {
    /// The refusing reply, if this is one.
    pub(crate) fn refusal(self) -> Option<Reply> {
        Some(match self {
            Self::Accept => return None,
            Self::Unknown => Reply::new(550, (1, 1), "No such mailbox here; check the address"),
            Self::Disabled => Reply::new(550, (2, 1), "This mailbox is closed and takes no mail"),
            Self::RelayDenied => Reply::new(
                550,
                (7, 1),
                "Not a domain of this server; to send mail, log in on the submission port",
            ),
            Self::OverQuota => Reply::new(452, (2, 2), "This mailbox is full; try again later"),
            Self::Unavailable => {
                Reply::new(451, (3, 0), "Cannot look up this recipient now; try again later")
            }
            Self::Refuse(refusal) => refusal.into_reply(),
        })
    }
}

/// The answer to [`Action::Begin`](crate::Action::Begin).
#[derive(Clone, Debug)]
pub enum BeginVerdict {
    /// There is room to receive a message.
    Proceed,
    /// No memory or spool space for now: `452 4.3.1`.
    InsufficientStorage,
    /// The store cannot be reached: `451 4.3.0`.
    Unavailable,
    /// Refused by policy, in the words of the check that refuses.
    Refuse(Refusal),
}

impl BeginVerdict {
    /// The refusing reply, if this is one.
    pub(crate) fn refusal(self) -> Option<Reply> {
        Some(match self {
            Self::Proceed => return None,
            Self::InsufficientStorage => {
                Reply::new(452, (3, 1), "No room to receive a message now; try again later")
            }
            Self::Unavailable => Reply::new(451, (3, 0), "Cannot store mail now; try again later"),
            Self::Refuse(refusal) => refusal.into_reply(),
        })
    }
}

/// The answer to [`Action::VerifyHeader`](crate::Action::VerifyHeader).
#[derive(Clone, Debug)]
pub enum HeaderVerdict {
    /// Whoever has logged in may write in the name of these authors.
    Accept,
    /// They may not: `550 5.7.1`.
    NotYours,
    /// It cannot be looked up now: `451 4.3.0`.
    Unavailable,
    /// Refused by policy, in the words of the check that refuses.
    Refuse(Refusal),
}

impl HeaderVerdict {
    /// The refusing reply, if this is one.
    pub(crate) fn refusal(self) -> Option<Reply> {
        Some(match self {
            Self::Accept => return None,
            Self::NotYours => Reply::new(
                550,
                (7, 1),
                "The address in From is not one of yours; choose one of your own addresses",
            ),
            Self::Unavailable => {
                Reply::new(451, (3, 0), "Cannot look up your addresses now; try again later")
            }
            Self::Refuse(refusal) => refusal.into_reply(),
        })
    }
}

/// The proof that a message is safe for one recipient: without it the session says no 250.
///
/// It is made in one place of a driver, after the transaction that delivers or queues the message has
/// committed. Whoever looks for every place that can acknowledge a message looks for `Receipt::durable`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    id: String,
}

impl Receipt {
    /// States that the message survives a power loss at this moment: delivered, held by the durable inbound queue,
    /// or answered by a queued notification to its sender. `id` is what an operator finds the message by.
    pub fn durable(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }

    /// What an operator finds the message by.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What became of a message for one recipient: the answer to [`Action::End`](crate::Action::End), one per
/// recipient in the envelope's order.
#[derive(Clone, Debug)]
pub enum DeliveryVerdict {
    /// It is safe.
    Durable(Receipt),
    /// It was not stored; the refusal says why.
    Refuse(Refusal),
}
