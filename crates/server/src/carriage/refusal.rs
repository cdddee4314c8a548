//! Refusals of messages that have come whole.

use smtp::{DeliveryVerdict, Envelope, Refusal, RefusalCode};

/// The same refusal for every recipient.
pub(crate) fn refuse_all(envelope: &Envelope, refusal: &Refusal) -> Vec<DeliveryVerdict> {
    envelope.recipients.iter().map(|_| DeliveryVerdict::Refuse(refusal.clone())).collect()
}

/// For what fails here and may work in a while.
pub(crate) fn try_again() -> Refusal {
    Refusal::new(RefusalCode::LocalError, 3, 0, "The message could not be stored; try again later")
}

/// For a message that does not fit into disk or memory now.
pub(crate) fn no_room() -> Refusal {
    Refusal::new(RefusalCode::InsufficientStorage, 3, 1, "No room to take this message now; try again later")
}
