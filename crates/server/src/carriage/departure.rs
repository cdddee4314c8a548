//! The parts of a message that go to other servers, each an entry in the outbound queue: one for all recipients there to
//! whom its sender has sent it, and one for each address of ours whose mail is sent on.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use checks::Results;
use queue::{EntryId, Error, Handover, NewEntry, Protection, Recipient, Transfer};
use smtp::Envelope;
use thiserror::Error as ThisError;
use types::{Header, Randomness, Timestamp};

use super::Carrier;
use super::forwarding::Forwarding;
use super::recipients::{Recipients, Route};
use super::retries::Fingerprint;
use crate::leaving::Leaving;
use crate::origin::{member, origin, recipient};

/// How often a message is packed anew because what it shares with others was swept meanwhile.
const ATTEMPTS: u32 = 3;

/// Who elsewhere gets a message, and how.
pub(super) struct Departure {
    id: EntryId,
    /// Set if it is sent on in our name.
    forwarding: Option<Forwarding>,
    recipients: Vec<Recipient>,
    /// By what a retry of the client is recognised; none where it cannot be.
    pub(super) fingerprint: Option<Fingerprint>,
    name: Handover,
}

/// A message as it leaves.
pub(super) struct Bound<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) received: Timestamp,
    /// Without `Return-Path:`.
    pub(super) bytes: Bytes,
    /// What the checks found out about it.
    pub(super) results: Option<&'a Results>,
    /// How long it waits before it is sent.
    pub(super) after: Duration,
}

/// Why a message could not be put on its way.
#[derive(Debug, ThisError)]
pub(super) enum Grounded {
    #[error(transparent)]
    Mail(#[from] mail::Error),
    #[error(transparent)]
    Queue(#[from] Error),
    #[error(transparent)]
    Directory(#[from] directory::Error),
}

impl Departure {
    /// Who of the recipients is elsewhere, each once. The first of the entries has the message's own id. `hash` is that of
    /// the message as it came, if a retry of it can be told from a second message.
    pub(super) async fn plan(
        carrier: &Carrier,
        id: EntryId,
        envelope: &Envelope,
        recipients: &Recipients,
        hash: Option<&blake3::Hash>,
    ) -> Vec<Self> {
        let mut departures = Vec::new();
        for Part { forwarding, recipients } in parts(envelope, recipients) {
            let addresses = recipients.iter().map(|recipient| recipient.address.as_str());
            let via = forwarding.as_ref().map(Forwarding::name);
            let fingerprint = hash.map(|hash| {
                Fingerprint::of_departure(
                    &envelope.origin.sender,
                    via.as_deref().into_iter().chain(addresses),
                    hash,
                )
            });
            let name = match &fingerprint {
                Some(fingerprint) => Handover(carrier.retries.name(fingerprint).await.0),
                None => Handover(Randomness::bytes()),
            };
            let id = if departures.is_empty() { id } else { EntryId(Randomness::bytes()) };
            departures.push(Self { id, forwarding, recipients, fingerprint, name });
        }
        departures
    }

    /// How many recipients are elsewhere.
    pub(super) fn recipients(&self) -> usize {
        self.recipients.len()
    }

    /// Puts the message on its way. When this returns `Ok` it is durable, and will be sent; or it is the client's retry of
    /// one that is or was on its way, whose id is returned.
    pub(super) async fn depart(
        &self,
        carrier: &Carrier,
        bound: &Bound<'_>,
    ) -> Result<Option<EntryId>, Grounded> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let entry = self.entry(carrier, bound).await?;
            match carrier.outbound.enqueue_once(&entry, self.name).await {
                Ok(()) => return Ok(None),
                Err(Error::Exists(earlier)) => return Ok(Some(earlier)),
                Err(Error::Vanished) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The message as the outbound queue takes it.
    pub(super) async fn entry(&self, carrier: &Carrier, bound: &Bound<'_>) -> Result<NewEntry, Grounded> {
        let mut origin = origin(bound.envelope);
        if origin.transfer == Transfer::Binary {
            // What has no lines was put into some: it can go to servers that know no BINARYMIME.
            origin.transfer = Transfer::EightBit;
        }
        let mut bytes = bound.bytes.clone();
        let mut why = "it is for other servers".to_owned();
        if let Some(forwarding) = &self.forwarding {
            origin.sender = forwarding.sender(carrier, &origin.sender).await?;
            bytes = forwarding.prepare(carrier, bound).await;
            why = format!("mail for {} is sent on to other servers", forwarding.address());
        }
        if origin.protection == Protection::Usual && waives_tls(&bound.bytes) {
            origin.protection = Protection::Dispensable;
        }
        let leaving = Leaving {
            id: self.id,
            origin,
            received: bound.received,
            size: bytes.len() as u64,
            packed: carrier.mail.pack(bytes).await?,
            why,
            recipients: self.recipients.clone(),
            after: bound.after,
        };
        Ok(leaving.entry())
    }
}

/// Recipients that get the same octets from the same sender.
struct Part {
    forwarding: Option<Forwarding>,
    recipients: Vec<Recipient>,
}

/// All recipients elsewhere, each once: first those to whom the message goes as it is.
fn parts(envelope: &Envelope, recipients: &Recipients) -> Vec<Part> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut relayed = Vec::new();
    for named in &envelope.recipients {
        let route = recipients.route(&named.path);
        for address in &route.remote {
            if seen.insert(address.clone()) {
                relayed.push(form(route)(address.clone(), Some(named)));
            }
        }
    }
    let relayed = Part { forwarding: None, recipients: relayed };
    let mut parts: Vec<Part> = Some(relayed).filter(|part| !part.recipients.is_empty()).into_iter().collect();
    for named in &envelope.recipients {
        let route = recipients.route(&named.path);
        let mut domains: Vec<Part> = Vec::new();
        for forward in &route.forwards {
            let address = forward.address.to_string();
            if !seen.insert(address.clone()) {
                continue;
            }
            let recipient = form(route)(address, Some(named));
            let domain = forward.via.domain();
            let known =
                domains.iter_mut().find(|part| part.forwarding.as_ref().is_some_and(|f| f.is_of(domain)));
            match known {
                Some(part) => part.recipients.push(recipient),
                None => domains.push(Part {
                    forwarding: Some(Forwarding::new(&named.path, domain.clone())),
                    recipients: vec![recipient],
                }),
            }
        }
        parts.extend(domains);
    }
    parts
}

/// What becomes of the sender's wishes for one of the addresses that a recipient leads to: kept for exactly one (RFC 3461
/// §5.2.7.3).
fn form(route: &Route) -> fn(String, Option<&smtp::Recipient>) -> Recipient {
    if route.is_expanded() { member } else { recipient }
}

/// Whether the header says `TLS-Required: No` (RFC 8689 §4): delivery matters more than protection on the way.
fn waives_tls(message: &[u8]) -> bool {
    let header = Header::parse(message);
    let mut fields = header.named("tls-required");
    matches!((fields.next(), fields.next()), (Some(only), None) if only.value().trim_ascii().eq_ignore_ascii_case(b"no"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_waives_tls() {
        for yes in ["TLS-Required: No\r\n\r\n", "A: b\r\ntls-required:\r\n no \r\n\r\n"] {
            assert!(waives_tls(yes.as_bytes()), "{yes}");
        }
        for no in [
            "\r\n",
            "TLS-Required: Yes\r\n\r\n",
            "\r\nTLS-Required: No\r\n",
            "TLS-Required: No\r\nTLS-Required: No\r\n\r\n",
        ] {
            assert!(!waives_tls(no.as_bytes()), "{no}");
        }
    }
}
