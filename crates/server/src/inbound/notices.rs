//! Senders who want to hear that their message has arrived (NOTIFY=SUCCESS, RFC 3461) hear of it when it is delivered from
//! the queue, in the transaction that delivers it: once, and not before.

use bytes::Bytes;
use compose::{Action, Outcome, Status};
use queue::{Handover, Lease, Recipient};
use types::Randomness;

use super::Inbound;
use crate::notice::{About, Notice, NoticeError, of_arrival};
use crate::origin::SUCCESS;

/// What is told when a recipient gets the message.
pub(super) struct Arrival {
    /// The recipient's number in the leg.
    pub(super) number: usize,
    pub(super) notice: Notice,
    pub(super) name: Handover,
}

/// The notifications that are due when these recipients get the message.
pub(super) async fn due(
    inbound: &Inbound,
    lease: &Lease,
    numbers: &[usize],
    message: &Bytes,
) -> Result<Vec<Arrival>, NoticeError> {
    let wanted = |recipient: &Recipient| recipient.notify.is_some_and(|notify| notify & SUCCESS != 0);
    let mut notices = Vec::new();
    for (number, recipient) in lease.pending().filter(|(number, one)| numbers.contains(number) && wanted(one))
    {
        let about = About {
            id: lease.id(),
            origin: lease.origin(),
            received: lease.received(),
            octets: message.clone(),
            outcomes: vec![arrived(recipient)],
        };
        let notice = inbound.inner.notifier.draw_up(about).await?;
        let name = match &recipient.delivery {
            Some(delivery) => of_arrival(delivery, &recipient.address),
            None => Handover(Randomness::bytes()),
        };
        notices.extend(notice.map(|notice| Arrival { number, notice, name }));
    }
    Ok(notices)
}

fn arrived(recipient: &Recipient) -> Outcome {
    let original = recipient.orcpt.as_deref().and_then(|orcpt| orcpt.split_once(';'));
    Outcome {
        address: recipient.address.clone(),
        original: original.map(|(kind, address)| (kind.to_owned(), address.to_owned())),
        action: Action::Delivered,
        status: Status::success(0, 0),
        reply: None,
        cause: None,
        tried: None,
        until: None,
    }
}
