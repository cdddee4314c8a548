//! Putting a message that came by SMTP or LMTP into the queue.

use std::time::Duration;

use mail::{Delivery, Packed};
use queue::{Body, EntryId, Error, NewEntry, NewLeg, Origin, Recipient, Unchecked};
use smtp::Envelope;
use types::{MailboxId, Timestamp};

use super::Inbound;
use crate::origin::{member, origin, recipient};

/// A recipient that the queue is to deliver to.
pub(crate) struct Waiting<'d> {
    /// The address that the message was sent to.
    pub(crate) address: String,
    /// The delivery that is to be made.
    pub(crate) delivery: &'d Delivery,
    /// Why a first attempt failed, if there was one.
    pub(crate) said: Option<String>,
    /// The recipient as the sender has named it.
    pub(crate) recipient: Option<&'d smtp::Recipient>,
    /// Whether the address leads to others too.
    pub(crate) expanded: bool,
}

/// A message for the queue.
pub(crate) struct Taking<'t> {
    pub(crate) id: EntryId,
    pub(crate) envelope: &'t Envelope,
    pub(crate) received: Timestamp,
    pub(crate) size: u64,
    pub(crate) packed: Packed,
    /// Set if the message is still to be checked.
    pub(crate) unchecked: Option<Unchecked>,
    /// Why it goes to the queue, in words.
    pub(crate) why: &'t str,
    pub(crate) recipients: Vec<Waiting<'t>>,
    /// When it is delivered at the earliest, counted from now (RFC 4865).
    pub(crate) after: Duration,
}

impl Inbound {
    /// Puts a message into the queue. When this returns `Ok` it is durable, and will be delivered.
    pub(crate) async fn take(&self, taking: Taking<'_>) -> Result<(), Error> {
        self.inner.queue.enqueue(&taking.entry()).await
    }
}

impl Taking<'_> {
    /// The message as the queue takes it.
    pub(crate) fn entry(self) -> NewEntry {
        let taking = self;
        let attempts = u32::from(taking.recipients.iter().any(|recipient| recipient.said.is_some()));
        let recipients = taking.recipients.iter().map(|waiting| Recipient {
            account: Some(waiting.delivery.account),
            delivery: waiting.delivery.id.map(|id| id.0),
            said: waiting.said.clone(),
            suspicious: waiting.delivery.mailbox != MailboxId::INBOX,
            ..(if waiting.expanded { member } else { recipient })(waiting.address.clone(), waiting.recipient)
        });
        let after = taking.after;
        let leg = NewLeg { recipients: recipients.collect(), attempts, after, ..NewLeg::default() };
        NewEntry {
            id: taking.id,
            origin: Origin { unchecked: taking.unchecked, ..origin(taking.envelope) },
            received: taking.received,
            size: taking.size,
            body: Body { row: taking.packed.row, blobs: taking.packed.blobs },
            why: taking.why.to_owned(),
            legs: vec![leg],
        }
    }
}
