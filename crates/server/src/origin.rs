//! An envelope of SMTP in the form in which queues keep it.

use queue::{Client, Origin, Protection, Return, Transfer};
use smtp::{BodyType, Envelope, Notify, Recipient, ReversePath};
use types::AccountId;

/// Where a message comes from.
pub(crate) fn origin(envelope: &Envelope) -> Origin {
    let origin = &envelope.origin;
    let submission = &origin.submission;
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
        protection: if submission.require_tls { Protection::Required } else { Protection::Usual },
        submitter: submission.submitter.as_ref().map(|submitter| AccountId(submitter.account())),
        submission: None,
        reports_on: None,
    }
}

/// A recipient at an address, and what the sender wants to hear of it.
pub(crate) fn recipient(address: String, named: Option<&Recipient>) -> queue::Recipient {
    queue::Recipient {
        address,
        notify: named.and_then(|recipient| recipient.notify).map(bits),
        orcpt: named
            .and_then(|recipient| recipient.orcpt.as_ref())
            .map(|orcpt| format!("{};{}", orcpt.kind, orcpt.address)),
        ..queue::Recipient::default()
    }
}

/// One of several that an address leads to. That the address was expanded is told where that happens, and of success no
/// more is told (RFC 3461 §5.2.7).
pub(crate) fn member(address: String, named: Option<&Recipient>) -> queue::Recipient {
    let recipient = recipient(address, named);
    queue::Recipient { notify: recipient.notify.map(|notify| notify & !SUCCESS), ..recipient }
}

/// The bit for success in what the queue keeps.
pub(crate) const SUCCESS: u8 = 1;

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
