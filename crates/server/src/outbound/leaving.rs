//! Putting a message on its way to other servers.

use std::collections::BTreeMap;
use std::time::Duration;

use dns::Name;
use mail::Packed;
use queue::{Body, EntryId, NewEntry, NewLeg, Origin, Recipient};
use types::Timestamp;

/// A message for other servers: as it is sent, signatures included.
pub(crate) struct Leaving {
    /// What it is called: random. A client's retry is recognised by the name under which it is handed over.
    pub(crate) id: EntryId,
    pub(crate) origin: Origin,
    pub(crate) received: Timestamp,
    /// Octets of the message.
    pub(crate) size: u64,
    pub(crate) packed: Packed,
    /// Why it is in the queue, in words.
    pub(crate) why: String,
    /// For whom. Their domains say where it goes.
    pub(crate) recipients: Vec<Recipient>,
    /// When it is sent at the earliest, counted from now (RFC 4865).
    pub(crate) after: Duration,
}

impl Leaving {
    /// The message as the outbound queue takes it: recipients with the same domain go together.
    pub(crate) fn entry(self) -> NewEntry {
        let mut legs: BTreeMap<String, Vec<Recipient>> = BTreeMap::new();
        for recipient in self.recipients {
            legs.entry(destination(&recipient.address)).or_default().push(recipient);
        }
        let legs = legs.into_iter().map(|(destination, recipients)| NewLeg {
            destination,
            recipients,
            after: self.after,
            ..NewLeg::default()
        });
        NewEntry {
            id: self.id,
            origin: self.origin,
            received: self.received,
            size: self.size,
            body: Body { row: self.packed.row, blobs: self.packed.blobs },
            why: self.why,
            legs: legs.collect(),
        }
    }
}

/// Where mail for an address goes: its domain as DNS is asked for it, or an address literal in its brackets.
pub(crate) fn destination(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or(address, |(_, domain)| domain);
    match Name::parse(domain) {
        Some(name) if !domain.starts_with('[') => name.to_string(),
        _ => domain.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_of_addresses() {
        let table = [
            ("a@Example.COM", "example.com"),
            ("a@köln.test", "xn--kln-sna.test"),
            ("\"a@b\"@c.test", "c.test"),
            ("a@[192.0.2.1]", "[192.0.2.1]"),
            ("a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ];
        for (address, wanted) in table {
            assert_eq!(destination(address), wanted, "{address}");
        }
    }
}
