//! Telling a client's retry from a second message.
//!
//! When a connection breaks before our 250 arrives, the client sends the message again, and the recipient must not
//! get it twice. A retry has the same sender, recipient and bytes, and those bytes have a Message-ID: without one,
//! two messages can be equal and both meant. But even with one, somebody may send the same message twice on
//! purpose. The difference is the 250: a client that went on after it has got it, and what it sends
//! after that is new. So every delivery has a name made of sender, recipient, bytes, and how many equal ones are
//! known to have been acknowledged; `mail` makes no second copy under one name.
//!
//! What goes to other servers has such a name too, for all of them together: it is one message in the outbound queue, and
//! `queue` takes it once under one name.
//!
//! That count is on the bus. Where it is lost, a message that was sent twice on purpose within a day arrives
//! once: the lesser evil, and rare.

use std::time::Duration;

use bytes::Bytes;
use mail::DeliveryId;
use smtp::ReversePath;
use store::bus::Bus;
use types::AccountId;

/// As long as `mail` knows the names of deliveries.
const REMEMBERED: Duration = Duration::from_secs(86_400);

/// What a retry has in common with the first attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint([u8; 32]);

/// Counts the acknowledged deliveries of equal messages.
pub(crate) struct Retries {
    bus: Bus,
}

impl Fingerprint {
    pub(crate) fn new(sender: &ReversePath, account: AccountId, message: &blake3::Hash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 smtp retry");
        hasher.update(message.as_bytes());
        hasher.update(&account.to_be_bytes());
        hasher.update(sender.to_string().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The same for all recipients elsewhere together.
    pub(crate) fn of_departure<'a>(
        sender: &ReversePath,
        recipients: impl IntoIterator<Item = &'a str>,
        message: &blake3::Hash,
    ) -> Self {
        let mut addresses: Vec<&str> = recipients.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 smtp departure");
        hasher.update(message.as_bytes());
        for part in std::iter::once(sender.to_string().as_str()).chain(addresses) {
            // No address holds a line end.
            hasher.update(part.as_bytes()).update(b"\n");
        }
        Self(*hasher.finalize().as_bytes())
    }

    fn key(&self) -> Vec<u8> {
        [b"smtp-acknowledged/".as_slice(), &self.0].concat()
    }
}

impl Retries {
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// The name of the delivery that is to be made now: that of an earlier attempt if this is a retry.
    pub(crate) async fn name(&self, fingerprint: &Fingerprint) -> DeliveryId {
        let mut hasher = blake3::Hasher::new_derive_key("magpie 2026-11 smtp delivery");
        hasher.update(&fingerprint.0);
        hasher.update(&self.acknowledgements(fingerprint).await.to_be_bytes());
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        DeliveryId(name)
    }

    /// The client has got our 250: an equal message that comes after this is a new one.
    pub(crate) async fn acknowledged(&self, fingerprint: &Fingerprint) {
        let count = self.acknowledgements(fingerprint).await.wrapping_add(1);
        self.bus.cache(&fingerprint.key(), Bytes::copy_from_slice(&count.to_be_bytes()), REMEMBERED).await;
    }

    async fn acknowledgements(&self, fingerprint: &Fingerprint) -> u64 {
        let cached = self.bus.cached(&fingerprint.key()).await;
        cached.and_then(|bytes| bytes.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use types::Clock;

    use super::*;

    #[test]
    fn departures_differ_by_all_that_makes_them() {
        let message = blake3::hash(b"message");
        let of = |recipients: &[&str]| {
            Fingerprint::of_departure(&ReversePath::Null, recipients.iter().copied(), &message)
        };
        assert_eq!(of(&["a@x.test", "b@x.test"]), of(&["b@x.test", "a@x.test", "a@x.test"]));
        assert_ne!(of(&["a@x.test", "b@x.test"]), of(&["a@x.test"]));
        assert_ne!(of(&["a@x.test", "b@x.test"]), of(&["a@x.testb@x.test"]));
    }

    #[tokio::test]
    async fn only_what_comes_after_an_acknowledgement_is_new() {
        let retries = Retries::new(Bus::in_process(Clock::system()));
        let message = blake3::hash(b"message");
        let one = Fingerprint::new(&ReversePath::Null, AccountId(1), &message);
        let other = Fingerprint::new(&ReversePath::Null, AccountId(2), &message);
        assert_ne!(one, other);
        let first = retries.name(&one).await;
        assert_eq!(retries.name(&one).await, first, "a retry");
        retries.acknowledged(&one).await;
        let second = retries.name(&one).await;
        assert_ne!(second, first, "sent again on purpose");
        assert_eq!(retries.name(&one).await, second, "a retry of that");
        retries.acknowledged(&one).await;
        assert_ne!(retries.name(&one).await, second);
    }
}
