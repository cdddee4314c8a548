//! Putting a message that came by SMTP or LMTP into the queue.

use mail::{Delivery, Packed};
use queue::{
    Body, Client, EntryId, Error, NewEntry, NewLeg, Origin, Protection, Recipient, Return, Transfer,
    Unchecked,
};
use smtp::{BodyType, Envelope, Notify, ReversePath};
use types::{MailboxId, Timestamp};

use super::Inbound;

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
}

impl Inbound {
    /// Puts a message into the queue. When this returns `Ok` it is durable, and will be delivered.
    pub(crate) async fn take(&self, taking: Taking<'_>) -> Result<(), Error> {
        let attempts = u32::from(taking.recipients.iter().any(|recipient| recipient.said.is_some()));
        let recipients = taking.recipients.iter().map(|waiting| Recipient {
            address: waiting.address.clone(),
            account: Some(waiting.delivery.account),
            delivery: waiting.delivery.id.map(|id| id.0),
            said: waiting.said.clone(),
            notify: waiting.recipient.and_then(|recipient| recipient.notify).map(bits),
            orcpt: waiting
                .recipient
                .and_then(|recipient| recipient.orcpt.as_ref())
                .map(|orcpt| format!("{};{}", orcpt.kind, orcpt.address)),
            suspicious: waiting.delivery.mailbox != MailboxId::INBOX,
            ..Recipient::default()
        });
        let leg = NewLeg { recipients: recipients.collect(), attempts, ..NewLeg::default() };
        let entry = NewEntry {
            id: taking.id,
            origin: Origin { unchecked: taking.unchecked, ..origin(taking.envelope) },
            received: taking.received,
            size: taking.size,
            body: Body { row: taking.packed.row, blobs: taking.packed.blobs },
            why: taking.why.to_owned(),
            legs: vec![leg],
        };
        self.inner.queue.enqueue(&entry).await
    }
}

fn origin(envelope: &Envelope) -> Origin {
    let origin = &envelope.origin;
    Origin {
        sender: match &origin.sender {
            ReversePath::Null => String::new(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        },
        client: Client {
            address: origin.client.address.map(|address| address.to_string()),
            name: origin.client.name.clone(),
            hello: origin.client.hello.name().to_owned(),
            tls: origin.client.tls.as_ref().map(|tls| tls.version().to_owned()),
        },
        transfer: match origin.body {
            BodyType::SevenBit => Transfer::SevenBit,
            BodyType::EightBitMime => Transfer::EightBit,
            BodyType::BinaryMime => Transfer::Binary,
        },
        smtputf8: origin.smtputf8,
        ret: origin.ret.map(|ret| match ret {
            smtp::Return::Full => Return::Full,
            smtp::Return::Headers => Return::Headers,
        }),
        envid: origin.envid.clone(),
        unchecked: None,
        protection: Protection::Usual,
        submitter: None,
    }
}

/// What to notify the sender of, as the queue keeps it.
fn bits(notify: Notify) -> u8 {
    u8::from(notify.success) | u8::from(notify.failure) << 1 | u8::from(notify.delay) << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_as_bits() {
        assert_eq!(bits(Notify::default()), 0);
        assert_eq!(bits(Notify { success: true, failure: false, delay: true }), 5);
        assert_eq!(bits(Notify { success: false, failure: true, delay: false }), 2);
    }
}
